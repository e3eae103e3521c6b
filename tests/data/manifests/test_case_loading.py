from __future__ import annotations

from pathlib import Path

import pytest

from medkd.data import load_cases


def test_lists_a_split_in_stored_order(eyes):
    folder, manifest = eyes
    cases = load_cases(manifest, folder, split="train")
    assert [(case["case_id"], case["patient"]) for case in cases] == [("1L", "1"), ("1R", "1")]
    assert cases[0]["label"] == str(folder / "labels" / "1L_hand.png")
    assert all(Path(case[key]).is_file() for case in cases for key in ("image", "label", "mask"))


def test_leaves_out_what_a_case_does_not_have(eyes, manifest_content, write_json):
    folder, _ = eyes
    del manifest_content["cases"][3]["mask"]
    (case,) = load_cases(str(write_json(manifest_content)), str(folder), split="test")
    assert sorted(case) == ["case_id", "image", "label", "patient"]


def test_lists_the_channels_of_a_volume(volumes):
    folder, write = volumes
    cases = load_cases(write(channels=2), folder, split="train")
    assert cases[0]["image"] == [str(folder / "imagesTr" / f"a_000{i}.nii.gz") for i in (0, 1)]
    assert cases[0]["label"] == str(folder / "labelsTr" / "a.nii.gz")


def test_unlabeled_cases_come_where_they_are_asked_for(eyes, manifest_content, write_json):
    folder, _ = eyes
    del manifest_content["cases"][1]["label"]
    manifest = write_json(manifest_content)
    (folder / "labels" / "1R_hand.png").unlink()
    labeled, unlabeled = load_cases(manifest, folder, split="train", unlabeled=True)
    assert sorted(labeled) == ["case_id", "image", "label", "mask", "patient"]
    assert sorted(unlabeled) == ["case_id", "image", "mask", "patient"]
    for asked in (False, True):
        assert len(load_cases(manifest, folder, split="test", unlabeled=asked)) == 1


def test_rejects_unlabeled_cases_where_they_are_not(eyes, manifest_content, write_json):
    folder, _ = eyes
    del manifest_content["cases"][1]["label"]
    message = r"split 'train' of .* label, but 1 of 2 have none, .* '1R'; only bundles/dmd"
    with pytest.raises(ValueError, match=message):
        load_cases(write_json(manifest_content), folder, split="train")


def test_rejects_a_missing_channel(volumes):
    folder, write = volumes
    manifest = write(channels=2)
    (folder / "imagesTr" / "b_0001.nii.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"6 files .* 1 are missing, .*b_0001\.nii\.gz"):
        load_cases(manifest, folder, split="train")


def test_is_usable_from_a_bundle(eyes):
    from monai.bundle import ConfigParser

    folder, manifest = eyes
    parser = ConfigParser(
        {
            "imports": ["$import medkd", "$import medkd.data"],
            "manifest": str(manifest),
            "dataset_dir": str(folder),
            "cases": "$medkd.data.load_cases(@manifest, @dataset_dir, split='train')",
        }
    )
    parser.get_parsed_content("imports")
    assert len(parser.get_parsed_content("cases")) == 2


def test_rejects_missing_files_with_the_first_and_how_many(eyes):
    folder, manifest = eyes
    (folder / "labels" / "1L_hand.png").unlink()
    (folder / "images" / "1R.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"Expected 6 files .* 2 are missing, .* \S+1L_hand.png"
    ):
        load_cases(manifest, folder, split="train")
    assert len(load_cases(manifest, folder, split="test")) == 1


def test_rejects_a_missing_folder(eyes):
    folder, manifest = eyes
    with pytest.raises(NotADirectoryError, match=r"there is no folder .*elsewhere"):
        load_cases(manifest, folder / "elsewhere", split="train")


def test_rejects_an_unknown_split(eyes):
    folder, manifest = eyes
    with pytest.raises(ValueError, match="one of 'train', 'validation', 'test'"):
        load_cases(manifest, folder, split="training")
