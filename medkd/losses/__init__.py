"""Losses, one method a file."""

from medkd.losses.consistency_loss import ConsistencyLoss
from medkd.losses.contrastive_representation_loss import ContrastiveRepresentationLoss
from medkd.losses.cross_pseudo_label_loss import CrossPseudoLabelLoss
from medkd.losses.distillation_kl_loss import DistillationKLLoss
from medkd.losses.distillation_mse_loss import DistillationMSELoss
from medkd.losses.losses_by_feature import losses_by_feature
from medkd.losses.mutual_dice_loss import MutualDiceLoss
from medkd.losses.mutual_kl_loss import MutualKLLoss
from medkd.losses.supervised_info_nce_loss import SupervisedInfoNCELoss

__all__ = [
    "ConsistencyLoss",
    "ContrastiveRepresentationLoss",
    "CrossPseudoLabelLoss",
    "DistillationKLLoss",
    "DistillationMSELoss",
    "MutualDiceLoss",
    "MutualKLLoss",
    "SupervisedInfoNCELoss",
    "losses_by_feature",
]
