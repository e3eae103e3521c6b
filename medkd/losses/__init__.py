"""Losses, one method a file."""

from medkd.losses.distillation_kl_loss import DistillationKLLoss

__all__ = ["DistillationKLLoss"]
