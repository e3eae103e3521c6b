"""The real files against their manifest."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, LoadImaged

from medkd.data import CheckCased, EncodeLabeld, VolumeFileReader, load_cases, read_manifest
from medkd.files import sha256_of


@pytest.fixture(scope="module")
def manifest(manifests_dir):
    return read_manifest(manifests_dir / "msd_hippocampus.json")


def test_holds_each_file_of_the_folder_once(manifest, hippocampus_dir):
    for role, folder in (("image", "imagesTr"), ("label", "labelsTr")):
        stated = {case.files[role] for case in manifest.cases}
        assert stated == {f"{folder}/{path.name}" for path in (hippocampus_dir / folder).iterdir()}


def test_files_are_those_of_the_owner(manifest, hippocampus_dir):
    assert len(manifest.checksums) == 2 * len(manifest.cases)
    for path in list(manifest.checksums)[::20]:
        assert sha256_of(hippocampus_dir / path) == manifest.checksums[path]


def test_sizes_and_spacing_are_as_described(manifest, hippocampus_dir):
    headers = [nibabel.load(hippocampus_dir / case.files["image"]) for case in manifest.cases]
    shapes = np.array([header.shape for header in headers])
    assert shapes.min(axis=0).tolist() == [31, 41, 24]
    assert shapes.max(axis=0).tolist() == [43, 59, 47]
    assert {header.header.get_zooms() for header in headers} == {(1.0, 1.0, 1.0)}


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_case_passes_the_whole_chain(manifests_dir, hippocampus_dir, split):
    case = load_cases(manifests_dir / "msd_hippocampus.json", hippocampus_dir, split=split)[0]
    load = Compose(
        [
            LoadImaged(["image", "label"], reader=VolumeFileReader(), ensure_channel_first=True),
            EncodeLabeld("label", {0: 0, 1: 1, 2: 2}),
            CheckCased(keys=["image", "label"]),
        ]
    )
    loaded = load(case)
    assert loaded["label"].unique().tolist() == [0, 1, 2]
    # Of a hippocampus some 3 ml; the anterior part is about as large as the posterior one.
    anterior, posterior = ((loaded["label"] == index).sum().item() / 1000 for index in (1, 2))
    assert 1 < anterior < 3
    assert 1 < posterior < 3


def test_both_sides_of_a_person_come_from_one_scan(manifest, hippocampus_dir):
    """Odd and next even number are as bright as each other; even and next odd are not."""
    levels = {}
    for case in manifest.cases:
        volume = nibabel.load(hippocampus_dir / case.files["image"]).get_fdata()
        levels[int(case.case_id[-3:])] = np.log1p(np.percentile(volume, [5, 25, 50, 75, 95, 99]))
    far = {0: [], 1: []}
    for number in levels.keys() & {number - 1 for number in levels}:
        far[number % 2].append(np.abs(levels[number] - levels[number + 1]).mean())
    assert len(far[1]) == 53
    assert max(far[1]) < 0.1
    assert np.median(far[0]) > 0.2
