from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from medkd.functional import entropy, expected_entropy, mutual_information, predictive_entropy

MEMBERS, BATCH, CLASSES = 4, 2, 3


@pytest.fixture
def member_probs(spatial, generator):
    logits = torch.randn(MEMBERS, BATCH, CLASSES, *spatial, generator=generator) * 3
    return torch.softmax(logits, dim=2)


class TestEntropy:
    def test_matches_scipy(self, member_probs):
        probs = member_probs[0]
        expected = torch.from_numpy(scipy.stats.entropy(probs.double().numpy(), axis=1))
        torch.testing.assert_close(entropy(probs)[:, 0].double(), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("classes", [2, 3, 7])
    def test_is_log_classes_when_undecided(self, classes):
        undecided = torch.full((1, classes, 1), 1 / classes)
        assert entropy(undecided).item() == pytest.approx(math.log(classes))

    def test_is_zero_when_certain(self):
        assert entropy(torch.eye(3).unsqueeze(0)).abs().max().item() == 0.0

    def test_half_precision_is_widened(self, member_probs):
        assert entropy(member_probs[0].half()).dtype == torch.float32

    def test_rejects_no_spatial_axis(self):
        with pytest.raises(ValueError, match=r"`probs` of shape \(B, C, \*spatial\).*\(2, 3\)"):
            entropy(torch.full((2, 3), 1 / 3))


class TestDecomposition:
    def test_matches_scipy(self, member_probs):
        reference = member_probs.double().numpy()
        total = scipy.stats.entropy(reference.mean(0), axis=1)
        expected = scipy.stats.entropy(reference, axis=2).mean(0)
        for function, value in (
            (predictive_entropy, total),
            (expected_entropy, expected),
            (mutual_information, total - expected),
        ):
            result = function(member_probs)[:, 0].double()
            torch.testing.assert_close(result, torch.from_numpy(value), rtol=1e-5, atol=1e-6)

    def test_parts_add_up(self, member_probs):
        torch.testing.assert_close(
            mutual_information(member_probs) + expected_entropy(member_probs),
            predictive_entropy(member_probs),
        )

    @pytest.mark.parametrize("function", [predictive_entropy, expected_entropy, mutual_information])
    def test_keeps_layout_and_input(self, function, member_probs, spatial):
        before = member_probs.clone()
        assert function(member_probs).shape == (BATCH, 1, *spatial)
        assert torch.equal(member_probs, before)

    @pytest.mark.parametrize("function", [predictive_entropy, expected_entropy, mutual_information])
    def test_order_of_members_and_classes_does_not_matter(self, function, member_probs):
        shuffled = member_probs.flip(0).roll(1, dims=2)
        torch.testing.assert_close(function(shuffled), function(member_probs))

    @pytest.mark.parametrize("function", [predictive_entropy, expected_entropy, mutual_information])
    def test_gradcheck(self, function, generator):
        logits = torch.randn(3, 1, 2, 4, generator=generator, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(lambda z: function(torch.softmax(z, dim=2)), logits)

    @pytest.mark.parametrize("function", [predictive_entropy, expected_entropy, mutual_information])
    def test_rejects_missing_member_axis(self, function):
        with pytest.raises(ValueError, match=r"`member_probs` of shape \(M, B, C, \*spatial\)"):
            function(torch.full((2, 3, 4), 1 / 3))


class TestMutualInformation:
    @pytest.mark.parametrize("classes", [2, 3, 7])
    def test_is_log_classes_when_members_contradict(self, classes):
        contradict = torch.eye(classes).view(classes, 1, classes, 1)
        assert mutual_information(contradict).item() == pytest.approx(math.log(classes))

    def test_is_zero_where_members_agree(self, member_probs):
        agree = member_probs[:1].expand_as(member_probs)
        information = mutual_information(agree)
        assert information.max().item() < 1e-6
        assert information.min().item() >= 0.0

    def test_one_member_disagrees_with_nobody(self, member_probs):
        assert mutual_information(member_probs[:1]).abs().max().item() == 0.0

    def test_is_the_mean_divergence_from_the_mean(self, member_probs):
        """Generalized Jensen-Shannon divergence, by another route."""
        probs = member_probs.double()
        divergence = torch.special.xlogy(probs, probs / probs.mean(0)).sum(dim=2, keepdim=True)
        torch.testing.assert_close(mutual_information(probs), divergence.mean(0))

    def test_rounding_never_makes_it_negative(self, generator):
        sure = torch.softmax(torch.randn(5, 1, 4, 4096, generator=generator) * 1e-4, dim=2)
        assert (predictive_entropy(sure) - expected_entropy(sure)).min().item() < 0.0
        assert mutual_information(sure).min().item() >= 0.0
