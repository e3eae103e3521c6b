"""What MTMS-KD's configurations promise before they are run."""

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.networks import TwoTaskNetwork, feature_channels

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
    assert (config["temperature"], config["reconstruction_weight"]) == (4.0, 0.2)


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("data", DATA)
def test_features_are_there_and_lie_at_the_same_scale(data, teacher):
    parser = _parser(*DATA[data], *TEACHERS[teacher])
    parser["channels"] = [4 + level for level in range(len(parser["channels"]))]  # less to compute
    size = parser["patch_size"]
    shape = (1, parser["num_channels"], *size)
    student, network = (parser.get_parsed_content(f"{who}_def") for who in ("network", "member"))
    with torch.no_grad():
        assert student.eval()(torch.zeros(shape)).shape == (1, parser["num_classes"], *size)
    scales = {}
    for name, paths in (("features", student), ("teacher_features", network)):
        features = parser.get_parsed_content(name)
        assert sorted(features) == ["bottleneck", "decoder", "encoder"]
        assert len(feature_channels(paths, features, shape)) == 3
        scales[name] = features
    two_tasks = TwoTaskNetwork(network, parser.get_parsed_content("reconstruction_features"), shape)
    assert len(two_tasks.encoder) >= 3
