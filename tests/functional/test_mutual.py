from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch

from medkd.functional import consistency, cross_pseudo_label, mutual_dice, mutual_kl

BATCH, CLASSES = 2, 3

FUNCTIONS = {
    "mutual_dice": partial(mutual_dice, temperature=2.0),
    "mutual_kl": partial(mutual_kl, temperature=2.0),
    "cross_pseudo_label": cross_pseudo_label,
    "consistency": consistency,
}


@pytest.fixture(params=[2, 3], ids=["two-peers", "three-peers"])
def peer_logits(request, spatial, generator):
    return torch.randn(request.param, BATCH, CLASSES, *spatial, generator=generator) * 3


@pytest.fixture(params=FUNCTIONS.values(), ids=FUNCTIONS.keys())
def function(request):
    return request.param


def softmax_by_hand(peer_logits, temperature=1.0):
    """Probabilities of every peer in float64, one row a voxel: ``(M, voxels, C)``."""
    logits = peer_logits.detach().double().movedim(2, -1).flatten(1, -2).numpy() / temperature
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def through_softmax(probs, gradient):
    """From the gradient by probabilities to that by logits, both ``(voxels, C)``."""
    return probs * (gradient - (probs * gradient).sum(axis=-1, keepdims=True))


def dice_by_hand(peer_logits, temperature, classes):
    """Value and gradient straight from the formula of the paper, summed voxel by voxel."""
    probs = softmax_by_hand(peer_logits, temperature)
    peers, voxels, _ = probs.shape
    value, gradient = 0.0, np.zeros_like(probs)
    for i, j in itertools.combinations(range(peers), 2):
        for c in classes:
            overlap = sum(probs[i, v, c] * probs[j, v, c] for v in range(voxels))
            squares = sum(probs[i, v, c] ** 2 + probs[j, v, c] ** 2 for v in range(voxels))
            top, bottom = 2 * overlap + 1e-5, squares + 1e-5
            value += 1 - top / bottom
            for one, other in ((i, j), (j, i)):
                gradient[one, :, c] -= (
                    2 * probs[other, :, c] * bottom - top * 2 * probs[one, :, c]
                ) / bottom**2
    scale = 1 / (len(classes) * (peers - 1))
    by_logits = [through_softmax(p, g) for p, g in zip(probs, gradient, strict=True)]
    return value * scale, np.stack(by_logits) * scale / temperature


def kl_by_hand(peer_logits, temperature):
    probs = softmax_by_hand(peer_logits, temperature)
    peers, voxels, classes = probs.shape
    value, gradient = 0.0, np.zeros_like(probs)
    for i, j in itertools.permutations(range(peers), 2):
        for v, c in np.ndindex(voxels, classes):
            p, q = probs[j, v, c], probs[i, v, c]
            value += temperature**2 * p * math.log(p / q)
            gradient[i, v, c] += temperature * (q - p)
    return value / voxels / (peers - 1), gradient / voxels / (peers - 1)


def cross_pseudo_label_by_hand(peer_logits):
    probs = softmax_by_hand(peer_logits)
    peers, voxels, classes = probs.shape
    value, gradient = 0.0, np.zeros_like(probs)
    for i, j in itertools.permutations(range(peers), 2):
        for v in range(voxels):
            chosen = int(probs[j, v].argmax())
            value -= math.log(probs[i, v, chosen])
            gradient[i, v] += probs[i, v] - np.eye(classes)[chosen]
    return value / voxels / (peers - 1), gradient / voxels / (peers - 1)


def consistency_by_hand(peer_logits):
    probs = softmax_by_hand(peer_logits)
    peers, voxels, classes = probs.shape
    value, gradient = 0.0, np.zeros_like(probs)
    for j in range(1, peers):
        for v, c in np.ndindex(voxels, classes):
            difference = probs[0, v, c] - probs[j, v, c]
            value += difference**2
            gradient[0, v, c] += 2 * difference
    gradient[0] = through_softmax(probs[0], gradient[0])
    count = voxels * classes * (peers - 1)
    return value / count, gradient / count


REFERENCES = {
    "dice": (
        partial(mutual_dice, temperature=2.0),
        partial(dice_by_hand, temperature=2.0, classes=[1, 2]),
    ),
    "dice-all-classes": (
        partial(mutual_dice, temperature=1.0, include_background=True),
        partial(dice_by_hand, temperature=1.0, classes=[0, 1, 2]),
    ),
    "kl": (partial(mutual_kl, temperature=1.0), partial(kl_by_hand, temperature=1.0)),
    "kl-softened": (partial(mutual_kl, temperature=3.0), partial(kl_by_hand, temperature=3.0)),
    "cross-pseudo-label": (cross_pseudo_label, cross_pseudo_label_by_hand),
    "consistency": (consistency, consistency_by_hand),
}


@pytest.mark.parametrize(("ours", "by_hand"), REFERENCES.values(), ids=REFERENCES.keys())
def test_value_and_gradient_match_the_formula(peer_logits, ours, by_hand):
    peer_logits = peer_logits.double().requires_grad_()
    value = ours(peer_logits)
    value.backward()
    expected, gradient = by_hand(peer_logits)
    assert value.item() == pytest.approx(expected, rel=1e-10)
    found = peer_logits.grad.movedim(2, -1).flatten(1, -2).numpy()
    np.testing.assert_allclose(found, gradient, rtol=1e-7, atol=1e-12)


class TestMutualDice:
    def test_is_one_for_peers_that_contradict_each_other(self, spatial):
        peer_logits = torch.zeros(2, BATCH, 2, *spatial)
        peer_logits[0, :, 0] = peer_logits[1, :, 1] = 200.0
        value = mutual_dice(peer_logits, temperature=1.0, include_background=True)
        assert value.item() == pytest.approx(1.0)

    def test_is_one_for_three_that_choose_three_classes(self, spatial):
        # A pair differs wholly in two classes of three; three pairs, divided by M - 1 = 2.
        peer_logits = torch.zeros(3, BATCH, 3, *spatial)
        for peer in range(3):
            peer_logits[peer, :, peer] = 200.0
        value = mutual_dice(peer_logits, temperature=1.0, include_background=True)
        assert value.item() == pytest.approx(1.0)

    def test_a_peer_that_comes_twice_changes_nothing_for_the_other(self, peer_logits):
        first, second = peer_logits[:2]
        pair = mutual_dice(torch.stack([first, second]), temperature=2.0)
        three = mutual_dice(torch.stack([first, second, second]), temperature=2.0)
        torch.testing.assert_close(pair, three)

    def test_sums_over_the_batch_before_it_divides(self):
        # Foreground of 1 and 0 in one case, of 1 and 1 in the other: 1 - 2/3, not the mean of 1, 0.
        peer_logits = torch.tensor([[200.0, 200.0], [-200.0, 200.0]]).view(2, 2, 1, 1)
        peer_logits = torch.cat([torch.zeros_like(peer_logits), peer_logits], dim=2)
        value = mutual_dice(peer_logits, temperature=1.0)
        assert value.item() == pytest.approx(1 / 3, rel=1e-4)

    def test_background_counts_on_demand(self, peer_logits):
        some = mutual_dice(peer_logits, temperature=2.0)
        every = mutual_dice(peer_logits, temperature=2.0, include_background=True)
        swapped = mutual_dice(peer_logits.roll(1, dims=2), temperature=2.0, include_background=True)
        assert not torch.isclose(some, every, rtol=1e-4)
        torch.testing.assert_close(swapped, every)

    def test_a_class_that_is_nowhere_costs_nothing_and_has_a_finite_gradient(self, spatial):
        peer_logits = torch.zeros(2, BATCH, 3, *spatial)
        peer_logits[:, :, 0] = 200.0
        peer_logits.requires_grad_()
        value = mutual_dice(peer_logits, temperature=1.0)
        value.backward()
        assert value.item() == 0.0
        assert peer_logits.grad.isfinite().all()

    def test_becomes_logit_matching_at_high_temperature(self, peer_logits):
        # softmax(z/T) = 1/C + (z - mean z)/(C T) + O(1/T^2), and the squares sum up to 1/C^2.
        temperature = 1e4
        value = mutual_dice(peer_logits.double(), temperature=temperature, include_background=True)
        centered = peer_logits.double() - peer_logits.double().mean(dim=2, keepdim=True)
        pairs = itertools.combinations(centered, 2)
        expected = sum((a - b).square().mean() / 2 for a, b in pairs) / (len(centered) - 1)
        torch.testing.assert_close(temperature**2 * value, expected, rtol=2e-3, atol=0)

    @pytest.mark.parametrize("include_background", [False, True])
    def test_gradcheck(self, generator, include_background):
        peer_logits = torch.randn(3, 2, 3, 4, generator=generator, dtype=torch.float64)
        loss = partial(mutual_dice, temperature=2.0, include_background=include_background)
        assert torch.autograd.gradcheck(loss, peer_logits.requires_grad_())


class TestMutualKL:
    def test_becomes_logit_matching_at_high_temperature(self, peer_logits):
        value = mutual_kl(peer_logits.double(), temperature=1e4)
        centered = peer_logits.double() - peer_logits.double().mean(dim=2, keepdim=True)
        pairs = itertools.combinations(centered, 2)
        expected = sum((a - b).square().mean() for a, b in pairs) / (len(centered) - 1)
        torch.testing.assert_close(value, expected, rtol=2e-3, atol=0)

    def test_does_not_grow_with_the_patch(self, peer_logits):
        once = mutual_kl(peer_logits, temperature=2.0)
        twice = mutual_kl(torch.cat([peer_logits] * 2, dim=-1), temperature=2.0)
        torch.testing.assert_close(once, twice)


class TestCrossPseudoLabel:
    def test_is_entropy_minimization_for_peers_that_agree(self, peer_logits):
        peer_logits = peer_logits[:1].repeat(2, *(1,) * (peer_logits.ndim - 1))
        best = torch.softmax(peer_logits[0], dim=1).amax(dim=1)
        expected = -2 * best.log().mean()
        torch.testing.assert_close(cross_pseudo_label(peer_logits), expected)

    def test_vanishes_only_for_peers_that_are_certain(self, spatial):
        peer_logits = torch.zeros(2, BATCH, CLASSES, *spatial)
        assert cross_pseudo_label(peer_logits).item() == pytest.approx(2 * math.log(CLASSES))
        peer_logits[:, :, 1] = 200.0
        assert cross_pseudo_label(peer_logits).item() == 0.0


class TestConsistency:
    def test_is_two_by_classes_where_student_and_teacher_contradict(self, spatial):
        peer_logits = torch.zeros(2, BATCH, CLASSES, *spatial)
        peer_logits[0, :, 0] = peer_logits[1, :, 1] = 200.0
        assert consistency(peer_logits).item() == pytest.approx(2 / CLASSES)

    def test_no_gradient_reaches_the_teacher(self, peer_logits):
        peer_logits.requires_grad_()
        consistency(peer_logits).backward()
        assert peer_logits.grad[0].abs().min() > 0
        assert peer_logits.grad[1:].abs().max() == 0


class TestEach:
    @pytest.mark.parametrize("name", ["mutual_dice", "mutual_kl", "consistency"])
    def test_is_exactly_zero_for_peers_that_agree(self, peer_logits, name):
        same = peer_logits[:1].expand_as(peer_logits)
        assert abs(FUNCTIONS[name](same).item()) < 1e-12

    @pytest.mark.parametrize("name", ["mutual_dice", "mutual_kl", "cross_pseudo_label"])
    def test_order_of_peers_does_not_matter(self, peer_logits, name):
        function = FUNCTIONS[name]
        torch.testing.assert_close(function(peer_logits.roll(1, dims=0)), function(peer_logits))

    def test_order_of_voxels_does_not_matter(self, peer_logits, function):
        torch.testing.assert_close(function(peer_logits.flip(1, -1)), function(peer_logits))

    def test_adding_to_all_logits_changes_nothing(self, peer_logits, function):
        torch.testing.assert_close(function(peer_logits + 5.0), function(peer_logits))

    def test_stays_finite_for_certain_and_wrong(self, spatial, function):
        peer_logits = torch.zeros(2, BATCH, CLASSES, *spatial)
        peer_logits[0, :, 0] = peer_logits[1, :, 1] = 1e4
        peer_logits.requires_grad_()
        value = function(peer_logits)
        value.backward()
        assert value.isfinite()
        assert peer_logits.grad.isfinite().all()

    def test_is_float32_under_autocast(self, peer_logits, function):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert function(peer_logits.bfloat16()).dtype == torch.float32
            same = function(peer_logits)
        torch.testing.assert_close(same, function(peer_logits))

    def test_half_precision_is_widened_first(self, peer_logits, function):
        half = peer_logits.bfloat16()
        assert torch.equal(function(half), function(half.float()))
        assert function(peer_logits.double()).dtype == torch.float64

    def test_leaves_input_untouched(self, peer_logits, function):
        before = peer_logits.clone()
        function(peer_logits)
        assert torch.equal(peer_logits, before)

    def test_rejects_a_single_peer(self, peer_logits, function):
        with pytest.raises(
            ValueError, match=r"`peer_logits` of at least two peers, but got .*\(1,"
        ):
            function(peer_logits[:1])

    def test_rejects_missing_peer_axis(self, function):
        match = r"`peer_logits` of shape \(M, B, C, \*spatial\) .* got shape \(2, 3, 4\)"
        with pytest.raises(ValueError, match=match):
            function(torch.zeros(2, 3, 4))

    def test_rejects_whole_numbers(self, peer_logits, function):
        with pytest.raises(TypeError, match="`peer_logits` of a floating-point dtype"):
            function(peer_logits.long())

    @pytest.mark.parametrize("ours", [mutual_dice, mutual_kl])
    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
    def test_rejects_temperature(self, peer_logits, ours, temperature):
        with pytest.raises(ValueError, match="`temperature` to be finite and above zero"):
            ours(peer_logits, temperature=temperature)
