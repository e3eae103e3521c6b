"""The real h5 files, converted, against the shipped manifest."""

from __future__ import annotations

import h5py
import nibabel
import numpy as np
import pytest

from medkd.data import check_cases, convert_ssl4mis, load_cases, read_manifest, select_labeled
from medkd.data.ssl4mis.ssl4mis_folder import read_ssl4mis_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def converted(ssl4mis_dir, tmp_path_factory):
    output = tmp_path_factory.mktemp("acdc") / "nifti"
    return output, convert_ssl4mis(ssl4mis_dir, output, spacing=None)


def test_is_what_the_shipped_manifest_says(converted, manifests_dir):
    assert converted[1] == read_manifest(manifests_dir / "acdc_ssl4mis.json")


def test_nothing_is_to_mend(converted):
    output, manifest = converted
    assert [findings for _, findings in check_cases(manifest, output) if findings] == []


def test_labeled_patients_are_the_published_ones(converted, manifests_dir):
    """The field counts slices: 68 of 3 patients and 136 of 7, both frames of each."""
    output, _ = converted
    manifest = manifests_dir / "acdc_ssl4mis.json"
    cases = load_cases(manifest, output, split="train")
    for num_patients, num_slices in ((3, 68), (7, 136)):
        labeled = select_labeled(cases, num_labeled=2 * num_patients)
        assert len({case["patient"] for case in labeled}) == num_patients
        assert sum(nibabel.load(case["image"]).shape[2] for case in labeled) == num_slices


def test_no_voxel_is_lost_or_moved(converted, ssl4mis_dir):
    output, _ = converted
    for case in read_ssl4mis_folder(ssl4mis_dir).cases[::9]:
        for role in ("image", "label"):
            written = np.asarray(
                nibabel.load(output / f"{role}s" / f"{case.case_id}.nii.gz").dataobj
            )
            stored = []
            for path in case.files:
                with h5py.File(path) as file:
                    stored += [file[role][()]] if len(case.files) > 1 else [*file[role][()]]
            assert written.shape[2] == len(stored)
            for z, plane in enumerate(stored):
                assert np.array_equal(written[:, :, z], plane.T)


def test_slices_are_in_the_order_of_the_heart(converted):
    """From base to apex a heart changes little from slice to slice, and its end is small."""
    output, manifest = converted
    for case in manifest.cases[::9]:
        label = np.asarray(nibabel.load(output / case.files["label"]).dataobj) > 1
        area = label.sum(axis=(0, 1))
        assert area[: len(area) // 2].mean() > area[-1]
