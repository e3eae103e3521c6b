from __future__ import annotations

import json

import pytest

from medkd.data.manifests.folder_layouts import recognize_folder

_LABELS = ("labels/a", "labels/b")


@pytest.fixture
def touch(tmp_path):
    def touch(*names, dataset=None):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if dataset is not None:
            (tmp_path / "dataset.json").write_text(json.dumps(dataset))
        return tmp_path

    return touch


def cases_of(layout):
    return [(case["case_id"], case["image"], case["label"]) for case in layout.cases]


def test_decathlon(touch):
    dataset = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}}
    folder = touch(
        "imagesTr/s_10.nii.gz",
        "imagesTr/s_2.nii.gz",
        "imagesTr/._s_2.nii.gz",
        "labelsTr/s_10.nii.gz",
        "labelsTr/s_2.nii.gz",
        "labelsTr/._s_2.nii.gz",
        "imagesTs/s_1.nii.gz",
        dataset=dataset,
    )
    layout = recognize_folder(folder)
    assert layout.description == (
        "Medical Segmentation Decathlon: imagesTr, labelsTr, dataset.json"
    )
    assert cases_of(layout) == [
        ("s_2", "imagesTr/s_2.nii.gz", "labelsTr/s_2.nii.gz"),
        ("s_10", "imagesTr/s_10.nii.gz", "labelsTr/s_10.nii.gz"),
    ]
    assert layout.facts.channel_names == ("CT",)
    assert layout.left_out == "Left out: imagesTs."


def test_nnunet_of_two_channels_without_dataset_json(touch):
    folder = touch(
        "imagesTr/la_1_0001.nii.gz",
        "imagesTr/la_1_0000.nii.gz",
        "imagesTr/la_2_0000.nii.gz",
        "imagesTr/la_2_0001.nii.gz",
        "labelsTr/la_1.nii.gz",
        "labelsTr/la_2.nii.gz",
    )
    layout = recognize_folder(folder)
    assert layout.description == "nnU-Net, 2 channels: imagesTr, labelsTr"
    assert cases_of(layout)[0] == (
        "la_1",
        ["imagesTr/la_1_0000.nii.gz", "imagesTr/la_1_0001.nii.gz"],
        "labelsTr/la_1.nii.gz",
    )


def test_nnunet_of_one_channel(touch):
    layout = recognize_folder(touch("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz"))
    assert layout.description == "nnU-Net, 1 channel: imagesTr, labelsTr"
    assert cases_of(layout) == [("a", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")]


def test_numbers_of_four_digits_are_names_where_labels_have_them(touch):
    layout = recognize_folder(touch("images/a_0000.nii", "labels/a_0000.nii"))
    assert [case_id for case_id, *_ in cases_of(layout)] == ["a_0000"]


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("image", "label"), ("Images", "masks"), ("imgs", "segmentation")],
)
@pytest.mark.parametrize("ending", ["", "_seg", "_label", "-gt", "_manual1"])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".hdr", ".png"])
def test_plain_folders(touch, images, labels, ending, suffix):
    names = [f"{images}/p{number}{suffix}" for number in (1, 10, 11)]
    names += [f"{labels}/p{number}{ending}{suffix}" for number in (1, 10)]
    layout = recognize_folder(touch(*names))
    assert layout.description == f"a plain folder: {images}, {labels}"
    assert cases_of(layout) == [
        (f"p{n}", f"{images}/p{n}{suffix}", f"{labels}/p{n}{ending}{suffix}") for n in (1, 10)
    ]
    assert layout.left_out == f"Left out: 1 images of no label ({images}/p11{suffix})."


def test_images_without_a_label_are_kept_where_they_are_asked_for(touch):
    folder = touch(
        *("imagesTr/a_2_0000.nii", "imagesTr/a_2_0001.nii", "labelsTr/a_2.nii"),
        *("imagesTr/a_10_0000.nii", "imagesTr/a_10_0001.nii"),
        *("imagesTs/a_9_0000.nii", "imagesTs/a_9_0001.nii"),
    )
    layout = recognize_folder(folder, unlabeled=True)
    assert layout.description == "nnU-Net, 2 channels: imagesTr, labelsTr"
    assert [case["case_id"] for case in layout.cases] == ["a_2", "a_9", "a_10"]
    assert ["label" in case for case in layout.cases] == [True, False, False]
    assert layout.cases[1]["image"] == ["imagesTs/a_9_0000.nii", "imagesTs/a_9_0001.nii"]
    assert layout.left_out == ""
    assert len(recognize_folder(folder).cases) == 1


def test_a_labeled_test_set_is_not_trained_on(touch):
    names = [f"{part}/{name}.nii" for part, name in (("imagesTr", "a"), ("labelsTr", "a"))]
    folder = touch(*names, "imagesTs/b.nii", "labelsTs/b.nii", "imagesVal/c.nii")
    layout = recognize_folder(folder, unlabeled=True)
    assert [case["case_id"] for case in layout.cases] == ["a", "c"]
    assert layout.left_out == "Left out: imagesTs."


def test_rejects_an_unlabeled_image_of_a_name_there_is(touch):
    folder = touch("imagesTr/a.nii", "labelsTr/a.nii", "imagesTs/a.nii")
    with pytest.raises(ValueError, match=r"one file of each name, but got .*Tr/a\.nii and a\.nii"):
        recognize_folder(folder, unlabeled=True)


def test_images_with_an_ending_of_their_own(touch):
    layout = recognize_folder(touch("images/1_image.nii", "labels/1_label.nii"))
    assert cases_of(layout) == [("1", "images/1_image.nii", "labels/1_label.nii")]


def test_labels_come_before_masks(touch):
    layout = recognize_folder(touch("images/1.png", "masks/1.png", "labels/1.png"))
    assert cases_of(layout)[0][2] == "labels/1.png"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["scans/a.nii"], r"imagesTr and labelsTr, or images and labels, but got .* scans;"),
        (["a.nii"], r"but got the folders: none; state patterns"),
        (["images/a.nii", "labels/a.txt"], r"images or volumes in .*labels, but got none"),
        (["images/a.nii", "labels/a.nii", "labels/b.nii"], r"1 of 2 have none, .* b\.nii"),
        (["images/a.nii", "labels/b.nii"], r"1 of 1 have none, .* b\.nii; if names differ"),
        (["images/a.nii", "images/a.nii.gz", "labels/a.nii"], r"one file of each name"),
        (
            [f"{i}.nii" for i in ("images/a_0000", "images/a_0001", "images/b_0000", *_LABELS)],
            r"the 2 channels 0000 to 0001 of every case in .*, but got 0000 for 'b'",
        ),
    ],
)
def test_rejects(touch, names, message):
    with pytest.raises(ValueError, match=message):
        recognize_folder(touch(*names))


def test_rejects_a_missing_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="there is no folder"):
        recognize_folder(tmp_path / "none")
