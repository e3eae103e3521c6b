from __future__ import annotations

import math

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import nn

from medkd.predictors import NetworkPredictor
from medkd.workflows import fit_temperatures

NETWORK_FILES = ["members/member_0/model.pt", "models/model.pt"]


@pytest.fixture
def run_dir(tmp_path):
    """A run whose weights are there, whatever they are."""
    for name in NETWORK_FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        torch.save({"weight": torch.zeros(1)}, file)
    return tmp_path


class Overconfident(nn.Module):
    """Right in three of four pixels, at nine to one: three to one would be honest, so T = 2."""

    def forward(self, image):
        log_odds = torch.where(image > 0.5, math.log(9), -math.log(9))
        return torch.cat([-log_odds / 2, log_odds / 2], dim=1)


@pytest.fixture
def cases():
    image = torch.tensor([0.0, 1.0]).repeat_interleave(8).view(1, 4, 4)
    label = image.byte().clone()
    label.view(-1)[::4] = 1 - label.view(-1)[::4]  # one of four is wrong
    return [{"case_id": "a", "image": image, "label": label, "mask": torch.ones(1, 4, 4)}]


@pytest.fixture
def predictors():
    return {"student": NetworkPredictor([Overconfident()], SimpleInferer())}


@pytest.fixture
def fit(run_dir, make_run, predictors, cases):
    def call(*, names=("student",), cases=cases):
        run = make_run(
            members_dir=str(run_dir / "members"),
            num_members=1,
            model_file=str(run_dir / "models" / "model.pt"),
            temperatures_file=str(run_dir / "temperatures.json"),
            predictors=predictors,
            prepared_cases={"_target_": "medkd.data.PreparedCases", "transforms": []},
            validate={"cases": cases},
            evaluate={"temperature_scaled": list(names)},
        )
        fit_temperatures(run)
        return run

    return call


def test_finds_the_temperature_that_is_honest(fit):
    assert fit().temperatures() == {"student": [pytest.approx(2.0)]}


def test_only_voxels_within_the_mask_count(fit, cases):
    """Outside of it the network is wrong in every pixel, which would ask for a far larger one."""
    (case,) = cases
    image, mask = case["image"].clone(), torch.zeros(1, 8, 4)
    mask[:, :4] = 1
    wrong = {"image": torch.cat([image, image], 1), "mask": mask}
    wrong["label"] = torch.cat([case["label"], 1 - image.byte()], 1)
    assert fit(cases=[case | wrong]).temperatures() == {"student": [pytest.approx(2.0)]}


def test_fits_once(fit, run_dir):
    fit()
    before = (run_dir / "temperatures.json").read_bytes()
    fit(cases=[])  # no case is needed
    assert (run_dir / "temperatures.json").read_bytes() == before


def test_fits_anew_for_other_weights(fit, run_dir):
    before = fit().weights_sha256()
    torch.save({"weight": torch.ones(1)}, run_dir / "models" / "model.pt")
    run = fit()
    assert run.weights_sha256()[0] == before[0]
    assert run.weights_sha256()[1] != before[1]
    assert run.temperatures()


def test_rejects_a_name_that_is_no_predictor(fit, run_dir):
    with pytest.raises(
        ValueError, match=r"Expected `temperature_scaled` to name predictors of \['student'\]"
    ):
        fit(names=["pupil"])
    assert not (run_dir / "temperatures.json").exists()
