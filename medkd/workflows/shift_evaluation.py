"""The stage that evaluates a finished run on worse and worse images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.data import Degraded
from medkd.reports import write_comparison
from medkd.workflows.report_writing import evaluate_run

if TYPE_CHECKING:
    from medkd.runs import Run

__all__ = ["evaluate_under_shift"]


def evaluate_under_shift(run: Run) -> None:
    """Evaluate on the images as they are, then on each degradation, and compare.

    Images are degraded as they were taken, between ``reading`` and ``normalization``, in each of
    ``evaluate::shift_kinds`` at each of ``evaluate::shift_strengths``. A report that is there
    already is kept, so that a killed evaluation goes on where it was. The reports go to
    ``report_dir``: ``clean``, ``<kind>_<strength>``, and ``index.html``, how each predictor
    degrades.

    Args:
        run: the run.

    Raises:
        ValueError: if there is no such kind or strength, before anything is evaluated.
    """
    folder = Path(run.value("report_dir"))
    reading, normalization = run.value("reading"), run.value("normalization")
    shifts: list[tuple[str, int] | None] = [None]
    shifts += [
        (kind, strength)
        for kind in run.value("evaluate::shift_kinds")
        for strength in run.value("evaluate::shift_strengths")
    ]
    degradations = {
        shift: [] if shift is None else [Degraded("image", kind=shift[0], strength=shift[1])]
        for shift in shifts
    }
    for shift in shifts:
        directory = folder / ("clean" if shift is None else f"{shift[0]}_{shift[1]}")
        if not (directory / "metrics.json").is_file():
            evaluate_run(
                run,
                transforms=[*reading, *degradations[shift], *normalization],
                report_dir=directory,
                shift=shift,
            )
    write_comparison([folder], folder)
