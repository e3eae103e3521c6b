"""Features are looked up before hours of training, and no network that will be trained is made."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.losses import ContrastiveRepresentationLoss, SupervisedInfoNCELoss
from medkd.networks import save_weights
from medkd.workflows import check_features

UNET = {
    "_target_": "BasicUNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 2,
    "features": [4, 4, 6, 6, 8, 4],
}
crd = partial(partial, ContrastiveRepresentationLoss)
CONFIG = {"network_def": UNET, "member_def": {**UNET, "features": [6, 6, 8, 8, 10, 6]}}
OTHER = {"_target_": "UNet", **{k: v for k, v in UNET.items() if k[0] in "sio"}}
OTHER |= {"channels": [4, 8], "strides": [2]}


@pytest.fixture
def check(tmp_path, make_run):
    def call(**settings):
        ids = {
            **json.loads(json.dumps(CONFIG)),
            "features": {"inner": "down_4"},
            "teacher_features": {"inner": "down_4"},
            "feature_weights": {"inner": 0.1},
            "feature_loss": SupervisedInfoNCELoss,
            "num_classes": 3,
            "image_shape": [1, 1, 32, 32],
            "members_dir": str(tmp_path / "members"),
            "num_members": 2,
        }
        run = make_run(**ids | settings)
        check_features(run)
        return run

    return call


def test_passes_what_is_there_and_makes_nothing_that_is_trained(check):
    run = check()
    check(feature_weights={})
    check(feature_weights={"inner": 0}, features={"inner": "down_9"})
    check(teacher_features=[{"inner": "down_4"}, {"inner": "down_3"}])
    networks = []
    for each in (run.parser, ConfigParser(CONFIG)):  # a parser makes each id once, seeded or not
        torch.manual_seed(3)
        networks.append(each.get_parsed_content("network_def"))
    torch.testing.assert_close(*(dict(network.state_dict()) for network in networks))


def test_members_are_those_of_their_overlays(check, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text(json.dumps({"member_def": OTHER}))
    overlays = ["a.json", "b.json", "missing.json"]  # two are trained
    with pytest.raises(ValueError, match="of this UNet, but there is no 'down_4'"):
        check(member_overlays=overlays)
    check(member_overlays=overlays, teacher_features=[{"inner": "down_4"}, {"inner": "model.1"}])


def test_members_that_are_trained_are_those_of_their_folders(check, tmp_path):
    """They may come from a run of another bundle."""
    for member in range(2):
        folder = tmp_path / "members" / f"member_{member}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"member_def": OTHER}))
        network = ConfigParser({"net": OTHER}).get_parsed_content("net")
        save_weights(network, folder / "model.pt")
    with pytest.raises(ValueError, match="of this UNet, but there is no 'down_4'"):
        check()
    check(teacher_features={"inner": "model.1"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": {"inner": "down_9"}}, "this BasicUNet, but there is no 'down_9'.* There are"),
        ({"features": {"inner": "down_4.max_pooling.nothing"}}, "Did you mean 'down_4.max_pooling"),
        ({"teacher_features": {"inner": "up"}}, "there is no 'up'"),
        ({"teacher_features": [{"inner": "down_4"}]}, "same names for each of 2 members, but got"),
        ({"features": {"outer": "down_4"}}, r"`weights` of the features \['outer'\], but got"),
        ({"feature_weights": {"inner": -0.1}}, "`feature_weights` to be finite and zero or more"),
        ({"feature_weights": {"inner": float("nan")}}, "but got nan for 'inner'"),
        ({"feature_loss": crd(bank_size=3)}, "`bank_size` to be at least 4096, but got 3"),
        ({"feature_loss": crd(temperature=0)}, "`temperature` to be finite and above zero"),
        ({"feature_loss": crd(num_positions=2)}, "`num_positions` to be at least 3, but got 2"),
        ({"image_shape": [1, 1, 8, 8]}, "to be what a BasicUNet takes, but got shape"),
    ],
)
def test_rejects_what_student_and_members_do_not_have(check, settings, message):
    with pytest.raises(ValueError, match=message):
        check(**settings)
