"""Turning centerlines with calibres into maps of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medkd.data.phantoms.vessel_path import arc_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from medkd.data.phantoms.vessel_tree import Branch

    Profile = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]

__all__ = ["Samples", "sample_branches", "stamp"]

_SPACING = 0.5  # pixels between samples, so that a line one pixel wide has no gaps


class Samples(NamedTuple):
    """Closely spaced points of many vessels, in pixels; all arrays are ``(P,)``.

    The center of the first pixel lies at (0.5, 0.5).
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    radius: NDArray[np.float32]
    visibility: NDArray[np.float32]
    is_vein: NDArray[np.bool_]
    branch: NDArray[np.int64]

    def select(self, keep: NDArray[np.bool_]) -> Samples:
        """The samples for which ``keep`` ``(P,)`` is true."""
        return Samples(
            x=self.x[keep],
            y=self.y[keep],
            radius=self.radius[keep],
            visibility=self.visibility[keep],
            is_vein=self.is_vein[keep],
            branch=self.branch[keep],
        )


def sample_branches(
    branches: Sequence[Branch], *, field_center: tuple[float, float], field_radius: float
) -> Samples:
    """Samples all branches in pixel coordinates.

    Args:
        branches: vessels in units of the radius of the field of view.
        field_center: center of the field of view (x, y) in pixels.
        field_radius: its radius in pixels.

    Returns:
        The samples, at most half a pixel apart along each branch.
    """
    columns = []
    for index, branch in enumerate(branches):
        points = branch.points * field_radius + np.asarray(field_center)
        position = arc_lengths(points)
        wanted = np.linspace(0.0, position[-1], int(position[-1] / _SPACING) + 2)
        measured = (*points.T, branch.radii * field_radius, branch.visibility)
        columns.append(
            (
                *(np.interp(wanted, position, column).astype(np.float32) for column in measured),
                np.full(len(wanted), branch.kind == "vein"),
                np.full(len(wanted), index),
            )
        )
    return Samples(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def stamp(
    samples: Samples,
    size: int,
    profile: Profile,
    *,
    scale: int = 1,
    margin: float = 1.0,
    background: float = 0.0,
) -> NDArray[np.float32]:
    """Largest value of ``profile`` over all samples, at every pixel.

    Args:
        samples: points of vessels, in pixels of an image of ``size``.
        size: height and width of the image.
        profile: takes the distances ``(K, Q)`` in pixels of ``size`` of some pixels to some
            samples, and the indices ``(K, 1)`` of those samples; returns values ``(K, Q)``.
        scale: how many times finer than ``size`` the map is.
        margin: how many pixels of ``size`` beyond a sample's radius the profile reaches.
        background: value where no sample is near.

    Returns:
        Map of shape ``(size * scale, size * scale)``.
    """
    samples = samples.select(
        (samples.x >= 0) & (samples.x < size) & (samples.y >= 0) & (samples.y < size)
    )
    x, y = samples.x * np.float32(scale), samples.y * np.float32(scale)
    reach = np.ceil((samples.radius + margin) * scale).astype(np.int32)
    edge = int(reach.max(initial=0))
    width = size * scale + 2 * edge
    canvas = np.full(width * width, background, dtype=np.float32)
    for half in np.unique(reach):
        chosen = np.flatnonzero(reach == half)[:, None]
        dy, dx = (grid.reshape(1, -1) for grid in np.mgrid[-half : half + 1, -half : half + 1])
        column = np.floor(x[chosen]).astype(np.int32) + dx.astype(np.int32)
        row = np.floor(y[chosen]).astype(np.int32) + dy.astype(np.int32)
        # Squares in float32: this is where most of the time goes.
        squared = (column + np.float32(0.5) - x[chosen]) ** 2
        squared += (row + np.float32(0.5) - y[chosen]) ** 2
        values = profile(np.sqrt(squared) / np.float32(scale), chosen).astype(np.float32)
        place = ((row + edge) * width + column + edge).astype(np.intp)
        np.maximum.at(canvas, place.ravel(), values.ravel())  # fast for flat arrays of these types
    inner = slice(edge, width - edge)
    return canvas.reshape(width, width)[inner, inner]
