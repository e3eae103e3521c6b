"""The loss and its terms by name, for MONAI's TensorBoard and MLflow handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.utils.enums import CommonKeys

if TYPE_CHECKING:
    import torch

__all__ = ["loss_terms", "step_losses"]


def step_losses(output: dict[str, Any] | list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """The loss of a step and its terms, as tensors that nobody has waited for.

    Args:
        output: ``engine.state.output`` of a ``DistillationTrainer``, or of any MONAI trainer;
            decollated or not.

    Returns:
        ``loss`` and each of its terms, detached.
    """
    # Decollation gives every case of the batch the batch's loss.
    first = output[0] if isinstance(output, list) else output
    return {CommonKeys.LOSS.value: first[CommonKeys.LOSS].detach(), **first.get("loss_terms", {})}


def loss_terms(output: dict[str, Any] | list[dict[str, Any]]) -> dict[str, float]:
    """What MONAI's logging handlers log of a step of a ``DistillationTrainer``.

    Args:
        output: ``engine.state.output``.

    Returns:
        ``loss`` and each of its terms.

    Example:
        >>> import torch
        >>> loss_terms({"loss": torch.tensor(3.0), "loss_terms": {"label": torch.tensor(2.0)}})
        {'loss': 3.0, 'label': 2.0}
    """
    return {name: float(value) for name, value in step_losses(output).items()}
