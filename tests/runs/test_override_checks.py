from __future__ import annotations

import copy

import pytest

from medkd.runs.override_checks import check_ids, check_paths

KNOWN = {
    "imports": ["$import torch"],
    "temperature": 2.0,
    "num_members": 5,
    "network_def": {"_target_": "UNet", "strides": [2]},
    "train": {
        "num_epochs": 3,
        "dataloader": {"_target_": "DataLoader", "batch_size": 4},
        "handlers": [{"_target_": "StatsHandler"}],
        "nested": {"sampler": None},
    },
}


def with_override(name, value):
    """``name`` in MONAI's notation, as its parser merges it."""
    config = copy.deepcopy(KNOWN)
    *sections, last = name.split("::")
    place = config
    for section in sections:
        place = place[section]
    place[last] = value
    return config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 3),
        ("train::num_epochs", 5),
        ("train::nested::sampler", {"_target_": "RandomSampler"}),
        ("network_def", {"_target_": "DynUNet", "filters": [1, 2]}),
        ("train::handlers", []),
        ("imports", []),
    ],
)
def test_any_value_may_be_replaced(name, value):
    check_ids(with_override(name, value), KNOWN)


@pytest.mark.parametrize("name", ["network_def::dropout", "train::dataloader::num_workers"])
def test_a_component_takes_further_arguments(name):
    check_ids(with_override(name, 0.1), KNOWN)


@pytest.mark.parametrize("name", ["_meta_", "network_def::_disabled_", "train::_requires_"])
def test_monais_own_keys_pass(name):
    check_ids(with_override(name, {}), KNOWN)


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("temperature", "`distillation_temperature`"),
        ("image", 'the word "image"'),
        ("pred", 'the word "pred"'),
    ],
)
def test_rejects_an_id_of_earlier_bundles_with_what_it_is_called_now(name, now):
    known = {"distillation_temperature": 2.0, "temperatures_file": "t.json"}
    match = f"of an id that exists, but got `{name}`: it is {now} now"
    with pytest.raises(ValueError, match=match):
        check_ids(known | {name: 3}, known)


def test_the_configuration_as_it_stands_passes_and_is_not_modified():
    config = copy.deepcopy(KNOWN)
    check_ids(config, KNOWN)
    assert config == KNOWN


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("tempratur", "distillation_temperature"),
        ("num_member", "num_members"),
        ("network", "network_def"),
        ("train::num_epoch", "train::num_epochs"),
        ("train::nested::samplr", "train::nested::sampler"),
        ("num_epochs", "train::num_epochs"),
    ],
)
@pytest.mark.parametrize("value", [3, {"_target_": "UNet"}], ids=["number", "component"])
def test_rejects_a_misspelt_id_with_the_nearest(name, nearest, value):
    match = (
        f"^Expected an override of an id that exists, but got `{name}`. Did you mean `{nearest}`"
    )
    with pytest.raises(ValueError, match=match):
        check_ids(with_override(name, value), KNOWN)


def test_rejects_an_id_that_is_near_none_with_all_there_are():
    match = "got `zzz`. There are: imports, network_def, num_members, temperature, train"
    with pytest.raises(ValueError, match=match):
        check_ids(with_override("zzz", 1), KNOWN)


class TestPaths:
    @pytest.mark.parametrize(
        "config",
        [
            {
                "output_dir": "runs/out",
                "manifest": "data/a b.json",
                "label": "a::b",
                "name": "a::b",
            },
            {
                "output_dir": "$'runs/' + 'a::b'",
                "model_file": "@train::model",
                "_meta_": {"file": "::"},
            },
            {
                "train": {"handlers": [], "log_dir": "@output_dir"},
                "num_files": 3,
                "report_dir": None,
            },
        ],
    )
    def test_takes_paths_as_they_are_and_what_is_none(self, config):
        check_paths(config)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"output_dir": "runs/out::1"}, "`output_dir` .* without '#' and '::'.*'runs/out::1'"),
            ({"bundle_root": "a#b"}, "`bundle_root` .* without '#' and '::'"),
            ({"manifest": "%a.json"}, "`manifest` .* begin with .* write './%a.json'"),
            ({"train": {"log_dir": "a\nb"}}, "`train::log_dir` to be without control characters"),
        ],
    )
    def test_rejects_what_monai_has_rewritten_or_would(self, config, message):
        with pytest.raises(ValueError, match=message):
            check_paths(config)
