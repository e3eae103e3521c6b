from __future__ import annotations

import json
import math
import os
from types import SimpleNamespace

import pytest
from torch import nn

from medkd.losses import DistillationKLLoss, MutualDiceLoss
from medkd.workflows import check_settings

IDS = {
    "train": {"cases": [{"case_id": "a", "image": "none.png"}]},
    "validate": {"cases": [{"case_id": "b"}]},
    "evaluate": {"cases": [{"case_id": "c"}], "temperature_scaled": ["student"]},
    "predictors": {"student": {"_target_": "medkd.predictors.NetworkPredictor"}, "off": None},
    "preprocessing": [{"_target_": "LoadImaged", "keys": ["image", "label"]}],
    "network_def": {
        "_target_": "torch.nn.Conv2d",
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": 1,
    },
    "inferer": {"_target_": "SimpleInferer"},
    "distillation_temperature": 2.0,
}


@pytest.fixture
def check(make_run, tmp_path):
    (tmp_path / "inference.json").write_text(
        json.dumps({"preprocessing": [], "inferer": "@windows"})
    )

    def call(**settings):
        check_settings(make_run(**json.loads(json.dumps(IDS)) | settings))

    return call


def test_passes_what_can_be_trained(check):
    check(members_dir="members", num_members=5, dropout=0.2)
    check(mutual_weight=4.0, mutual_loss=MutualDiceLoss(temperature=2.0), ramp_up_epochs=3)
    check(mutual_weight=0)  # a labels-only network needs no loss but that of the labels
    check(distillation_weight=0.5, distillation_loss=DistillationKLLoss(temperature=2.0))
    check(distillation_weight=0.5, distillation_loss=nn.MSELoss())  # softened by nothing
    check(predictors={"student": "@student", "own": "$make()"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validate": {"cases": []}}, "to have a case, but `validate::cases` has none"),
        ({"dropout": 1.0}, "`dropout` to be at least 0 and below 1, but got 1.0"),
        ({"members_dir": "m", "num_members": 0}, "`num_members` to be at least 1"),
        ({"distillation_weight": 0.5}, "`distillation_loss` when `distillation_weight` is above"),
        ({"mutual_weight": -0.1}, "`mutual_weight` to be finite and zero or more, but got -0.1"),
        ({"mutual_weight": math.nan}, "`mutual_weight` to be finite and zero or more, but got nan"),
        ({"mutual_weight": 4}, "`mutual_loss` when `mutual_weight` is above zero, but got None"),
        ({"ramp_up_epochs": math.inf}, "`ramp_up_epochs` to be finite and zero or more, but got"),
        ({"device": "cuda:77"}, "`device` to be one that torch can use here, but got 'cuda:77'"),
        (
            {"distillation_loss": DistillationKLLoss(temperature=4.0)},
            "`distillation_loss::temperature` to be `distillation_temperature`, .* 4.0 beside 2.0",
        ),
        (
            {"mutual_loss": MutualDiceLoss(temperature=1.0)},
            "`mutual_loss::temperature` to be `distillation_temperature`, .* got 1.0 beside 2.0",
        ),
        (
            {"evaluate": {"cases": [1], "temperature_scaled": ["pupil"]}},
            r"temperature_scaled` to name predictors of \['off', 'student'\], but got 'pupil'",
        ),
        (
            {"preprocessing": [{"_target_": "Crop", "keys": "image", "source_key": "label"}]},
            r"do without its label, .* Crop \(`preprocessing::0`\) needs 'label'",
        ),
    ],
)
def test_rejects_what_a_later_stage_would_stumble_over(check, settings, message):
    with pytest.raises(ValueError, match=message):
        check(**settings)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("null", "`predictors::own` to be a predictor of medkd.predictors, but got str 'null'"),
        ({"members": 3}, "`predictors::own` to be a predictor of medkd.predictors, but got dict"),
        ({"_target_": "medkd.predictors.Oracle"}, "to name a class, but there is no medkd.pred"),
        ({"_target_": "no.such.Room"}, "to name a class, but there is no no.such.Room"),
        ({"_target_": "NoSuchClass"}, "to name a class, but there is no NoSuchClass"),
    ],
)
def test_rejects_what_is_no_predictor(check, entry, message):
    with pytest.raises(TypeError, match=message):
        check(predictors={**IDS["predictors"], "own": entry})


def test_rejects_a_full_disk(check, monkeypatch):
    usage = SimpleNamespace(free=10)
    monkeypatch.setattr("medkd.runs.disk_space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match=r"GiB free for weights and soft labels in .*, but the disk"):
        check()


def test_rejects_a_folder_that_cannot_be_written_to(check, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OSError, match="but it is read-only"):
        check()
