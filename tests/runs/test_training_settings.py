from __future__ import annotations

import copy
import json

import pytest
from monai.bundle import ConfigParser

from medkd.runs.training_settings import (
    check_same_settings,
    training_settings,
    write_settings,
)

CONFIG = {
    "dataset_dir": "data",
    "output_dir": "runs/a",
    "training_dir": "$@output_dir + '/student'",
    "manifest": "$@dataset_dir + '/manifest.json'",
    "device": "cpu",
    "num_classes": 2,
    "learning_rate": 0.01,
    "temperature": 2.0,
    "widths": [4, "@width"],
    "width": 8,
    "network_def": {"_target_": "UNet", "out_channels": "@num_classes", "channels": "@widths"},
    "network": "$@network_def.to(@device)",
    "optimizer": {"_target_": "SGD", "lr": "@learning_rate"},
    "split": "test",
    "train": {
        "batch_size": 4,
        "dataset": {"_target_": "Dataset", "data": "$load(@manifest, @train::batch_size)"},
        "trainer": {
            "_target_": "Trainer",
            "network": "@network",
            "optimizer": "@optimizer",
            "data": "@train::dataset",
            "handlers": [{"_target_": "Saver", "file": "$@training_dir + '/x'"}],
        },
    },
    "validate": {"interval": 4},
}
COUNTED = {
    "learning_rate": 0.1,
    "num_classes": 3,
    "width": 16,
    "manifest": "other.json",
    "train::batch_size": 2,
    "train::trainer::amp": True,
    "network_def::dropout": 0.1,
}
NOT_COUNTED = {
    "dataset_dir": "elsewhere",
    "output_dir": "runs/b",
    "training_dir": "runs/b/other",
    "device": "cuda:1",
    "split": "train",
    "temperature": 3.0,
    "validate::interval": 1,
}


def settings_of(**overrides):
    parser = ConfigParser(copy.deepcopy(CONFIG))
    parser.update(overrides)
    return training_settings(parser)


def test_follows_references_through_others_to_the_end():
    assert list(settings_of()) == [
        "learning_rate",
        "manifest",
        "network",
        "network_def",
        "num_classes",
        "optimizer",
        "train::batch_size",
        "train::dataset",
        "train::trainer",
        "width",
        "widths",
    ]


def test_keeps_definitions_as_they_stand():
    settings = settings_of()
    assert settings["network"] == "$@network_def.to(@device)"
    assert settings["widths"] == [4, "@width"]


@pytest.mark.parametrize(("name", "value"), COUNTED.items(), ids=COUNTED)
def test_what_changes_weights_changes_the_settings(name, value):
    assert settings_of(**{name: value}) != settings_of()


@pytest.mark.parametrize(("name", "value"), NOT_COUNTED.items(), ids=NOT_COUNTED)
def test_what_changes_no_weights_does_not(name, value):
    assert settings_of(**{name: value}) == settings_of()


def test_a_circle_of_references_ends():
    parser = ConfigParser({"a": "@b", "b": "@a"})
    assert training_settings(parser, root="a") == {"a": "@b", "b": "@a"}


class TestCheck:
    @pytest.fixture
    def file(self, tmp_path):
        file = tmp_path / "student" / "settings.json"
        write_settings(file, settings_of())
        return file

    def test_same_settings_pass(self, file):
        check_same_settings(file, settings_of())

    def test_where_there_is_no_file_there_is_nothing_to_compare(self, tmp_path):
        check_same_settings(tmp_path / "settings.json", settings_of())
        assert list(tmp_path.iterdir()) == []

    def test_tuples_and_lists_are_one(self, tmp_path):
        write_settings(tmp_path / "settings.json", {"channels": (4, 8)})
        check_same_settings(tmp_path / "settings.json", {"channels": [4, 8]})

    def test_file_is_readable(self, file):
        assert json.loads(file.read_text())["learning_rate"] == 0.01

    @pytest.mark.parametrize(
        ("name", "value", "change"),
        [
            ("learning_rate", 0.1, "`learning_rate` was 0.01 and is 0.1"),
            ("manifest", "b.json", r"`manifest` was .* and is 'b\.json'"),
            ("widths", [4], "`widths` has changed"),
            ("network_def", {"_target_": "UNETR"}, "`network_def` has changed"),
        ],
    )
    def test_rejects_a_change_by_its_name(self, file, name, value, change):
        match = f"Expected {file.parent} to hold a training with the same settings, but .*{change}"
        with pytest.raises(ValueError, match=match):
            check_same_settings(file, settings_of(**{name: value}))

    def test_rejects_and_says_what_to_do(self, file):
        match = r"Choose another --output_dir, or remove that folder to train again\.$"
        with pytest.raises(ValueError, match=match):
            check_same_settings(file, settings_of(width=9))
