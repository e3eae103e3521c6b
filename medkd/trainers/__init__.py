"""Engines on MONAI's SupervisedTrainer."""

from medkd.trainers.distillation_trainer import DistillationTrainer
from medkd.trainers.feature_distillation_trainer import FeatureDistillationTrainer
from medkd.trainers.loss_terms_trainer import LossTermsTrainer
from medkd.trainers.mutual_distillation_trainer import MutualDistillationTrainer

__all__ = [
    "DistillationTrainer",
    "FeatureDistillationTrainer",
    "LossTermsTrainer",
    "MutualDistillationTrainer",
]
