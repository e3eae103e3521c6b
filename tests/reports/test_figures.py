from __future__ import annotations

import io
import math
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from medkd.functional import (
    ErrorBins,
    ReliabilityBins,
    area_under_risk_coverage,
    expected_calibration_error,
)
from medkd.reports import (
    plot_case,
    plot_case_scores,
    plot_reliability,
    plot_risk_coverage,
    plot_training_curves,
)
from medkd.reports.case_overlays import (
    class_picture,
    cropped_to_mask,
    error_picture,
    trust_picture,
)
from medkd.reports.case_scores_figure import sorted_case_ids
from medkd.reports.figure_style import (
    CLASS_COLORS,
    ERROR_COLORS,
    TRUST_COLORS,
    UNSCORED,
    method_styles,
)
from medkd.reports.reliability_figure import pooled_curve
from medkd.reports.risk_coverage_figure import pooled_risk_curve
from medkd.reports.training_figure import curve_names, needs_logarithm


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as figure:
        return figure.size


class TestReliability:
    def test_pools_the_cases(self, make_method):
        bins = make_method("student").reliability["band"]
        curve = pooled_curve(bins)
        count = bins.count.numpy().sum(axis=0)
        filled = count > 0
        np.testing.assert_allclose(
            curve.accuracy[filled], bins.correct.numpy().sum(axis=0)[filled] / count[filled]
        )
        assert np.isnan(curve.accuracy[~filled]).all()
        assert curve.share.sum() == pytest.approx(100)
        assert curve.error == pytest.approx(expected_calibration_error(bins.pooled()).item())

    def test_empty_bins_have_no_curve(self):
        zeros = torch.zeros(2, 15, dtype=torch.int64)
        assert pooled_curve(ReliabilityBins(zeros, zeros, zeros.double())) is None

    def test_draws_ten_methods_in_rows(self, make_method, make_results):
        methods = [make_method(f"method {i}", seed=i) for i in range(10)]
        width, height = size(plot_reliability(make_results(methods), "band"))
        assert (width, height) == (1840, 3 * 600)

    def test_rejects_a_region_without_bins(self, make_results):
        with pytest.raises(ValueError, match="Expected `reliability` of all pixels"):
            plot_reliability(make_results(), "all pixels")


class TestRiskCoverage:
    def test_pools_the_cases(self, make_method):
        bins = make_method("student").errors["field of view"]
        curve = pooled_risk_curve(bins)
        right, wrong = bins.right.numpy().sum(), bins.wrong.numpy().sum()
        assert curve.error_rate == pytest.approx(100 * wrong / (right + wrong))
        assert curve.area == pytest.approx(area_under_risk_coverage(bins.pooled()).item())

    def test_is_the_share_of_wrong_ones_among_the_surest(self):
        bins = ErrorBins(right=torch.tensor([[5, 0, 4]]), wrong=torch.tensor([[0, 0, 1]]))
        curve = pooled_risk_curve(bins)
        assert curve.coverage[0] == 0
        assert np.isnan(curve.risk[curve.coverage < 0.5]).all()
        assert curve.risk[curve.coverage == 0.5] == 0
        assert curve.risk[-1] == pytest.approx(10)

    def test_empty_bins_have_no_curve(self):
        zeros = torch.zeros(2, 5, dtype=torch.int64)
        assert pooled_risk_curve(ErrorBins(zeros, zeros)) is None

    def test_draws_eight_methods_and_one_without_an_error(self, eight_methods, make_results):
        assert size(plot_risk_coverage(make_results(eight_methods))) == (1840, 736)
        bins = ErrorBins(right=torch.tensor([[5, 4]]), wrong=torch.tensor([[0, 0]]))
        perfect = replace(eight_methods[0], errors={"field of view": bins})
        assert plot_risk_coverage(make_results([perfect]))

    def test_rejects_methods_without_bins(self, make_method, make_results):
        with pytest.raises(ValueError, match="Expected `errors` of field of view"):
            plot_risk_coverage(make_results([replace(make_method("a"), errors={})]))


class TestTrainingCurves:
    @pytest.mark.parametrize(
        ("quantity", "values", "expected"),
        [
            ("val_nll", [34.0, 0.1], True),
            ("val_nll", [0.5, 0.1], False),
            ("loss", [34.0, 0.1, math.nan], True),
            ("loss", [34.0, -0.1], False),
            ("val_dice", [0.01, 0.9], False),
            ("learning_rate", [1e-2, 1e-6], False),
            ("kl", [], False),
        ],
    )
    def test_a_wide_span_of_losses_has_a_logarithmic_axis(self, quantity, values, expected):
        histories = {"student": [{quantity: value} for value in values]}
        assert needs_logarithm(histories, quantity) is expected

    def test_orders_quantities_and_drops_those_without_a_value(self):
        rows = [
            {
                "epoch": 1,
                "learning_rate": 1.0,
                "val_dice": 0.5,
                "kl": 1.0,
                "x": math.nan,
                "seconds": 2,
            }
        ]
        assert curve_names({"student": [*rows, {"loss": 1.0}]}) == [
            "loss",
            "kl",
            "val_dice",
            "learning_rate",
        ]

    def test_draws_rows_with_gaps(self, make_results):
        rows = [{"epoch": 1.0, "loss": 1.0}, {"loss": math.nan}, {"epoch": 3.0, "val_nll": 0.5}]
        assert plot_training_curves(make_results(histories={"student": rows}))

    def test_rejects_histories_without_a_quantity(self, make_results):
        with pytest.raises(ValueError, match="Expected `histories` with a quantity"):
            plot_training_curves(make_results(histories={"student": [{"epoch": 1.0}]}))


class TestCaseScores:
    def test_sorts_by_the_student_with_unscored_cases_last(self, make_method, make_results):
        methods = [make_method("student", dice=[0.9, math.nan, 0.1]), make_method("single")]
        assert sorted_case_ids(make_results(methods), "dice") == ["c", "a", "b"]

    @pytest.mark.parametrize("num_cases", [1, 60])
    def test_has_one_size_for_any_number_of_cases(self, make_method, make_results, num_cases):
        case_ids = [f"a very long name of case {i}" for i in range(num_cases)]
        method = make_method("student", case_ids=case_ids)
        assert size(plot_case_scores(make_results([method]))) == (1840, 624)


class TestCasePicture:
    def test_crops_to_the_mask(self, make_picture):
        cropped = cropped_to_mask(make_picture())
        assert cropped.label.shape == (19, 15)
        assert cropped.mask.all()
        np.testing.assert_array_equal(cropped.label, make_picture().label[2:-3, 1:-4])

    def test_an_empty_mask_is_not_cropped(self, make_picture):
        picture = replace(make_picture(), mask=np.zeros((24, 20), dtype=bool))
        assert cropped_to_mask(picture) is picture

    def test_errors_have_their_colors(self):
        label = np.array([[0, 0, 1, 1, 1, 1]])
        prediction = np.array([[0, 1, 1, 0, 2, 1]])
        mask = np.array([[True] * 5 + [False]])
        image = np.ones((1, 6))
        shown = error_picture(image, label, prediction, mask)[0]
        kinds = ["false positive", "correct", "missed", "wrong class"]
        expected = [to_rgb(ERROR_COLORS[kind]) for kind in kinds] + [to_rgb(UNSCORED)]
        np.testing.assert_allclose(shown[1:], expected, atol=1e-6)
        assert (shown[0] == shown[0, 0]).all()  # dimmed gray
        assert 0 < shown[0, 0] < 1
        assert (image == 1).all()

    def test_trust_has_its_colors(self):
        is_wrong = np.array([[False, False, True, True, True, True]])
        uncertainty = np.array([[0.1, 0.9, 0.1, 0.9, np.nan, 0.9]])
        mask = np.array([[True] * 5 + [False]])
        shown = trust_picture(np.ones((1, 6)), is_wrong, uncertainty, mask, threshold=0.5)[0]
        kinds = ["right but unsure", "wrong and sure", "wrong but unsure", "wrong and sure"]
        expected = [to_rgb(TRUST_COLORS[kind]) for kind in kinds] + [to_rgb(UNSCORED)]
        np.testing.assert_allclose(shown[1:], expected, atol=1e-6)
        assert (shown[0] == shown[0, 0]).all()  # the image alone

    def test_shows_ensemble_and_student_of_eight(self, make_picture, make_results, eight_methods):
        picture = make_picture()
        maps = picture.methods["student"]
        many = replace(picture, methods={method.name: maps for method in eight_methods})
        assert size(plot_case(make_results(eight_methods), many)) == size(
            plot_case(make_results(eight_methods), picture)
        )

    def test_classes_have_their_colors(self):
        shown = class_picture(np.array([[0, 1, 20]]), None)[0]
        np.testing.assert_allclose(shown[0], to_rgb(CLASS_COLORS[0]), atol=1e-6)
        np.testing.assert_allclose(shown[2], to_rgb(CLASS_COLORS[2]), atol=1e-6)  # starts again

    def test_draws_several_classes_without_mask_and_gray_with_nan(self, make_picture, make_results):
        picture = make_picture(num_classes=4, has_mask=False)
        picture = replace(picture, image=np.full((24, 20), np.nan))
        results = make_results(class_names=["background", "liver", "spleen", "kidney"])
        assert size(plot_case(results, picture))[0] == 1840

    @pytest.mark.parametrize("shape", [(3, 200), (200, 3)])
    def test_draws_extreme_shapes_and_no_method(self, make_picture, make_results, shape):
        picture = replace(
            make_picture(),
            image=np.zeros(shape),
            label=np.zeros(shape, dtype=int),
            mask=None,
            methods={},
        )
        assert size(plot_case(make_results(), picture))[0] == 1840


class TestStyle:
    def test_ten_methods_look_different(self, make_method):
        names = ["single", "deep_ensemble", "student", *(f"other {i}" for i in range(7))]
        styles = method_styles([make_method(name) for name in names])
        assert len({style.color for style in styles.values()}) == 10
        assert len({style.marker for style in styles.values()}) == 10

    def test_eight_known_methods_look_alike_in_all_reports(self, eight_methods):
        styles = method_styles(eight_methods)
        assert len({style.color for style in styles.values()}) == 8
        assert method_styles(eight_methods[::-3]) == {
            method.name: styles[method.name] for method in eight_methods[::-3]
        }

    def test_drawing_leaves_matplotlib_as_it_was(self, make_results):
        before = dict(mpl.rcParams)
        plot_case_scores(make_results())
        assert dict(mpl.rcParams) == before
