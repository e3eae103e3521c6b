from __future__ import annotations

import pytest
import torch

from medkd.functional import distillation_kl, ensemble_probs
from medkd.losses import DistillationKLLoss


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def logits(request):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(3, 2, 4, *request.param, generator=generator)  # (M, B, C, *spatial)


def test_module_equals_function(logits):
    teacher_probs = ensemble_probs(logits[1:], temperature=2.0)
    mask = logits[0, :, :1] > 0
    loss = DistillationKLLoss(temperature=2.0)
    for mask_ in (None, mask):
        expected = distillation_kl(logits[0], teacher_probs, temperature=2.0, mask=mask_)
        assert torch.equal(loss(logits[0], teacher_probs, mask_), expected)


def test_one_step_moves_the_student_towards_the_teacher_and_not_the_teacher(logits):
    spatial_dims = logits.ndim - 3
    conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[spatial_dims]
    torch.manual_seed(0)
    student, teacher = conv(4, 3, 1), conv(4, 3, 1)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    loss = DistillationKLLoss(temperature=2.0)

    def step():
        optimizer.zero_grad()
        value = loss(student(logits[0]), torch.softmax(teacher(logits[0]) / 2.0, dim=1))
        value.backward()
        optimizer.step()
        return value.item()

    assert step() > step()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_has_no_weights_and_shows_its_temperature():
    loss = DistillationKLLoss(temperature=3)
    assert loss.state_dict() == {}
    assert repr(loss) == "DistillationKLLoss(temperature=3.0)"


@pytest.mark.parametrize("temperature", [0, -2.0, float("nan")])
def test_rejects_temperature_at_once(temperature):
    with pytest.raises(ValueError, match="`temperature` to be finite and above zero"):
        DistillationKLLoss(temperature=temperature)


@pytest.mark.parametrize("temperature", ["2", None, True])
def test_rejects_temperature_of_other_type(temperature):
    with pytest.raises(TypeError, match="`temperature` to be a number"):
        DistillationKLLoss(temperature=temperature)
