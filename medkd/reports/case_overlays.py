"""Pictures of one case as colors: classes, errors over the dimmed image, uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb

from medkd.reports.figure_style import CLASS_COLORS, ERROR_COLORS, TRUST_COLORS, UNSCORED

if TYPE_CHECKING:
    from medkd.reports.evaluation_results import CasePicture

__all__ = [
    "class_color",
    "class_picture",
    "cropped_to_mask",
    "error_picture",
    "shown_image",
    "trust_picture",
]

_COLOR_DIMS = 3
_DIMMED = 0.42
_LUMINANCE = (0.299, 0.587, 0.114)
_FIRST_REPEATED_CLASS = 2


def class_color(class_index: int) -> str:
    """Color of a class in labels and predictions.

    Args:
        class_index: 0 for the background.

    Returns:
        A hexadecimal color; classes beyond the palette start again after the first foreground.
    """
    if class_index < len(CLASS_COLORS):
        return CLASS_COLORS[class_index]
    repeated = CLASS_COLORS[_FIRST_REPEATED_CLASS:]
    return repeated[(class_index - _FIRST_REPEATED_CLASS) % len(repeated)]


def class_picture(classes: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Class indices as colors.

    Args:
        classes: ``(height, width)``.
        mask: bool ``(height, width)``; pixels outside are shown as not scored.

    Returns:
        ``(height, width, 3)`` in ``[0, 1]``.
    """
    picture = np.zeros((*classes.shape, _COLOR_DIMS), dtype=np.float32)
    for class_index in np.unique(classes):
        picture[classes == class_index] = to_rgb(class_color(int(class_index)))
    return _unscored_outside(picture, mask)


def error_picture(
    image: np.ndarray, label: np.ndarray, prediction: np.ndarray, mask: np.ndarray | None
) -> np.ndarray:
    """What is right, wrongly found, missed, and of the wrong class, over the dimmed gray image.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, in ``[0, 1]``.
        label: class indices, ``(height, width)``; 0 is the background.
        prediction: class indices, ``(height, width)``.
        mask: bool ``(height, width)``; pixels outside are shown as not scored.

    Returns:
        ``(height, width, 3)`` in ``[0, 1]``.
    """
    picture = _dimmed(image)
    is_there, is_found = label > 0, prediction > 0
    kinds = {
        "correct": is_there & (label == prediction),
        "false positive": ~is_there & is_found,
        "missed": is_there & ~is_found,
        "wrong class": is_there & is_found & (label != prediction),
    }
    for kind, pixels in kinds.items():
        picture[pixels] = to_rgb(ERROR_COLORS[kind])
    return _unscored_outside(picture, mask)


def trust_picture(
    image: np.ndarray,
    is_wrong: np.ndarray,
    uncertainty: np.ndarray,
    mask: np.ndarray | None,
    *,
    threshold: float,
) -> np.ndarray:
    """Where uncertainty and errors meet and where they do not, over the dimmed gray image.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, in ``[0, 1]``.
        is_wrong: bool ``(height, width)``.
        uncertainty: ``(height, width)``; NaN counts as sure.
        mask: bool ``(height, width)``; pixels outside are shown as not scored.
        threshold: a pixel is unsure above it.

    Returns:
        ``(height, width, 3)`` in ``[0, 1]``; what is right and sure is the image alone.
    """
    picture = _dimmed(image)
    is_unsure = uncertainty > threshold
    kinds = {
        "wrong and sure": is_wrong & ~is_unsure,
        "wrong but unsure": is_wrong & is_unsure,
        "right but unsure": ~is_wrong & is_unsure,
    }
    for kind, pixels in kinds.items():
        picture[pixels] = to_rgb(TRUST_COLORS[kind])
    return _unscored_outside(picture, mask)


def shown_image(image: np.ndarray) -> np.ndarray:
    """The image with values that a screen can show.

    Args:
        image: any shape; NaN is shown black.

    Returns:
        float32 in ``[0, 1]``.
    """
    return np.clip(np.nan_to_num(image.astype(np.float32)), 0, 1)


def cropped_to_mask(picture: CasePicture) -> CasePicture:
    """Cut away the margin outside the mask, so that what is scored fills the panels.

    Args:
        picture: the case.

    Returns:
        The same case, smaller; itself if it has no mask or an empty one.
    """
    if picture.mask is None or not picture.mask.any():
        return picture
    rows, columns = (np.flatnonzero(picture.mask.any(axis=axis)) for axis in (1, 0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return replace(
        picture,
        image=picture.image[window],
        label=picture.label[window],
        mask=picture.mask[window],
        methods={name: (p[window], u[window]) for name, (p, u) in picture.methods.items()},
        disagreement=None if picture.disagreement is None else picture.disagreement[window],
    )


def _dimmed(image: np.ndarray) -> np.ndarray:
    """The image in dark gray, so that colors upon it stand out, ``(height, width, 3)``."""
    image = shown_image(image)
    gray = image if image.ndim < _COLOR_DIMS else image @ np.asarray(_LUMINANCE, np.float32)
    return np.repeat(_DIMMED * gray[..., None], _COLOR_DIMS, axis=-1)


def _unscored_outside(picture: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is not None:
        picture[~mask] = to_rgb(UNSCORED)
    return picture
