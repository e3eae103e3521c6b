from __future__ import annotations

import json
import logging
import math

import pytest
import torch
from monai.inferers import SimpleInferer
from torch import nn

from medkd.predictors import NetworkPredictor
from medkd.workflows.temperature_fitting import fit_temperatures, read_temperatures

NETWORK_FILES = ["members/member_0/model.pt", "models/model.pt"]


@pytest.fixture
def run_dir(tmp_path):
    """A run whose weights are there, whatever they are."""
    for name in NETWORK_FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        torch.save({"weight": torch.zeros(1)}, file)
    return tmp_path


@pytest.fixture
def networks(run_dir):
    """What identifies the networks of the run, as arguments."""
    return {
        "members_dir": run_dir / "members",
        "num_members": 1,
        "model_file": run_dir / "models" / "model.pt",
    }


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


def fit(run_dir, networks, predictors, cases, names=("student",)):
    fit_temperatures(
        file=run_dir / "temperatures.json",
        predictors=predictors,
        names=names,
        cases=cases,
        transforms=[],
        device="cpu",
        **networks,
    )
    return run_dir / "temperatures.json"


def weights_of(file):
    return json.loads(file.read_text())["weights"]


def test_finds_the_temperature_that_is_honest(run_dir, networks, predictors, cases):
    file = fit(run_dir, networks, predictors, cases)
    assert read_temperatures(file, weights_of(file)) == {"student": [pytest.approx(2.0)]}


def test_fits_once(run_dir, networks, predictors, cases):
    before = fit(run_dir, networks, predictors, cases).read_bytes()
    assert fit(run_dir, networks, predictors, []).read_bytes() == before  # no case is needed


def test_fits_anew_for_other_weights(run_dir, networks, predictors, cases):
    before = weights_of(fit(run_dir, networks, predictors, cases))
    torch.save({"weight": torch.ones(1)}, networks["model_file"])
    after = weights_of(fit(run_dir, networks, predictors, cases))
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize("content", [None, {"weights": ["others"], "temperatures": {}}])
def test_shows_none_of_other_networks_and_says_so(tmp_path, content, caplog):
    file = tmp_path / "temperatures.json"
    if content is not None:
        file.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        assert read_temperatures(file, ["mine"]) == {}
    assert "No temperatures of these networks" in caplog.text


def test_rejects_a_name_that_is_no_predictor(run_dir, networks, predictors, cases):
    with pytest.raises(
        ValueError, match=r"Expected `temperature_scaled` to name predictors of \['student'\]"
    ):
        fit(run_dir, networks, predictors, cases, names=["pupil"])
    assert not (run_dir / "temperatures.json").exists()
