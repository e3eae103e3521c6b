from __future__ import annotations

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.functional import (
    area_under_risk_coverage,
    entropy_error_bins,
    error_detection_auroc,
    excess_area_under_risk_coverage,
)
from medkd.metrics import AreaUnderRiskCoverageMetric, ErrorDetectionMetric


@pytest.fixture
def cases():
    generator = torch.Generator().manual_seed(8)
    probs = torch.softmax(torch.randn(3, 2, 9, 8, generator=generator), dim=1)
    return probs, torch.randint(0, 2, (3, 1, 9, 8), generator=generator)


class TestAreaUnderRiskCoverageMetric:
    def test_keeps_the_bins_of_all_cases(self, cases):
        probs, label = cases
        metric = AreaUnderRiskCoverageMetric()
        metric(probs[:2], label[:2])
        metric(probs[2:], label[2:])
        kept, whole = metric.error_bins(), entropy_error_bins(probs, label)
        assert kept.right.dtype == kept.wrong.dtype == torch.int64
        assert torch.equal(kept.right, whole.right)
        assert torch.equal(kept.wrong, whole.wrong)

    def test_bins_of_a_new_round_are_new(self, cases):
        metric = AreaUnderRiskCoverageMetric()
        metric(*cases)
        metric.reset()
        with pytest.raises(RuntimeError, match="to be called before its bins are read"):
            metric.error_bins()
        metric(*cases)
        bins = metric.error_bins()
        assert (bins.right + bins.wrong).sum().item() == cases[1].numel()

    def test_excess_is_the_area_above_the_oracle(self, cases):
        bins = entropy_error_bins(*cases)
        area, excess = AreaUnderRiskCoverageMetric(), AreaUnderRiskCoverageMetric(excess=True)
        assert torch.equal(area(*cases)[:, 0], area_under_risk_coverage(bins))
        assert torch.equal(excess(*cases)[:, 0], excess_area_under_risk_coverage(bins))
        assert 0 < excess.aggregate() < area.aggregate()


class TestErrorDetectionMetric:
    def test_case_without_an_error_is_left_out(self, cases):
        probs, label = cases
        label[1] = probs[1].argmax(dim=0)
        metric = ErrorDetectionMetric(get_not_nans=True)
        metric(probs, label)
        mean, count = metric.aggregate()
        area = error_detection_auroc(entropy_error_bins(probs, label))
        assert area.isnan().tolist() == [False, True, False]
        assert count.item() == 2
        assert mean.item() == pytest.approx(area[[0, 2]].mean().item(), rel=1e-14)


@pytest.mark.parametrize(
    "config",
    [
        {"_target_": "medkd.metrics.AreaUnderRiskCoverageMetric", "excess": True},
        {"_target_": "medkd.metrics.ErrorDetectionMetric", "reduction": "none"},
    ],
    ids=["aurc", "auroc"],
)
def test_from_json(config, cases):
    metric = ConfigParser({"metric": config}).get_parsed_content("metric")
    metric(*cases)
    assert torch.isfinite(metric.aggregate()).all()
