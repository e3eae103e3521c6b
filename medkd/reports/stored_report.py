"""Reading a report's numbers back from its folder, to compare it with others."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidValueError, MissingFileError
from medkd.reports.evaluation_results import MethodResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["StoredReport", "read_runs"]

_METRICS, _CASES = "metrics.json", "cases.csv"


@dataclass(frozen=True, eq=False)
class StoredReport:
    """One report, as far as its files hold it: without curves, pictures and bins.

    Attributes:
        run: what the run is called on the page.
        dataset: name of the data set.
        split: name of the split.
        shift: kind and strength of what was done to the images; ``None`` for images as they are.
        methods: all on the same cases.
        written: when its numbers were written, in seconds since 1970.
    """

    run: str
    dataset: str
    split: str
    shift: tuple[str, int] | None
    methods: tuple[MethodResult, ...]
    written: float

    @property
    def case_ids(self) -> frozenset[str]:
        """The cases."""
        return frozenset(self.methods[0].scores)

    @property
    def clean_dataset(self) -> str:
        """Name of the data set without the words that tell its shift."""
        if self.shift is None:
            return self.dataset
        return self.dataset.removesuffix(" {} {}".format(*self.shift))

    def method(self, name: str) -> MethodResult | None:
        """The method of that name, or ``None``."""
        return next((method for method in self.methods if method.name == name), None)


def read_runs(folders: Sequence[str | Path]) -> dict[Path, list[StoredReport]]:
    """Read every report of every run.

    Args:
        folders: each a run's folder, of which ``report/`` and all that lies in ``evaluation/`` are
            taken (of several on the same images the newest), a folder of reports, or one report's.

    Returns:
        The folder, resolved, to its reports, at least one. Runs are called by the last parts of
        their paths that tell them apart.

    Raises:
        FileNotFoundError: if a folder holds no report, or one lacks a file.
        ValueError: if a folder is given twice, or a file is not what a report writes.
    """
    paths = [Path(folder) for folder in folders]
    resolved = [path.resolve() for path in paths]
    for index, path in enumerate(resolved):
        if path in resolved[:index]:
            raise InvalidValueError(f"Expected distinct runs, but got {paths[index]} twice.")
    names = _names(resolved)
    return {
        path: _newest([_read_report(folder, name) for folder in _report_folders(path)])
        for path, name in zip(resolved, names, strict=True)
    }


def _report_folders(run: Path) -> list[Path]:
    if (run / _METRICS).is_file():
        return [run]
    # `evaluation/<name>/` may be a report, or a folder of reports on degraded images.
    patterns = ("report", "evaluation/*", "evaluation/*/*", "*")
    candidates = dict.fromkeys(path for pattern in patterns for path in sorted(run.glob(pattern)))
    folders = [folder for folder in candidates if (folder / _METRICS).is_file()]
    if not folders:
        raise MissingFileError(
            f"Expected {run} to be the folder of a run or of a report, but there is no {_METRICS} "
            "in it, in its folders or in its evaluation folders."
        )
    return folders


def _newest(reports: Sequence[StoredReport]) -> list[StoredReport]:
    """One report for each data set, split and shift."""
    order = sorted(reports, key=lambda report: report.written)
    newest = {(report.dataset, report.split, report.shift): report for report in order}
    return [report for report in reports if report in newest.values()]


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that are all distinct."""
    # The folder `report` says nothing that its run's name does not.
    parts = [(path.parent if path.name == "report" else path).parts for path in paths]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(part[-length:]).replace("//", "/") for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _read_report(folder: Path, run: str) -> StoredReport:
    file = folder / _METRICS
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        shift = content.get("shift")
        return StoredReport(
            run=run,
            dataset=str(content["dataset"]),
            split=str(content["split"]),
            shift=None if shift is None else (str(shift["kind"]), int(shift["strength"])),
            methods=_read_methods(content["methods"], folder / _CASES),
            written=file.stat().st_mtime,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValueError(
            f"Expected {file} and {_CASES} beside it to be as a report writes them, but got "
            f"{type(error).__name__}: {error}"
        ) from error


def _read_methods(entries: Mapping[str, Any], file: Path) -> tuple[MethodResult, ...]:
    scores: dict[str, dict[str, dict[str, float]]] = {name: {} for name in entries}
    seconds: dict[str, dict[str, float]] = {name: {} for name in entries}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            name, case_id = row.pop("method"), row.pop("case_id")
            seconds[name][case_id] = _number(row.pop("seconds"))
            scores[name][case_id] = {metric: _number(value) for metric, value in row.items()}
    cases = {frozenset(rows) for rows in scores.values()}
    if len(cases) != 1 or not next(iter(cases)):
        raise InvalidValueError("the methods have no cases, or not the same")
    return tuple(
        MethodResult(
            name=name,
            title=str(entry.get("title", name.replace("_", " "))),
            num_parameters=int(entry["parameters"]),
            seconds_per_case=seconds[name],
            scores=scores[name],
        )
        for name, entry in entries.items()
    )


def _number(text: str) -> float:
    return float(text) if text else math.nan
