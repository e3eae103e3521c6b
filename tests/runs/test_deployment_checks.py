from __future__ import annotations

import json

import pytest

from medkd.runs.deployment_checks import check_judges_what_ships

TRAINED = {
    "offset": 1.0,
    "preprocessing": [{"_target_": "ShiftIntensityd", "keys": "image", "offset": "@offset"}],
    "network_def": {"_target_": "BasicUNet"},
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [8, 8], "overlap": 0.5},
}


@pytest.fixture
def shipped(tmp_path):
    """The folder of a run that ships what it was trained with."""
    inference = {
        "offset": 1.0,
        "windows": {**TRAINED["inferer"], "progress": True},
        "preprocessing": {"_target_": "Compose", "transforms": TRAINED["preprocessing"]},
    }
    (tmp_path / "inference.json").write_text(json.dumps(inference))
    (tmp_path / "deployment.json").write_text("{}")


@pytest.mark.usefixtures("shipped")
def test_passes_what_prepares_and_cuts_as_what_ships(make_run):
    check_judges_what_ships(make_run(**TRAINED))
    # The network is that of the run in any case.
    check_judges_what_ships(make_run(**{**TRAINED, "network_def": {"_target_": "UNet"}}))


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"offset": 2.0}, "offset"),
        ({"preprocessing": []}, "offset"),
        ({"inferer": {**TRAINED["inferer"], "overlap": 0.25}}, "windows"),
    ],
)
def test_rejects_an_evaluation_that_does_otherwise(make_run, change, name):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be as .* was trained with"):
        check_judges_what_ships(make_run(**{**TRAINED, **change}))


def test_has_nothing_to_compare_with_before_a_run_ships(make_run):
    check_judges_what_ships(make_run(**TRAINED))
