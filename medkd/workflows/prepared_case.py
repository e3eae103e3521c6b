"""One case as the evaluation needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monai.utils.type_conversion import convert_to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

__all__ = ["PreparedCase", "prepare_case"]


@dataclass(frozen=True)
class PreparedCase:
    """One prepared case: tensors with a batch axis of one, on the device.

    Attributes:
        case_id: the case.
        image: ``(1, C_in, *spatial)``.
        label: class indices, ``(1, 1, *spatial)``, int64.
        mask: bool ``(1, 1, *spatial)``, the pixels that count.
        second_label: of a second observer, like ``label``; ``None`` where there is none.
    """

    case_id: str
    image: torch.Tensor
    label: torch.Tensor
    mask: torch.Tensor
    second_label: torch.Tensor | None = None


def prepare_case(
    item: Mapping[str, Any], transform: Callable[..., Any], device: str | torch.device
) -> PreparedCase:
    """Read one case.

    Args:
        item: ``case_id`` and files.
        transform: the deterministic transforms, giving ``image``, ``label``, ``mask`` and, where
            the case has one, ``label_2nd``.
        device: where the tensors go.

    Returns:
        The case.
    """
    data = transform(dict(item))
    # Plain tensors, for MetaTensor's bookkeeping would be timed with the networks.
    tensors = {
        key: convert_to_tensor(data[key], track_meta=False, device=device).unsqueeze(0)
        for key in ("image", "label", "mask", "label_2nd")
        if not isinstance(data.get(key, ""), str)
    }
    return PreparedCase(
        case_id=item["case_id"],
        image=tensors["image"],
        label=tensors["label"].long(),
        mask=tensors["mask"].bool(),
        second_label=tensors["label_2nd"].long() if "label_2nd" in tensors else None,
    )
