from __future__ import annotations

import shutil
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from nibabel import aff2axcodes
from pydicom import FileMetaDataset
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from medkd.data.dicom import is_dicom, list_series, read_series

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_by_simpleitk(folder):
    """Voxels ``(X, Y, Z)`` and affine, RAS."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    directions = np.reshape(image.GetDirection(), (3, 3))
    affine[:3, :3] = directions * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), _FLIP @ affine


def zip_folder(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            archive.write(file, Path("exported") / file.relative_to(folder))
    return path


@pytest.mark.parametrize("oblique", [False, True])
def test_equals_simpleitk(dicom, tmp_path, oblique):
    slices = dicom.slices(orientation=dicom.oblique) if oblique else dicom.slices()
    folder = dicom.save(slices, tmp_path / "scan")
    series = read_series(folder)
    voxels, affine = read_by_simpleitk(folder)
    assert series.image.dtype == np.float32
    assert series.image.shape == dicom.shape
    assert np.array_equal(series.image, voxels)
    np.testing.assert_allclose(series.affine, affine, atol=1e-6)


@pytest.mark.parametrize("patient", ["pat_1", "pat_2"])
def test_real_series_equals_simpleitk(lung_dir, patient):
    series = read_series(lung_dir / patient)  # beside the structures, which are passed over
    voxels, affine = read_by_simpleitk(lung_dir / patient)
    assert np.array_equal(series.image, voxels)
    np.testing.assert_allclose(series.affine, affine, atol=1e-4)
    assert series.modality == "CT"


def test_axes_are_columns_rows_and_slices_to_the_head(scan):
    series = read_series(scan)
    assert aff2axcodes(series.affine) == ("L", "P", "S")
    np.testing.assert_allclose(np.linalg.norm(series.affine[:3, :3], axis=0), (0.75, 1.25, 2.5))
    assert series.description_safe == "CT, 7 x 6 x 5 voxels of 0.75 x 1.25 x 2.5 mm"
    assert series.image[:, :, 0].T.flags.c_contiguous


def test_each_slice_has_its_own_scale(dicom, tmp_path):
    slices = dicom.slices(modality="PT")
    expected = []
    for number, ct in enumerate(slices):
        ct.RescaleSlope, ct.RescaleIntercept = 0.25 * (number + 1), number
        expected.append(ct.pixel_array * 0.25 * (number + 1) + number)
    series = read_series(dicom.save(slices, tmp_path / "scan"))
    assert np.array_equal(series.image, np.transpose(expected, (2, 1, 0)))


def test_headers_are_in_order_and_light(dicom, tmp_path):
    slices = dicom.slices()
    for ct in slices:
        ct.add_new((0x0009, 0x0010), "LO", "PRIVATE")
    series = read_series(dicom.save(slices, tmp_path / "scan"))
    assert [h.SOPInstanceUID for h in series.headers] == [ct.SOPInstanceUID for ct in slices]
    assert not any("PixelData" in header for header in series.headers)
    assert not any(element.tag.is_private for header in series.headers for element in header)
    assert not any(getattr(header, "_pixel_array", None) is not None for header in series.headers)


def test_an_archive_is_its_folder(scan, tmp_path):
    archive = zip_folder(scan, tmp_path / "scan.zip")
    assert is_dicom(archive)
    assert np.array_equal(read_series(archive).image, read_series(scan).image)


def test_files_without_a_mark_are_known_by_their_ending(dicom, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    slices = dicom.slices()
    for number, ct in enumerate(slices):
        bare = deepcopy(ct)
        bare.file_meta = FileMetaDataset()
        bare.save_as(folder / f"{number}.dcm", implicit_vr=True, little_endian=True)
    expected = np.stack([ct.pixel_array for ct in slices]).transpose(2, 1, 0) - 1024.0
    assert is_dicom(folder)
    assert np.array_equal(read_series(folder).image, expected)


def test_copies_of_a_file_count_once(scan):
    shutil.copytree(scan, scan / "copy")
    assert read_series(scan).image.shape[2] == 5


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_slices(dicom, tmp_path, syntax):
    slices = dicom.slices()
    plain = read_series(dicom.save(slices, tmp_path / "plain"))
    try:
        for ct in slices:
            ct.compress(syntax, generate_instance_uid=False)
    except (RuntimeError, NotImplementedError):
        pytest.skip(f"no encoder of {syntax.name}")
    packed = read_series(dicom.save(slices, tmp_path / "packed"))
    assert np.array_equal(packed.image, plain.image)


class TestSeveralSeries:
    def test_the_only_volume_is_taken(self, dicom, tmp_path):
        study = "1.2.3"
        dicom.save(dicom.slices(study=study), tmp_path / "volume")
        dicom.save(dicom.slices(study=study, shape=(9, 9, 1), series_number=1), tmp_path / "scout")
        shot = dicom.slices(study=study, shape=(8, 8, 1), series_number=99)
        shot[0].SOPClassUID = SecondaryCaptureImageStorage
        del shot[0].ImagePositionPatient
        dicom.save(shot, tmp_path / "shot")
        assert read_series(tmp_path).image.shape == (7, 6, 5)
        assert [(s.number, s.description_safe) for s in list_series(tmp_path)] == [
            (1, "CT, 1 image(s) of 9 x 9 (a lone slice)"),
            (2, "CT, 5 image(s) of 7 x 6"),
            (
                3,
                "CT, 1 image(s) of 8 x 8 (a screen-save or projection, which does not say where it "
                "lies in the patient)",
            ),
        ]

    def test_one_is_chosen_by_number(self, dicom, tmp_path):
        for number, columns in enumerate((7, 8, 9), start=1):
            made = dicom.slices(study="1.2.3", shape=(columns, 6, 4), series_number=number)
            dicom.save(made, tmp_path / str(number))
        assert read_series(tmp_path, 2).image.shape == (8, 6, 4)
        assert read_series(tmp_path, series=3).image.shape == (9, 6, 4)

    @pytest.mark.parametrize("number", [None, 0, 3])
    def test_rejects_what_is_not_one_of_them(self, dicom, tmp_path, number):
        dicom.save(dicom.slices(study="1.2.3"), tmp_path / "a")
        dicom.save(dicom.slices(study="1.2.3", modality="MR", series_number=9), tmp_path / "b")
        listed = rf"2 series of .*, but got {number}: 1: CT, 5 image\(s\) of 7 x 6; 2: MR, 5 image"
        with pytest.raises(ValueError, match=listed):
            read_series(tmp_path, number)


def a_lone_slice(slices):
    del slices[1:]


def a_mosaic(slices):
    for ct in slices:
        ct.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]


def a_multi_frame_file(slices):
    del slices[1:]
    slices[0].NumberOfFrames = 2
    slices[0].PixelData *= 2


def a_screen_save_in_color(slices):
    for ct in slices:
        ct.SamplesPerPixel, ct.PhotometricInterpretation, ct.PlanarConfiguration = 3, "RGB", 0
        ct.PixelData *= 3


def a_screen_save(slices):
    for ct in slices:
        del ct.ImageOrientationPatient


def a_truncated_file(slices):
    slices[2].PixelData = slices[2].PixelData[:-6]


def an_unknown_compression(slices):
    slices[1].file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.103"  # MPEG-4
    slices[1].PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd"
    slices[1]["PixelData"].is_undefined_length = True


def a_damaged_compression(slices):
    slices[1].file_meta.TransferSyntaxUID = RLELossless
    slices[1].PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd"
    slices[1]["PixelData"].is_undefined_length = True


def no_scale(slices):
    slices[0].RescaleSlope = 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (a_lone_slice, "to be a volume, but got a lone slice"),
        (a_mosaic, "to be a volume, but got a mosaic"),
        (a_multi_frame_file, "to be a volume, but got a multi-frame file"),
        (a_screen_save_in_color, "to be a volume, but got a screen-save, in color"),
        (a_screen_save, "to be a volume, but got a screen-save or projection"),
        (a_truncated_file, r"slice 3 of 5 of .* to be a whole image, but its pixels \(Explicit VR"),
        (an_unknown_compression, "slice 2 of 5 .* is compressed as MPEG-4 .*no decoder"),
        (a_damaged_compression, r"slice 2 of 5 .* its pixels \(RLE Lossless\) cannot be decoded"),
        (no_scale, "slice 1 of 5 .* to scale its values by numbers"),
    ],
)
def test_rejects(dicom, tmp_path, spoil, message):
    slices = dicom.slices()
    spoil(slices)
    folder = dicom.save(slices, tmp_path / "scan")
    with pytest.raises(ValueError, match=message) as refusal:
        read_series(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_rejects_a_compression_without_decoder(dicom, tmp_path, monkeypatch):
    slices = dicom.slices()
    slices[0].file_meta.TransferSyntaxUID = JPEGLosslessSV1
    slices[0].PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd"
    slices[0]["PixelData"].is_undefined_length = True
    folder = dicom.save(slices, tmp_path / "scan")
    monkeypatch.setattr("pydicom.pixels.decoders.base.DecodeRunner", None)
    decoder = "pydicom.pixels.decoders.base.Decoder.is_available"
    monkeypatch.setattr(decoder, property(lambda _: False))
    with pytest.raises(ValueError, match=r"JPEG Lossless.*`pip install 'medkd\[dicom\]'` brings"):
        read_series(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gantry_tilt", "the gantry was tilted by 14.0 degrees"),
        (
            "missing_slice",
            r"every 5 mm, but 1 slice\(s\) are missing, the first after slice 3 of 4",
        ),
    ],
)
def test_rejects_real_series(real_data, name, message):
    with pytest.raises(ValueError, match=message):
        read_series(real_data("dicom_odd") / name)


def test_rejects_pointers_of_git_lfs(scan):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (scan / "pointer.dcm").write_text(pointer)
    assert is_dicom(scan / "pointer.dcm")
    with pytest.raises(ValueError, match=r"1 of 6 are Git LFS pointers: .* were not downloaded"):
        read_series(scan)


def test_rejects_a_path_without_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Expected DICOM files at .*nothing_here"):
        read_series(tmp_path / "nothing_here")


def test_rejects_a_folder_without_dicom(tmp_path):
    (tmp_path / "notes.txt").write_text("no scan")
    (tmp_path / "fake.dcm").write_bytes(bytes(range(256)) * 2)
    with pytest.raises(ValueError, match=r"to hold DICOM files, but none of its 2 file\(s\) is"):
        read_series(tmp_path)


def test_rejects_a_folder_without_images(dicom, tmp_path):
    dicom.save([dicom.contours(dicom.slices(), {})], tmp_path)
    with pytest.raises(ValueError, match="to hold a series of images, but got none"):
        read_series(tmp_path)


class TestIsDicom:
    def test_is_not(self, tmp_path):
        (tmp_path / "scan.nii").write_bytes(bytes(400))
        np.savez(tmp_path / "array.npz", a=np.zeros(2))
        assert not is_dicom(tmp_path)
        assert not is_dicom(tmp_path / "scan.nii")
        assert not is_dicom(tmp_path / "array.npz")
        assert not is_dicom(tmp_path / "nothing_here")

    def test_is(self, scan):
        assert is_dicom(scan)
        assert is_dicom(scan.parent)
        assert is_dicom(next(scan.iterdir()))
