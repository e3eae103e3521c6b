"""Engines on MONAI's SupervisedTrainer."""

from medkd.trainers.distillation_trainer import DistillationTrainer

__all__ = ["DistillationTrainer"]
