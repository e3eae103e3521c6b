"""Reports of runs without an ensemble: student, peers, and a network on labels alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from medkd.reports import VolumeGrid, summary_statement, write_report
from medkd.reports.case_overlays import cropped_to_mask
from medkd.reports.comparisons import compare_methods, reference_method
from medkd.reports.disagreement_figure import pictures_with_members, plot_disagreement
from medkd.reports.page import report_page
from medkd.reports.pair_comparisons import planned_pairs
from medkd.reports.report_figures import draw_figures
from medkd.reports.result_files import metrics_json
from medkd.reports.training_figure import curve_names, needs_logarithm

CASES = tuple("abcdefg")
GRID = VolumeGrid(dict.fromkeys(CASES, (2.5, 2.5, 2.5)), 3.0)


@pytest.fixture
def methods(make_method):
    dice = {"labels_only": 0.7, "peer_ensemble": 0.78, "student": 0.77}
    more = ("jaccard", "hd95", "asd", "volume_error")
    return [
        make_method(
            name,
            seed=seed,
            case_ids=CASES,
            dice=[mean + 0.01 * case for case in range(len(CASES))],
            more=more,
            num_parameters=200 if name == "peer_ensemble" else 100,
        )
        for seed, (name, mean) in enumerate(dice.items())
    ]


@pytest.fixture
def results(make_results, methods):
    rows = [{"epoch": 1.0, "loss": 2.0, "predictive_entropy": 0.6}]
    rows.append({"epoch": 2.0, "loss": 1.0, "predictive_entropy": 0.02})
    return make_results(
        methods,
        histories={"labels-only network": rows, "student": rows},
        class_names=["background", "left atrium"],
        grid=GRID,
    )


@pytest.fixture
def with_map(make_picture):
    """A picture with the disagreement of the members of a method."""
    picture = make_picture()
    disagreement = np.linspace(0, 0.2, picture.label.size).reshape(picture.label.shape)
    return replace(picture, disagreement=disagreement)


def test_the_network_on_labels_alone_is_the_reference(results, make_results):
    assert reference_method(results).name == "labels_only"
    assert {row.method for row in compare_methods(results)["dice"]} == {"peer_ensemble", "student"}
    assert json.loads(metrics_json(results))["comparisons"]["reference"] == "labels_only"
    assert reference_method(make_results()).name == "deep_ensemble"
    alone = make_results([results.method("student")], class_names=results.class_names)
    assert reference_method(alone) is None
    assert compare_methods(alone) == {}


def test_pairs_are_those_of_student_peers_and_labels_only(results):
    assert list(planned_pairs(results)) == [
        "student minus labels_only",
        "peer_ensemble minus labels_only",
        "student minus peer_ensemble",
    ]


def test_the_statement_says_what_unlabeled_images_gave(results):
    words = " ".join(summary_statement(results))
    assert "0.0700 above the labels only's 0.7300 (higher in 7 and lower in 0 of 7 cases)" in words
    assert "0.0100 below the peer ensemble's 0.8100" in words
    assert "as many parameters" in words
    assert "the Dice of the student minus that of the labels only is +0.0700" in words


def test_one_structure_has_all_its_scores_on_the_page(results):
    page = report_page(results, [])
    for text in (
        "Differences from the labels only",
        "Student, peers and labels only",
        "Overlap and surfaces of the left atrium",
        "Jaccard",
        "Surface distance (mm)",
    ):
        assert text in page


def test_entropy_is_a_curve_and_no_loss(results):
    names = curve_names(results.histories)
    assert names == ["loss", "predictive_entropy"]
    assert not needs_logarithm(results.histories, "predictive_entropy")
    (figure,) = (one for one in draw_figures(results) if one.section == "training")
    assert "entropy" in figure.caption


class TestDisagreement:
    def test_is_drawn_once_for_each_case(self, make_results, with_map):
        planes = [
            replace(with_map, title=title, plane=plane)
            for title in ("best", "worst")
            for plane in ("axial", "coronal", "sagittal")
        ]
        results = make_results(pictures=planes)
        assert [p.title for p in pictures_with_members(results)] == ["best", "worst"]
        names = [figure.file_name for figure in draw_figures(results)]
        assert names.count("disagreement.png") == 1

    def test_is_left_out_where_there_are_no_members(self, make_results, make_picture):
        results = make_results(pictures=[make_picture()])
        assert not pictures_with_members(results)
        assert "disagreement.png" not in {one.file_name for one in draw_figures(results)}
        with pytest.raises(ValueError, match="`pictures` with the disagreement of members"):
            plot_disagreement(results)

    @pytest.mark.parametrize("value", [0.0, math.nan])
    def test_may_be_zero_or_unknown_everywhere(self, make_results, with_map, value):
        empty = replace(with_map, disagreement=np.full(with_map.label.shape, value))
        assert plot_disagreement(make_results(pictures=[empty]))[:4] == b"\x89PNG"

    def test_is_cropped_with_the_picture(self, with_map):
        cropped = cropped_to_mask(with_map)
        assert cropped.disagreement.shape == cropped.label.shape == (19, 15)
        assert cropped.disagreement[0, 0] == with_map.disagreement[2, 1]

    def test_rejects_a_map_of_another_size(self, with_map):
        with pytest.raises(ValueError, match="`disagreement` of a 2-D case to be of shape"):
            replace(with_map, disagreement=np.zeros((3, 3)))


def test_the_whole_report_is_written(results, with_map, tmp_path):
    page = write_report(replace(results, pictures=[with_map]), tmp_path).read_text()
    assert "Where the networks disagree" in page
    assert (tmp_path / "disagreement.png").is_file()
