from __future__ import annotations

import zipfile

import nibabel
import numpy as np
import pytest
from pydicom.uid import generate_uid

from medkd.data import check_cases, read_manifest
from medkd.data.dicom import convert_dicom, dicom_conversion, read_series, write_segmentation


@pytest.fixture
def exports(dicom, tmp_path):
    """Four patients, the first with two series; each with a heart and a tumor in it."""
    folder = tmp_path / "exports"
    for number, (patient, part) in enumerate(
        [("7", "a"), ("7", "b"), ("3", "a"), ("5", "a"), ("9", "a")]
    ):
        slices = dicom.slices(patient=patient, seed=number)
        drawn = {
            "Heart": [dicom.box((1, 5), (1, 4), place) for place in (1, 2, 3)],
            "GTV-1": [dicom.box((2, 2 + number % 3), (2, 3), 2)],
            f"Name^{patient}": [dicom.box((0, 0), (0, 0), 0)],
        }
        where = dicom.save(slices, folder / f"Name_{patient}" / part)
        contours = dicom.contours(slices, drawn, names_series=number % 2 == 0)
        dicom.save([contours], where / "structures")
    return folder


def load(folder, path):
    return np.asarray(nibabel.load(folder / path).dataobj)


def test_volumes_are_those_of_the_series(dicom, exports, tmp_path):
    manifest = convert_dicom(exports, tmp_path / "out")
    first = read_series(exports / "Name_3" / "a")  # first by path
    image = nibabel.load(tmp_path / "out" / manifest.cases[0].files["image"])
    assert np.array_equal(np.asarray(image.dataobj), first.image)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.affine, first.affine, atol=1e-5)
    label = load(tmp_path / "out", manifest.cases[0].files["label"])
    expected = np.zeros(dicom.shape, dtype=np.uint8)
    expected[1:6, 1:5, 1:4] = 2
    expected[2:5, 2:4, 2] = 1  # the smaller one is kept
    assert np.array_equal(label, expected)


def test_the_manifest(exports, tmp_path):
    manifest = convert_dicom(exports, tmp_path / "out", name="hearts")
    assert read_manifest(tmp_path / "out" / "manifest.json") == manifest
    assert manifest.class_names == ("background", "gtv_1", "heart")
    assert (manifest.name, manifest.modality, manifest.channel_names) == ("hearts", "CT", {0: "CT"})
    assert [case.case_id for case in manifest.cases] == [f"case_00{n}" for n in range(1, 6)]
    people = [case.patient for case in manifest.cases]  # of the folders Name_3, 5, 7, 7 and 9
    assert people == [f"patient_00{n}" for n in (1, 2, 3, 3, 4)]
    assert sorted(map(len, manifest.splits.values())) in ([1, 1, 3], [1, 2, 2])
    assert "4 structures are left out, for their names are not known" in manifest.changes
    assert "Where structures overlap (18 voxels), the smaller one is kept." in manifest.changes
    findings = [found for _, found in check_cases(manifest, tmp_path / "out")]
    assert [f for found in findings for f in found if f.severity == "error"] == []


def test_an_archive_is_its_folder(exports, tmp_path):
    path = tmp_path / "exports.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(exports.rglob("*")):
            archive.write(file, file.relative_to(exports))
    assert convert_dicom(path, tmp_path / "a") == convert_dicom(exports, tmp_path / "b")


def test_structures_that_are_asked_for(exports, tmp_path):
    manifest = convert_dicom(exports, tmp_path / "out", structures=["heart", "name^3"])
    assert manifest.class_names == ("background", "heart", "name_3")
    assert "name^3 is in 1 of 5 series, and background in the others" in manifest.changes
    labels = [load(tmp_path / "out", case.files["label"]) for case in manifest.cases]
    assert [int((label == 2).sum()) for label in labels] == [1, 0, 0, 0, 0]


def test_fewer_than_three_patients_are_one_split(lung_dir, tmp_path):
    manifest = convert_dicom(lung_dir, tmp_path / "out")
    assert manifest.splits == {"all": ("case_001", "case_002")}
    assert manifest.class_names == ("background", "gtv_1")
    findings = [found for _, found in check_cases(manifest, tmp_path / "out")]
    assert findings == [[], []]
    sizes = [nibabel.load(tmp_path / "out" / c.files["label"]).shape for c in manifest.cases]
    assert sizes == [(204, 201, 60), (141, 138, 41)]


def test_fractions_are_kept(exports, tmp_path):
    manifest = convert_dicom(exports, tmp_path / "out", fractions={"a": 0.5, "b": 0.5}, seed=3)
    assert sorted(manifest.splits) == ["a", "b"]


def test_segmentations_come_back(dicom, tmp_path):
    pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")
    label = np.zeros(dicom.shape, dtype=np.uint8)
    label[1:3, 2:5, 1], label[4, 4, 2:4] = 1, 2
    for name in "abc":
        slices = dicom.slices(patient=name, orientation=dicom.oblique)
        series = read_series(dicom.save(slices, tmp_path / "in" / name))
        path = tmp_path / "in" / name / "segmentation.dcm"
        write_segmentation(label, series.affine, series, ["background", "heart", "aorta"], path)
    manifest = convert_dicom(tmp_path / "in", tmp_path / "out", structures=["heart", "aorta"])
    for case in manifest.cases:
        assert np.array_equal(load(tmp_path / "out", case.files["label"]), label)


def test_what_is_no_volume_is_left_out(dicom, exports, tmp_path):
    for number, spoil in enumerate(("gap", "contour")):
        slices = dicom.slices(patient=f"x{number}")
        drawn = {"Heart": [dicom.box((1, 2), (1, 2), 1 + 0.4 * number)], "GTV-1": []}
        drawn["GTV-1"] = [dicom.box((1, 1), (1, 1), 1)]
        where = exports / f"Name_x{number}"
        dicom.save(slices[:2] + slices[3:] if spoil == "gap" else slices, where)
        dicom.save([dicom.contours(slices, drawn)], where / "structures")
    dicom.save(dicom.slices(), exports / "unlabeled")
    dicom.save([dicom.contours(dicom.slices(), drawn)], exports / "elsewhere")
    manifest = convert_dicom(exports, tmp_path / "out")
    assert len(manifest.cases) == 5
    said = manifest.changes
    assert "Series 6 is left out: Expected the slices of series 6 to follow one another" in said
    assert "Series 7 is left out: Expected every contour to lie on a slice, but one is up" in said
    assert "1 series without labels are left out." in said
    assert "1 files with labels are about none of the series." in said


def test_values_with_fractions_stay_fractions(dicom, tmp_path):
    slices = dicom.slices()
    for ct in slices:
        ct.RescaleSlope = 0.5
    dicom.save(slices, tmp_path / "in")
    dicom.save(
        [dicom.contours(slices, {"heart": [dicom.box((1, 1), (1, 1), 1)]})], tmp_path / "in" / "s"
    )
    manifest = convert_dicom(tmp_path / "in", tmp_path / "out")
    image = nibabel.load(tmp_path / "out" / manifest.cases[0].files["image"])
    assert image.get_data_dtype() == np.float32


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(exports, tmp_path, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(dicom_conversion, "write_manifest", fail)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(type(fault)):
        convert_dicom(exports, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_rejects_a_folder_that_exists(exports):
    with pytest.raises(FileExistsError, match=r"a new folder for the output, but .*exports exists"):
        convert_dicom(exports, exports)


def test_rejects_series_without_labels(scan, tmp_path):
    with pytest.raises(ValueError, match="an RTSTRUCT or SEG about them, but none of the 1 series"):
        convert_dicom(scan, tmp_path / "out")


def test_rejects_where_nothing_is_a_volume(dicom, tmp_path):
    slices = dicom.slices()[:1]
    dicom.save(slices, tmp_path / "in")
    dicom.save(
        [dicom.contours(slices, {"heart": [dicom.box((1, 1), (1, 1), 0)]})], tmp_path / "in" / "s"
    )
    with pytest.raises(ValueError, match=r"but all are left out.*got a lone slice"):
        convert_dicom(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rejects_several_modalities(dicom, tmp_path):
    for modality in ("CT", "MR"):
        slices = dicom.slices(modality=modality, patient=modality)
        dicom.save(slices, tmp_path / "in" / modality)
        drawn = {"heart": [dicom.box((1, 1), (1, 1), 0)]}
        dicom.save([dicom.contours(slices, drawn)], tmp_path / "in" / modality / "s")
    with pytest.raises(ValueError, match="labeled series of one modality, but got CT, MR"):
        convert_dicom(tmp_path / "in", tmp_path / "out")


def test_rejects_a_structure_in_two_files(dicom, tmp_path):
    slices = dicom.slices(frame=generate_uid())
    dicom.save(slices, tmp_path / "in")
    for name in "st":
        drawn = {"heart": [dicom.box((1, 1), (1, 1), 0)]}
        dicom.save([dicom.contours(slices, drawn)], tmp_path / "in" / name)
    with pytest.raises(ValueError, match="Expected heart in one file, but it is in several"):
        convert_dicom(tmp_path / "in", tmp_path / "out")
