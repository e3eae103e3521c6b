"""A training small enough to be killed often: random transforms, dropout, batch norm, schedule."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.handlers import LrScheduleHandler, MeanDice, ValidationHandler, from_engine
from monai.transforms import (
    AsDiscreted,
    Compose,
    RandFlipd,
    RandScaleIntensityd,
    RandSpatialCropd,
)
from torch import nn
from torch.utils.data import RandomSampler

from medkd.handlers import EpochSeedHandler, HistoryHandler, ProgressHandler, ResumeHandler
from medkd.losses import DistillationKLLoss
from medkd.trainers import DistillationTrainer

EPOCHS = 4
STEPS = 3
CLASSES = 2
KEYS = ["image", "label", "soft_label"]


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def spatial(request):
    return request.param


def _cases(spatial):
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "image": torch.randn(1, *spatial, generator=generator),
            "label": torch.randint(0, CLASSES, (1, *spatial), generator=generator),
            "soft_label": torch.rand(CLASSES, *spatial, generator=generator).softmax(dim=0),
        }
        for _ in range(5)
    ]


def _network(spatial, width):
    conv, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[len(spatial)]
    return nn.Sequential(
        conv(1, width, 3, padding=1),
        norm(width),
        nn.Dropout(0.3),
        nn.ReLU(),
        conv(width, CLASSES, 1),
    )


class _LabelLoss(nn.Module):
    def forward(self, logits, label):
        return nn.functional.cross_entropy(logits, label[:, 0].long())


@pytest.fixture
def training(spatial, tmp_path):
    """``training(name)`` builds everything anew, as another process would, in a folder ``name``."""

    def build(name, width=4):
        folder = tmp_path / name
        torch.manual_seed(11)
        network = _network(spatial, width)
        transform = Compose(
            [
                RandSpatialCropd(KEYS, roi_size=[s - 1 for s in spatial], random_size=False),
                RandFlipd(KEYS, prob=0.5, spatial_axis=0),
                RandScaleIntensityd("image", factors=0.3, prob=0.8),
            ]
        )
        dataset = Dataset(_cases(spatial), transform)
        sampler = RandomSampler(dataset, num_samples=2 * STEPS)
        loader = DataLoader(dataset, batch_size=2, sampler=sampler)
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.01, total_steps=EPOCHS * STEPS
        )
        evaluator = SupervisedEvaluator(
            device="cpu",
            val_data_loader=DataLoader(_cases(spatial), batch_size=1),
            network=network,
            key_val_metric={
                "val_dice": MeanDice(
                    num_classes=CLASSES, output_transform=from_engine(["pred", "label"])
                )
            },
            postprocessing=AsDiscreted("pred", argmax=True),
        )
        resume = ResumeHandler(
            folder / "checkpoint.pt",
            folder / "model.pt",
            network,
            {"optimizer": optimizer, "lr_scheduler": schedule},
        )
        history = HistoryHandler(folder / "history.csv", evaluator, optimizer)
        trainer = DistillationTrainer(
            device="cpu",
            max_epochs=EPOCHS,
            train_data_loader=loader,
            network=network,
            optimizer=optimizer,
            label_loss=_LabelLoss(),
            distillation_loss=DistillationKLLoss(temperature=2.0),
            max_grad_norm=1.0,
            train_handlers=[
                EpochSeedHandler(5, dataset),
                LrScheduleHandler(schedule, print_lr=False, epoch_level=False),
                ValidationHandler(interval=2, validator=evaluator, epoch_level=True),
                history,
                resume,
                ProgressHandler("tiny"),
            ],
        )
        return SimpleNamespace(
            trainer=trainer, network=network, history=history, resume=resume, folder=folder
        )

    return build
