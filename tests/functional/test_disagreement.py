from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from medkd.functional import (
    DisagreementSums,
    disagreement_correlation,
    disagreement_sums,
)
from medkd.functional import _voxels as voxels_module

BATCH = 2
FIELDS = ("count", "mean", "squared_deviation")


@pytest.fixture
def maps(spatial, generator):
    """Uncertainty, the labels of two observers, and a mask."""
    shape = (BATCH, 1, *spatial)
    label, second_label = (torch.randint(0, 3, shape, generator=generator) for _ in range(2))
    noise = torch.rand(shape, generator=generator, dtype=torch.float64)
    uncertainty = noise + 0.3 * (label != second_label)
    return uncertainty, label, second_label, torch.rand(shape, generator=generator) > 0.4


def assert_sums_close(sums, expected):
    assert torch.equal(sums.count, expected.count)
    for name in FIELDS[1:]:
        torch.testing.assert_close(
            getattr(sums, name), getattr(expected, name), rtol=1e-12, atol=1e-15
        )


class TestDisagreementCorrelation:
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_scipy(self, maps, masked):
        uncertainty, label, second_label, mask = maps
        sums = disagreement_sums(uncertainty, label, second_label, mask=mask if masked else None)
        correlation = disagreement_correlation(sums)
        assert correlation.shape == (BATCH,)
        assert correlation.dtype == torch.float64
        for case in range(BATCH):
            inside = mask[case] if masked else torch.ones_like(mask[case])
            expected = stats.pearsonr(
                uncertainty[case][inside].numpy(),
                (label != second_label)[case][inside].double().numpy(),
            ).statistic
            assert correlation[case].item() == pytest.approx(expected, rel=1e-12)

    def test_is_one_where_unsure_and_minus_one_where_sure(self, maps):
        differs = (maps[1] != maps[2]).float()
        for uncertainty, expected in ((differs, 1.0), (1 - differs, -1.0)):
            sums = disagreement_sums(uncertainty, *maps[1:3])
            assert disagreement_correlation(sums).tolist() == [expected] * BATCH

    def test_shift_and_scale_change_nothing(self, maps):
        uncertainty, label, second_label, _ = maps
        expected = disagreement_correlation(disagreement_sums(uncertainty, label, second_label))
        moved = disagreement_sums(7 * uncertainty + 3, label, second_label)
        torch.testing.assert_close(disagreement_correlation(moved), expected, rtol=1e-12, atol=0)

    def test_small_spread_about_a_large_mean(self, maps):
        """Sums of squares would have no digit left here: the spread is 1e-9 of the mean."""
        uncertainty, label, second_label, _ = maps
        expected = disagreement_correlation(disagreement_sums(uncertainty, label, second_label))
        moved = disagreement_sums(uncertainty + 1e9, label, second_label)
        torch.testing.assert_close(disagreement_correlation(moved), expected, rtol=1e-5, atol=0)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_is_nan_where_nothing_varies(self, maps, dtype, monkeypatch):
        _, label, second_label, _ = maps
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        constant = torch.full_like(label, 0.1, dtype=dtype)
        sums = disagreement_sums(constant, label, second_label)
        assert disagreement_correlation(sums).isnan().all()
        assert disagreement_correlation(sums.pooled()).isnan().all()

    def test_is_nan_where_observers_agree_or_nothing_is_valid(self, maps):
        uncertainty, label, _, mask = maps
        assert disagreement_correlation(disagreement_sums(uncertainty, label, label)).isnan().all()
        never = disagreement_sums(uncertainty, label, label + 1)
        assert disagreement_correlation(never).isnan().all()
        mask[1] = False
        sums = disagreement_sums(*maps[:3], mask=mask)
        assert disagreement_correlation(sums).isnan().tolist() == [False, True]
        assert not disagreement_correlation(sums.pooled()).isnan().any()

    def test_is_exact_for_a_volume(self):
        """Two parts of 78 million voxels each, put together from their moments."""
        half = DisagreementSums(
            count=torch.tensor([[77_000_000, 1_000_000]]),
            mean=torch.tensor([[0.01, 0.4]], dtype=torch.float64),
            squared_deviation=torch.tensor([[77_000.0, 20_000.0]], dtype=torch.float64),
        )
        both = half + half
        assert both.count.tolist() == [[154_000_000, 2_000_000]]
        between = 0.39**2 * 77 / 78 * 1_000_000
        expected = math.sqrt(between / (97_000 + between))
        for sums in (half, both):
            assert disagreement_correlation(sums).item() == pytest.approx(expected, rel=1e-14)


class TestDisagreementSums:
    def test_chunks_change_nothing(self, maps, monkeypatch):
        whole = disagreement_sums(*maps[:3], mask=maps[3])
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        assert_sums_close(disagreement_sums(*maps[:3], mask=maps[3]), whole)

    def test_layout(self, maps):
        sums = disagreement_sums(*maps[:3])
        assert all(getattr(sums, name).shape == (BATCH, 2) for name in FIELDS)
        assert [getattr(sums, name).dtype for name in FIELDS] == [torch.int64] + [torch.float64] * 2

    def test_parts_add_up_to_the_whole(self, maps):
        parts = (disagreement_sums(*(m[..., p] for m in maps[:3])) for p in (slice(2), slice(2, 9)))
        first, second = parts
        assert_sums_close(first + second, disagreement_sums(*maps[:3]))

    def test_nothing_added_changes_nothing(self, maps):
        sums = disagreement_sums(*maps[:3])
        nothing = disagreement_sums(*maps[:3], mask=torch.zeros_like(maps[3]))
        for total in (sums + nothing, nothing + sums):
            for name in FIELDS:
                assert torch.equal(getattr(total, name), getattr(sums, name))

    def test_pooled_is_one_long_case(self, maps):
        long = (torch.cat(list(part), dim=-1).unsqueeze(0) for part in maps[:3])
        assert_sums_close(disagreement_sums(*maps[:3]).pooled(), disagreement_sums(*long))

    def test_outside_the_mask_anything_goes(self, maps):
        uncertainty, label, second_label, mask = maps
        spoilt = torch.where(mask, uncertainty, torch.full_like(uncertainty, math.nan))
        sums = disagreement_sums(spoilt, label, torch.where(mask, second_label, 9), mask=mask)
        assert_sums_close(sums, disagreement_sums(*maps[:3], mask=mask))

    def test_leaves_inputs_untouched(self, maps):
        before = [tensor.clone() for tensor in maps]
        disagreement_sums(*maps[:3], mask=maps[3])
        for tensor, old in zip(maps, before, strict=True):
            assert torch.equal(tensor, old)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_rejects_what_is_not_finite(self, maps, value):
        uncertainty, label, second_label, _ = maps
        uncertainty[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match="`uncertainty` to be finite at every valid voxel"):
            disagreement_sums(uncertainty, label, second_label)

    def test_rejects_other_shapes(self, maps):
        uncertainty, label, second_label, _ = maps
        with pytest.raises(ValueError, match="`second_label` of the shape of `label`"):
            disagreement_sums(uncertainty, label, second_label[..., 1:])
        with pytest.raises(ValueError, match="Expected `label` of shape"):
            disagreement_sums(uncertainty, label[..., 1:], second_label)
        with pytest.raises(ValueError, match="Expected `uncertainty` of shape"):
            disagreement_sums(uncertainty[:, 0, 0], label, second_label)

    def test_rejects_adding_other_cases(self, maps):
        sums = disagreement_sums(*maps[:3])
        with pytest.raises(ValueError, match=r"of one shape.*\(2, 2\) and \(1, 2\)"):
            sums + sums.pooled()
