from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from medkd.functional import fit_temperature, negative_log_likelihood, tempered_probs

BATCH, CLASSES = 2, 3


@pytest.fixture
def logits(spatial, generator):
    return torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 3


@pytest.fixture
def probs(logits):
    return logits.softmax(dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def drawn_case(voxels, temperature, seed=0, num_classes=CLASSES):
    """Labels drawn from probabilities, and these made sharper than they should be."""
    generator = torch.Generator().manual_seed(seed)
    honest = (torch.randn(1, num_classes, voxels, generator=generator) * 2).softmax(dim=1)
    label = torch.multinomial(honest[0].T, 1, generator=generator).view(1, 1, voxels)
    return tempered_probs(honest, 1 / temperature), label, None


def brute_force(cases):
    """The minimum of the mean negative log-likelihood, by scipy, from the functions themselves."""
    flat = [
        (p.transpose(0, 1).flatten(1)[:, m.flatten()], y.flatten()[m.flatten()])
        for p, y, m in cases
    ]
    probs = torch.cat([p for p, _ in flat], dim=1).double().unsqueeze(0)
    label = torch.cat([y for _, y in flat]).view(1, 1, -1)
    result = minimize_scalar(
        lambda log: negative_log_likelihood(tempered_probs(probs, math.exp(log)), label).item(),
        bounds=(math.log(0.05), math.log(20)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return math.exp(result.x)


class TestTemperedProbs:
    @pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0, 7.3])
    def test_equals_the_softmax_of_tempered_logits(self, logits, probs, temperature):
        torch.testing.assert_close(
            tempered_probs(probs, temperature), (logits / temperature).softmax(dim=1)
        )

    def test_one_changes_nothing(self, probs):
        torch.testing.assert_close(tempered_probs(probs, 1.0), probs)

    def test_great_temperature_makes_equal_and_small_makes_certain(self, probs):
        equal = tempered_probs(probs, 1e6)
        torch.testing.assert_close(equal, torch.full_like(probs, 1 / CLASSES), rtol=0, atol=1e-4)
        certain = tempered_probs(probs, 1e-6)
        predicted = probs.argmax(dim=1, keepdim=True)
        torch.testing.assert_close(certain.gather(1, predicted), torch.ones(predicted.shape))

    def test_two_temperatures_are_their_product(self, probs):
        torch.testing.assert_close(
            tempered_probs(tempered_probs(probs, 2.0), 1.5), tempered_probs(probs, 3.0)
        )

    @pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
    def test_zero_stays_zero(self, temperature):
        probs = torch.tensor([[0.0, 0.25, 0.75], [0.0, 0.0, 1.0], [1e-45, 0.5, 0.5]])
        probs = probs.T.unsqueeze(0)  # (1, C, voxels)
        tempered = tempered_probs(probs, temperature)
        assert (tempered[probs == 0] == 0).all()
        torch.testing.assert_close(tempered.sum(dim=1), torch.ones(1, 3))

    def test_widens_narrow_dtypes_only(self, probs):
        assert tempered_probs(probs.half(), 2.0).dtype == torch.float32
        assert tempered_probs(probs.double(), 2.0).dtype == torch.float64

    def test_leaves_input_untouched(self, probs):
        before = probs.clone()
        tempered_probs(probs, 2.0)
        assert torch.equal(probs, before)

    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
    def test_rejects_temperature(self, probs, temperature):
        with pytest.raises(ValueError, match="`temperature` to be finite and above zero"):
            tempered_probs(probs, temperature)

    def test_rejects_one_class(self, probs):
        with pytest.raises(ValueError, match=r"`probs` of shape \(B, C, \*spatial\)"):
            tempered_probs(probs[:, :1], 2.0)


class TestFitTemperature:
    @pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
    def test_matches_brute_force(self, spatial, generator, sharpness):
        honest = torch.randn(BATCH, CLASSES, *spatial, generator=generator).softmax(dim=1)
        flat = honest.transpose(1, -1).reshape(-1, CLASSES)
        label = torch.multinomial(flat, 1, generator=generator)
        label = label.view(BATCH, *honest.transpose(1, -1).shape[1:-1], 1).transpose(1, -1)
        mask = torch.rand(label.shape, generator=generator) > 0.3
        cases = [(tempered_probs(honest, 1 / sharpness), label, mask)]
        assert fit_temperature(cases) == pytest.approx(brute_force(cases), rel=1e-5)

    @pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
    def test_finds_the_temperature_that_labels_were_drawn_with(self, temperature):
        fitted = fit_temperature([drawn_case(40_000, temperature)])
        assert fitted == pytest.approx(temperature, rel=0.03)

    def test_fitted_probabilities_need_no_temperature(self):
        probs, label, _ = drawn_case(500, 2.0)
        fitted = fit_temperature([(probs, label, None)])
        again = fit_temperature([(tempered_probs(probs.double(), fitted), label, None)])
        assert again == pytest.approx(1.0, rel=1e-6)

    def test_batches_and_shapes_change_nothing(self, probs, label, mask):
        whole = fit_temperature([(probs, label, mask)])
        one_by_one = [
            (probs[case][None], label[case][None], mask[case][None]) for case in range(BATCH)
        ]
        assert fit_temperature(iter(one_by_one)) == pytest.approx(whole, rel=1e-9)
        valid = mask.flatten()
        flat = probs.transpose(0, 1).flatten(1)[:, valid].unsqueeze(0)
        alone = fit_temperature([(flat, label.flatten()[valid].view(1, 1, -1), None)])
        assert alone == pytest.approx(whole, rel=1e-9)

    def test_draws_of_large_cases_only(self):
        small, large = drawn_case(300, 0.5, seed=1), drawn_case(30_000, 2.0, seed=2)
        all_voxels = fit_temperature([small, large])
        first = fit_temperature([small, large], max_voxels_per_case=300, seed=1)
        assert first == fit_temperature([small, large], max_voxels_per_case=300, seed=1)
        assert first != fit_temperature([small, large], max_voxels_per_case=300, seed=2)
        # The large case weighs as much as the small one now, which pulls the other way.
        assert first < 0.8 * all_voxels

    def test_draws_without_replacement(self):
        """All but one of 50 distinct voxels: the fit without that one is among 50."""
        probs, label, _ = drawn_case(50, 2.0)
        keep = [[v for v in range(50) if v != left_out] for left_out in range(50)]
        possible = [fit_temperature([(probs[..., k], label[..., k], None)]) for k in keep]
        drawn = fit_temperature([(probs, label, None)], max_voxels_per_case=49)
        assert min(abs(drawn - value) for value in possible) < 1e-8

    def test_draws_within_the_mask(self, probs, label, mask):
        spoilt = torch.where(mask, probs, torch.full_like(probs, math.nan))
        spoilt_label = torch.where(mask, label, 255)
        assert fit_temperature(
            [(spoilt, spoilt_label, mask)], max_voxels_per_case=9
        ) == fit_temperature([(probs, label, mask)], max_voxels_per_case=9)

    def test_limits(self):
        confident = torch.tensor([0.9, 0.1]).view(1, 2, 1).expand(1, 2, 10)
        assert fit_temperature([(confident, torch.zeros(1, 1, 10), None)]) == 0.05
        assert fit_temperature([(confident, torch.ones(1, 1, 10), None)]) == 20.0

    @pytest.mark.parametrize("top", [0.5, 1.0])
    def test_is_one_where_no_temperature_is_better(self, top):
        probs = torch.tensor([top, 1 - top]).view(1, 2, 1).expand(1, 2, 10)
        assert fit_temperature([(probs, torch.zeros(1, 1, 10), None)]) == 1.0

    def test_impossible_label_asks_for_more_but_not_for_infinity(self):
        honest, label, _ = drawn_case(2000, 1.0)
        impossible = torch.tensor([0.0, 0.5, 0.5]).view(1, 3, 1)
        probs = torch.cat([honest, impossible], dim=-1)
        label = torch.cat([label, torch.zeros(1, 1, 1, dtype=label.dtype)], dim=-1)
        before = fit_temperature([(honest, label[..., :-1], None)])
        assert before < fit_temperature([(probs, label, None)]) < 2.0

    def test_leaves_inputs_untouched(self, probs, label, mask):
        probs = probs.double()  # of which no copy need be made
        before = [tensor.clone() for tensor in (probs, label, mask)]
        fit_temperature([(probs, label, mask)])
        for tensor, old in zip((probs, label, mask), before, strict=True):
            assert torch.equal(tensor, old)

    def test_cases_without_valid_voxel_are_passed_over(self, probs, label, mask):
        empty = (probs, label, torch.zeros_like(mask))
        alone = fit_temperature([(probs, label, mask)])
        assert fit_temperature([empty, (probs, label, mask)]) == alone

    def test_rejects_cases_without_any_valid_voxel(self, probs, label, mask):
        with pytest.raises(ValueError, match="`cases` to have at least one valid voxel"):
            fit_temperature([(probs, label, torch.zeros_like(mask))])
        with pytest.raises(ValueError, match="`cases` to have at least one valid voxel"):
            fit_temperature([])

    def test_rejects_another_number_of_classes(self, probs, label):
        other = tempered_probs(probs[:, :2], 1.0)
        with pytest.raises(ValueError, match=r"of one number of classes, but got \[2, 3\]"):
            fit_temperature([(probs, label, None), (other, label.clamp_max(1), None)])

    def test_rejects_logits(self, logits, label):
        with pytest.raises(ValueError, match="`probs` to be probabilities from 0 to 1"):
            fit_temperature([(logits, label, None)])

    def test_rejects_limit(self, probs, label):
        with pytest.raises(ValueError, match="`max_voxels_per_case` to be at least 1"):
            fit_temperature([(probs, label, None)], max_voxels_per_case=0)
