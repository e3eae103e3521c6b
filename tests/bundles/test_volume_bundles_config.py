"""What the configurations of the bundles for volumes promise before they are run."""

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = ["kd_uniform", "kd_diverse"]
OVERLAYS = ["member.json", "evaluate.json", "multi_gpu.json"]
DATA_SETS = ["brain_mri.json", "cardiac_mri.json", "hippocampus.json"]


def _load(*parts):
    return json.loads(BUNDLES.joinpath(*parts).read_text())


def test_the_diverse_bundle_is_the_uniform_one_but_for_its_members():
    uniform, diverse = (_load(name, "train.json") for name in NAMES)
    assert list(uniform) == list(diverse)
    differs = {key for key in uniform if uniform[key] != diverse[key]}
    assert differs == {"bundle_root", "output_dir", "num_members", "member_overlays"}
    for name in [*OVERLAYS, "logging.conf"]:
        texts = {BUNDLES.joinpath(bundle, name).read_text() for bundle in NAMES}
        assert len(texts) == 1, f"{name} differs"
    for name in DATA_SETS:
        uniform, diverse = (_load(bundle, name) for bundle in NAMES)
        assert {key for key in uniform if uniform[key] != diverse[key]} == {"output_dir"}


def test_the_diverse_members_are_three_architectures_by_two_losses():
    train = _load("kd_diverse", "train.json")
    overlays = [_load("kd_diverse", file) for file in train["member_overlays"]]
    assert len(overlays) == train["num_members"] == 6
    pairs = {
        (
            overlay.get("member_def", train["member_def"])["_target_"],
            overlay["label_loss"]["_target_"],
        )
        for overlay in overlays
    }
    architectures, losses = (set(each) for each in zip(*pairs, strict=True))
    assert architectures == {"UNet", "AttentionUnet", "DynUNet"}
    assert losses == {"DiceLoss", "DiceCELoss"}
    assert len(pairs) == 6


@pytest.mark.parametrize("bundle", NAMES)
@pytest.mark.parametrize("data_set", [None, *DATA_SETS])
def test_every_member_fits_the_patch(bundle, data_set):
    import torch

    config = _load(bundle, "train.json")
    overlays = [_load(bundle, file) for file in config["member_overlays"]] or [{}]
    if data_set:
        config.update(_load(bundle, data_set))
    for overlay in overlays:
        parser = ConfigParser({**config, **overlay})
        network = parser.get_parsed_content("member_def").eval()
        patch = torch.zeros(1, config["num_channels"], *config["patch_size"])
        with torch.no_grad():
            assert network(patch).shape == (1, config["num_classes"], *config["patch_size"])
