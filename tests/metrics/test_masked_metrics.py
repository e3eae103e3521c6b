"""What holds for each of the metrics with a mask."""

from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor

from medkd.functional import (
    area_under_risk_coverage,
    brier_score,
    entropy_error_bins,
    error_detection_auroc,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
)
from medkd.metrics import (
    AreaUnderRiskCoverageMetric,
    BrierScoreMetric,
    ErrorDetectionMetric,
    ExpectedCalibrationErrorMetric,
    NegativeLogLikelihoodMetric,
)

BATCH, CLASSES = 4, 3


def error_of_bins(probs, label, *, mask=None):
    return expected_calibration_error(reliability_bins(probs, label, mask=mask))


def area_of_bins(probs, label, *, mask=None):
    return area_under_risk_coverage(entropy_error_bins(probs, label, mask=mask))


def detection_of_bins(probs, label, *, mask=None):
    return error_detection_auroc(entropy_error_bins(probs, label, mask=mask))


pytestmark = pytest.mark.parametrize(
    ("metric_class", "function"),
    [
        (ExpectedCalibrationErrorMetric, error_of_bins),
        (BrierScoreMetric, brier_score),
        (NegativeLogLikelihoodMetric, negative_log_likelihood),
        (AreaUnderRiskCoverageMetric, area_of_bins),
        (ErrorDetectionMetric, detection_of_bins),
    ],
    ids=["ece", "brier", "nll", "aurc", "error_auroc"],
)


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def cases(request):
    """Probabilities, label and mask."""
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(BATCH, CLASSES, *request.param, generator=generator)
    label = torch.randint(0, CLASSES, (BATCH, 1, *request.param), generator=generator)
    mask = torch.rand(BATCH, 1, *request.param, generator=generator) > 0.3
    return torch.softmax(logits, dim=1), label, mask


def test_metric_equals_function(metric_class, function, cases):
    probs, label, mask = cases
    metric = metric_class()
    scores = metric(y_pred=probs, y=label, mask=mask)
    expected = function(probs, label, mask=mask)
    assert scores.shape == (BATCH, 1)
    assert scores.dtype == torch.float64
    assert torch.equal(scores[:, 0], expected)
    assert metric.aggregate().item() == pytest.approx(expected.mean().item(), rel=1e-14)


@pytest.mark.parametrize("sizes", [(4,), (1, 1, 1, 1), (3, 1)])
def test_streaming_equals_whole(metric_class, function, cases, sizes):
    metric = metric_class()
    for parts in zip(*(tensor.split(sizes) for tensor in cases), strict=True):
        metric(*parts)
    probs, label, mask = cases
    buffer = metric.get_buffer()
    assert buffer.dtype == torch.float64
    assert torch.equal(buffer[:, 0], function(probs, label, mask=mask))


def test_list_of_cases_of_different_sizes(metric_class, function, cases):
    probs, label, mask = (tensor[:2] for tensor in cases)
    small = [tensor[0, ..., :-1] for tensor in (probs, label, mask)]
    metric = metric_class()
    scores = metric(
        *([one, tensor[1]] for one, tensor in zip(small, (probs, label, mask), strict=True))
    )
    assert torch.equal(scores[1, 0], function(probs, label, mask=mask)[1])
    small_probs, small_label, small_mask = (tensor.unsqueeze(0) for tensor in small)
    assert torch.equal(scores[0], function(small_probs, small_label, mask=small_mask))


def test_without_mask(metric_class, function, cases):
    probs, label, _ = cases
    metric = metric_class()
    batch = metric(probs, label)
    assert torch.equal(batch[:, 0], function(probs, label))
    assert torch.equal(metric(list(probs), list(label)), batch)


def test_case_without_valid_voxel_is_left_out(metric_class, function, cases):
    probs, label, mask = cases
    mask[1] = False
    metric = metric_class(get_not_nans=True)
    metric(probs, label, mask)
    mean, count = metric.aggregate()
    expected = function(probs, label, mask=mask)
    assert expected.isnan().tolist() == [False, True, False, False]
    assert mean.item() == pytest.approx(expected.nanmean().item(), rel=1e-14)
    assert count.item() == BATCH - 1
    assert metric.get_buffer()[1].isnan().all()


def test_no_valid_voxel_at_all_is_nan_not_the_best_score(metric_class, function, cases):  # noqa: ARG001
    probs, label, mask = cases
    metric = metric_class()
    metric(probs, label, torch.zeros_like(mask))
    assert metric.aggregate().isnan()
    assert metric.aggregate("mean_batch").isnan().all()


def test_reductions_of_monai(metric_class, function, cases):
    probs, label, _ = cases
    metric = metric_class(reduction="none")
    metric(probs, label)
    expected = function(probs, label)
    assert torch.equal(metric.aggregate()[:, 0], expected)
    assert metric.aggregate("sum").item() == pytest.approx(expected.sum().item())
    assert metric.aggregate("mean_batch").tolist() == pytest.approx([expected.mean().item()])


def test_meta_tensors_of_monai(metric_class, function, cases):
    probs, label, mask = cases
    metric = metric_class()
    metric(*(MetaTensor(tensor) for tensor in (probs, label, mask)))
    assert type(metric.get_buffer()) is torch.Tensor
    assert torch.equal(metric.get_buffer()[:, 0], function(probs, label, mask=mask))


def test_reset_forgets(metric_class, function, cases):
    probs, label, _ = cases
    metric = metric_class()
    metric(probs.roll(1, dims=1), label)
    metric.reset()
    assert metric.get_buffer() is None
    metric(probs, label)
    assert metric.aggregate().item() == pytest.approx(function(probs, label).mean().item())


def test_rejects_aggregation_of_nothing(metric_class, function):  # noqa: ARG001
    with pytest.raises(RuntimeError, match="to be called before it is aggregated, but got no case"):
        metric_class().aggregate()


def test_rejects_reduction(metric_class, function):  # noqa: ARG001
    with pytest.raises(ValueError, match=r"`reduction` to be one of .*'mean'.*but got 'median'"):
        metric_class(reduction="median")


def test_rejects_lists_of_different_lengths(metric_class, function, cases):  # noqa: ARG001
    probs, label, mask = cases
    with pytest.raises(ValueError, match="of one length, but got 4, 4 and 3"):
        metric_class()(list(probs), list(label), list(mask[:3]))


def test_rejects_diverged_network(metric_class, function, cases):  # noqa: ARG001
    probs, label, _ = cases
    with pytest.raises(ValueError, match="Expected `probs` to be"):
        metric_class()(torch.full_like(probs, math.nan), label)
