from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch.profiler import ProfilerActivity, profile

from medkd.losses import DistillationKLLoss
from medkd.planning import measure_network, training_memory


def make_network():
    return UNet(3, 1, 3, (8, 16, 32), (2, (2, 2, 1)), num_res_units=2, norm="instance")


def peak_of(step):
    """Largest sum of what is allocated while ``step`` runs, in bytes."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    total, peak = 0, 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


@pytest.mark.filterwarnings("ignore")  # the profiler's own, of some versions of torch
def test_is_near_to_what_a_training_step_allocates():
    patch, batch_size = (32, 32, 24), 2
    cost = measure_network(make_network, num_channels=1, factors=(4, 4, 2))
    network = make_network()
    optimizer = torch.optim.AdamW(network.parameters())
    image = torch.rand(batch_size, 1, *patch)
    label = torch.zeros(batch_size, 1, *patch)
    teacher = torch.softmax(torch.rand(batch_size, 3, *patch), dim=1)
    label_loss = DiceCELoss(to_onehot_y=True, softmax=True)
    distillation_loss = DistillationKLLoss(temperature=2.0)

    def step():
        logits = network(image)
        (label_loss(logits, label) + distillation_loss(logits, teacher)).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()  # the optimizer's state is made once
    weights = 12 * sum(weight.numel() for weight in network.parameters())
    measured = peak_of(step) + weights
    estimated = training_memory(cost, patch, batch_size=batch_size)
    assert 0.5 <= estimated / measured <= 2


def test_counts_by_hand():
    # A convolution keeps its input of 2 channels, ReLU its output of 5: 28 bytes a voxel.
    def make():
        return torch.nn.Sequential(torch.nn.Conv3d(2, 5, 1), torch.nn.ReLU())

    cost = measure_network(make, num_channels=2, factors=(2, 2, 1))
    assert (cost.num_parameters, cost.bytes_per_voxel, cost.num_classes) == (15, 28.0, 5)
    expected = 16 * 15 + 2 * 1000 * (1.5 * 28 + 12 * 4 * 5)
    assert training_memory(cost, (10, 10, 10), batch_size=2) == expected


def test_grows_with_the_voxels_as_counted_on_a_large_patch():
    small = measure_network(make_network, num_channels=1, factors=(4, 4, 2))
    large = measure_network(make_network, num_channels=1, factors=(16, 8, 8))
    assert small.bytes_per_voxel == pytest.approx(large.bytes_per_voxel, rel=0.01)


def test_leaves_the_generator_as_it_is():
    state = torch.random.get_rng_state()
    measure_network(make_network, num_channels=1, factors=(4, 4, 2))
    assert torch.equal(state, torch.random.get_rng_state())


def test_rejects_a_network_that_changes_the_size():
    def make():
        return torch.nn.Conv3d(1, 2, 3)

    with pytest.raises(
        ValueError, match=r"size of its input, \(8, 8, 8\), but got \(1, 2, 6, 6, 6\)"
    ):
        measure_network(make, num_channels=1, factors=(2, 2, 2))
