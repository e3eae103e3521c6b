"""What the configurations of the semi-supervised bundle promise before they are run."""

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

BUNDLE = Path(__file__).parents[2] / "bundles" / "dmd"
METHODS = ["deep_mutual_learning.json", "cross_pseudo_supervision.json", "mean_teacher.json"]
DATA_SETS = [
    ["cardiac_slices.json"],
    ["left_atrium.json"],
    ["cardiac_slices.json", "acdc.json"],
]


def _load(name):
    return json.loads((BUNDLE / name).read_text())


def _parser(*overlays, **overrides):
    parser = ConfigParser(_load("train.json"))
    for name in overlays:
        parser.update(_load(name))
    parser.update(overrides)
    parser.parse()
    return parser


@pytest.mark.parametrize("name", METHODS)
def test_methods_differ_in_nothing_but_how_the_networks_learn(name):
    allowed = {"method", "networks", "mutual_loss", "mutual_weight", "distillation_temperature"}
    assert set(_load(name)) <= allowed | {"ramp_up_epochs"}


def test_peers_and_member_are_copies_of_the_student_as_it_is_overridden():
    parser = _parser(channels=[4, 8], strides=[2])
    assert parser["peer_defs"] == [parser["network_def"]]
    assert parser["member_def"] == parser["network_def"]
    student, peer = (
        parser.get_parsed_content("network_def"),
        parser.get_parsed_content("peer_defs")[0],
    )
    assert student is not peer
    weights = list(zip(student.parameters(), peer.parameters(), strict=True))
    assert any(not torch.equal(ours, theirs) for ours, theirs in weights)


@pytest.mark.parametrize("names", [[], *DATA_SETS], ids=lambda names: "+".join(names) or "default")
def test_every_network_fits_the_patch(names):
    parser = _parser(*names)
    network = parser.get_parsed_content("network_def").eval()
    patch = torch.zeros(1, parser["num_channels"], *parser["patch_size"])
    with torch.no_grad():
        assert network(patch).shape == (1, parser["num_classes"], *parser["patch_size"])


@pytest.mark.parametrize("names", [[], *DATA_SETS], ids=lambda names: "+".join(names) or "default")
def test_crops_of_unlabeled_images_know_nothing_of_labels(names):
    parser = _parser(*names)
    assert "label" not in json.dumps(parser["train"]["unlabeled"]["cropping"])
    # What follows the crop takes a label along if there is one, and asks for none.
    for transform in parser["train"]["unlabeled"]["augmentation"]:
        if "label" in transform["keys"]:
            assert transform["allow_missing_keys"] is True
    assert parser["train"]["unlabeled"]["augmentation"] == parser["train"]["augmentation"]


def test_label_loss_is_that_of_the_paper():
    label_loss = _parser().get_parsed_content("label_loss")
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 5, 4, 3, generator=generator, dtype=torch.float64)
    label = torch.randint(0, 2, (3, 1, 5, 4, 3), generator=generator)
    prob, truth = logits.softmax(dim=1)[:, 1].numpy(), label[:, 0].numpy()
    shared, squares = 2 * (prob * truth).sum(), (prob**2).sum() + (truth**2).sum()
    expected = 1 - (shared + 1e-5) / (squares + 1e-5)
    assert label_loss(logits, label).item() == pytest.approx(expected)
