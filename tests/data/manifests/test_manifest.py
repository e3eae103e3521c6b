from __future__ import annotations

import copy
import json

import pytest

from medkd.data import parse_manifest, read_manifest


def set_in(content, path, value):
    for key in path[:-1]:
        content = content[key]
    content[path[-1]] = value


class TestReadManifest:
    def test_reads_what_is_written(self, manifest_content, write_json):
        manifest = read_manifest(write_json(manifest_content))
        assert manifest.name == "eyes"
        assert manifest.num_classes == 2
        assert manifest.num_channels == 3
        assert manifest.class_names == ("background", "vessel")
        assert manifest.label_values == {0: 0, 255: 1}
        assert [case.case_id for case in manifest.split_cases("train")] == ["1L", "1R"]
        assert manifest.cases[0].files == {
            "image": "images/1L.png",
            "label": "labels/1L_hand.png",
            "mask": "fov/1L.gif",
        }

    def test_keeps_the_stored_order_of_a_split(self, manifest_content):
        manifest_content["splits"]["train"] = ["1R", "1L"]
        manifest = parse_manifest(manifest_content)
        assert [case.case_id for case in manifest.split_cases("train")] == ["1R", "1L"]

    def test_allows_a_case_in_no_split(self, manifest_content):
        del manifest_content["splits"]["test"]
        assert len(parse_manifest(manifest_content).cases) == 4

    def test_allows_several_stored_values_for_a_class(self, manifest_content):
        manifest_content["label_values"] = {"0": 0, "1": 1, "255": 1}
        assert parse_manifest(manifest_content).label_values == {0: 0, 1: 1, 255: 1}

    @pytest.mark.parametrize(
        ("label_values", "written"),
        [
            ({"0": 0, "255": 1}, (0, 255)),
            ({"4": 1, "9": 1, "0": 0}, (0, 4)),
            ({"-1": 0, "0": 0, "-7": 1, "-9": 1}, (0, -7)),
            ({"-2": 0, "2": 0, "312782546": 1}, (2, 312782546)),
        ],
    )
    def test_says_what_is_written_for_each_class(self, manifest_content, label_values, written):
        manifest = parse_manifest({**manifest_content, "label_values": label_values})
        assert manifest.written_label_values == written
        assert all(type(value) is int for value in manifest.written_label_values)

    def test_a_case_without_a_label_is_unlabeled(self, manifest_content):
        for case in manifest_content["cases"][:2]:
            del case["label"]
        manifest = parse_manifest(manifest_content)
        assert [case.is_labeled for case in manifest.cases] == [False, False, True, True]
        assert list(manifest.cases[0].files) == ["image", "mask"]

    def test_all_cases_may_be_unlabeled(self, manifest_content):
        for case in manifest_content["cases"]:
            del case["label"]
        assert not any(case.is_labeled for case in parse_manifest(manifest_content).cases)

    def test_reads_checksums(self, manifest_content):
        manifest_content["files"] = {"images/1L.png": {"sha256": "A" * 64}}
        assert parse_manifest(manifest_content).checksums == {"images/1L.png": "a" * 64}

    def test_leaves_the_content_untouched(self, manifest_content):
        before = copy.deepcopy(manifest_content)
        parse_manifest(manifest_content)
        assert manifest_content == before

    def test_rejects_an_absent_file(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"Expected a manifest at .*none.json, but there"
        ):
            read_manifest(tmp_path / "none.json")

    def test_rejects_what_is_not_json_with_its_line(self, tmp_path):
        (tmp_path / "bad.json").write_text('{\n  "name": "x",\n  oops\n}')
        with pytest.raises(
            ValueError, match=r"bad\.json to be JSON, but got .* in line 3, column 3"
        ):
            read_manifest(tmp_path / "bad.json")

    def test_rejects_what_is_not_utf8(self, tmp_path):
        (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ValueError, match=r"bad\.json to be a JSON text in UTF-8"):
            read_manifest(tmp_path / "bad.json")

    def test_rejects_a_key_written_twice(self, tmp_path):
        (tmp_path / "bad.json").write_text('{"name": "x", "name": "y"}')
        with pytest.raises(ValueError, match=r"bad\.json: Expected every key once .* 'name' twice"):
            read_manifest(tmp_path / "bad.json")

    def test_rejects_a_list(self, write_json):
        with pytest.raises(ValueError, match="Expected the manifest to be a JSON object"):
            read_manifest(write_json([1, 2]))

    def test_names_the_file_in_every_fault(self, manifest_content, write_json):
        del manifest_content["labels"]
        with pytest.raises(
            ValueError, match=r"In manifest .*eyes\.json: Expected the key 'labels'"
        ):
            read_manifest(write_json(manifest_content))


@pytest.mark.parametrize("key", ["name", "channel_names", "labels", "label_values", "cases"])
def test_rejects_a_missing_key(manifest_content, key):
    del manifest_content[key]
    with pytest.raises(ValueError, match=f"Expected the key '{key}' in the manifest"):
        parse_manifest(manifest_content)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["name"], " ", "`name` to be a text"),
        (["licence"], "x", r"got 'licence' \(did you mean 'license'\?\)"),
        (["channel_names"], {"1": "red"}, "`channel_names` to count from '0' without gaps"),
        (["channel_names"], {}, "`channel_names` to count from '0'"),
        (["labels"], {"background": 1, "vessel": 0}, "'background': 0, but got 1"),
        (["labels"], {"vessel": 0}, "'background': 0, but got None"),
        (["labels"], {"background": 0}, "two classes or more"),
        (["labels"], {"background": 0, "vessel": 2}, "without gaps"),
        (["labels"], {"background": 0, "vessel": "one"}, "class 'vessel' of `labels` to be whole"),
        (["labels"], {"background": 0, "vessel": True}, "class 'vessel' of `labels` to be whole"),
        (["label_values"], {"0": 0, "255": 2}, r"got 2 for the stored value 255"),
        (["label_values"], {"0": 0}, "lead to every class, but got none for 'vessel'"),
        (["label_values"], {"0": 0, "white": 1}, "keys of `label_values` to be whole numbers"),
        (["cases"], [], "at least one case"),
        (["cases", 1, "case_id"], "1L", "every `case_id` of `cases` once, but got '1L' 2 times"),
        (["cases", 1, "image"], "images/1L.png", "every `image` of `cases` once"),
        (["cases", 1, "label"], "labels/1L_hand.png", "every `label` of `cases` once"),
        (["cases", 0, "maks"], "x.gif", r"case '1L' .* got 'maks' \(did you mean 'mask'\?\)"),
        (["cases", 0, "image"], "/data/1L.png", "below the data set's folder"),
        (["cases", 0, "image"], "../1L.png", "without '..', but got '../1L.png'"),
        (["cases", 0, "image"], "images/../../1L.png", "without '..'"),
        (["cases", 0, "image"], "C:/1L.png", "below the data set's folder"),
        (["cases", 0, "image"], "images\\1L.png", "with '/' between folders"),
        (["cases", 0, "image"], "~/1L.png", "below the data set's folder"),
        (["cases", 0, "image"], 3, "`image` of case '1L' to be a text, but got 3"),
        (["cases", 0, "case_id"], "a/b", "usable as a file name"),
        (["cases", 0, "case_id"], "..", "usable as a file name"),
        (["cases", 0, "patient"], 1, "`patient` of case '1L' to be a text, but got 1"),
        (["cases", 0], "1L.png", "case 1 of `cases` to be a JSON object"),
        (["splits"], {}, "at least one split"),
        (["splits", "test"], [], "split 'test' to be a list of at least one case id"),
        (["splits", "test"], "3L", "split 'test' to be a list"),
        (["splits", "test"], ["3LL"], r"to list ids of `cases`, but got '3LL' \(did you mean"),
        (["splits", "test"], ["3L", "3L"], "every case id of `splits` once, but got '3L' 2 times"),
        (["splits", "test"], ["3L", "2L"], "every case id of `splits` once, but got '2L'"),
        (["files"], {"x.png": {"sha256": "0" * 64}}, "`files` to list files of `cases`"),
        (["files"], {"fov/1L.gif": {"sha256": "0"}}, "64 hexadecimal digits"),
        (["files"], {"fov/1L.gif": {"md5": "0"}}, "key 'sha256' in 'fov/1L.gif' of `files`"),
    ],
)
def test_rejects(manifest_content, path, value, message):
    set_in(manifest_content, path, value)
    with pytest.raises(ValueError, match=message):
        parse_manifest(manifest_content)


def test_rejects_a_second_label_without_a_first(manifest_content):
    manifest_content["cases"][0]["label_2nd"] = manifest_content["cases"][0].pop("label")
    with pytest.raises(ValueError, match="a `label` beside the `label_2nd` of case '1L'"):
        parse_manifest(manifest_content)


def test_rejects_a_misspelt_label(manifest_content):
    manifest_content["cases"][0]["labels"] = manifest_content["cases"][0].pop("label")
    with pytest.raises(ValueError, match=r"got 'labels' \(did you mean 'label'\?\)"):
        parse_manifest(manifest_content)


def test_rejects_a_case_without_an_image(manifest_content):
    del manifest_content["cases"][0]["image"]
    with pytest.raises(ValueError, match="key 'image' in case '1L', but it is missing"):
        parse_manifest(manifest_content)


def test_rejects_a_patient_in_two_splits(manifest_content):
    manifest_content["splits"] = {"train": ["1L", "2L"], "test": ["1R", "3L"]}
    with pytest.raises(ValueError, match=r"patient '1' in 'train' \('1L'\) and in 'test' \('1R'\)"):
        parse_manifest(manifest_content)


def test_rejects_an_unknown_split_naming_those_there_are(manifest_content):
    manifest = parse_manifest(manifest_content)
    with pytest.raises(ValueError, match=r"one of 'train', 'validation', 'test' for eyes, .*'val'"):
        manifest.split_cases("val")


def test_the_example_of_the_contract_is_valid(manifests_dir):
    page = (manifests_dir / "README.md").read_text(encoding="utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    assert parse_manifest(json.loads(example)).num_classes == 2


class TestVolumes:
    def parse(self, content, **case):
        content["cases"][0] |= case
        content |= {"spatial_dims": 3, "channel_names": {"0": "FLAIR", "1": "T1"}}
        for each in content["cases"]:
            each.pop("mask", None)
        return parse_manifest(content)

    def test_channels_are_files_in_their_order(self, manifest_content):
        manifest = self.parse(manifest_content, image=["b.nii.gz", "a.nii.gz"])
        assert manifest.spatial_dims == 3
        assert manifest.cases[0].files["image"] == ("b.nii.gz", "a.nii.gz")
        assert manifest.cases[0].paths("image") == ("b.nii.gz", "a.nii.gz")
        assert manifest.cases[1].paths("image") == ("images/1R.png",)  # all channels in one file

    def test_pictures_are_the_default(self, manifest_content):
        assert parse_manifest(manifest_content).spatial_dims == 2

    def test_checksums_of_channels(self, manifest_content):
        manifest_content["files"] = {"b.nii.gz": {"sha256": "0" * 64}}
        manifest = self.parse(manifest_content, image=["a.nii.gz", "b.nii.gz"])
        assert list(manifest.checksums) == ["b.nii.gz"]

    @pytest.mark.parametrize(
        ("image", "message"),
        [
            (
                ["a.nii", "b.nii", "c.nii"],
                r"for each of the 2 channels of `channel_names`, but got 3",
            ),
            ([], r"`image` of case '1L' to list at least one path"),
            (["a.nii", "../b.nii"], r"a path below the data set's folder"),
            (["a.nii", "a.nii"], r"every `image` of `cases` once, but got 'a.nii' 2 times"),
        ],
    )
    def test_rejects_images(self, manifest_content, image, message):
        with pytest.raises(ValueError, match=message):
            self.parse(manifest_content, image=image)

    def test_rejects_a_list_for_a_picture(self, manifest_content):
        manifest_content["cases"][0]["image"] = ["a.png", "b.png"]
        with pytest.raises(ValueError, match=r"to be one path, but got a list: only volumes"):
            parse_manifest(manifest_content)

    def test_rejects_a_mask(self, manifest_content):
        manifest_content["spatial_dims"] = 3
        with pytest.raises(ValueError, match=r"case '1L' to have no `mask`, .* 'fov/1L.gif'"):
            parse_manifest(manifest_content)

    @pytest.mark.parametrize("dims", [1, "3", True, None])
    def test_rejects_other_dims(self, manifest_content, dims):
        manifest_content["spatial_dims"] = dims
        with pytest.raises(ValueError, match="`spatial_dims` to be 2 or 3"):
            parse_manifest(manifest_content)

    def test_distances_are_in_mm_unless_it_says_otherwise(self, manifest_content):
        assert parse_manifest(manifest_content).distance_unit == "mm"
        manifest_content["distance_unit"] = "voxels"
        assert parse_manifest(manifest_content).distance_unit == "voxels"

    def test_rejects_other_units(self, manifest_content):
        manifest_content["distance_unit"] = "cm"
        with pytest.raises(ValueError, match="to be 'mm' or 'voxels', but got 'cm'"):
            parse_manifest(manifest_content)
