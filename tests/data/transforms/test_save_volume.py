from __future__ import annotations

import math

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.spatial.transform import Rotation

from medkd.data import SaveVolumed
from medkd.data.transforms import save_volume

SHAPE = (5, 4, 3)
KINDS = {"1": nibabel.Nifti1Image, "2": nibabel.Nifti2Image}


def write_scan(path, kind="1", codes=(1, 4), header=None):
    affine = np.array(
        [[0.0, -1.1, 0.0, 5.0], [0.0, 0.0, 2.5, -7.0], [0.9, 0.0, 0.0, 3.25], [0, 0, 0, 1]]
    )
    image = KINDS[kind](np.zeros(SHAPE, dtype=np.int16), affine)
    image.header.set_qform(affine, code=codes[0])
    image.header.set_sform(affine, code=codes[1])
    image.header.set_xyzt_units("mm", "sec")
    for name, text in (header or {}).items():
        image.header[name] = text
    # With an affine of its own an image would be given a code.
    nibabel.save(KINDS[kind](image.dataobj, None, image.header), path)
    return path


def case_of(path, **maps):
    meta = {"filename_or_obj": str(path)}
    return {
        "case_id": "P07",
        "image": MetaTensor(torch.zeros(1, 2, 2, 2), meta=meta),
        **{name: torch.as_tensor(values) for name, values in maps.items()},
    }


@pytest.fixture
def labels():
    return torch.randint(0, 7, (1, *SHAPE), generator=torch.Generator().manual_seed(3)).byte()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("codes", [(1, 4), (0, 2), (1, 0), (0, 0)])
def test_lies_where_the_file_lies(tmp_path, labels, kind, codes):
    scan = write_scan(tmp_path / "scan.nii", kind, codes)
    SaveVolumed("segmentation", tmp_path / "out")(case_of(scan, segmentation=labels))
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "P07_segmentation.nii.gz"
    source, written = nibabel.load(scan), nibabel.load(path)
    assert type(written) is nibabel.Nifti1Image
    assert np.array_equal(written.get_fdata(), labels[0])
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_allclose(written.affine, source.affine, atol=1e-6)
    ours, theirs = written.header, source.header
    assert [int(ours[code]) for code in ("qform_code", "sform_code")] == list(codes)
    np.testing.assert_allclose(ours["pixdim"][:4], theirs["pixdim"][:4], rtol=1e-6)
    assert ours.get_xyzt_units() == ("mm", "sec")


@pytest.mark.parametrize("codes", [(1, 4), (0, 2), (1, 0)])
def test_other_readers_agree(tmp_path, labels, codes):
    simpleitk = pytest.importorskip("SimpleITK")
    scan = write_scan(tmp_path / "scan.nii.gz", codes=codes)
    SaveVolumed("segmentation", tmp_path)(case_of(scan, segmentation=labels))
    SaveVolumed("uncertainty", tmp_path, maximum=2)(case_of(scan, uncertainty=labels / 3))
    source = simpleitk.ReadImage(str(scan))
    for name, expected, step in (("segmentation", labels, 0), ("uncertainty", labels / 3, 1 / 255)):
        written = simpleitk.ReadImage(str(tmp_path / f"P07_{name}.nii.gz"))
        for of in (simpleitk.Image.GetSpacing, simpleitk.Image.GetOrigin):
            assert of(written) == of(source)
        assert written.GetDirection() == source.GetDirection()
        values = simpleitk.GetArrayFromImage(written).T
        np.testing.assert_allclose(values, expected[0], atol=step)
    assert simpleitk.ReadImage(
        str(tmp_path / "P07_segmentation.nii.gz")
    ).GetPixelIDTypeAsString() == ("8-bit unsigned integer")


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_the_file_is_copied(tmp_path, labels, kind):
    name = b"DOE^JANE"
    fields = ("descrip", "aux_file", "intent_name", *(("db_name",) if kind == "1" else ()))
    scan = write_scan(tmp_path / "scan.nii", kind, header=dict.fromkeys(fields, name))
    image = nibabel.load(scan)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", name))
    nibabel.save(image, scan)
    assert name in scan.read_bytes()
    SaveVolumed("segmentation", tmp_path)(case_of(scan, segmentation=labels))
    with nibabel.openers.Opener(str(tmp_path / "P07_segmentation.nii.gz")) as file:
        assert name not in file.read()


@pytest.mark.parametrize("maximum", [1.0, math.log(5)])
def test_a_map_keeps_its_values_to_a_255th(tmp_path, maximum, monkeypatch):
    monkeypatch.setattr(save_volume, "_SLAB", 2)
    scan = write_scan(tmp_path / "scan.nii")
    values = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(1)).half() * maximum
    values.view(-1)[:3] = torch.tensor([0.0, maximum, maximum * 1.01])
    SaveVolumed("probability", tmp_path, maximum=maximum)(case_of(scan, probability=values))
    written = nibabel.load(tmp_path / "P07_probability.nii.gz")
    assert written.get_data_dtype() == np.uint8
    expected = values[0].float().clamp(max=maximum).numpy()
    np.testing.assert_allclose(written.get_fdata(), expected, atol=maximum / 255 / 2 + 1e-6)
    assert written.get_fdata().max() == pytest.approx(maximum)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([0, 1, 2, 4, 5, 6, 255], np.uint8),
        ([0, -1, 2, 4, 5, 6, 7], np.int16),
        ([0, 205, 500, 600, 1, 2, 3], np.int16),
        ([0, 40000, 2, 4, 5, 6, 7], np.uint16),
        # Structures of the Allen mouse brain atlas; a float32 makes one of the first two.
        ([0, 312782546, 312782550, 312782554, 1, 2, 3], np.int32),
        ([0, 2**32 - 1, 2**32 - 2, 4, 5, 6, 7], np.uint32),
    ],
)
def test_writes_the_values_of_the_labels(tmp_path, labels, values, dtype):
    simpleitk = pytest.importorskip("SimpleITK")
    scan = write_scan(tmp_path / "scan.nii")
    SaveVolumed("segmentation", tmp_path, label_values=values)(case_of(scan, segmentation=labels))
    path = tmp_path / "P07_segmentation.nii.gz"
    expected = [values[index] for index in labels.flatten()]
    written = nibabel.load(path)
    assert written.get_data_dtype() == dtype
    assert np.asanyarray(written.dataobj).ravel().tolist() == expected
    other = simpleitk.GetArrayFromImage(simpleitk.ReadImage(str(path))).T
    assert other.ravel().tolist() == expected


class TestOtherFormats:
    """Maps of NRRD and MetaImage volumes, as SimpleITK reads both."""

    def scan(self, path):
        import SimpleITK

        image = SimpleITK.GetImageFromArray(np.zeros(SHAPE[::-1], dtype=np.int16))
        image.SetSpacing((0.7, 1 / 3, 2.5))
        image.SetOrigin((-1 / 7, 20.25, 310.1))
        turned = Rotation.from_euler("zyx", [10, 20, 200], degrees=True).as_matrix()
        image.SetDirection(turned.ravel().tolist())
        image.SetMetaData("who", "DOE^JANE")
        SimpleITK.WriteImage(image, str(path))
        return path

    def read(self, path, like):
        """The values ``(X, Y, Z)``, once the place has been compared."""
        import SimpleITK

        written, source = SimpleITK.ReadImage(str(path)), SimpleITK.ReadImage(str(like))
        for of in (
            SimpleITK.Image.GetSpacing,
            SimpleITK.Image.GetOrigin,
            SimpleITK.Image.GetDirection,
        ):
            np.testing.assert_allclose(of(written), of(source), rtol=1e-14, atol=1e-15)
        return SimpleITK.GetArrayFromImage(written).T

    @pytest.mark.parametrize(
        ("suffix", "own"),
        [(".nrrd", ".nrrd"), (".nhdr", ".nrrd"), (".mha", ".mha"), (".mhd", ".mha")],
    )
    def test_are_of_the_same_format_and_place(self, tmp_path, labels, suffix, own):
        scan, out = self.scan(tmp_path / f"scan{suffix}"), tmp_path / "out"
        case = case_of(scan, segmentation=labels, uncertainty=labels / 3)
        SaveVolumed("segmentation", out)(case)
        SaveVolumed("uncertainty", out, maximum=2)(case)
        names = {f"P07_segmentation{own}", f"P07_uncertainty{own}"}
        assert {path.name for path in out.iterdir()} == names
        written = self.read(out / f"P07_segmentation{own}", scan)
        assert written.dtype == np.uint8
        assert np.array_equal(written, labels[0])
        written = self.read(out / f"P07_uncertainty{own}", scan)
        np.testing.assert_allclose(written, labels[0] / 3, atol=1 / 255 + 1e-6)
        assert len(np.unique(written)) == 7
        assert all(b"DOE^JANE" not in path.read_bytes() for path in out.iterdir())

    @pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
    def test_hold_the_values_of_the_labels(self, tmp_path, labels, suffix):
        scan = self.scan(tmp_path / f"scan{suffix}")
        values = [0, 312782546, 312782550, 312782554, 1, 2, 3]
        for folder in ("one", "two"):
            save = SaveVolumed("segmentation", tmp_path / folder, label_values=values)
            save(case_of(scan, segmentation=labels))
        one, two = (tmp_path / f / f"P07_segmentation{suffix}" for f in ("one", "two"))
        written = self.read(one, scan)
        assert written.ravel().tolist() == [values[index] for index in labels.flatten()]
        assert one.read_bytes() == two.read_bytes()

    def test_reject_another_shape_and_leave_nothing(self, tmp_path, labels, monkeypatch):
        scan = self.scan(tmp_path / "scan.nrrd")
        save = SaveVolumed("segmentation", tmp_path / "out")
        with pytest.raises(ValueError, match=r"\(1, 5, 4, 3\), the grid of .*scan.nrrd, but got"):
            save(case_of(scan, segmentation=labels[..., :2]))

        def full(*_, **__):
            raise RuntimeError("Exception thrown in SimpleITK\nITK ERROR: No space left.\n")

        monkeypatch.setattr("SimpleITK.WriteImage", full)
        with pytest.raises(OSError, match=r"P07_segmentation\.nrrd, but got: No space left\."):
            save(case_of(scan, segmentation=labels))
        assert list((tmp_path / "out").iterdir()) == []


def test_many_classes_and_maps_not_asked_for(tmp_path):
    scan = write_scan(tmp_path / "scan.nii")
    values = torch.full((1, *SHAPE), 300, dtype=torch.int16)
    save = SaveVolumed(["segmentation", "other"], tmp_path, allow_missing_keys=True)
    assert save(case_of(scan, segmentation=values)).keys() == {"case_id", "image", "segmentation"}
    written = nibabel.load(tmp_path / "P07_segmentation.nii.gz")
    assert written.get_data_dtype() == np.int16
    assert (written.get_fdata() == 300).all()


def test_equal_maps_make_equal_files(tmp_path, labels):
    scan = write_scan(tmp_path / "scan.nii")
    for folder in ("one", "two"):
        SaveVolumed("segmentation", tmp_path / folder)(case_of(scan, segmentation=labels))
    one, two = (tmp_path / f / "P07_segmentation.nii.gz" for f in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_long_axis_needs_nifti_2(tmp_path):
    values = torch.zeros(1, 2**15, 1, 1, dtype=torch.uint8)
    scan = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti2Image(values[0].numpy(), np.eye(4)), scan)
    SaveVolumed("segmentation", tmp_path)(case_of(scan, segmentation=values))
    written = nibabel.load(tmp_path / "P07_segmentation.nii.gz")
    assert type(written) is nibabel.Nifti2Image
    assert written.shape == (2**15, 1, 1)


def test_without_a_file_the_map_says_where_it_lies(tmp_path, labels):
    affine = np.diag([2.0, -3.0, 4.0, 1.0])
    case = {"case_id": "P07", "image": torch.zeros(1, 2, 2, 2)}
    case["segmentation"] = MetaTensor(labels, affine=affine)
    SaveVolumed("segmentation", tmp_path)(case)
    written = nibabel.load(tmp_path / "P07_segmentation.nii.gz")
    np.testing.assert_allclose(written.affine, affine)
    assert written.header.get_xyzt_units()[0] == "mm"
    with pytest.raises(TypeError, match="`segmentation` to be a MetaTensor"):
        SaveVolumed("segmentation", tmp_path)({**case, "segmentation": labels})


def test_a_failed_write_leaves_nothing(tmp_path, labels, monkeypatch):
    scan = write_scan(tmp_path / "scan.nii")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel.Nifti1Image, "to_stream", full)
    with pytest.raises(OSError, match=r"to write .*P07_segmentation\.nii\.gz, but got: No s"):
        SaveVolumed("segmentation", tmp_path / "out")(case_of(scan, segmentation=labels))
    assert list((tmp_path / "out").iterdir()) == []


def test_rejects_what_does_not_fit(tmp_path, labels):
    scan = write_scan(tmp_path / "scan.nii")
    with pytest.raises(ValueError, match="`maximum` to be above zero, but got 0"):
        SaveVolumed("probability", tmp_path, maximum=0)
    with pytest.raises(ValueError, match=r"`maximum` or `label_values`, .* but got both"):
        SaveVolumed("segmentation", tmp_path, maximum=1, label_values=[0, 1])
    for values in ([0, 1, 1], []):
        with pytest.raises(ValueError, match="one value of its own for each class"):
            SaveVolumed("segmentation", tmp_path, label_values=values)
    with pytest.raises(ValueError, match="integers of 32 bits hold, but got 0 to 4294967296"):
        SaveVolumed("segmentation", tmp_path, label_values=[0, 2**32])
    with pytest.raises(ValueError, match=r"\(1, 5, 4, 3\), the grid of .*scan.nii, but got \(1, 5"):
        SaveVolumed("segmentation", tmp_path)(case_of(scan, segmentation=labels[..., :2]))
    with pytest.raises(ValueError, match=r"`segmentation` to be labels .* got torch\.float32"):
        SaveVolumed("segmentation", tmp_path)(case_of(scan, segmentation=labels.float()))
