"""Tables of the benchmarks that train: means over cases, spread over seeds, paired tests.

A row is a list of tables, one a seed, of cases by scores. The tests are Wilcoxon's signed-rank test
over cases; of several seeds, a case counts with its mean over them. The p-values of one score are
corrected by Holm's method for the number of pairs.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

import pandas

from medkd.reports.paired_test import holm_correction, signed_rank_p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Rows = Mapping[str, Sequence[pandas.DataFrame]]


def read_scores(run_dir: Path, method: str) -> list[pandas.DataFrame]:
    """The scores of one method in the report of a run: a list of one table, or of none."""
    file = run_dir / "report" / "cases.csv"
    if not file.is_file():
        return []
    table = pandas.read_csv(file, dtype={"case_id": str})
    of_method = table[table["method"] == method]
    return [] if of_method.empty else [of_method.set_index("case_id").sort_index()]


def score_table(rows: Rows, metrics: Sequence[str]) -> str:
    """Mean over cases; of several seeds, mean and standard deviation over them."""
    lines = ["| | seeds | " + " | ".join(metrics) + " |", "|---|---|" + "---|" * len(metrics)]
    for name, frames in rows.items():
        cells = [name, str(len(frames))]
        for metric in metrics:
            means = [frame[metric].mean() for frame in frames if metric in frame]
            spread = f" ± {statistics.stdev(means):.4f}" if len(means) > 1 else ""
            cells.append(f"{statistics.mean(means):.4f}{spread}" if means else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_table(rows: Rows, pairs: Sequence[tuple[str, str]], metrics: Sequence[str]) -> str:
    """For each pair of rows the mean difference of each score, and its corrected p-value."""
    differences = {
        (one, other): _over_seeds(rows[one]) - _over_seeds(rows[other])
        for one, other in pairs
        if rows.get(one) and rows.get(other)
    }
    lines = [
        "| | cases | " + " | ".join(f"{metric}, p" for metric in metrics) + " |",
        "|---|---|" + "---|" * len(metrics),
    ]
    columns = {}
    for metric in metrics:
        p_values = holm_correction([signed_rank_p_value(d[metric]) for d in differences.values()])
        columns[metric] = dict(zip(differences, p_values, strict=True))
    for pair, difference in differences.items():
        cells = [f"{difference[m].mean():+.4f}, {columns[m][pair]:.2g}" for m in metrics]
        lines.append(f"| {' less '.join(pair)} | {len(difference)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_means(rows: Rows, metrics: Sequence[str], file: Path) -> None:
    """The mean over cases of each score of each seed, as JSON."""
    means = {
        name: [
            frame[[metric for metric in metrics if metric in frame]].mean().round(5).to_dict()
            for frame in frames
        ]
        for name, frames in rows.items()
    }
    file.write_text(json.dumps(means, indent=1) + "\n", encoding="utf-8")


def _over_seeds(frames: Sequence[pandas.DataFrame]) -> pandas.DataFrame:
    return pandas.concat(frames).groupby(level=0).mean(numeric_only=True)
