"""The stage that evaluates a finished run on images that get worse and worse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.data import Degraded
from medkd.reports import write_comparison
from medkd.workflows.report_writing import evaluate_run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["evaluate_under_shift"]


def evaluate_under_shift(
    *,
    kinds: Sequence[str],
    strengths: Sequence[int],
    reading: Sequence[Any],
    normalization: Sequence[Any],
    image_key: str,
    report_dir: str | Path,
    **kwargs: Any,  # noqa: ANN401 - handed to evaluate_run
) -> None:
    """Evaluate on the images as they are, then on each degradation, and compare.

    A report that is there already is kept, so that a killed evaluation goes on where it was.

    Args:
        kinds: of :data:`medkd.data.DEGRADATIONS`.
        strengths: 1 to 5.
        reading: the transforms that give the image as it was taken.
        normalization: the transforms after these.
        image_key: what is degraded.
        report_dir: where the reports go: ``clean``, ``<kind>_<strength>``, and ``index.html``, how
            each predictor degrades.
        **kwargs: those of :func:`medkd.workflows.evaluate_run`.

    Raises:
        ValueError: if there is no such kind or strength, before anything is evaluated.
    """
    folder = Path(report_dir)
    shifts: list[tuple[str, int] | None] = [None]
    shifts += [(kind, strength) for kind in kinds for strength in strengths]
    todo = {
        folder / ("clean" if shift is None else f"{shift[0]}_{shift[1]}"): shift for shift in shifts
    }
    degradations = {
        shift: [] if shift is None else [Degraded(image_key, kind=shift[0], strength=shift[1])]
        for shift in shifts
    }
    for directory, shift in todo.items():
        if (directory / "metrics.json").is_file():
            continue
        evaluate_run(
            transforms=[*reading, *degradations[shift], *normalization],
            report_dir=directory,
            shift=shift,
            **kwargs,
        )
    write_comparison([folder], folder)
