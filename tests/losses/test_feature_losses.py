"""Losses of features: trained projections, bounded memory, teachers that are not reached."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from medkd.functional import (
    contrastive_representation,
    features_at,
    sample_positions,
    supervised_info_nce,
)
from medkd.losses import ContrastiveRepresentationLoss, SupervisedInfoNCELoss

STUDENT, TEACHERS = 4, [6, 5]
BATCH, CLASSES = 2, 3


def supervised(**kwargs):
    return SupervisedInfoNCELoss(
        STUDENT, TEACHERS, **{"embedding_dim": 8, "num_positions": 12, **kwargs}
    )


def representation(**kwargs):
    settings = {"embedding_dim": 8, "num_positions": 12, "num_negatives": 20, "bank_size": 30}
    return ContrastiveRepresentationLoss(STUDENT, TEACHERS, **{**settings, **kwargs})


LOSSES = {"supervised": supervised, "representation": representation}


@pytest.fixture(params=[(6, 8), (4, 5, 6)], ids=["2d", "3d"])
def grid(request):
    return request.param


@pytest.fixture(params=LOSSES)
def make(request):
    return LOSSES[request.param]


def inputs(grid, seed=0):
    """Student, two teachers on other grids, and a label of twice the student's size."""
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(BATCH, STUDENT, *grid, generator=generator)
    teachers = [
        torch.randn(BATCH, channels, *(size + extra for size in grid), generator=generator)
        for channels, extra in zip(TEACHERS, (0, 3), strict=True)
    ]
    size = [2 * each for each in grid]
    label = torch.randint(0, CLASSES, (BATCH, 1, *size), generator=generator)
    return student, teachers, label


def step(loss, grid, seed=0):
    torch.manual_seed(seed)
    return loss(*inputs(grid, seed))


class TestBoth:
    def test_projections_are_parameters_and_an_optimizer_moves_them(self, grid, make):
        """The fault of the released code: it made them anew in every step."""
        torch.manual_seed(1)
        loss = make()
        step(loss, grid)  # the first step fills a bank
        before = copy.deepcopy(list(loss.parameters()))
        assert len(before) == 2 * (1 + len(TEACHERS))
        optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
        first = step(loss, grid)
        first.backward()
        optimizer.step()
        for old, new in zip(before, loss.parameters(), strict=True):
            assert not torch.equal(old, new)
        assert len(loss.state_dict()) >= len(before)

    def test_gradient_reaches_the_student_and_no_teacher(self, grid, make):
        student, teachers, label = inputs(grid)
        student.requires_grad_()
        for teacher in teachers:
            teacher.requires_grad_()
        make()(student, teachers, label).backward()
        assert student.grad.abs().sum() > 0
        assert all(teacher.grad is None for teacher in teachers)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("num_before", [0, 2], ids=["first-step", "with-negatives"])
    def test_under_autocast(self, grid, make, dtype, num_before):
        torch.manual_seed(1)
        loss = make()
        for seed in range(num_before):  # each fills the banks, the second sets the normalizers
            step(loss, grid, seed + 5)
        exact, half = copy.deepcopy(loss), loss
        found, gradients = [], []
        for each, autocast in ((exact, False), (half, True)):
            student, teachers, label = inputs(grid)
            student.requires_grad_()
            torch.manual_seed(0)
            with torch.autocast("cpu", dtype=dtype, enabled=autocast):
                if autocast:
                    teachers = [teacher.to(dtype) for teacher in teachers]
                found.append(each(student, teachers, label))
            found[-1].backward()
            gradients.append([student.grad, *(p.grad for p in each.parameters())])
        assert found[1].dtype == torch.float32
        assert found[1].item() == pytest.approx(found[0].item(), rel=0.05)
        for ours, theirs in zip(*gradients, strict=True):
            assert torch.nn.functional.cosine_similarity(
                ours.flatten(), theirs.flatten(), dim=0
            ).item() == pytest.approx(1, abs=0.02)
            assert ours.norm().item() == pytest.approx(theirs.norm().item(), rel=0.1)
        if num_before and make is representation:
            assert half.num_stored == 12 * (num_before + 1)
            assert half.teacher_banks.dtype == half.student_bank.dtype == torch.float32

    def test_inputs_are_not_modified(self, grid, make):
        given = inputs(grid)
        make()(*given)
        expected = inputs(grid)
        assert torch.equal(given[0], expected[0])
        assert torch.equal(given[2], expected[2])
        for one, other in zip(given[1], expected[1], strict=True):
            assert torch.equal(one, other)

    def test_an_image_of_one_class_has_a_loss(self, grid, make):
        student, teachers, label = inputs(grid)
        assert make()(student, teachers, torch.zeros_like(label)).isfinite()

    def test_rejects_another_number_of_teachers(self, grid, make):
        student, teachers, label = inputs(grid)
        with pytest.raises(ValueError, match="one feature map for each of 2 teachers, but got 1"):
            make()(student, teachers[:1], label)

    def test_rejects_another_batch(self, grid, make):
        student, teachers, label = inputs(grid)
        axes = r", \*spatial\) for a label of shape"
        with pytest.raises(ValueError, match=rf"`student_features` of shape \(1, {STUDENT}{axes}"):
            make()(student, teachers, label[:1])
        match = rf"`teacher_features\[1\]` of shape \({BATCH}, {TEACHERS[1]}{axes}"
        with pytest.raises(ValueError, match=match):
            make()(student, [teachers[0], teachers[1][:1]], label)
        with pytest.raises(ValueError, match=match):
            make()(student, [teachers[0], teachers[1][:, :3]], label)

    def test_rejects_no_teacher(self, make):
        kind = type(make())
        with pytest.raises(ValueError, match="`teacher_channels` of at least one teacher"):
            kind(STUDENT, [])

    @pytest.mark.parametrize("name", ["num_positions", "embedding_dim"])
    def test_rejects_numbers(self, make, name):
        with pytest.raises(ValueError, match=f"`{name}` to be at least 1, but got 0"):
            make(**{name: 0})

    def test_training_brings_student_and_teachers_together(self, grid, make):
        torch.manual_seed(2)
        loss = make(temperature=0.2)
        student, teachers, label = inputs(grid)
        free = torch.nn.Parameter(student)
        optimizer = torch.optim.Adam([free, *loss.parameters()], lr=0.02)
        values = []
        for _ in range(60):
            torch.manual_seed(5)
            value = loss(free, teachers, label)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(value.item())
        assert sum(values[-10:]) < 0.9 * sum(values[10:20])


class TestSupervised:
    def test_equals_the_function_on_the_positions_drawn(self, grid):
        torch.manual_seed(1)
        loss = supervised(temperature=0.3)
        student, teachers, label = inputs(grid)
        found = step(loss, grid)
        torch.manual_seed(0)
        index, classes = sample_positions(label, grid=grid, num_positions=12)
        expected = [
            supervised_info_nce(
                loss.student_projection(features_at(student, index, grid=grid)),
                project(features_at(teacher, index, grid=grid)),
                anchor_classes=classes,
                key_classes=classes,
                temperature=0.3,
            )
            for project, teacher in zip(loss.teacher_projections, teachers, strict=True)
        ]
        torch.testing.assert_close(found, torch.stack(expected).mean())

    def test_identical_features_cost_the_logarithm_of_their_number(self, grid):
        student, teachers, label = inputs(grid)
        alike = [torch.ones_like(teacher) for teacher in teachers]
        found = supervised()(student, alike, torch.zeros_like(label))
        assert found.item() == pytest.approx(math.log(12), rel=1e-5)


class TestRepresentation:
    def test_the_first_step_equals_the_function_without_negatives(self, grid):
        torch.manual_seed(1)
        loss = representation(combine="each")
        student, teachers, label = inputs(grid)
        found = step(loss, grid)
        torch.manual_seed(0)
        index, _ = sample_positions(label, grid=grid, num_positions=12)
        anchors = loss.student_projection(features_at(student, index, grid=grid))
        terms = []
        for project, teacher in zip(loss.teacher_projections, teachers, strict=True):
            keys = project(features_at(teacher, index, grid=grid))
            for one, other in ((anchors, keys), (keys, anchors)):
                terms.append(
                    contrastive_representation(
                        one, other, anchors[:0], bank_size=30, temperature=0.07
                    )
                )
        torch.testing.assert_close(found, torch.stack(terms).mean())

    def test_what_is_not_finite_does_not_stay(self, grid):
        """A step that overflows in half precision is left out by the scaler, and by the bank."""
        torch.manual_seed(1)
        loss = representation()
        step(loss, grid)
        student, teachers, label = inputs(grid, 1)
        student[0, :, 0], teachers[1][1, :, -1] = math.inf, math.nan
        for broken in ((student, inputs(grid, 1)[1]), (inputs(grid, 1)[0], teachers)):
            assert not loss(*broken, label).isfinite()  # it has negatives, and says so
            assert all(
                buffer.isfinite().all() for buffer in (loss.student_bank, loss.teacher_banks)
            )
        assert 12 < loss.num_stored < 36  # what was finite is there
        assert step(loss, grid, 2).isfinite()
        assert loss.log_normalizers.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_takes_any_precision(self, grid, dtype):
        torch.manual_seed(1)
        exact = representation()
        other = copy.deepcopy(exact).to(dtype)
        for seed in range(3):
            values = []
            for loss, kind in ((exact, torch.float32), (other, dtype)):
                student, teachers, label = inputs(grid, seed)
                torch.manual_seed(seed)
                values.append(loss(student.to(kind), [each.to(kind) for each in teachers], label))
            assert values[1].item() == pytest.approx(values[0].item(), rel=0.05)
        if dtype == torch.float64:
            assert values[1].item() == pytest.approx(values[0].item(), rel=1e-5)

    @pytest.mark.parametrize("combine", ["mean", "each"])
    def test_banks_keep_the_newest(self, grid, combine):
        torch.manual_seed(1)
        loss = representation(combine=combine)
        assert loss.teacher_banks.shape == ({"mean": 1, "each": 2}[combine], 30, 8)
        states = []
        for seed in range(4):
            step(loss, grid, seed)
            states.append(copy.deepcopy(loss.state_dict()))
        counts = [state["num_stored"].item() for state in states]
        assert counts == [12, 24, 36, 48]
        # The third step fills places 24 to 29 and goes on at 0; the rest stays.
        second, third = states[1]["student_bank"], states[2]["student_bank"]
        changed = (second != third).any(dim=1).nonzero().flatten().tolist()
        assert changed == [*range(6), *range(24, 30)]
        lengths = states[3]["teacher_banks"].norm(dim=2)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))

    def test_a_bank_smaller_than_a_step_keeps_all_classes(self, grid):
        """Positions come sorted by class: the first of them are background alone."""
        torch.manual_seed(1)
        loss = representation(num_positions=90, num_negatives=20, bank_size=20)
        step(loss, grid)
        assert loss.num_stored == 20
        assert loss.bank_classes.unique().tolist() == list(range(CLASSES))
        lengths = loss.teacher_banks.norm(dim=2)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))

    def test_negatives_come_from_the_bank(self, grid):
        torch.manual_seed(1)
        loss = representation()
        step(loss, grid)
        losses = []
        for _ in range(2):
            losses.append(step(copy.deepcopy(loss), grid, 1).item())
            loss.teacher_banks.neg_()
        assert losses[0] != losses[1]

    @pytest.mark.parametrize("other_classes_only", [True, False])
    def test_negatives_of_the_anchors_class_may_be_left_out(self, grid, other_classes_only):
        student, teachers, label = inputs(grid)
        torch.manual_seed(1)
        loss = representation(other_classes_only=other_classes_only)
        loss(student, teachers, torch.zeros_like(label))  # the bank has but one class
        found = []
        for _ in range(2):
            torch.manual_seed(3)
            found.append(loss.eval()(student, teachers, torch.zeros_like(label)))
            loss.teacher_banks.neg_()
        assert torch.equal(*found) == other_classes_only

    def test_normalizers_are_estimated_once(self, grid):
        torch.manual_seed(1)
        loss = representation()
        step(loss, grid)
        assert loss.log_normalizers.isnan().all()  # there is nothing to compare with yet
        step(loss, grid, 1)
        first = loss.log_normalizers.clone()
        step(loss, grid, 2)
        assert first.isfinite().all()
        assert torch.equal(loss.log_normalizers, first)

    def test_embeddings_that_say_nothing_cost_what_guessing_costs(self, grid):
        """All alike: h is 1 / (1 + K), that of one pair among K others."""
        torch.manual_seed(1)
        loss = representation(num_negatives=12)
        student, teachers, label = inputs(grid)
        for projection in (loss.student_projection, *loss.teacher_projections):
            torch.nn.init.zeros_(projection.weight)
            torch.nn.init.ones_(projection.bias)
        loss(student, teachers, label)
        expected = math.log(13) + 12 * math.log(13 / 12)
        assert loss(student, teachers, label).item() == pytest.approx(expected, rel=1e-4)

    def test_evaluation_stores_nothing(self, grid):
        loss = representation().eval()
        step(loss, grid)
        assert loss.num_stored == 0

    def test_a_restored_loss_goes_on_with_the_same_bits(self, grid):
        torch.manual_seed(1)
        loss = representation()
        step(loss, grid)
        restored = representation()
        restored.load_state_dict(loss.state_dict())
        assert torch.equal(step(restored, grid, 1), step(loss, grid, 1))

    def test_rejects(self):
        with pytest.raises(ValueError, match="`bank_size` to be at least 20, but got 10"):
            representation(bank_size=10)
        with pytest.raises(ValueError, match="`combine` to be one of mean, each, but got 'all'"):
            representation(combine="all")


def test_the_normalizer_is_as_exact_under_autocast():
    generator = torch.Generator().manual_seed(0)
    anchors, bank = (torch.randn(size, 16, generator=generator) for size in (32, 64))
    loss = ContrastiveRepresentationLoss(4, [4], num_negatives=64, bank_size=64)
    negatives = torch.nn.functional.normalize(bank, dim=1)
    expected = loss._estimate(anchors, negatives)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss._estimate(anchors, negatives), expected)
