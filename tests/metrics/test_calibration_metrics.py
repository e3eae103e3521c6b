"""What the metrics of the calibration family have beside what every metric with a mask has."""

from __future__ import annotations

import math

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.metrics import CalibrationErrorMetric

from medkd.functional import (
    adaptive_calibration_error,
    brier_decomposition,
    brier_score,
    classwise_bins,
    classwise_calibration_error,
    maximum_calibration_error,
    reliability_bins,
)
from medkd.metrics import (
    AdaptiveCalibrationErrorMetric,
    BrierDecompositionMetric,
    ClasswiseCalibrationErrorMetric,
    MaximumCalibrationErrorMetric,
)

BATCH, CLASSES, NUM_BINS = 4, 3, 7


def maximum(probs, label, mask=None):
    bins = reliability_bins(probs, label, num_bins=NUM_BINS, mask=mask)
    return maximum_calibration_error(bins).unsqueeze(1)


def classwise(probs, label, mask=None):
    return classwise_calibration_error(classwise_bins(probs, label, num_bins=NUM_BINS, mask=mask))


def adaptive(probs, label, mask=None):
    return adaptive_calibration_error(probs, label, num_bins=NUM_BINS, mask=mask).unsqueeze(1)


def brier(probs, label, mask=None):
    return brier_score(probs, label, mask=mask).unsqueeze(1)


EVERY_METRIC = pytest.mark.parametrize(
    ("metric_class", "function"),
    [
        (MaximumCalibrationErrorMetric, maximum),
        (ClasswiseCalibrationErrorMetric, classwise),
        (AdaptiveCalibrationErrorMetric, adaptive),
        (BrierDecompositionMetric, brier),
    ],
    ids=["maximum", "classwise", "adaptive", "brier"],
)


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def cases(request):
    """Probabilities, label and mask."""
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(BATCH, CLASSES, *request.param, generator=generator)
    label = torch.randint(0, CLASSES, (BATCH, 1, *request.param), generator=generator)
    mask = torch.rand(BATCH, 1, *request.param, generator=generator) > 0.3
    return torch.softmax(logits, dim=1), label, mask


@EVERY_METRIC
def test_metric_equals_function(metric_class, function, cases):
    metric = metric_class(num_bins=NUM_BINS)
    scores = metric(*cases)
    assert scores.dtype == torch.float64
    torch.testing.assert_close(scores, function(*cases), rtol=1e-13, atol=1e-15)
    expected = scores.mean().item()
    assert metric.aggregate().item() == pytest.approx(expected, rel=1e-14)


@EVERY_METRIC
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 1)])
def test_streaming_equals_whole(metric_class, function, cases, sizes):
    metric = metric_class(num_bins=NUM_BINS)
    for parts in zip(*(tensor.split(sizes) for tensor in cases), strict=True):
        metric(*parts)
    torch.testing.assert_close(metric.get_buffer(), function(*cases), rtol=1e-13, atol=1e-15)


@EVERY_METRIC
def test_list_of_cases_of_different_sizes(metric_class, function, cases):
    small = [tensor[0, ..., :-1] for tensor in cases]
    metric = metric_class(num_bins=NUM_BINS)
    scores = metric(*([one, tensor[1]] for one, tensor in zip(small, cases, strict=True)))
    torch.testing.assert_close(scores[1:], function(*(tensor[1:2] for tensor in cases)))
    torch.testing.assert_close(scores[:1], function(*(tensor[None] for tensor in small)))


@EVERY_METRIC
def test_case_without_valid_voxel_is_left_out(metric_class, function, cases):
    probs, label, mask = cases
    mask[1] = False
    metric = metric_class(num_bins=NUM_BINS, get_not_nans=True)
    metric(probs, label, mask)
    mean, count = metric.aggregate()
    expected = function(probs, label, mask)
    assert expected.isnan().any(dim=1).tolist() == [False, True, False, False]
    assert mean.item() == pytest.approx(expected.nanmean().item(), rel=1e-14)
    assert count.item() == BATCH - 1


@EVERY_METRIC
def test_no_valid_voxel_at_all_is_nan(metric_class, function, cases):  # noqa: ARG001
    probs, label, mask = cases
    metric = metric_class()
    metric(probs, label, torch.zeros_like(mask))
    assert metric.aggregate().isnan()


@EVERY_METRIC
def test_meta_tensors_of_monai(metric_class, function, cases):
    metric = metric_class(num_bins=NUM_BINS)
    metric(*(MetaTensor(tensor) for tensor in cases))
    assert type(metric.get_buffer()) is torch.Tensor
    torch.testing.assert_close(metric.get_buffer(), function(*cases))


@EVERY_METRIC
def test_reset_forgets(metric_class, function, cases):
    probs, label, mask = cases
    metric = metric_class(num_bins=NUM_BINS)
    metric(probs.roll(1, dims=1), label, mask)
    metric.reset()
    assert metric.get_buffer() is None
    torch.testing.assert_close(metric(probs, label, mask), function(probs, label, mask))


@EVERY_METRIC
def test_is_made_from_a_configuration(metric_class, function):  # noqa: ARG001
    target = f"medkd.metrics.{metric_class.__name__}"
    parser = ConfigParser({"metric": {"_target_": target, "num_bins": 4, "reduction": "none"}})
    metric = parser.get_parsed_content("metric")
    assert type(metric) is metric_class
    assert metric.num_bins == 4


@EVERY_METRIC
def test_rejects_number_of_bins(metric_class, function):  # noqa: ARG001
    with pytest.raises(ValueError, match="`num_bins` to be at least 1, but got 0"):
        metric_class(num_bins=0)


@EVERY_METRIC
def test_rejects_diverged_network(metric_class, function, cases):  # noqa: ARG001
    probs, label, _ = cases
    with pytest.raises(ValueError, match="Expected `probs` to be"):
        metric_class()(torch.full_like(probs, math.nan), label)


@EVERY_METRIC
def test_rejects_aggregation_of_nothing(metric_class, function):  # noqa: ARG001
    with pytest.raises(RuntimeError, match="to be called before it is aggregated"):
        metric_class().aggregate()


def test_mean_of_each_class(cases):
    metric = ClasswiseCalibrationErrorMetric(num_bins=NUM_BINS)
    metric(*cases)
    torch.testing.assert_close(
        metric.aggregate("mean_batch"), classwise(*cases).mean(dim=0), check_dtype=False
    )


def test_classwise_agrees_with_monai_on_a_small_image(cases):
    probs, label, _ = cases
    ours = ClasswiseCalibrationErrorMetric(num_bins=10)(probs, label)
    one_hot = torch.zeros_like(probs).scatter_(1, label, 1.0)
    theirs = CalibrationErrorMetric(num_bins=10)(y_pred=probs, y=one_hot)
    torch.testing.assert_close(ours.float(), theirs, rtol=1e-4, atol=1e-6)


def test_maximum_agrees_with_monai_on_a_small_image():
    """MONAI's error of one channel is the top-label one where that channel is always on top."""
    generator = torch.Generator().manual_seed(9)
    foreground = 0.5 + 0.5 * torch.rand(2, 1, 40, 30, generator=generator)
    label = (torch.rand(2, 1, 40, 30, generator=generator) > 0.3).long()
    ours = MaximumCalibrationErrorMetric(num_bins=10)
    ours(torch.cat([1 - foreground, foreground], dim=1), label)
    monai = CalibrationErrorMetric(num_bins=10, calibration_reduction="maximum")
    monai(y_pred=foreground, y=label)
    assert ours.aggregate().item() == pytest.approx(monai.aggregate().item(), rel=1e-4)


def test_decomposition_of_every_case(cases):
    probs, label, mask = cases
    metric = BrierDecompositionMetric(num_bins=NUM_BINS)
    for part in (slice(0, 3), slice(3, 4)):
        metric(probs[part], label[part], mask[part])
    parts = metric.decomposition()
    expected = brier_decomposition(classwise_bins(probs, label, num_bins=NUM_BINS, mask=mask))
    assert torch.equal(parts.calibration, expected.calibration)
    assert torch.equal(parts.refinement, expected.refinement)
    torch.testing.assert_close(
        parts.calibration + parts.refinement, brier_score(probs, label, mask=mask)
    )


def test_rejects_decomposition_of_nothing():
    with pytest.raises(RuntimeError, match="to be called before its parts are read"):
        BrierDecompositionMetric().decomposition()
