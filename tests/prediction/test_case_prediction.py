from __future__ import annotations

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from pydicom.dataset import FileMetaDataset

from medkd.data.dicom import read_series
from medkd.prediction import STAGES, find_inputs, predict_cases, prepare_image
from medkd.runs import open_deployment


def opened(folder, output_dir, **how):
    return open_deployment(folder, device="cpu", output_dir=output_dir, **how)


def inputs_of(run, path):
    return find_inputs(path, spatial_dims=run.spatial_dims, num_channels=run.num_channels)


def write_series(folder, volume):
    """Slices ``(X, Y, Z)`` of 0.9 x 0.8 x 2.4 mm; whose they are is made up."""
    folder.mkdir()
    series, study, frame = (pydicom.uid.generate_uid() for _ in range(3))
    for number in range(volume.shape[2]):
        header = pydicom.Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.SOPClassUID = pydicom.uid.CTImageStorage
        header.SOPInstanceUID = pydicom.uid.generate_uid()
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.SeriesInstanceUID, header.StudyInstanceUID = series, study
        header.FrameOfReferenceUID = frame
        header.PatientName, header.PatientID, header.Modality = "PLANTED^NAME", "PLANTED7", "CT"
        header.PatientBirthDate = header.PatientSex = header.StudyDate = header.StudyTime = ""
        header.AccessionNumber = header.ReferringPhysicianName = header.StudyID = ""
        header.SeriesNumber, header.InstanceNumber = 1, number + 1
        header.Columns, header.Rows, _ = volume.shape
        header.PixelSpacing, header.SliceThickness = [0.8, 0.9], 2.4
        header.ImagePositionPatient = [5, -7, 2.4 * number]
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 16
        header.HighBit, header.PixelRepresentation = 15, 1
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.PixelData = np.ascontiguousarray(volume[:, :, number].T).tobytes()
        header.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


def test_says_what_each_stage_took(small_run, tmp_path):
    run = opened(small_run(3), tmp_path / "maps")
    cases = list(predict_cases(run, inputs_of(run, tmp_path / "data" / "images")))
    assert [case.case_id for case in cases] == ["scan_0", "scan_1"]
    for case in cases:
        assert tuple(case.seconds) == STAGES
        assert all(seconds > 0 for seconds in case.seconds.values())


def test_label_map_lies_on_the_scan(small_run, tmp_path):
    run = opened(small_run(3), tmp_path / "maps", with_probability=True)
    list(predict_cases(run, inputs_of(run, tmp_path / "data" / "images" / "scan_1.nii.gz")))
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names == {"scan_1_segmentation.nii.gz", "scan_1_probability.nii.gz"}
    scan = nibabel.load(tmp_path / "data" / "images" / "scan_1.nii.gz")
    label = nibabel.load(tmp_path / "maps" / "scan_1_segmentation.nii.gz")
    assert label.shape == scan.shape
    np.testing.assert_array_equal(label.affine, scan.affine)
    assert len(np.unique(label.dataobj)) > 1


def test_pictures_get_their_maps(small_run, tmp_path):
    run = opened(small_run(2), tmp_path / "maps")
    list(predict_cases(run, inputs_of(run, tmp_path / "data" / "images")))
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    maps = ("segmentation", "probability", "uncertainty")
    assert names == {f"scan_{n}_{name}.png" for n in range(2) for name in maps}
    with Image.open(tmp_path / "maps" / "scan_0_segmentation.png") as picture:
        assert picture.size == (50, 40)


def test_another_network_is_asked_in_place_of_the_student(small_run, tmp_path):
    run = opened(small_run(3), tmp_path / "maps")

    def always_second(window):
        logits = torch.zeros(len(window), run.num_classes, *window.shape[2:])
        logits[:, 2] = 1
        return logits

    scans = inputs_of(run, tmp_path / "data" / "images" / "scan_0.nii.gz")
    list(predict_cases(run, scans, network=always_second))
    label = nibabel.load(tmp_path / "maps" / "scan_0_segmentation.nii.gz")
    assert np.unique(label.dataobj).tolist() == [2]


def test_dicom_is_segmented_as_the_same_scan_in_nifti(small_run, tmp_path):
    pytest.importorskip("highdicom")
    run = opened(small_run(3), tmp_path / "maps")
    coarse = np.random.default_rng(3).normal(40, 150, (5, 5, 3))
    volume = np.kron(coarse, np.ones((4, 4, 4)))[:, :17, :9].astype(np.int16)
    folder = write_series(tmp_path / "PLANTED", volume)
    series = read_series(folder)
    nibabel.save(nibabel.Nifti1Image(volume, series.affine), tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(series.image, volume)

    for path in (folder, tmp_path / "scan.nii.gz"):
        list(predict_cases(run, inputs_of(run, path)))
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert names == {
        "series_segmentation.nii.gz",
        "series_segmentation.dcm",
        "scan_segmentation.nii.gz",
    }
    of_series, of_scan = (
        nibabel.load(tmp_path / "maps" / f"{name}_segmentation.nii.gz")
        for name in ("series", "scan")
    )
    np.testing.assert_array_equal(of_series.get_fdata(), of_scan.get_fdata())
    np.testing.assert_allclose(of_series.affine, of_scan.affine, atol=1e-5)
    stored = pydicom.dcmread(tmp_path / "maps" / "series_segmentation.dcm")
    labels = [segment.SegmentLabel.lower() for segment in stored.SegmentSequence]
    assert labels == ["esophagus", "heart", "trachea", "aorta"]
    for path in (tmp_path / "maps").glob("*.nii.gz"):
        assert b"PLANTED" not in nibabel.load(path).header.binaryblock


def test_the_image_is_what_the_network_sees(small_run, tmp_path):
    run = opened(small_run(3), tmp_path / "maps")
    seen = []

    def listening(window):
        seen.append(window)
        return run.network(window)

    (scan,) = inputs_of(run, tmp_path / "data" / "images" / "scan_0.nii.gz")
    image = prepare_image(run, scan)
    assert (image.dtype, image.ndim, type(image)) == (torch.float32, 4, torch.Tensor)
    list(predict_cases(run, [scan], network=listening))
    depth = min(run.window_size[2], image.shape[3])
    corner = image[:, :12, :12, :depth]
    assert tuple(image.shape[1:3]) > (12, 12)
    assert any(torch.equal(one[..., :depth], corner) for window in seen for one in window)


def test_rejects_an_image_and_names_it(small_run, tmp_path):
    run = opened(small_run(3), tmp_path / "maps")
    path = tmp_path / "flat.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((9, 8, 7), np.int16), np.eye(4)), path)
    with pytest.raises(ValueError, match=r"flat\.nii\.gz to show something, but got 1 everywhere"):
        list(predict_cases(run, inputs_of(run, path)))
