"""Whether the student doubts the same cases as the ensemble that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from scipy import stats

__all__ = ["RankingAgreement", "ranking_agreement"]

_CASES = "report/cases.csv"
_ENTROPY = "mean_predictive_entropy"
_STUDENT, _ENSEMBLE = "student", "deep_ensemble"
_FEWEST = 3  # cases, below which a correlation of ranks says nothing


@dataclass(frozen=True)
class RankingAgreement:
    """Agreement of two rankings of the same cases.

    Args:
        correlation: Spearman's, in ``[-1, 1]``.
        num_cases: how many were ranked.
    """

    correlation: float
    num_cases: int

    def __str__(self) -> str:
        return (
            f"the student ranks the {self.num_cases} evaluated cases by uncertainty as the "
            f"ensemble does with Spearman's correlation {self.correlation:.2f}"
        )


def ranking_agreement(run_dir: str | Path) -> RankingAgreement | None:
    r"""Compare the rankings by mean predictive entropy that a run's report holds.

    Args:
        run_dir: the run's folder.

    Returns:
        The agreement; ``None`` if the report has no student, no ensemble, fewer than three cases,
        or cases that are all alike.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "report").mkdir()
        >>> rows = ["case_id,method,mean_predictive_entropy"]
        >>> rows += [f"{case},student,{case}" for case in range(4)]
        >>> rows += [f"{case},deep_ensemble,{case**2}" for case in range(4)]
        >>> _ = (folder / "report" / "cases.csv").write_text("\n".join(rows))
        >>> print(ranking_agreement(folder))
        the student ranks the 4 evaluated cases by uncertainty as the ensemble does with ... 1.00
    """
    path = Path(run_dir).expanduser() / _CASES
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"case_id": str})
    if not {"case_id", "method", _ENTROPY} <= set(table):
        return None
    wide = table.pivot_table(index="case_id", columns="method", values=_ENTROPY)
    if not {_STUDENT, _ENSEMBLE} <= set(wide):
        return None
    pairs = wide[[_STUDENT, _ENSEMBLE]].dropna()
    if len(pairs) < _FEWEST or (pairs.nunique() < 2).any():
        return None
    found = stats.spearmanr(pairs[_STUDENT], pairs[_ENSEMBLE])
    return RankingAgreement(float(found.statistic), len(pairs))
