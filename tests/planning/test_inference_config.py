"""Which transforms an image gets, by a rule: a user's own are there, those of labels are not."""

from __future__ import annotations

import json

import pytest

from medkd.planning import inference_config

FRAME = {
    "imports": ["$import torch"],
    "dataset_dir": "images",
    "network_def": {"_target_": "Old"},
    "windows": {"progress": True},
    "inferer": "@windows",
    "preprocessing": [],
}


def trained(*steps, **ids):
    return {
        "dataset_dir": "data",
        "network_def": {"_target_": "BasicUNet", "features": "@features"},
        "features": [4] * 6,
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@size"},
        "size": [8, 8],
        "preprocessing": list(steps),
        **ids,
    }


def steps_of(*steps, **ids):
    return inference_config(trained(*steps, **ids), FRAME)["preprocessing"]["transforms"]


def step(target, keys, **arguments):
    return {"_target_": target, "keys": keys, **arguments}


LOAD = step("LoadImaged", ["image", "label"])


class TestKeys:
    def test_of_labels_are_dropped_with_what_is_said_of_them(self):
        spacing = step("Spacingd", ["image", "label"], pixdim=[1, 2], mode=["bilinear", "nearest"])
        # As long as the keys, and no list of theirs: MONAI leaves out the missing key by itself.
        assert steps_of(spacing) == [spacing | {"allow_missing_keys": True}]
        of_each = step("Spacingd", ["image", "label"], mode=["bilinear", "nearest"])
        assert steps_of(of_each) == [step("Spacingd", "image", mode="bilinear")]
        three = step("Zoomd", ["label", "image", "mask"], mode=["nearest", "area", "nearest"])
        assert steps_of(three) == [step("Zoomd", ["image", "mask"], mode=["area", "nearest"])]

    def test_of_labels_alone_take_their_transform_with_them(self):
        assert steps_of(LOAD, step("AsDiscreted", "label")) == [step("LoadImaged", "image")]
        assert steps_of(step("medkd.data.EncodeLabeld", ["label", "label_2nd"])) == []

    def test_that_a_transform_makes_of_a_label_are_labels(self):
        made = step("CopyItemsd", ["image", "label"], names=["raw", "seen"])
        found = steps_of(made, step("A", "seen"), step("B", "raw"), step("C", "label_cls_indices"))
        assert found == [step("CopyItemsd", "image", names="raw"), step("B", "raw")]

    def test_may_be_ids(self):
        keys = {"image_id": "image", "label_id": "label"}
        assert steps_of(step("A", ["@image_id", "@label_id"]), **keys) == [step("A", "image")]
        assert steps_of(step("A", "@label_id"), **keys) == []


class TestTransforms:
    def test_that_a_user_adds_are_kept_with_all_they_refer_to(self):
        own = step("mine.Denoised", "image", strength="@strength", table="$[@low, 1.0]")
        config = inference_config(
            trained(LOAD, own, strength="$2 * @low", low=0.5, imports=["$import mine"]), FRAME
        )
        assert config["preprocessing"]["transforms"][1] == own
        assert (config["strength"], config["low"]) == ("$2 * @low", 0.5)
        assert config["imports"] == ["$import torch", "$import mine"]
        assert (config["features"], config["size"]) == ([4] * 6, [8, 8])
        assert config["windows"] == trained()["inferer"] | {"progress": True}

    def test_of_expressions_of_lists_come_in_their_order(self):
        parts = {
            "reading": [LOAD],
            "more": [step("A", "image"), step("B", "image")],
            "with_more": True,
            "preprocessing": "$@reading + (@more if @with_more else []) + @reading[:0]",
        }
        assert [s["_target_"] for s in steps_of(**parts)] == ["LoadImaged", "A", "B"]
        assert len(steps_of(**parts | {"with_more": False})) == 1
        nested = {"_target_": "Compose", "transforms": ["@one", step("A", "image")]}
        assert len(steps_of(nested, one=LOAD)) == 2

    def test_that_refer_to_the_trainings_own_places_get_their_value(self):
        own = step("Atlasd", "image", file="$@dataset_dir + '/atlas.nii.gz'")
        config = inference_config(trained(own), FRAME)
        assert config["preprocessing"]["transforms"][0]["file"] == "data/atlas.nii.gz"
        assert config["dataset_dir"] == "images"

    @pytest.mark.parametrize("argument", ["label_key", "source_key", "mask_key"])
    def test_that_need_the_label_are_refused_by_name(self, argument):
        crop = step("CropForegroundd", ["image", "label"], **{argument: "label"})
        with pytest.raises(
            ValueError, match=r"CropForegroundd \(`preprocessing::1`\) needs 'label'"
        ):
            steps_of(LOAD, crop)

    def test_without_a_definition_are_refused(self):
        with pytest.raises(ValueError, match="to be written as one with a `_target_`"):
            steps_of(reading=[LOAD], preprocessing="$@reading + [dict(a=1)]")

    def test_that_refer_to_the_training_are_refused(self):
        own = step("Own", "image", cases="$@train::cases")
        with pytest.raises(ValueError, match=r"to need nothing of the training, .* `train`"):
            steps_of(own, train={"cases": "$['$a']"})


def test_nothing_is_modified_and_the_rule_applied_twice_is_the_rule():
    config, before = trained(LOAD), json.dumps([trained(LOAD), FRAME])
    once = inference_config(config, FRAME)
    assert json.dumps([config, FRAME]) == before
    assert inference_config(config, once) == once
