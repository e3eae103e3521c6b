from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medkd.functional import distillation_kl, ensemble_probs

BATCH, CLASSES, MEMBERS = 2, 3, 4


@pytest.fixture
def student_logits(spatial, generator):
    return torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 3


@pytest.fixture
def member_logits(spatial, generator):
    return torch.randn(MEMBERS, BATCH, CLASSES, *spatial, generator=generator) * 3


@pytest.fixture
def teacher_probs(member_logits):
    return ensemble_probs(member_logits, temperature=2.0)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def softmax_by_hand(logits, axis):
    exponentials = np.exp(
        logits.double().numpy() - logits.double().numpy().max(axis, keepdims=True)
    )
    return exponentials / exponentials.sum(axis, keepdims=True)


def kl_by_hand(student_logits, teacher_probs, temperature, mask=None):
    """Divergence voxel by voxel, in float64, straight from the definition."""
    student = softmax_by_hand(student_logits / temperature, 1)
    total, voxels = 0.0, 0
    for case, *place in np.ndindex(student.shape[0], *student.shape[2:]):
        if mask is not None and not mask[(case, 0, *place)]:
            continue
        voxels += 1
        for index in range(student.shape[1]):
            p = float(teacher_probs[(case, index, *place)])
            total += p * math.log(p / student[(case, index, *place)]) if p > 0 else 0.0
    return temperature**2 * total / voxels


class TestEnsembleProbs:
    @pytest.mark.parametrize("temperature", [1.0, 2.5])
    def test_matches_numpy(self, member_logits, temperature):
        expected = softmax_by_hand(member_logits / temperature, 2).mean(0)
        probs = ensemble_probs(member_logits, temperature=temperature)
        np.testing.assert_allclose(probs.numpy(), expected, atol=1e-6)

    def test_one_member_is_its_softmax(self, member_logits):
        one = member_logits[:1]
        torch.testing.assert_close(ensemble_probs(one), torch.softmax(one[0], dim=1))

    def test_averages_probabilities_not_logits(self):
        # The mean of the logits 20 and -1 would be sure of class 0; one of two members is not.
        member_logits = torch.tensor([[20.0, 0.0], [-1.0, 0.0]]).view(2, 1, 2, 1)
        expected = (1 + 1 / (1 + math.e)) / 2
        assert ensemble_probs(member_logits)[0, 0].item() == pytest.approx(expected)

    def test_sums_to_one_and_keeps_layout(self, member_logits):
        probs = ensemble_probs(member_logits, temperature=2.0)
        assert probs.shape == member_logits.shape[1:]
        torch.testing.assert_close(probs.sum(1), torch.ones_like(probs[:, 0]))

    def test_order_of_members_does_not_matter(self, member_logits):
        torch.testing.assert_close(
            ensemble_probs(member_logits.flip(0)), ensemble_probs(member_logits)
        )

    def test_half_precision_is_widened(self, member_logits):
        assert ensemble_probs(member_logits.half()).dtype == torch.float32
        assert ensemble_probs(member_logits.double()).dtype == torch.float64

    def test_leaves_input_untouched(self, member_logits):
        before = member_logits.clone()
        ensemble_probs(member_logits, temperature=2.0)
        torch.testing.assert_close(member_logits, before, rtol=0, atol=0)

    def test_one_channel_is_the_sigmoid(self, member_logits):
        one = member_logits[:, :, :1]
        expected = (1 / (1 + np.exp(-one.double().numpy() / 4.0))).mean(0)
        probs = ensemble_probs(one, temperature=4.0)
        np.testing.assert_allclose(probs.numpy(), expected, atol=1e-6)

    def test_rejects_missing_member_axis(self):
        with pytest.raises(ValueError, match=r"`member_logits` of shape \(M, B, C, \*spatial\)"):
            ensemble_probs(torch.zeros(2, 3, 4))

    def test_rejects_no_member(self):
        with pytest.raises(ValueError, match=r"at least one member.*got shape \(0, 1, 2, 4\)"):
            ensemble_probs(torch.zeros(0, 1, 2, 4))


class TestDistillationKL:
    @pytest.mark.parametrize("temperature", [1.0, 3.0])
    def test_matches_voxel_loop(self, student_logits, teacher_probs, temperature):
        value = distillation_kl(student_logits, teacher_probs, temperature=temperature)
        expected = kl_by_hand(student_logits, teacher_probs, temperature)
        assert value.item() == pytest.approx(expected, rel=1e-5)

    def test_matches_voxel_loop_in_mask(self, student_logits, teacher_probs, mask):
        value = distillation_kl(student_logits, teacher_probs, temperature=2.0, mask=mask)
        expected = kl_by_hand(student_logits, teacher_probs, 2.0, mask)
        assert value.item() == pytest.approx(expected, rel=1e-5)

    def test_full_mask_is_no_mask(self, student_logits, teacher_probs, mask):
        full = distillation_kl(
            student_logits, teacher_probs, temperature=2.0, mask=torch.ones_like(mask)
        )
        none = distillation_kl(student_logits, teacher_probs, temperature=2.0)
        torch.testing.assert_close(full, none)

    def test_one_channel_is_two_classes(self, student_logits, mask):
        """The fault of MTMS-KD's released code: softmax over one channel, and a loss of zero."""
        one, teacher = student_logits[:, :1], torch.sigmoid(student_logits[:, 1:2] / 4)
        two = torch.cat([torch.zeros_like(one), one], dim=1)
        probs = torch.cat([1 - teacher, teacher], dim=1)
        expected = kl_by_hand(two, probs, 4.0, mask)
        found = distillation_kl(one, teacher, temperature=4.0, mask=mask)
        assert expected > 0.1
        assert found.item() == pytest.approx(expected, rel=1e-5)
        same = distillation_kl(one, torch.sigmoid(one / 4), temperature=4.0)
        assert abs(same.item()) < 1e-12

    def test_one_channel_has_the_gradient_of_the_binary_cross_entropy(self, student_logits):
        logits = student_logits[:, :1].double().requires_grad_()
        teacher = torch.sigmoid(student_logits[:, 1:2].double())
        distillation_kl(logits, teacher, temperature=1.0).backward()
        expected = (torch.sigmoid(logits.detach()) - teacher) / logits.numel()
        torch.testing.assert_close(logits.grad, expected)

    @pytest.mark.parametrize("scale", [1, 10, 100])
    @pytest.mark.parametrize("temperature", [1.0, 2.0])
    def test_is_zero_for_identical(self, student_logits, scale, temperature):
        logits = student_logits * scale
        probs = torch.softmax(logits / temperature, dim=1)
        value = distillation_kl(logits, probs, temperature=temperature)
        # torch's own kl_div is off by some 1e-8 of either sign here.
        assert abs(value.item()) < 1e-12

    def test_is_exactly_zero_for_identical_uniform(self):
        value = distillation_kl(torch.zeros(1, 4, 5), torch.full((1, 4, 5), 0.25), temperature=2.0)
        assert value.item() == 0.0

    def test_is_log_classes_for_certain_teacher_and_uniform_student(self, spatial):
        teacher = torch.zeros(BATCH, CLASSES, *spatial)
        teacher[:, 1] = 1.0
        value = distillation_kl(torch.zeros_like(teacher), teacher, temperature=1.0)
        assert value.item() == pytest.approx(math.log(CLASSES))

    def test_stays_finite_for_certain_and_wrong(self):
        logits = torch.tensor([200.0, 0.0]).view(1, 2, 1).requires_grad_()
        value = distillation_kl(logits, torch.tensor([0.0, 1.0]).view(1, 2, 1), temperature=1.0)
        value.backward()
        assert value.item() == pytest.approx(200.0)
        assert logits.grad.flatten().tolist() == pytest.approx([1.0, -1.0])

    def test_does_not_grow_with_the_patch(self, student_logits, teacher_probs):
        # The error of `reduction="batchmean"`: twice the voxels, twice the loss.
        once = distillation_kl(student_logits, teacher_probs, temperature=2.0)
        twice = distillation_kl(
            torch.cat([student_logits] * 2, dim=-1),
            torch.cat([teacher_probs] * 2, dim=-1),
            temperature=2.0,
        )
        torch.testing.assert_close(once, twice)

    def test_gradient_is_probability_difference(self, student_logits, teacher_probs):
        student_logits.requires_grad_()
        distillation_kl(student_logits, teacher_probs, temperature=1.0).backward()
        voxels = student_logits[:, 0].numel()
        expected = (torch.softmax(student_logits.detach(), dim=1) - teacher_probs) / voxels
        torch.testing.assert_close(student_logits.grad, expected, rtol=1e-4, atol=1e-8)

    def test_gradient_becomes_logit_matching_at_high_temperature(self, generator):
        """Hinton et al., 2015, equation 4: (z - v) / C for logits of zero mean."""
        z, v = torch.randn(2, 1, CLASSES, 1, generator=generator, dtype=torch.float64)
        z, v = z - z.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
        z.requires_grad_()
        temperature = 1e4
        teacher_probs = torch.softmax(v / temperature, dim=1)
        distillation_kl(z, teacher_probs, temperature=temperature).backward()
        torch.testing.assert_close(z.grad, (z.detach() - v) / CLASSES, rtol=1e-3, atol=1e-6)

    def test_mean_over_members_has_the_gradient_of_their_mean(self, student_logits, member_logits):
        student_logits = student_logits.double().requires_grad_()
        member_probs = torch.softmax(member_logits.double() / 2, dim=2)
        each = [distillation_kl(student_logits, probs, temperature=2.0) for probs in member_probs]
        mean = distillation_kl(student_logits, member_probs.mean(0), temperature=2.0)
        (of_members,) = torch.autograd.grad(torch.stack(each).mean(), student_logits)
        (of_mean,) = torch.autograd.grad(mean, student_logits)
        torch.testing.assert_close(of_members, of_mean, rtol=1e-9, atol=1e-14)
        assert torch.stack(each).mean() > mean  # by the mutual information of the members

    def test_gradcheck(self, generator):
        logits = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64).requires_grad_()
        probs = torch.softmax(torch.randn(2, 3, 2, 2, generator=generator).double(), dim=1)
        mask = torch.tensor([[[[True, False], [True, True]]]] * 2)
        assert torch.autograd.gradcheck(
            lambda z: distillation_kl(z, probs, temperature=3.0, mask=mask), logits
        )

    def test_no_gradient_reaches_the_teacher(self, student_logits, teacher_probs):
        student_logits.requires_grad_()
        teacher_probs.requires_grad_()
        distillation_kl(student_logits, teacher_probs, temperature=2.0).backward()
        assert teacher_probs.grad is None

    def test_empty_mask_gives_zero_with_zero_gradient(self, student_logits, teacher_probs, mask):
        student_logits.requires_grad_()
        nothing = torch.zeros_like(mask)
        value = distillation_kl(student_logits, teacher_probs, temperature=2.0, mask=nothing)
        value.backward()
        assert value.item() == 0.0
        assert student_logits.grad.abs().max().item() == 0.0

    def test_nothing_outside_the_mask_counts(self, student_logits, teacher_probs, mask):
        changed = torch.where(mask, student_logits, torch.full_like(student_logits, 7.0))
        changed[:, :1] = torch.where(mask, changed[:, :1], torch.full_like(changed[:, :1], -50.0))
        torch.testing.assert_close(
            distillation_kl(changed, teacher_probs, temperature=2.0, mask=mask),
            distillation_kl(student_logits, teacher_probs, temperature=2.0, mask=mask),
        )

    def test_is_float32_under_autocast(self, student_logits, teacher_probs):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = distillation_kl(student_logits.bfloat16(), teacher_probs, temperature=2.0)
            same = distillation_kl(student_logits, teacher_probs, temperature=2.0)
        assert value.dtype == torch.float32
        torch.testing.assert_close(
            same, distillation_kl(student_logits, teacher_probs, temperature=2.0)
        )

    def test_half_precision_is_widened_first(self, student_logits, teacher_probs):
        half = student_logits.bfloat16()
        value = distillation_kl(half, teacher_probs, temperature=3.0)
        assert torch.equal(value, distillation_kl(half.float(), teacher_probs, temperature=3.0))

    def test_leaves_inputs_untouched(self, student_logits, teacher_probs, mask):
        before = [tensor.clone() for tensor in (student_logits, teacher_probs, mask)]
        distillation_kl(student_logits, teacher_probs, temperature=2.0, mask=mask)
        for tensor, old in zip((student_logits, teacher_probs, mask), before, strict=True):
            assert torch.equal(tensor, old)

    def test_rejects_other_shape(self, student_logits, teacher_probs):
        with pytest.raises(ValueError, match="`teacher_probs` of the shape of `student_logits`"):
            distillation_kl(student_logits, teacher_probs[..., :-1], temperature=1.0)

    def test_rejects_mask_of_other_shape(self, student_logits, teacher_probs, mask):
        with pytest.raises(ValueError, match=r"`mask` of shape \(B, 1, \*spatial\)"):
            distillation_kl(student_logits, teacher_probs, temperature=1.0, mask=mask[..., :-1])

    def test_rejects_mask_of_floats(self, student_logits, teacher_probs, mask):
        with pytest.raises(TypeError, match=r"`mask` of dtype torch\.bool, but got torch\.float32"):
            distillation_kl(student_logits, teacher_probs, temperature=1.0, mask=mask.float())

    def test_rejects_no_channel(self, spatial):
        one = torch.zeros(2, 0, *spatial)
        with pytest.raises(ValueError, match="at least one channel"):
            distillation_kl(one, one, temperature=1.0)

    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
    def test_rejects_temperature(self, student_logits, teacher_probs, temperature):
        with pytest.raises(ValueError, match="`temperature` to be finite and above zero"):
            distillation_kl(student_logits, teacher_probs, temperature=temperature)
