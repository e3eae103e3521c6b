from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from medkd.networks import check_state, load_state, load_weights, save_state, save_weights


def network(width=4, spatial_dims=2):
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[spatial_dims]
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[spatial_dims]
    return nn.Sequential(conv(1, width, 3), norm(width), conv(width, 2, 1))


def values(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / "model.pt"


@pytest.mark.parametrize("spatial_dims", [2, 3], ids=["2d", "3d"])
def test_round_trip(path, spatial_dims):
    saved, loaded = network(spatial_dims=spatial_dims), network(spatial_dims=spatial_dims)
    saved[1].running_mean.fill_(0.5)
    assert not same(values(saved), values(loaded))
    save_weights(saved, path)
    load_weights(loaded, path)
    assert same(values(saved), values(loaded))


def test_file_holds_plain_tensors_only(path):
    save_weights(network(), path)
    state = torch.load(path, weights_only=True)
    assert all(type(value) is torch.Tensor for value in state.values())
    assert not any(value.requires_grad for value in state.values())


def test_state_round_trip_keeps_containers(path):
    save_state({"epoch": 3, "nested": [{"lr": 0.1}, torch.arange(3)]}, path)
    state = load_state(path)
    assert state["epoch"] == 3
    assert state["nested"][0] == {"lr": 0.1}
    assert state["nested"][1].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s.pop("0.bias"), r"but 0\.bias is missing: it was trained with another"),
        (lambda s: s.update(more=torch.zeros(1)), "but more is not part of it: it was"),
        (
            lambda s: s.update({"0.bias": torch.zeros(7)}),
            r"but 0\.bias has shape \(7,\) where the network has \(4,\): it was",
        ),
    ],
    ids=["missing", "left-over", "shape"],
)
def test_rejects_a_tensor_that_does_not_fit(path, change, sentence):
    state = values(network())
    change(state)
    save_state(state, path)
    target = network()
    before = values(target)
    with pytest.raises(
        ValueError, match=f"Expected {path} to hold weights of this Sequential, {sentence}"
    ):
        load_weights(target, path)
    assert same(values(target), before)


def test_rejects_another_architecture_and_counts_the_faults(path):
    save_weights(network(width=5), path)
    target = network()
    before = values(target)
    # Two tensors of the first layer, four of the norm, one of the last layer; three are named.
    with pytest.raises(
        ValueError, match=r"0\.weight has .*; .*; .* \(and 4 more\): it was trained"
    ):
        load_weights(target, path)
    assert same(values(target), before)


@pytest.mark.parametrize(
    "state", [[torch.zeros(2)], {"network": {}}, 3], ids=["list", "nested", "int"]
)
def test_rejects_what_is_no_state(state, path):
    with pytest.raises(ValueError, match=r"0\.weight is missing"):
        check_state(network(), state, path)


def test_rejects_a_missing_file(path):
    with pytest.raises(FileNotFoundError, match=f"Expected a file of weights at {path}, but there"):
        load_weights(network(), path)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_rejects_a_truncated_file(path, kept):
    save_weights(network(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    target = network()
    before = values(target)
    with pytest.raises(ValueError, match=f"Expected {path} to hold weights only, but it cannot be"):
        load_weights(target, path)
    assert same(values(target), before)


@pytest.mark.parametrize("content", [b"no weights", b"2\n", b"(", b"\x80\x02h\x00."])
def test_rejects_other_bytes(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="it is damaged, or was written by something else"):
        load_state(path)


class Trap:
    """What a malicious file does: code that runs when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code in a weights file was run",))


@pytest.mark.parametrize("save", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_rejects_a_pickled_object_without_running_it(path, save):
    path.parent.mkdir()
    save({"0.weight": Trap()}, path)
    with pytest.raises(ValueError, match="to hold weights only"):
        load_state(path)


def test_a_failed_write_keeps_the_old_file(path, monkeypatch):
    save_weights(network(), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=f"Expected to write {path}, but got: No space left"):
        save_weights(network(), path)
    assert path.read_bytes() == before
