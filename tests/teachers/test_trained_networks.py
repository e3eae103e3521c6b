from __future__ import annotations

import json

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.networks import save_weights
from medkd.teachers import (
    count_members,
    load_members,
    load_network,
    load_peers,
    load_teacher,
    member_dir,
    member_weights_sha256,
)

FEATURES = [4, 6]


def definition(features):
    return {
        "width": features,
        "network_def": "@member_def",
        "member_def": {
            "_target_": "UNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 2,
            "channels": ["@width", 8],
            "strides": [2],
            "norm": "batch",
        },
    }


@pytest.fixture
def members_dir(tmp_path):
    """Two members of different width, as two bundle runs leave them."""
    torch.manual_seed(0)
    for m, features in enumerate(FEATURES):
        folder = member_dir(tmp_path, m)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(definition(features)))
        network = ConfigParser(definition(features)).get_parsed_content("network_def")
        save_weights(network, folder / "model.pt")
    return tmp_path


def test_members_are_loaded_each_in_its_own_architecture(members_dir):
    members = load_members(members_dir, 2)
    assert [member.channels[0] for member in members] == FEATURES
    assert not any(module.training for member in members for module in member.modules())
    for m, member in enumerate(members):
        saved = torch.load(member_dir(members_dir, m) / "model.pt", weights_only=True)
        assert all(torch.equal(value, saved[name]) for name, value in member.state_dict().items())


def test_teacher_is_the_mean_of_the_members(members_dir):
    teacher = load_teacher(members_dir, 2, temperature=2.0)
    image = torch.randn(1, 1, 8, 6, generator=torch.Generator().manual_seed(1))
    expected = sum((m(image) / 2).softmax(dim=1) for m in load_members(members_dir, 2)) / 2
    torch.testing.assert_close(teacher(image), expected)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_ensemble_is_identified_by_its_weights(members_dir):
    before = member_weights_sha256(members_dir, 2)
    assert len(set(before)) == 2
    save_weights(torch.nn.Conv2d(1, 2, 1), member_dir(members_dir, 1) / "model.pt")
    after = member_weights_sha256(members_dir, 2)
    assert (after[0], after[1] != before[1]) == (before[0], True)


def test_members_are_counted_without_a_gap(members_dir):
    assert count_members(members_dir) == 2
    member_dir(members_dir, 3).mkdir()
    save_weights(torch.nn.Conv2d(1, 2, 1), member_dir(members_dir, 3) / "model.pt")
    assert count_members(members_dir) == 2
    assert count_members(members_dir / "nothing") == 0


@pytest.fixture
def student_dir(tmp_path):
    """A student and two peers, one of its architecture and one of another, as a run leaves them."""
    wide = {**definition(0)["member_def"], "channels": [5, 8]}
    config = {**definition(4), "peer_defs": ["%network_def", wide], "network_def": "%member_def"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    parser = ConfigParser(config)
    networks = [
        parser.get_parsed_content("network_def"),
        *parser.get_parsed_content("peer_defs"),
    ]
    for network, name in zip(networks, ["model.pt", "peer_2.pt", "peer_3.pt"], strict=True):
        save_weights(network, tmp_path / name)
    return tmp_path


def peers_of(folder):
    return load_peers(folder / "config.json", folder / "model.pt", folder)


def test_peers_are_loaded_after_the_student(student_dir):
    networks = peers_of(student_dir)
    assert [network.channels[0] for network in networks] == [4, 4, 5]
    assert not any(module.training for network in networks for module in network.modules())
    for network, name in zip(networks, ["model.pt", "peer_2.pt", "peer_3.pt"], strict=True):
        saved = torch.load(student_dir / name, weights_only=True)
        assert all(torch.equal(value, saved[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["config.json", "model.pt", "peer_3.pt"])
def test_rejects_peers_that_are_not_there(student_dir, name):
    path = student_dir / name
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"a trained network, but there is no {path}. Run"):
        peers_of(student_dir)


def test_rejects_a_peer_of_another_architecture(student_dir):
    (student_dir / "peer_2.pt").write_bytes((student_dir / "peer_3.pt").read_bytes())
    with pytest.raises(ValueError, match=r"peer_2\.pt to hold weights of this UNet, but"):
        peers_of(student_dir)


@pytest.mark.parametrize("name", ["config.json", "model.pt"])
def test_rejects_a_member_that_is_not_finished(members_dir, name):
    path = member_dir(members_dir, 1) / name
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"a trained network, but there is no {path}. Run"):
        load_members(members_dir, 2)


def test_rejects_weights_of_another_architecture(members_dir):
    wide, narrow = member_dir(members_dir, 1), member_dir(members_dir, 0)
    with pytest.raises(ValueError, match=r"model\.pt to hold weights of this UNet, but"):
        load_network(narrow / "config.json", wide / "model.pt")


@pytest.mark.parametrize("num_members", [0, -1])
def test_rejects_no_members(members_dir, num_members):
    with pytest.raises(ValueError, match=f"`num_members` to be at least 1, but got {num_members}"):
        load_members(members_dir, num_members)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_memory_format_changes_no_answer(tmp_path, spatial_dims):
    config = definition(4)
    config["member_def"]["spatial_dims"] = spatial_dims
    (tmp_path / "config.json").write_text(json.dumps(config))
    network = ConfigParser(config).get_parsed_content("network_def").eval()
    save_weights(network, tmp_path / "model.pt")
    loaded = load_network(tmp_path / "config.json", tmp_path / "model.pt")
    weight = next(loaded.parameters())
    if spatial_dims == 2:
        assert weight.is_contiguous(memory_format=torch.channels_last)
    image = torch.rand(1, 1, *(8, 6, 4)[:spatial_dims], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), network(image))
