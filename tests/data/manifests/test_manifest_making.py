from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medkd.data import (
    FilePatterns,
    make_manifest,
    parse_manifest,
    read_manifest,
    write_manifest,
)

PATTERNS = FilePatterns("images/*.png", "labels/*_hand.png", mask="fov/*.gif", patient=r"(\d)[LR]")


class TestMakeManifest:
    def test_of_a_folder(self, eyes):
        manifest = make_manifest(eyes[0], PATTERNS, class_names=["background", "vessel"])
        assert manifest.name == "eyes"
        assert manifest.label_values == {0: 0, 255: 1}
        assert manifest.labels == {"background": 0, "vessel": 1}
        assert manifest.channel_names == {0: "red", 1: "green", 2: "blue"}
        assert [case.patient for case in manifest.cases] == ["1", "1", "2", "3"]
        assert sorted(i for ids in manifest.splits.values() for i in ids) == [
            "1L",
            "1R",
            "2L",
            "3L",
        ]

    def test_is_deterministic_and_its_seed_matters(self, eyes):
        made = [make_manifest(eyes[0], PATTERNS, seed=seed).splits for seed in (0, 0, 1, 2, 3)]
        assert made[0] == made[1]
        assert any(splits != made[0] for splits in made[2:])

    def test_label_values_that_count_from_zero(self, eyes):
        folder, _ = eyes
        label = np.arange(108, dtype=np.uint8).reshape(9, 12) % 3
        for eye in ("1L", "1R", "2L", "3L"):
            Image.fromarray(label).save(folder / "labels" / f"{eye}_hand.png")
        manifest = make_manifest(folder, PATTERNS)
        assert manifest.label_values == {0: 0, 1: 1, 2: 2}
        assert manifest.class_names == ("background", "class_1", "class_2")

    def test_stated_label_values_are_not_looked_up(self, eyes):
        manifest = make_manifest(eyes[0], PATTERNS, label_values={0: 0, 1: 1, 255: 1})
        assert manifest.label_values == {0: 0, 1: 1, 255: 1}

    def test_gray_images(self, eyes):
        folder, _ = eyes
        for path in (folder / "images").iterdir():
            Image.open(path).convert("L").save(path)
        assert make_manifest(folder, PATTERNS).channel_names == {0: "gray"}

    @pytest.mark.parametrize(
        ("value", "shown"), [(0, "got 0;"), (7, "got 0, 7, 255;"), (255, "got 255;")]
    )
    def test_rejects_label_values_it_does_not_understand(self, eyes, value, shown):
        folder, _ = eyes
        for path in (folder / "labels").iterdir():
            label = np.full((9, 12), value, dtype=np.uint8)
            if value == 7:
                label[:2], label[2:4] = 0, 255
            Image.fromarray(label).save(path)
        with pytest.raises(ValueError, match=f"{shown} state `label_values`"):
            make_manifest(folder, PATTERNS)

    @pytest.mark.parametrize("names", [["background"], ["background", "a", "b"], ["a", "a"]])
    def test_rejects_class_names_that_do_not_fit(self, eyes, names):
        with pytest.raises(ValueError, match="Expected 2 different class names"):
            make_manifest(eyes[0], PATTERNS, class_names=names)

    def test_rejects_class_names_without_background_first(self, eyes):
        with pytest.raises(ValueError, match="'background': 0, but got 1"):
            make_manifest(eyes[0], PATTERNS, class_names=["vessel", "background"])

    def test_rejects_fewer_patients_than_splits(self, eyes):
        one_patient = FilePatterns("images/*.png", "labels/*_hand.png", patient="(images)")
        with pytest.raises(ValueError, match=r"each of the 3 splits .* but got 1 patient"):
            make_manifest(eyes[0], one_patient)

    def test_rejects_a_missing_folder(self, tmp_path):
        with pytest.raises(NotADirectoryError, match=r"there is no folder .*none"):
            make_manifest(tmp_path / "none", PATTERNS)


class TestOfVolumes:
    @pytest.fixture
    def folder(self, volumes):
        folder, write = volumes
        write()
        return folder

    def relabel(self, folder, values, dtype=np.int16):
        for path in (folder / "labelsTr").iterdir():
            image = nibabel.load(path)
            array = np.asarray(values)[np.asarray(image.dataobj)].astype(dtype)
            nibabel.save(nibabel.Nifti1Image(array, image.affine), path)

    def test_of_nnunet(self, folder):
        manifest = make_manifest(folder)
        assert manifest.spatial_dims == 3
        assert (manifest.name, manifest.modality) == ("volumes", "CT")  # it holds -1000
        assert manifest.channel_names == {0: "CT"}
        assert manifest.class_names == ("background", "class_1", "class_2")
        assert [case.case_id for case in manifest.cases] == ["a", "b", "c", "d"]
        assert "from nnU-Net, 1 channel: imagesTr, labelsTr." in manifest.changes

    def test_dataset_json_names_everything(self, volumes):
        folder, write = volumes
        write(channels=2)
        content = {
            "name": "Heart",
            "licence": "CC BY",
            "channel_names": {"0": "T1", "1": "T2"},
            "labels": {"background": 0, "wall": 1, "blood": 2, "scar": 4},
        }
        (folder / "dataset.json").write_text(json.dumps(content))
        manifest = make_manifest(folder)
        assert (manifest.name, manifest.license, manifest.modality) == ("Heart", "CC BY", "MR")
        assert manifest.channel_names == {0: "T1", 1: "T2"}
        assert manifest.label_values == {0: 0, 1: 1, 2: 2, 4: 3}
        assert manifest.class_names == ("background", "wall", "blood", "scar")
        assert manifest.cases[0].paths("image")[1] == "imagesTr/a_0001.nii.gz"
        named = make_manifest(folder, class_names=["background", "x", "y", "z"], name="mine")
        assert (named.name, named.class_names[1:]) == ("mine", ("x", "y", "z"))

    @pytest.mark.parametrize(
        ("stored", "label_values"),
        [((0, 205, 420), {0: 0, 205: 1, 420: 2}), ((3, 1, 70000), {0: 0, 1: 1, 3: 2, 70000: 3})],
    )
    def test_other_values_are_classes_in_their_order(self, folder, stored, label_values):
        self.relabel(folder, stored, dtype=np.int32)
        manifest = make_manifest(folder)
        assert manifest.label_values == label_values
        assert manifest.class_names[1:] == tuple(f"class_{v}" for v in [*label_values][1:])

    def test_stated_values_win(self, folder):
        manifest = make_manifest(folder, label_values={0: 0, 1: 1, 2: 1})
        assert manifest.class_names == ("background", "foreground")

    def test_patterns(self, folder):
        patterns = FilePatterns("imagesTr/*_0000.nii.gz", "labelsTr/*.nii.gz", patient="/([ab])|/c")
        with pytest.raises(ValueError, match="to match every image"):
            make_manifest(folder, patterns)
        patterns = FilePatterns("imagesTr/*_0000.nii.gz", "labelsTr/*.nii.gz")
        manifest = make_manifest(folder, patterns, channel_names=["T1"])
        assert (manifest.spatial_dims, manifest.modality) == (3, "MR")

    def test_recognizes_patients_and_says_so(self, folder):
        for number, name in enumerate("abcd"):
            new = f"patient{number // 2 + number // 3:03d}_frame{number}"
            (folder / "imagesTr" / f"{name}_0000.nii.gz").rename(
                folder / "imagesTr" / f"{new}_0000.nii.gz"
            )
            (folder / "labelsTr" / f"{name}.nii.gz").rename(folder / "labelsTr" / f"{new}.nii.gz")
        manifest = make_manifest(folder)
        assert [case.patient for case in manifest.cases] == [
            *("patient000", "patient000", "patient001", "patient002")
        ]
        assert "(recognized)" in manifest.changes

    def test_unlabeled_images_are_trained_on_alone(self, folder, save_volume):
        for name in ("imagesTr/e_0000", "imagesTs/f_0000"):
            save_volume(folder / f"{name}.nii.gz", np.ones((3, 4, 5), dtype=np.int16))
        without = make_manifest(folder)
        manifest = make_manifest(folder, unlabeled=True)
        assert "Left out: 1 images of no label (imagesTr/e" in without.changes
        assert "2 images without a label are for training." in manifest.changes
        assert [case.case_id for case in manifest.cases if not case.is_labeled] == ["e", "f"]
        train = without.splits["train"]
        assert manifest.splits == without.splits | {"train": (*train, "e", "f")}

    def test_unlabeled_images_of_patients_measured_on_are_left_out(self, folder, save_volume):
        for part, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
            for number, name in enumerate("abcd"):
                path = folder / part / f"{name}{ending}.nii.gz"
                path.rename(path.with_name(f"patient{number}_1{ending}.nii.gz"))
        for number in (0, 1, 2, 3, 7):
            path = folder / "imagesTs" / f"patient{number}_2_0000.nii.gz"
            save_volume(path, np.ones((3, 4, 5), dtype=np.int16))
        manifest = make_manifest(folder, unlabeled=True)
        train = {case.patient for case in manifest.split_cases("train")}
        unlabeled = [case for case in manifest.cases if not case.is_labeled]
        assert {case.patient for case in unlabeled} == train
        assert "patient7" in train
        assert len(train) == 3  # two of the four patients are measured on
        assert "3 images without a label are for training. 2 images without" in manifest.changes
        assert "left out: their patients are measured on." in manifest.changes

    def test_unlabeled_is_no_fault_where_there_is_none(self, folder):
        assert make_manifest(folder, unlabeled=True) == make_manifest(folder)

    def test_four_axes_are_channels_where_they_are_named(self, folder):
        for path in (folder / "imagesTr").iterdir():
            image = nibabel.load(path)
            stack = np.stack([np.asarray(image.dataobj)] * 2, axis=-1)
            nibabel.save(nibabel.Nifti1Image(stack, image.affine), path)
        with pytest.raises(ValueError, match=r"to be one volume, but got 2 in its fourth axis"):
            make_manifest(folder)
        manifest = make_manifest(folder, channel_names=["FLAIR", "T1"])
        assert manifest.cases[0].paths("image") == ("imagesTr/a_0000.nii.gz",)
        with pytest.raises(ValueError, match=r"3 channel\(s\), a, b, c, but got 2"):
            make_manifest(folder, channel_names=["a", "b", "c"])

    def test_a_plane_is_a_picture(self, folder):
        for path in folder.rglob("*.nii.gz"):
            image = nibabel.load(path)
            plane = np.asarray(image.dataobj)[:, :, 2:3]
            nibabel.save(nibabel.Nifti1Image(np.maximum(plane, 0), image.affine), path)
        manifest = make_manifest(folder)
        assert manifest.spatial_dims == 2
        assert manifest.channel_names == {0: "gray"}

    def test_rejects_fractions_unless_tolerant(self, folder):
        self.relabel(folder, (0, 0.5, 2), dtype=np.float32)
        with pytest.raises(ValueError, match=r"a\.nii\.gz to hold whole numbers, but got 0\.5"):
            make_manifest(folder)
        assert make_manifest(folder, tolerant=True).label_values == {0: 0, 2: 1}

    def test_rejects_what_is_no_label_map(self, folder):
        for path in (folder / "labelsTr").iterdir():
            image = nibabel.load(path)
            array = np.arange(257 * 4, dtype=np.int16).reshape(257, 2, 2)
            nibabel.save(nibabel.Nifti1Image(array, image.affine), path)
        with pytest.raises(ValueError, match="at most 256 values, but got 1028"):
            make_manifest(folder)

    def test_rejects_labels_of_background_alone(self, folder):
        self.relabel(folder, (0, 0, 0))
        with pytest.raises(ValueError, match="hold a class beside 0, but got none"):
            make_manifest(folder)


class TestWriteManifest:
    def test_reads_back_volumes(self, volumes, tmp_path):
        manifest = read_manifest(volumes[1](channels=2))
        write_manifest(manifest, tmp_path / "new.json")
        assert read_manifest(tmp_path / "new.json") == manifest
        assert manifest.spatial_dims == 3

    def test_reads_back_equal(self, manifest_content, tmp_path):
        manifest_content |= {"license": "free", "files": {"fov/1L.gif": {"sha256": "0" * 64}}}
        manifest = parse_manifest(manifest_content)
        write_manifest(manifest, tmp_path / "new" / "eyes.json")
        assert read_manifest(tmp_path / "new" / "eyes.json") == manifest

    def test_reads_back_unlabeled_cases(self, manifest_content, tmp_path):
        del manifest_content["cases"][1]["label"]
        manifest = parse_manifest(manifest_content)
        write_manifest(manifest, tmp_path / "eyes.json")
        assert read_manifest(tmp_path / "eyes.json") == manifest

    def test_has_one_line_a_case(self, manifest_content, tmp_path):
        write_manifest(parse_manifest(manifest_content), tmp_path / "eyes.json")
        lines = (tmp_path / "eyes.json").read_text().splitlines()
        assert sum('"case_id"' in line for line in lines) == 4
