"""The loss and its terms by name, for MONAI's TensorBoard and MLflow handlers."""

from __future__ import annotations

from typing import Any

from monai.utils.enums import CommonKeys

__all__ = ["loss_terms"]


def loss_terms(output: dict[str, Any]) -> dict[str, float]:
    """What MONAI's logging handlers log of a step of a ``DistillationTrainer``.

    Args:
        output: ``engine.state.output``.

    Returns:
        ``loss`` and each of its terms.
    """
    terms = {CommonKeys.LOSS.value: output[CommonKeys.LOSS], **output.get("loss_terms", {})}
    return {name: float(value) for name, value in terms.items()}
