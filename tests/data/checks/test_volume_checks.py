from __future__ import annotations

import gzip
import json
import shutil

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medkd.data import check_cases, find_unused_files, read_manifest
from medkd.files import sha256_of


@pytest.fixture
def folder(volumes):
    return volumes[0]


@pytest.fixture
def check(volumes):
    """Findings as (severity, case, message), and files as they were."""
    folder, write = volumes
    manifest = write()

    def check(content=None):
        stated = manifest if content is None else content
        before = {path: sha256_of(path) for path in folder.rglob("*.*")}
        checked = list(check_cases(read_manifest(stated), folder))
        assert {path: sha256_of(path) for path in folder.rglob("*.*")} == before
        return [(f.severity, f.case_id, f.message) for _, found in checked for f in found]

    return check


def rewrite(path, array=None, affine=None, kind=nibabel.Nifti1Image, edit=None):
    """Save a volume again with something changed."""
    old = nibabel.load(path)
    array = np.asarray(old.dataobj) if array is None else array
    new = kind(array, old.affine if affine is None else affine)
    if edit is not None:
        edit(new.header)
    nibabel.save(new, path)


def scan(folder, name="b"):
    return folder / "imagesTr" / f"{name}_0000.nii.gz"


def label(folder, name="b"):
    return folder / "labelsTr" / f"{name}.nii.gz"


def patch(path, *, offset, content):
    """Change bytes of the header, which nibabel would set right on saving."""
    with gzip.open(path) as file:
        data = bytearray(file.read())
    data[offset : offset + content.nbytes] = content.tobytes()
    with gzip.open(path, "wb") as file:
        file.write(data)


def oblique(affine, degrees):
    turned = affine.copy()
    turned[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix() @ affine[:3, :3]
    return turned


def both(folder, **changes):
    rewrite(scan(folder), **changes)
    rewrite(label(folder), **changes)


def the_one(findings, severity):
    (finding,) = findings
    assert finding[:2] == (severity, "b")
    return finding[2]


def test_sound_volumes_have_no_findings(check):
    assert check() == []


def test_an_oblique_volume_is_sound(check, folder):
    affine = nibabel.load(scan(folder)).affine
    both(folder, affine=oblique(affine, 20))
    assert check() == []


class TestErrors:
    def test_another_shape(self, check, folder):
        rewrite(label(folder), array=np.zeros((7, 6, 4), np.uint8) + np.eye(6, 4, dtype=np.uint8))
        assert "(7, 6, 5), but got (7, 6, 4)" in the_one(check(), "error")

    def test_another_place_says_how_far(self, check, folder):
        affine = nibabel.load(scan(folder)).affine
        affine[:3, 3] += (3, 0, 4)
        rewrite(label(folder), affine=affine)
        message = the_one(check(), "error")
        assert "b.nii.gz to lie on the grid of the image" in message
        assert "up to 5 mm and 0.0 degrees between them" in message

    def test_another_angle_says_how_far(self, check, folder):
        affine = nibabel.load(scan(folder)).affine
        rewrite(label(folder), affine=oblique(affine, 10))
        far = np.hypot(5, 8) * 2 * np.sin(np.radians(5))  # the chord of the farthest corner
        assert f"up to {far:.3g} mm and 10.0 degrees" in the_one(check(), "error")

    @pytest.mark.parametrize(
        ("values", "message"),
        [((0, 7), r"values [0, 1, 2] of `label_values`, but got 7"), ((0, 0.5), "but got 0.5")],
    )
    def test_wrong_and_fractional_label_values(self, check, folder, values, message):
        array = np.full((7, 6, 5), values[0], dtype=np.float32)
        array[3, 3, 3] = values[1]
        rewrite(label(folder), array=array)
        assert message in the_one(check(), "error")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_not_finite(self, check, folder, value):
        array = np.random.default_rng(1).random((7, 6, 5), dtype=np.float32)
        array[0, 0, 0] = value
        rewrite(scan(folder), array=array)
        assert "to have finite values, but got 1 NaN or infinite" in the_one(check(), "error")

    def test_one_value_everywhere(self, check, folder):
        rewrite(scan(folder), array=np.full((7, 6, 5), 3, np.int16))
        assert "to show something, but got 3 everywhere" in the_one(check(), "error")

    @pytest.mark.parametrize("part", [scan, label])
    def test_four_axes(self, check, folder, part):
        rewrite(part(folder), array=np.zeros((7, 6, 5, 2), np.int16))
        assert "but got shape (7, 6, 5, 2)" in the_one(check(), "error")

    @pytest.mark.parametrize("part", [scan, label])
    def test_a_truncated_gzip(self, check, folder, part):
        path = part(folder)
        path.write_bytes(path.read_bytes()[:-20])
        assert f"{path.name} to be a whole NIfTI file" in the_one(check(), "error")

    def test_a_header_without_data(self, check, folder):
        with gzip.open(scan(folder)) as file:
            header = file.read(352)
        with gzip.open(scan(folder), "wb") as file:
            file.write(header)
        assert "b_0000.nii.gz to be a whole NIfTI file" in the_one(check(), "error")

    def test_voxels_that_are_no_numbers(self, check, folder):
        rewrite(scan(folder), array=np.ones((7, 6, 5), dtype=np.complex64))
        assert "to hold real numbers, but got voxels of complex64" in the_one(check(), "error")

    def test_the_same_voxels_in_another_split(self, check, folder):
        array = np.asarray(nibabel.load(scan(folder, "a")).dataobj)
        rewrite(scan(folder, "c"), array=array.astype(np.float32))
        ((severity, case_id, message),) = check()
        assert (severity, case_id) == ("error", "c")
        assert "same voxels as imagesTr/a_0000.nii.gz, which is in another split" in message

    def test_channels_on_two_grids(self, volumes):
        folder, write = volumes
        manifest = read_manifest(write(channels=2))
        rewrite(folder / "imagesTr" / "b_0001.nii.gz", affine=np.eye(4))
        found = [f.message for _, findings in check_cases(manifest, folder) for f in findings]
        assert len(found) == 1
        assert "b_0001.nii.gz to lie on the grid of" in found[0]


class TestWarnings:
    def test_another_orientation_than_most(self, check, folder):
        both(folder, affine=np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]]))
        message = the_one(check(), "warning")
        assert "stored as PSR, most of this data set (3 of 4) as RAS" in message

    def test_an_outlier_of_spacing(self, check, folder):
        both(folder, affine=np.diag([1, 1, 5, 1]))
        message = the_one(check(), "warning")
        assert "1 x 1 x 5 mm (along the axes of RAS), but the median" in message
        assert "1 x 1 x 2 mm" in message

    def test_the_same_spacing_in_another_axis_order_is_no_outlier(self, check, folder):
        both(folder, affine=np.array([[0, 1, 0, 0], [0, 0, 1, 0], [2, 0, 0, 0], [0, 0, 0, 1]]))
        assert "stored as SRA" in the_one(check(), "warning")

    def test_nifti_2(self, check, folder):
        rewrite(scan(folder), kind=nibabel.Nifti2Image)
        assert "is NIfTI-2, which is read here" in the_one(check(), "warning")

    def test_an_empty_label(self, check, folder):
        rewrite(label(folder), array=np.zeros((7, 6, 5), np.uint8))
        assert "b.nii.gz has no class but background" in the_one(check(), "warning")

    def test_a_scaled_label_whose_values_come_out_whole(self, check, folder):
        stored = np.asarray(nibabel.load(label(folder)).dataobj) * 10
        rewrite(label(folder), array=stored)
        patch(label(folder), offset=112, content=np.float32([0.1, 0]))
        assert "is stored scaled (times 0.1 plus 0)" in the_one(check(), "warning")

    def test_a_scaled_label_whose_values_become_fractions(self, check, folder):
        patch(label(folder), offset=112, content=np.float32([0.3, 0]))
        error, warning = check()
        assert error[0] == "error"
        assert "but got 0.3, 0.6" in error[2]
        assert "is stored scaled (times 0.3 plus 0)" in warning[2]

    def test_two_positions(self, check, folder):
        def move(header):
            header.set_qform(np.diag([1, 1, 2, 1]) + np.eye(4, k=3) * 6, code=1)
            header.set_sform(np.diag([1, 1, 2, 1]), code=1)

        rewrite(scan(folder), edit=move)
        message = the_one(check(), "warning")
        assert "states two positions up to 6 mm and 0.0 degrees apart: its sform is read" in message

    def test_no_position(self, check, folder):
        for part in (scan, label):
            patch(part(folder), offset=252, content=np.int16([0, 0]))
        texts = [text for _, _, text in check() if "does not say which way it lies" in text]
        assert len(texts) == 2
        assert all("(sform and qform codes are 0): LAS is a guess" in text for text in texts)

    def test_another_unit(self, check, folder):
        rewrite(scan(folder), edit=lambda header: header.set_xyzt_units("meter"))
        assert "states its voxel sides in meter" in the_one(check(), "warning")

    def test_the_same_voxels_within_a_split(self, check, folder):
        shutil.copy(scan(folder, "a"), scan(folder))
        assert "has the same voxels as imagesTr/a_0000.nii.gz." in the_one(check(), "warning")

    def test_volumes_that_no_case_uses(self, volumes):
        folder, write = volumes
        manifest = read_manifest(write())
        assert find_unused_files(manifest, folder) == []
        shutil.copy(scan(folder), scan(folder, "x"))
        (folder / "imagesTr" / "._a_0000.nii.gz").touch()
        (finding,) = find_unused_files(manifest, folder)
        assert "No case uses x_0000.nii.gz in" in finding.message


@pytest.mark.parametrize("placed", [True, False])
def test_a_nrrd_without_a_place_or_in_another_unit(check, folder, write_json, placed):
    place = (
        'space: RAS\nspace units: "cm" "cm" "cm"\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n'
        if placed
        else "spacings: 1 1 2\n"
    )
    text = f"NRRD0004\ntype: short\ndimension: 3\n{place}sizes: 7 6 5\nencoding: raw\n"
    path = scan(folder).with_name("b.nrrd")
    array = np.asarray(nibabel.load(scan(folder)).dataobj)
    path.write_bytes(f"{text}endian: little\n\n".encode() + array.T.tobytes())
    manifest = json.loads((folder.parent / "volumes.json").read_text())
    manifest["cases"][1]["image"] = "imagesTr/b.nrrd"
    found = [message for _, case, message in check(write_json(manifest)) if case == "b"]
    stated = [message for message in found if "imagesTr/b.nrrd" in message]
    if placed:
        assert stated == [
            "The image imagesTr/b.nrrd states its voxel sides in cm, but they are read as mm."
        ]
    else:
        guess = "does not say which way it lies (no space is stated): LPS is a guess."
        assert f"The image imagesTr/b.nrrd {guess}" in stated
