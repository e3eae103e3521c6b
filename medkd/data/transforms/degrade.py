"""Images made worse on purpose: blurred, darkened, noisy."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import torch
from monai.transforms import GaussianSmooth, MapTransform

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from monai.config import KeysCollection

__all__ = ["DEGRADATIONS", "Degraded", "degraded"]

# Five strengths each, from hardly seen to hardly usable.
_BLUR_SIGMA = (0.5, 1.0, 1.5, 2.0, 3.0)  # pixels
_DARK_GAMMA = (1.3, 1.7, 2.2, 3.0, 4.0)
_NOISE_STD = (0.02, 0.04, 0.06, 0.09, 0.13)  # of the image's range
_LEVELS = 255

_NUM_STRENGTHS = 5
DEGRADATIONS = ("blur", "darkness", "noise")
"""The kinds there are, each in strengths 1 to 5."""


def degraded(image: torch.Tensor, *, kind: str, strength: int, seed: int = 0) -> torch.Tensor:
    r"""An image as a worse camera, or a worse moment, would have given it.

    With :math:`x \in [0, 1]` the image scaled by its own minimum and maximum:

    * ``blur``: a Gaussian of 0.5, 1, 1.5, 2 or 3 pixels;
    * ``darkness``: :math:`x^\gamma` with :math:`\gamma` 1.3, 1.7, 2.2, 3 or 4, rounded to 256
      levels as a file would be; a factor would be undone by any normalization, this is not;
    * ``noise``: normal, with a standard deviation of 0.02, 0.04, 0.06, 0.09 or 0.13, clipped to
      :math:`[0, 1]`.

    The kinds are those of D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness
    to common corruptions and perturbations" (ICLR 2019); the strengths are set for images of about
    1000 pixels with structures a few pixels wide.

    Args:
        image: ``(C, *spatial)``, as it was taken, before any normalization. It is not modified.
        kind: one of :data:`DEGRADATIONS`.
        strength: 1 to 5.
        seed: of the noise; the same image, strength and seed give the same result.

    Returns:
        The degraded image, float32, in the range of ``image``.

    Raises:
        ValueError: if there is no such kind or strength.

    Example:
        >>> dark = degraded(torch.tensor([[0.0, 0.5, 1.0]]), kind="darkness", strength=4)
        >>> [round(v, 2) for v in dark[0].tolist()]  # 0.5 cubed is an eighth
        [0.0, 0.13, 1.0]
    """
    _check(kind, strength)
    values = image.float()
    low, high = values.min(), values.max()
    scale = (high - low).clamp_min(torch.finfo(torch.float32).tiny)
    unit = (values - low) / scale
    if kind == "blur":
        unit = GaussianSmooth(sigma=_BLUR_SIGMA[strength - 1])(unit)
    elif kind == "darkness":
        unit = ((unit ** _DARK_GAMMA[strength - 1]) * _LEVELS).round() / _LEVELS
    else:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(tuple(unit.shape), generator=generator).to(unit.device)
        unit = (unit + _NOISE_STD[strength - 1] * noise).clamp(0.0, 1.0)
    return unit * scale + low


class Degraded(MapTransform):
    """Degrade the images of a case, as :func:`degraded` does.

    The noise is seeded by the case, so that every predictor and every run sees the same image.

    Args:
        keys: images ``(C, *spatial)``, as they were taken.
        kind: one of :data:`DEGRADATIONS`.
        strength: 1 to 5.
        case_key: what the noise is seeded by.

    Raises:
        ValueError: if there is no such kind or strength.

    Example:
        >>> case = {"case_id": "a", "image": torch.tensor([[0.0, 0.5, 1.0]])}
        >>> round(Degraded("image", kind="darkness", strength=4)(case)["image"][0, 1].item(), 2)
        0.13
    """

    def __init__(
        self, keys: KeysCollection, *, kind: str, strength: int, case_key: Hashable = "case_id"
    ) -> None:
        super().__init__(keys)
        _check(kind, strength)
        self.kind = kind
        self.strength = strength
        self.case_key = case_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Degrade one case.

        Args:
            data: the case; it is not modified.

        Returns:
            A copy with the images degraded.
        """
        case = dict(data)
        seed = int.from_bytes(hashlib.sha256(str(case[self.case_key]).encode()).digest()[:4], "big")
        for key in self.key_iterator(case):
            case[key] = degraded(case[key], kind=self.kind, strength=self.strength, seed=seed)
        return case


def _check(kind: str, strength: int) -> None:
    if kind not in DEGRADATIONS:
        raise InvalidValueError(
            f"Expected `kind` to be one of {list(DEGRADATIONS)}, but got {kind!r}."
        )
    check_at_least(strength, 1, "strength")
    if strength > _NUM_STRENGTHS:
        raise InvalidValueError(
            f"Expected `strength` to be at most {_NUM_STRENGTHS}, but got {strength}."
        )
