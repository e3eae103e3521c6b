from __future__ import annotations

import re

import pytest

from medkd.data import load_cases, read_manifest, split_patients

SIZES = {
    "acdc": {"train": 140, "validation": 20, "test": 40},
    "acdc_ssl4mis": {"train": 76, "validation": 4, "test": 20},
    "chase_db1": {"train": 14, "validation": 2, "test": 4},
    "drive": {"train": 17, "validation": 3, "test": 20},
    "fives": {"train": 540, "validation": 60, "test": 200},
    "hrf": {"train": 12, "validation": 3, "test": 30},
    "miccai_2012": {"train": 12, "validation": 3, "test": 20},
    "miccai_2012_brains": {"train": 6, "validation": 1, "test": 2},
    "msd_heart": {"train": 14, "validation": 2, "test": 4},
    "msd_hippocampus": {"train": 140, "validation": 20, "test": 40},
    "msd_spleen": {"train": 29, "validation": 4, "test": 8},
    "segthor": {"train": 28, "validation": 4, "test": 8},
    "stare": {"train": 9, "validation": 1, "test": 10},
}


BRAIN = (
    "white_matter",
    "cortical_gray_matter",
    "basal_ganglia_and_thalami",
    "ventricular_csf",
    "cerebellum",
    "brain_stem",
)
VOLUMES = {
    "acdc": ("right_ventricle", "myocardium", "left_ventricle"),
    "acdc_ssl4mis": ("right_ventricle", "myocardium", "left_ventricle"),
    "miccai_2012": BRAIN,
    "miccai_2012_brains": BRAIN,
    "msd_heart": ("left_atrium",),
    "msd_hippocampus": ("anterior", "posterior"),
    "msd_spleen": ("spleen",),
    "segthor": ("esophagus", "heart", "trachea", "aorta"),
}


def test_every_manifest_is_listed(manifests_dir):
    assert sorted(path.stem for path in manifests_dir.glob("*.json")) == sorted(SIZES)


@pytest.fixture(params=sorted(SIZES))
def manifest(request, manifests_dir):
    return request.param, read_manifest(manifests_dir / f"{request.param}.json")


def test_is_valid_and_has_the_stated_split(manifest):
    name, content = manifest
    assert {split: len(ids) for split, ids in content.splits.items()} == SIZES[name]
    assert sum(SIZES[name].values()) == len(content.cases)
    assert content.spatial_dims == (3 if name in VOLUMES else 2)
    assert content.num_channels == (1 if name in VOLUMES else 3)
    assert content.class_names == ("background", *VOLUMES.get(name, ("vessel",)))


def test_says_where_from_and_on_which_terms(manifest):
    _, content = manifest
    for key in ("description", "modality", "source", "license", "citation", "changes"):
        assert getattr(content, key), key


def test_chase_db1_is_split_by_child(manifests_dir):
    manifest = read_manifest(manifests_dir / "chase_db1.json")
    children = {
        split: sorted({case.patient for case in manifest.split_cases(split)})
        for split in manifest.splits
    }
    assert children == {
        "train": ["01", "02", "03", "04", "05", "06", "07"],
        "validation": ["08"],
        "test": ["09", "10"],
    }


def test_fives_groups_are_balanced(manifests_dir):
    manifest = read_manifest(manifests_dir / "fives.json")
    for split, count in {"train": 135, "validation": 15, "test": 50}.items():
        for disease in "ADGN":
            ids = [i for i in manifest.splits[split] if i.endswith(f"_{disease}")]
            assert len(ids) == count


def test_neighbors_of_stare_share_a_split(manifests_dir):
    manifest = read_manifest(manifests_dir / "stare.json")
    split_of = {
        int(re.sub(r"\D", "", i)): split for split, ids in manifest.splits.items() for i in ids
    }
    neighbors = [number for number in split_of if number + 1 in split_of]
    assert neighbors
    assert all(split_of[number] == split_of[number + 1] for number in neighbors)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_chase_db1_is_all_there(manifests_dir, chase_dir, split):
    cases = load_cases(manifests_dir / "chase_db1.json", chase_dir, split=split)
    assert len(cases) == SIZES["chase_db1"][split]
    assert all({"label_2nd", "mask"} <= case.keys() for case in cases)


@pytest.mark.parametrize("name", ["msd_heart", "msd_spleen", "segthor"])
def test_dealt_splits_are_those_of_the_stated_rule(manifests_dir, name):
    manifest = read_manifest(manifests_dir / f"{name}.json")
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    patients = [case.patient for case in manifest.cases]
    assert len(set(patients)) == len(patients)
    assert split_patients(patients, fractions=shares, seed=0) == {
        split: [case.patient for case in manifest.split_cases(split)] for split in manifest.splits
    }


def test_acdc_has_two_frames_of_each_patient_in_one_split(manifests_dir):
    manifest = read_manifest(manifests_dir / "acdc.json")
    frames = {}
    for case in manifest.cases:
        patient, frame = re.fullmatch(r"patient(\d{3})_frame(\d{2})", case.case_id).groups()
        assert patient == case.patient
        assert case.files["image"] == f"patient{patient}/{case.case_id}.nii.gz"
        assert case.files["label"] == f"patient{patient}/{case.case_id}_gt.nii.gz"
        frames.setdefault(patient, []).append(int(frame))
    assert sorted(frames) == [f"{number:03d}" for number in range(1, 101)]
    assert all(len(pair) == 2 and pair[0] < pair[1] < 20 for pair in frames.values())
    assert [patient for patient, pair in frames.items() if pair[0] != 1] == ["090"]


def test_miccai_2012_keeps_second_scans_with_their_person(manifests_dir):
    for name in ("miccai_2012", "miccai_2012_brains"):
        for case in read_manifest(manifests_dir / f"{name}.json").cases:
            number = int(case.case_id[:4])
            assert int(case.patient) == (number - 20 if 1020 <= number < 1040 else number)
    labels = [
        read_manifest(manifests_dir / f"{name}.json").label_values
        for name in ("miccai_2012", "miccai_2012_brains")
    ]
    assert labels[0] == labels[1]


def test_hippocampi_of_one_person_share_a_split(manifests_dir):
    manifest = read_manifest(manifests_dir / "msd_hippocampus.json")
    for case in manifest.cases:
        assert int(case.patient) == (int(case.case_id[-3:]) + 1) // 2
    patients = {
        split: sorted({case.patient for case in manifest.split_cases(split)})
        for split in manifest.splits
    }
    assert [len(group) for group in patients.values()] == [103, 15, 29]
    shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
    everyone = [case.patient for case in manifest.cases]
    assert split_patients(everyone, fractions=shares, seed=31) == patients
