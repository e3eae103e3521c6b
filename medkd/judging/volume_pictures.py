"""Three planes of a volume, as radiologists look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, ornt_transform

from medkd.errors import InvalidValueError
from medkd.reports import CasePicture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.judging.prepared_case import PreparedCase

__all__ = ["planes_of"]

# Radiologists have the patient's right on their left: axes to the left, to the back, to the feet.
_AXES = "LPI"
# The axis across each plane, those from top to bottom and from left to right, and the sides.
_PLANES = {
    "axial": (2, 1, 0, ("R", "L", "A", "P")),
    "coronal": (1, 2, 0, ("R", "L", "S", "I")),
    "sagittal": (0, 2, 1, ("A", "P", "S", "I")),
}
_WINDOW = (0.5, 99.5)


def planes_of(
    case: PreparedCase,
    title: str,
    methods: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    disagreement: np.ndarray | None = None,
) -> list[CasePicture]:
    """Axial, coronal and sagittal plane of a case, each where there is most to see.

    That is, of those that the label has a structure in, the plane with the most errors of the last
    method; where it makes none, the plane with the most foreground. The image is shown from its
    0.5th to its 99.5th percentile, of several channels the first.

    Args:
        case: a volume with its geometry.
        title: why it is shown.
        methods: method name to its prediction, class indices ``(X, Y, Z)``, and its uncertainty.
        disagreement: of the members of a method, ``(X, Y, Z)``; ``None`` if there is none to show.

    Returns:
        Three pictures.

    Raises:
        ValueError: if the case has no geometry.
    """
    if case.axcodes is None or case.spacing is None:
        raise InvalidValueError(f"Expected `case` {case.case_id} to be a volume with its geometry.")
    turn = ornt_transform(axcodes2ornt(case.axcodes), axcodes2ornt(_AXES))

    def upright(volume: np.ndarray) -> np.ndarray:
        return np.asarray(apply_orientation(volume, turn))

    image, label = (upright(one[0, 0].cpu().numpy()) for one in (case.image, case.label))
    mask = None if case.mask is None else upright(case.mask[0, 0].cpu().numpy())
    apart = None if disagreement is None else upright(disagreement)
    maps = {name: (upright(pred), upright(unsure)) for name, (pred, unsure) in methods.items()}
    interest = _interest(label, mask, [pred for pred, _ in maps.values()])
    spacing = dict(zip(turn[:, 0].astype(int), case.spacing, strict=True))
    window = np.percentile(image, _WINDOW)
    pictures = []
    for plane, (across, down, right, sides) in _PLANES.items():
        others = tuple(axis for axis in range(3) if axis != across)
        # Where the label has nothing there is nothing to know the place by.
        has_label = (label > 0).any(axis=others)
        place = int((interest.sum(axis=others) * (has_label | ~has_label.any())).argmax())
        # What is left is in the order of the body's axes, columns first.
        cut = {
            name: (pred.take(place, across).T, unsure.take(place, across).T)
            for name, (pred, unsure) in maps.items()
        }
        pictures.append(
            CasePicture(
                case_id=case.case_id,
                title=title,
                image=_windowed(image.take(place, across).T, *window),
                label=label.take(place, across).T,
                mask=None if mask is None else mask.take(place, across).T,
                methods=cut,
                disagreement=None if apart is None else apart.take(place, across).T,
                plane=plane,
                pixel_aspect=spacing[down] / spacing[right],
                sides=sides,
            )
        )
    return pictures


def _interest(
    label: np.ndarray, mask: np.ndarray | None, predictions: Sequence[np.ndarray]
) -> np.ndarray:
    """Errors of the last prediction; the foreground of the label where there is none."""
    wrong = predictions[-1] != label if predictions else np.zeros(label.shape, dtype=bool)
    if mask is not None:
        wrong &= mask
    return wrong if wrong.any() else label > 0


def _windowed(image: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1)
