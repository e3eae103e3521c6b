"""What MTMS-KD's configurations promise before they are run."""

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.networks import TwoTaskNetwork, feature_shapes

BUNDLE = Path(__file__).parents[2] / "bundles" / "mtms_kd"
DATA = {
    "phantom": [],
    "slices": ["slices.json"],
    "spleen": ["spleen.json"],
    "spleen slices": ["slices.json", "spleen_slices.json"],
}
TEACHERS = {"unet": [], "swin_unetr": ["swin_unetr_teacher.json"]}


def _parser(*overlays):
    config = json.loads((BUNDLE / "train.json").read_text())
    parser = ConfigParser(config)
    for overlay in overlays:
        parser.update(json.loads((BUNDLE / overlay).read_text()))
    return parser


@pytest.mark.parametrize(
    ("overlay", "published"), [(None, 57_000), ("student_2.json", 227_000)], ids=["S1", "S2"]
)
def test_students_have_the_parameters_of_the_paper(overlay, published):
    parser = _parser("slices.json", *([overlay] if overlay else []))
    network = parser.get_parsed_content("network_def")
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == pytest.approx(published, rel=0.005)


def test_weights_are_those_of_the_paper():
    """0.4 label, 0.2 probabilities, 0.2 bottleneck, 0.1 encoder, 0.1 decoder, up to a factor."""
    config = json.loads((BUNDLE / "train.json").read_text())
    weight, features = config["distillation_weight"], config["feature_weights"]
    found = [1 - weight, weight, *(features[n] for n in ("bottleneck", "encoder", "decoder"))]
    expected = torch.tensor([0.4, 0.2, 0.2, 0.1, 0.1]) / 0.6
    torch.testing.assert_close(torch.tensor(found), expected, atol=0.005, rtol=0)
    assert (config["distillation_temperature"], config["reconstruction_weight"]) == (4.0, 0.2)


@pytest.mark.parametrize("bundle", ["mtms_kd", "end_crd"])
def test_projections_are_trained(bundle):
    """The fault of the released code, which makes them anew in every step."""
    config = json.loads((BUNDLE.parent / bundle / "train.json").read_text())
    assert config["optimizer"]["params"] == "$@trained.parameters()"
    assert "FeatureStudent(@network, @weighted_features, @feature_losses)" in config["trained"]
    assert config["train"]["trainer"]["network"] == "@trained"


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("data", DATA)
def test_features_are_there_and_lie_at_the_same_scale(data, teacher):
    parser = _parser(*DATA[data], *TEACHERS[teacher])
    parser["channels"] = [4 + level for level in range(len(parser["channels"]))]  # less to compute
    patch_size = parser["patch_size"]
    if (data, teacher) == ("phantom", "swin_unetr"):
        patch_size = [64, 32, 32]  # as the README says: multiples of 32
    shape = (1, parser["num_channels"], *patch_size)
    student, network = (parser.get_parsed_content(f"{who}_def") for who in ("network", "member"))
    grids = []
    for module, name in ((student, "features"), (network, "teacher_features")):
        shapes = feature_shapes(module, torch.zeros(shape))
        features = parser.get_parsed_content(name)
        grids.append({name: shapes[path][2:] for name, path in features.items()})
        assert sorted(features) == ["bottleneck", "decoder", "encoder"]
    for name in ("encoder", "decoder"):
        # A transformer halves all axes, whatever their spacing.
        assert grids[0][name] == grids[1][name] or (data, teacher) == ("spleen", "swin_unetr")
        assert grids[0]["bottleneck"] < grids[0][name]
    two_tasks = TwoTaskNetwork(network, parser.get_parsed_content("reconstruction_features"), shape)
    assert len(two_tasks.encoder) >= 3


@pytest.mark.parametrize("section", ["train", "validate"])
def test_nothing_is_chosen_on_the_test_split(section):
    """The fault of the released code; what is kept is the last step, not the best epoch."""
    config = json.loads((BUNDLE / "train.json").read_text())[section]
    splits = [text for text in _strings(config) if "split=" in text]
    assert splits
    assert not any("split='test'" in text or "@split" in text for text in splits)
    assert "evaluate::" not in json.dumps(config)
    assert not any("CheckpointSaver" in text for text in _strings(config))


def _strings(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value
