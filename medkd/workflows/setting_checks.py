"""What can be known to be wrong before hours are spent on training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from medkd._checks import check_at_least, check_distillation_weight
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

__all__ = ["check_settings"]


def check_settings(
    *,
    cases: Sequence[Sequence[Mapping[str, Any]]],
    device: str | torch.device,
    num_members: int = 1,
    dropout: float = 0.0,
    distillation_weight: float = 0.0,
    distillation_loss: nn.Module | None = None,
    mutual_weight: float = 0.0,
    mutual_loss: nn.Module | None = None,
    ramp_up_epochs: float = 0.0,
) -> None:
    """Refuse settings and data that the last stage would stumble over after the first has run.

    Evaluating the arguments is most of the check: the loss is built, so its temperature is looked
    at, and the cases of every split are listed, so each of their files is there.

    Args:
        cases: of the splits that the run will read, none of them empty.
        device: one that torch can use on this machine.
        num_members: at least one.
        dropout: of the network that is sampled, in ``[0, 1)``.
        distillation_weight: in ``[0, 1]``.
        distillation_loss: needed if the weight is above zero.
        mutual_weight: finite, zero or more.
        mutual_loss: needed if the weight is above zero.
        ramp_up_epochs: finite, zero or more.

    Raises:
        ValueError: if a number is out of its range, the loss is missing, or the device is absent.
    """
    check_at_least(num_members, 1, "num_members")
    if not 0.0 <= dropout < 1.0:
        raise InvalidValueError(
            f"Expected `dropout` to be at least 0 and below 1, but got {dropout}."
        )
    check_distillation_weight(distillation_weight, distillation_loss)
    for name, value in (("mutual_weight", mutual_weight), ("ramp_up_epochs", ramp_up_epochs)):
        if not (math.isfinite(value) and value >= 0):
            raise InvalidValueError(
                f"Expected `{name}` to be finite and zero or more, but got {value}."
            )
    if mutual_weight > 0 and mutual_loss is None:
        raise InvalidValueError(
            "Expected `mutual_loss` when `mutual_weight` is above zero, but got None with a weight "
            f"of {mutual_weight}."
        )
    if not all(cases):
        raise InvalidValueError(
            "Expected every split that is read to have a case, but got an empty one."
        )
    _check_device(device)


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises the latter
        raise InvalidValueError(
            f"Expected `device` to be one that torch can use here, but got {str(device)!r}: {error}"
        ) from error
