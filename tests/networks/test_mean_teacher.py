from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from medkd.networks import MeanTeacher

BATCH = 4


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def image(request):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(BATCH, 1, *request.param, generator=generator)


@pytest.fixture
def network(image):
    conv, norm = {4: (nn.Conv2d, nn.BatchNorm2d), 5: (nn.Conv3d, nn.BatchNorm3d)}[image.ndim]
    torch.manual_seed(0)
    return nn.Sequential(conv(1, 3, 3, padding=1), norm(3), nn.ReLU(), conv(3, 2, 1))


def moved(network, step):
    """Set all parameters to numbers of their own; what they were does not matter."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return [parameter.detach().double().clone() for parameter in network.parameters()]


class TestAverage:
    @pytest.mark.parametrize("decay", [0.0, 0.6, 0.99])
    def test_is_the_formula_step_by_step(self, network, decay):
        mean_teacher = MeanTeacher(network, decay=decay)
        expected = None
        for step in range(6):
            weights = moved(network, step)
            mean_teacher.after_step()
            alpha = min(1 - 1 / (step + 1), decay)
            expected = [
                w if expected is None else alpha * e + (1 - alpha) * w
                for e, w in zip(expected or weights, weights, strict=True)
            ]
        teacher = mean_teacher.networks[1]
        for parameter, value in zip(teacher.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.double(), value, rtol=1e-5, atol=1e-6)

    def test_is_the_mean_of_the_first_steps(self, network):
        mean_teacher = MeanTeacher(network)
        weights = []
        for step in range(5):
            weights.append(moved(network, step))
            mean_teacher.after_step()
        for values in zip(*weights, mean_teacher.teacher.parameters(), strict=True):
            mean = torch.stack(values[:-1]).mean(dim=0)
            torch.testing.assert_close(values[-1].double(), mean, rtol=1e-5, atol=1e-6)

    def test_starts_as_a_copy_of_the_student(self, network):
        student, teacher = MeanTeacher(network).networks
        assert student is network
        assert teacher is not network
        state = teacher.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in student.state_dict().items())

    def test_holds_for_running_statistics(self, network):
        mean_teacher = MeanTeacher(network)
        for value in (2.0, 4.0):
            network[1].running_var.fill_(value)
            mean_teacher.after_step()
        assert mean_teacher.networks[1][1].running_var.tolist() == [3.0] * 3

    def test_copies_the_count_of_batches(self, network):
        mean_teacher = MeanTeacher(network)
        for count in (3, 4, 8):
            network[1].num_batches_tracked.fill_(count)
            mean_teacher.after_step()
            assert mean_teacher.networks[1][1].num_batches_tracked.item() == count


class TestForward:
    def test_both_answer_in_training_and_the_student_alone_in_evaluation(self, network, image):
        mean_teacher = MeanTeacher(network, noise=0.0)
        student_logits, teacher_logits = mean_teacher(image)
        torch.testing.assert_close(student_logits, teacher_logits)  # weights and batch are the same
        assert student_logits.requires_grad
        assert not teacher_logits.requires_grad
        expected = network.eval()(image)
        assert torch.equal(mean_teacher.eval()(image), expected)

    def test_teacher_drops_out_by_itself(self, image):
        student, teacher = MeanTeacher(nn.Dropout(0.5), noise=0.0)(image)
        assert (student == 0).any()
        assert (teacher == 0).any()
        assert not torch.equal(student, teacher)

    @pytest.mark.parametrize("noise", [0.1, 2.0])
    def test_teacher_sees_noise_that_is_cut_off(self, noise):
        image = torch.zeros(1, 1, 200, 200)
        torch.manual_seed(0)
        student_image, teacher_image = MeanTeacher(nn.Identity(), noise=noise)(image)
        assert torch.equal(student_image, image)
        assert torch.equal(image, torch.zeros_like(image))
        assert teacher_image.abs().max().item() == pytest.approx(2 * noise)
        # The variance of a normal variable that is clamped at twice its deviation is 0.9208.
        assert teacher_image.std().item() == pytest.approx(noise * math.sqrt(0.9208), rel=0.02)

    def test_without_noise_no_random_number_is_drawn(self, network, image):
        before = torch.get_rng_state()
        MeanTeacher(network, noise=0.0)(image)
        assert torch.equal(torch.get_rng_state(), before)

    def test_teacher_normalizes_by_its_batch_and_moves_its_statistics(self, network, image):
        mean_teacher = MeanTeacher(network, noise=0.0)
        teacher = mean_teacher.networks[1]
        before = teacher[1].running_mean.clone()
        mean_teacher(image)
        assert not torch.equal(teacher[1].running_mean, before)
        mean_teacher.eval()(image)
        assert not any(module.training for module in mean_teacher.modules())


def test_a_step_moves_the_student_and_through_it_the_teacher(network, image):
    mean_teacher = MeanTeacher(network, decay=0.5)
    assert mean_teacher.num_trained == 1
    optimizer = torch.optim.SGD(mean_teacher.parameters(), lr=0.1, weight_decay=0.1)
    mean_teacher(image)[0].square().mean().backward()
    teacher = mean_teacher.networks[1]
    before = copy.deepcopy(teacher.state_dict())
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in teacher.named_parameters())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    mean_teacher.after_step()
    for name, value in mean_teacher.networks[0].named_parameters():
        assert torch.equal(dict(teacher.named_parameters())[name], value)  # the first is copied


def test_goes_on_from_its_state_with_the_same_bits(network, image):
    straight = MeanTeacher(network)
    for step in range(3):
        moved(network, step)
        straight(image)
        straight.after_step()
    resumed = MeanTeacher(copy.deepcopy(network).apply(lambda module: moved(module, 99)))
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    for mean_teacher in (straight, resumed):
        torch.manual_seed(0)
        moved(mean_teacher.networks[0], 7)
        mean_teacher(image)
        mean_teacher.after_step()
    state = resumed.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in straight.state_dict().items())


def test_shows_its_configuration():
    assert repr(MeanTeacher(nn.Identity())).startswith("MeanTeacher(\n  decay=0.99, noise=0.1\n")


@pytest.mark.parametrize("decay", [-0.1, 1.0, math.nan])
def test_rejects_decay(decay):
    with pytest.raises(ValueError, match=f"`decay` to be at least 0 and below 1, but got {decay}"):
        MeanTeacher(nn.Identity(), decay=decay)


@pytest.mark.parametrize("noise", [-0.1, math.nan])
def test_rejects_noise(noise):
    with pytest.raises(ValueError, match=f"`noise` to be zero or more, but got {noise}"):
        MeanTeacher(nn.Identity(), noise=noise)
