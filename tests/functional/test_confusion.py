from __future__ import annotations

import math

import pytest
import sklearn.metrics
import torch
from monai.metrics import compute_confusion_matrix_metric, get_confusion_matrix

from medkd.functional import confusion_counts, matthews_correlation

BATCH, CLASSES = 2, 3


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def pred_label(label, generator):
    noise = torch.randint(0, CLASSES, label.shape, generator=generator)
    return torch.where(torch.rand(label.shape, generator=generator) > 0.6, noise, label)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def correlation(hits, false_alarms, misses, rejections):
    counts = torch.tensor([[[rejections, false_alarms], [misses, hits]]])
    return matthews_correlation(counts)[0, 1].item()


class TestConfusionCounts:
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_sklearn(self, pred_label, label, mask, masked):
        counts = confusion_counts(
            pred_label, label, num_classes=CLASSES, mask=mask if masked else None
        )
        for case in range(BATCH):
            inside = mask[case] if masked else torch.ones_like(mask[case])
            expected = sklearn.metrics.confusion_matrix(
                label[case][inside], pred_label[case][inside], labels=range(CLASSES)
            )
            assert counts[case].tolist() == expected.tolist()

    def test_leaves_inputs_untouched(self, pred_label, label):
        before = pred_label.clone(), label.clone()
        confusion_counts(pred_label, label, num_classes=CLASSES)
        assert torch.equal(pred_label, before[0])
        assert torch.equal(label, before[1])

    def test_rejects_prediction_out_of_range(self, pred_label, label):
        with pytest.raises(ValueError, match="`pred_label` to be class indices from 0 to 2"):
            confusion_counts(pred_label + 1, label, num_classes=CLASSES)

    def test_rejects_probabilities(self, pred_label, label):
        with pytest.raises(ValueError, match="`pred_label` to be class indices, but got fractions"):
            confusion_counts(pred_label * 0.4, label, num_classes=CLASSES)

    def test_rejects_one_class(self, pred_label, label):
        with pytest.raises(ValueError, match="`num_classes` to be at least 2, but got 1"):
            confusion_counts(pred_label, label, num_classes=1)


class TestMatthewsCorrelation:
    def test_matches_sklearn_class_by_class(self, pred_label, label):
        scores = matthews_correlation(confusion_counts(pred_label, label, num_classes=CLASSES))
        for case in range(BATCH):
            for index in range(CLASSES):
                expected = sklearn.metrics.matthews_corrcoef(
                    label[case].ravel() == index, pred_label[case].ravel() == index
                )
                assert scores[case, index].item() == pytest.approx(expected, rel=1e-12)

    def test_matches_monai_on_a_small_image(self, pred_label, label):
        one_hot = [
            torch.nn.functional.one_hot(x[:, 0], CLASSES).movedim(-1, 1)
            for x in (pred_label, label)
        ]
        expected = compute_confusion_matrix_metric("mcc", get_confusion_matrix(*one_hot))
        scores = matthews_correlation(confusion_counts(pred_label, label, num_classes=CLASSES))
        torch.testing.assert_close(scores.float(), expected)

    def test_extremes(self):
        assert correlation(5, 0, 0, 20) == 1.0
        assert correlation(0, 20, 5, 0) == -1.0
        assert correlation(4, 8, 2, 4) == 0.0  # independent of the label

    def test_nothing_found_is_zero_not_missing(self):
        assert correlation(0, 0, 5, 20) == 0.0
        assert correlation(5, 20, 0, 0) == 0.0

    def test_nothing_to_find_is_nan(self):
        assert math.isnan(correlation(0, 0, 0, 25))
        assert math.isnan(correlation(0, 3, 0, 22))
        assert math.isnan(correlation(25, 0, 0, 0))
        assert math.isnan(correlation(0, 0, 0, 0))

    def test_is_exact_where_monai_loses_the_false_positives(self):
        """Ten voxels found, three false alarms, among 30 million: MONAI's counts, as it makes them.

        float32 has steps of 2 and 4 there, and MONAI takes the false positives as a difference.
        """
        voxels, hits, false_alarms, misses = 30_000_001, 10, 3, 2
        rejections = voxels - hits - false_alarms - misses
        expected = (hits * rejections - false_alarms * misses) / math.sqrt(
            (hits + false_alarms)
            * (hits + misses)
            * (rejections + false_alarms)
            * (rejections + misses)
        )
        value = correlation(hits, false_alarms, misses, rejections)
        assert value == pytest.approx(expected, rel=1e-14)

        label = torch.zeros(1, 1, voxels, dtype=torch.uint8)
        pred_label = torch.zeros_like(label)
        label[..., : hits + misses] = 1
        pred_label[..., misses : hits + misses + false_alarms] = 1
        ours = matthews_correlation(confusion_counts(pred_label, label, num_classes=2))[0, 1].item()
        assert ours == value
        monai = compute_confusion_matrix_metric("mcc", get_confusion_matrix(pred_label, label))
        assert abs(monai.item() - expected) > 0.01

    def test_products_beyond_int64(self):
        huge = 10**17
        assert correlation(huge, huge, huge, 5 * huge) == pytest.approx((5 - 1) / (2 * 6))

    def test_rejects_float_counts(self):
        with pytest.raises(TypeError, match=r"`counts` of dtype torch\.int64"):
            matthews_correlation(torch.zeros(1, 2, 2))

    def test_rejects_other_shape(self):
        with pytest.raises(
            ValueError, match=r"`counts` of shape \(B, C, C\), but got shape \(2, 2\)"
        ):
            matthews_correlation(torch.zeros(2, 2, dtype=torch.int64))
