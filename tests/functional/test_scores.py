from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
import torch

from medkd.functional import _voxels as voxels_module
from medkd.functional import brier_score, negative_log_likelihood

BATCH, CLASSES = 2, 3
SCORES = [brier_score, negative_log_likelihood]


@pytest.fixture
def probs(spatial, generator):
    return torch.softmax(torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 2, dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def rows(probs, label, mask):
    """A case as sklearn wants it: a row of float64 probabilities per valid voxel."""
    inside = np.ones(label.numel(), dtype=bool) if mask is None else mask.numpy().ravel()
    return probs.double().flatten(1).numpy().T[inside], label.numpy().ravel()[inside]


@pytest.mark.parametrize("masked", [False, True])
class TestReference:
    def test_brier_matches_one_hot_loop(self, probs, label, mask, masked):
        score = brier_score(probs, label, mask=mask if masked else None)
        for case in range(BATCH):
            y_prob, y_true = rows(probs[case], label[case], mask[case] if masked else None)
            expected = np.mean(((y_prob - np.eye(CLASSES)[y_true]) ** 2).sum(axis=1))
            assert score[case].item() == pytest.approx(expected, rel=1e-13)

    def test_likelihood_matches_sklearn(self, probs, label, mask, masked):
        # Softmax in float64 sums to one to the last digit, which sklearn insists on.
        probs = torch.softmax(probs.double().log(), dim=1)
        score = negative_log_likelihood(probs, label, mask=mask if masked else None)
        for case in range(BATCH):
            y_prob, y_true = rows(probs[case], label[case], mask[case] if masked else None)
            expected = sklearn.metrics.log_loss(y_true, y_prob, labels=range(CLASSES))
            assert score[case].item() == pytest.approx(expected, rel=1e-12)


class TestExtremes:
    def test_brier_of_two_classes_is_twice_the_one_class_form(self, generator):
        foreground = torch.rand(1, 1, 50, generator=generator, dtype=torch.float64)
        label = (torch.rand(1, 1, 50, generator=generator) > 0.5).long()
        score = brier_score(torch.cat([1 - foreground, foreground], dim=1), label)
        one_class = sklearn.metrics.brier_score_loss(label.ravel(), foreground.ravel())
        assert score.item() == pytest.approx(2 * one_class)

    def test_perfect_and_worst(self, label):
        right = torch.nn.functional.one_hot(label[:, 0], CLASSES).movedim(-1, 1).float()
        wrong = right.roll(1, dims=1)
        assert brier_score(right, label).tolist() == [0.0, 0.0]
        assert brier_score(wrong, label).tolist() == [2.0, 2.0]
        assert negative_log_likelihood(right, label).tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        ("dtype", "nats"),
        [(torch.float32, 87.3365), (torch.float16, 9.7041), (torch.float64, 708.3964)],
    )
    def test_probability_zero_costs_the_smallest_normal(self, dtype, nats):
        probs = torch.tensor([0.0, 1.0], dtype=dtype).view(1, 2, 1)
        score = negative_log_likelihood(probs, torch.zeros(1, 1, 1))
        assert score.item() == pytest.approx(nats, abs=1e-4)

    @pytest.mark.parametrize("classes", [2, 5])
    def test_undecided(self, classes):
        probs = torch.full((1, classes, 4), 1 / classes)
        label = torch.zeros(1, 1, 4)
        assert negative_log_likelihood(probs, label).item() == pytest.approx(math.log(classes))
        assert brier_score(probs, label).item() == pytest.approx(1 - 1 / classes)


@pytest.mark.parametrize("score", SCORES)
class TestBoth:
    def test_is_float64_per_case(self, score, probs, label):
        assert score(probs, label).shape == (BATCH,)
        assert score(probs, label).dtype == torch.float64

    def test_case_without_valid_voxel_is_nan(self, score, probs, label, mask):
        mask[0] = False
        assert score(probs, label, mask=mask).isnan().tolist() == [True, False]

    def test_outside_the_mask_anything_goes(self, score, probs, label, mask):
        spoilt_probs = torch.where(mask, probs, torch.full_like(probs, math.nan))
        spoilt_label = torch.where(mask, label, torch.full_like(label, 255))
        assert torch.equal(
            score(spoilt_probs, spoilt_label, mask=mask), score(probs, label, mask=mask)
        )

    def test_chunks_change_nothing(self, score, probs, label, mask, monkeypatch):
        whole = score(probs, label, mask=mask)
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        torch.testing.assert_close(score(probs, label, mask=mask), whole, rtol=1e-13, atol=0)

    def test_order_of_classes_does_not_matter(self, score, probs, label):
        torch.testing.assert_close(
            score(probs.roll(1, dims=1), (label + 1) % CLASSES), score(probs, label)
        )

    def test_batch_is_its_cases(self, score, probs, label):
        each = [score(probs[[case]], label[[case]]) for case in range(BATCH)]
        assert torch.equal(torch.cat(each), score(probs, label))

    def test_subclass_gives_plain_tensor(self, score, probs, label):
        from monai.data import MetaTensor

        result = score(MetaTensor(probs), MetaTensor(label))
        assert type(result) is torch.Tensor
        assert torch.equal(result, score(probs, label))

    def test_leaves_inputs_untouched(self, score, probs, label, mask):
        before = [tensor.clone() for tensor in (probs, label, mask)]
        score(probs, label, mask=mask)
        score(probs.double(), label, mask=mask)
        for tensor, old in zip((probs, label, mask), before, strict=True):
            assert torch.equal(tensor, old)

    def test_leaves_float64_input_untouched(self, score, probs, label):
        wide = probs.double()
        score(wide, label)
        assert torch.equal(wide, probs.double())

    def test_rejects_nan(self, score, probs, label):
        with pytest.raises(ValueError, match="`probs` to be finite at every valid voxel"):
            score(torch.full_like(probs, math.nan), label)

    def test_rejects_label_out_of_range(self, score, probs, label):
        with pytest.raises(ValueError, match="`label` to be class indices from 0 to 2"):
            score(probs, label + 1)

    def test_rejects_label_of_other_size(self, score, probs, label):
        with pytest.raises(ValueError, match=r"`label` of shape \(B, 1, \*spatial\)"):
            score(probs, label[..., :-1])
