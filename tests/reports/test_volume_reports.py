from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from medkd.reports import (
    WHOLE_IMAGE_ENDINGS,
    CasePicture,
    MethodResult,
    VolumeGrid,
    format_table,
)
from medkd.reports.page import report_page
from medkd.reports.pair_comparisons import compare_in_pairs, compare_structures, planned_pairs
from medkd.reports.paired_test import holm_correction
from medkd.reports.report_figures import draw_figures
from medkd.reports.result_files import metrics_json

CASES = [f"scan {i}" for i in range(9)]
CLASSES = ["background", "liver", "spleen"]
STRUCTURE = [
    f"{metric}_{name}"
    for metric in ("dice", "hd95", "asd", "volume_error", "ece", "missed")
    for name in CLASSES[1:]
]
GRID = VolumeGrid(dict.fromkeys(CASES, (1.0, 1.0, 2.5)), 3.0)


@pytest.fixture(scope="module")
def volume_results(make_method, make_results):
    more = ("hd95", "asd", "volume_error", "missed", *STRUCTURE)
    methods = [
        make_method(
            name,
            seed=seed,
            case_ids=CASES,
            more=more,
            missed_spleen=[seed == 2, *[0] * 8],
            missed_liver=[0] * 9,
        )
        for seed, name in enumerate(("single", "deep_ensemble", "student"))
    ]
    return make_results(
        methods,
        class_names=CLASSES,
        regions=WHOLE_IMAGE_ENDINGS,
        grid=GRID,
        settings={"members differ by": "folds"},
    )


@pytest.fixture(scope="module")
def page(volume_results):
    return report_page(volume_results, [])


def values(method: MethodResult, metric: str) -> np.ndarray:
    return np.array(list(method.values(metric).values()))


class TestPairs:
    def test_are_those_that_are_there(self, volume_results, make_method, make_results):
        assert list(planned_pairs(volume_results)) == [
            "student minus deep_ensemble",
            "student minus single",
            "deep_ensemble minus single",
        ]
        alone = make_results([make_method("student"), make_method("single")])
        assert list(planned_pairs(alone)) == ["student minus single"]

    def test_p_values_are_scipys_and_corrected_for_three(self, volume_results):
        comparisons = compare_in_pairs(volume_results)
        assert list(comparisons) == ["dice", "hd95", "ece", "nll"]
        pairs = planned_pairs(volume_results)
        for metric, found in comparisons.items():
            expected = [
                stats.wilcoxon(values(a, metric), values(b, metric), method="exact").pvalue
                for a, b in pairs.values()
            ]
            assert [one.p_value for one in found] == pytest.approx(expected)
            assert [one.corrected_p_value for one in found] == holm_correction(expected)
            assert all(one.difference.num_cases == 9 for one in found)

    def test_structures_are_corrected_together(self, volume_results):
        found = compare_structures(volume_results, "hd95")
        assert list(found) == ["liver", "spleen"]
        tests = [one for group in found.values() for one in group]
        corrected = holm_correction([one.p_value for one in tests])
        assert [one.corrected_p_value for one in tests] == corrected
        first, second = planned_pairs(volume_results)["student minus single"]
        p_value = stats.wilcoxon(values(first, "hd95_spleen"), values(second, "hd95_spleen")).pvalue
        assert found["spleen"][1].p_value == pytest.approx(p_value)


class TestPage:
    def test_says_voxels_and_on_which_grid(self, page):
        assert "pixel" not in page.partition("</style>")[2]
        assert "share of voxels" in page
        assert "resampled to 1 × 1 × 2.5 mm" in page  # noqa: RUF001 - typeset
        assert "3 mm wide to either side" in page
        assert "twice the shared volume" in page

    def test_has_one_region_beside_the_main_one(self, page):
        assert "in the whole image" in page
        assert "All pixels" not in page
        assert ">Band<" in page

    def test_says_how_the_members_differ(self, page):
        assert "· members differ by folds" in page

    def test_has_distances_and_structures(self, page):
        for text in (
            "HD95 (mm)",
            "Dice of every structure",
            "HD95 (mm) of every structure",
            "Surface distance (mm) of every structure",
            "Volume error of every structure",
            "ECE of every structure",
            "Student, ensemble and single network",
            "HD95 (mm), structure by structure",
            "Holm&#x27;s correction for 6 comparisons",
        ):
            assert text in page

    def test_counts_what_was_missed(self, page):
        assert "spleen of the student in 1 of 9 cases." in page
        assert "liver of the" not in page

    def test_distances_have_two_digits(self, volume_results):
        mean = values(volume_results.methods[0], "hd95").mean()
        line = format_table(volume_results).splitlines()[3]
        assert f" {mean:.2f}" in line

    def test_pictures_have_none_of_it(self, make_results):
        page = report_page(make_results(), [])
        assert "HD95" not in page
        assert "Student, ensemble and single network" not in page
        assert "voxel" not in page


def test_numbers_are_in_the_json(volume_results):
    content = json.loads(metrics_json(volume_results))
    assert content["volume"] == {
        "spacing": {"lowest": [1.0, 1.0, 2.5], "highest": [1.0, 1.0, 2.5]},
        "band_radius": 3.0,
        "distance_unit": "mm",
    }
    student = content["methods"]["student"]
    mean = values(volume_results.method("student"), "asd_liver").mean()
    assert student["asd_liver"]["mean"] == pytest.approx(mean)
    pair = content["comparisons"]["pairs"][1]
    assert (pair["method"], pair["reference"]) == ("student", "single")
    assert pair["metrics"]["dice_liver"]["num_cases"] == 9
    assert pair["metrics"].keys() >= {"dice", "hd95", "ece", "nll", "hd95_spleen"}


def test_planes_are_figures_of_their_own(volume_results):
    classes = np.arange(80).reshape(8, 10) % 8
    pictures = [
        CasePicture(
            case_id=CASES[0],
            title="worst",
            image=classes / 8,
            label=classes,
            mask=None,
            methods={"student": (classes[::-1], classes / 8)},
            plane=plane,
            pixel_aspect=aspect,
            sides=("R", "L", "A", "P"),
        )
        for plane, aspect in (("axial", 1.0), ("coronal", 2.5))
    ]
    student = replace(volume_results.methods[-1], reliability={}, errors={})
    results = replace(volume_results, pictures=pictures, methods=[student])
    axial, coronal = draw_figures(results)[1:]
    assert axial.title == "Worst case: scan 0, axial plane"
    assert coronal.file_name == "case_2_worst_coronal.png"
    assert "as radiologists look at them" in axial.caption
    assert coronal.caption == "Read as above."
    height, taller = (int.from_bytes(one.png[20:24], "big") for one in (axial, coronal))
    assert taller > height  # in true proportions a plane of thick slices is taller


class TestGrid:
    def test_says_where_cases_differ(self):
        grid = VolumeGrid({"a": (1.0, 0.68), "b": (1.0, 0.9)}, 3.0)
        assert (grid.lowest, grid.highest) == ((1.0, 0.68), (1.0, 0.9))
        assert grid.text == "1 × 0.68–0.9 mm"  # noqa: RUF001 - typeset

    @pytest.mark.parametrize("spacings", [{}, {"a": (1.0,), "b": (1.0, 2.0)}])
    def test_rejects_no_common_axes(self, spacings):
        with pytest.raises(ValueError, match="`spacings` of at least one case, each of as many"):
            VolumeGrid(spacings, 3.0)


def test_a_lost_spacing_is_not_called_millimeters(volume_results, page):
    lost = replace(volume_results, grid=replace(GRID, distance_unit="voxels"))
    assert "HD95 (mm)" in page
    assert "HD95 (mm)" in format_table(volume_results)
    for text in (report_page(lost, []), format_table(lost)):
        assert "HD95 (voxels)" in text
        assert not any(unit in text for unit in ("(mm)", " mm", "millimeters"))
