"""The real files against their manifest, and what the grouping makes of them."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch

from medkd.data import EncodeLabeld, load_cases, read_manifest
from medkd.files import sha256_of

# Milliliters of a healthy adult's brain: wide, because people and protocols differ.
PLAUSIBLE = {
    "white_matter": (330, 550),
    "cortical_gray_matter": (450, 800),
    "basal_ganglia_and_thalami": (25, 50),
    "ventricular_csf": (5, 60),
    "cerebellum": (110, 200),
    "brain_stem": (20, 40),
}


@pytest.fixture(scope="module")
def manifest(manifests_dir):
    return read_manifest(manifests_dir / "miccai_2012_brains.json")


@pytest.fixture(scope="module")
def voxels(manifest, brains_dir):
    """Case to its number of voxels (1 mm, a microliter) of every stored id."""
    counts = {}
    for case in manifest.cases:
        label = nibabel.load(brains_dir / case.files["label"])
        assert label.header.get_zooms() == (1.0, 1.0, 1.0)
        counts[case.case_id] = np.bincount(np.asarray(label.dataobj).ravel(), minlength=256)
    return counts


def test_files_are_those_stated(manifest, brains_dir):
    assert len(manifest.checksums) == 2 * len(manifest.cases)
    for path, digest in manifest.checksums.items():
        assert sha256_of(brains_dir / path) == digest


def test_every_stored_id_has_a_group(manifest, voxels):
    stored = {int(index) for count in voxels.values() for index in np.flatnonzero(count)}
    assert len(stored) > 130
    assert stored <= manifest.label_values.keys()


def test_groups_have_the_volume_of_a_brain(manifest, voxels):
    for case_id, count in voxels.items():
        for name, (least, most) in PLAUSIBLE.items():
            index = manifest.labels[name]
            ids = [value for value, group in manifest.label_values.items() if group == index]
            assert least < count[ids].sum() / 1000 < most, (case_id, name)


def test_two_scans_of_one_person_are_known(manifest, voxels):
    every = [index for index in range(1, 256) if all(c[index] > 500 for c in voxels.values())]
    shares = np.array([np.log(count[every] / count[every].sum()) for count in voxels.values()])
    alike = np.corrcoef(shares - shares.mean(axis=0))
    cases = {case.case_id: case.patient for case in manifest.cases}
    for row, one in enumerate(voxels):
        for column, other in enumerate(voxels):
            if row != column:
                assert (alike[row, column] > 0.5) == (cases[one] == cases[other])


def test_a_label_is_encoded_without_refusal(manifests_dir, manifest, brains_dir):
    (case,) = load_cases(manifests_dir / "miccai_2012_brains.json", brains_dir, split="validation")
    stored = torch.from_numpy(nibabel.load(case["label"]).get_fdata()).unsqueeze(0)
    encoded = EncodeLabeld("label", manifest.label_values)({"label": stored})["label"]
    assert encoded.unique().tolist() == list(range(7))
    assert encoded[stored == 35].unique().tolist() == [manifest.labels["brain_stem"]]
    assert encoded[stored == 45].unique().tolist() == [manifest.labels["white_matter"]]
