"""How likely an observer is to mark each vessel, and what two observers mark."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.special import erf, expit, ndtr

from medkd.data.phantoms.vessel_raster import stamp

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.vessel_raster import Samples

__all__ = ["marking_probability", "observe", "tracing_probability"]

_HALF_CONTRAST = 0.12
_CONTRAST_SLOPE = 5.5
_PIXEL_BLUR = 0.29  # standard deviation of a square one pixel wide
_EDGE_JITTER = 0.30  # pixels
_EDGE_JITTER_GRAIN = 2.0  # pixels
_THINNEST = 0.5  # no observer draws a line thinner than one pixel


def tracing_probability(
    depth: NDArray[np.float32], radius: NDArray[np.float32], *, blur: float
) -> NDArray[np.float32]:
    """Probability that an observer traces a vessel, from how clearly the photograph shows it.

    The visible contrast is the fraction of the green light that the vessel takes away where it is
    darkest, after the blur of the optics: less for a vessel that is thin against the blur. The
    probability is a logistic function of its logarithm: one half at a contrast of 0.12.

    Args:
        depth: optical depth of the vessel's middle in green, at least 0.
        radius: half its calibre in pixels.
        blur: standard deviation of the blur in pixels.

    Returns:
        Probabilities, of the same shape.

    Example:
        >>> import numpy as np
        >>> depth = -np.log(1.0 - np.array([0.06, 0.12, 0.24]))
        >>> tracing_probability(depth, np.full(3, 9.0), blur=0.5).round(2).tolist()
        [0.02, 0.5, 0.98]
    """
    spread = math.sqrt(2.0) * math.hypot(blur, _PIXEL_BLUR)
    contrast = (1.0 - np.exp(-depth)) * erf(radius / spread)
    return expit(_CONTRAST_SLOPE * np.log(np.maximum(contrast, 1e-6) / _HALF_CONTRAST))


def _margin(samples: Samples, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How deep each pixel lies inside a vessel, and inside a line one pixel wide, in pixels."""
    inside = stamp(
        samples,
        size,
        lambda distance, chosen: samples.radius[chosen] - distance,
        margin=1.0,
        background=-9.0,
    )
    line = samples._replace(radius=np.full_like(samples.radius, _THINNEST))
    core = stamp(line, size, lambda distance, _: _THINNEST - distance, margin=0.0, background=-9.0)
    return inside, core


def marking_probability(
    samples: Samples, trace: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """Probability that an observer marks each pixel: the ideal forecast of a label.

    The observer traces the vessel (``trace``), and the edge drawn leaves the pixel inside. Where
    vessels overlap the likelier one counts.

    Args:
        samples: the vessels.
        trace: probability that each sample is traced, ``(P,)``.
        size: height and width of the image.

    Returns:
        Map ``(size, size)`` in ``[0, 1]``.
    """

    def profile(distance: NDArray[np.float32], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        inside = ndtr((samples.radius[chosen] - distance) / _EDGE_JITTER)
        return trace[chosen] * np.where(distance < _THINNEST, 1.0, inside)

    return stamp(samples, size, profile, margin=1.0)


def observe(
    rng: Generator, samples: Samples, trace: NDArray[np.float32], size: int
) -> NDArray[np.bool_]:
    """What one observer marks.

    A vessel is followed from its root for as long as the observer sees it: each branch has one
    random threshold, so a faint one is marked whole, in part or not at all. The edge is drawn
    with a smooth error of 0.3 pixels.

    Args:
        rng: this observer's chance.
        samples: the vessels.
        trace: probability that each sample is traced, ``(P,)``.
        size: height and width of the image.

    Returns:
        Map ``(size, size)``.
    """
    threshold = rng.random(int(samples.branch.max()) + 1)
    inside, core = _margin(samples.select(trace > threshold[samples.branch]), size)
    jitter = ndimage.gaussian_filter(rng.standard_normal((size, size)), _EDGE_JITTER_GRAIN)
    jitter *= _EDGE_JITTER * 2.0 * np.sqrt(np.pi) * _EDGE_JITTER_GRAIN  # variance of the filter
    return (inside + jitter > 0.0) | (core > 0.0)
