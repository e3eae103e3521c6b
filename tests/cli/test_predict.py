from __future__ import annotations

import argparse

import nibabel
import numpy as np
import pytest
import SimpleITK

from medkd.cli import predict
from medkd.cli.main import main
from medkd.export.network_formats import BACKENDS


def test_predicts_a_folder_and_says_where(small_run, tmp_path, capsys):
    run, maps = small_run(3), tmp_path / "maps"
    arguments = ["predict", str(run), "--input", str(tmp_path / "data" / "images")]
    arguments += ["--output", str(maps), "--device", "cpu", "--with_uncertainty"]
    assert main([*arguments, "--backend", "torch"]) == 0
    names = ("segmentation", "uncertainty")
    assert {path.name for path in maps.iterdir()} == {
        f"scan_{n}_{name}.nii.gz" for n in range(2) for name in names
    }
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{maps}: 2 case(s), with torch on cpu"
    assert " s: reading " in second
    assert second.endswith(" %")


def test_paths_are_never_code(small_run, strange_name, nothing_runs, tmp_path):
    """``$open('x','w')`` made a file, ``%out`` was a traceback, and ``a#b`` became ``a::b``."""
    run = small_run(3).rename(nothing_runs / strange_name)
    data = (tmp_path / "data" / "images").rename(nothing_runs / f"{strange_name} images")
    (data / "scan_1.nii.gz").unlink()
    (data / "scan_0.nii.gz").rename(data / f"{strange_name}.nii.gz")
    arguments = ["--input", data.name, "--backend", "torch", "--device", "cpu"]
    assert main(["predict", run.name, *arguments, "--output", f"{strange_name}/maps"]) == 0
    run.rename("run")
    assert main(["predict", "run", *arguments, "--output", strange_name]) == 0
    for folder in (nothing_runs / "run" / "maps", nothing_runs / strange_name):
        assert [path.name for path in folder.iterdir()] == [f"{strange_name}_segmentation.nii.gz"]
    made = {path.name for path in nothing_runs.iterdir()} - {"evil.py", "__pycache__"}
    assert made == {"run", data.name, strange_name}


@pytest.mark.parametrize("backend", ["torchscript", "onnx", "auto"])
def test_every_backend_writes_the_same(small_run, tmp_path, backend):
    if backend == "onnx":
        pytest.importorskip("onnxruntime")
    arguments = ["predict", str(small_run(3)), "--input", str(tmp_path / "data" / "images")]
    arguments += ["--device", "cpu"]
    for name in ("torch", backend):
        assert main([*arguments, "--output", str(tmp_path / name), "--backend", name]) == 0
    name = "scan_0_segmentation.nii.gz"
    assert (tmp_path / "torch" / name).read_bytes() == (tmp_path / backend / name).read_bytes()


@pytest.mark.parametrize(("suffix", "own"), [(".nrrd", ".nrrd"), (".mhd", ".mha")])
def test_answers_in_the_format_of_the_scan(small_run, as_format, tmp_path, suffix, own):
    run, scans = small_run(3), tmp_path / "data" / "images"
    arguments = ["predict", str(run), "--input", str(scans), "--device", "cpu"]
    arguments += ["--backend", "torch", "--output"]
    assert main([*arguments, str(tmp_path / "nifti")]) == 0
    as_format(scans, suffix)
    assert main([*arguments, str(tmp_path / "maps")]) == 0
    names = {f"scan_{n}_segmentation{own}" for n in range(2)}
    assert {path.name for path in (tmp_path / "maps").iterdir()} == names
    for n in range(2):
        scan = SimpleITK.ReadImage(str(scans / f"scan_{n}{suffix}"))
        written = SimpleITK.ReadImage(str(tmp_path / "maps" / f"scan_{n}_segmentation{own}"))
        assert written.GetSize() == scan.GetSize()
        for of in ("GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(written, of)(), getattr(scan, of)(), atol=1e-12)
        expected = nibabel.load(tmp_path / "nifti" / f"scan_{n}_segmentation.nii.gz")
        same = np.asarray(expected.dataobj) == SimpleITK.GetArrayFromImage(written).T
        assert same.mean() > 0.99  # places of NIfTI are of single precision


def test_a_network_of_slices_takes_a_volume(small_run, tmp_path):
    run = small_run("slices")
    scan = tmp_path / "data" / "images" / "scan_0.nii.gz"
    output = tmp_path / "maps"
    arguments = ["predict", str(run), "--input", str(scan), "--output", str(output)]
    assert main([*arguments, "--device", "cpu"]) == 0
    (path,) = output.glob("*.nii.gz")
    assert nibabel.load(path).shape == nibabel.load(scan).shape


def test_offers_every_backend():
    parser = argparse.ArgumentParser()
    predict.VERB.add_to(parser.add_subparsers())
    for backend in BACKENDS:
        arguments = ["predict", "run", "--input", "a", "--output", "b", "--backend", backend]
        assert parser.parse_args(arguments).backend == backend
    assert len(predict._BACKENDS) == len(BACKENDS)


def test_rejects_a_folder_that_is_no_run(tmp_path, capsys):
    arguments = ["predict", str(tmp_path), "--input", str(tmp_path), "--output", str(tmp_path)]
    assert main(arguments) == 1
    assert "Expected the folder of a finished run" in capsys.readouterr().err


def test_rejects_an_input_that_is_not_there(small_run, tmp_path, capsys):
    arguments = ["predict", str(small_run(3)), "--input", str(tmp_path / "none")]
    assert main([*arguments, "--output", str(tmp_path / "maps")]) == 1
    assert "but there is nothing" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_rejects_a_backend_for_another_device(small_run, tmp_path, capsys):
    arguments = ["predict", str(small_run(3)), "--input", str(tmp_path / "data" / "images")]
    arguments += ["--output", str(tmp_path / "maps"), "--device", "cuda:999"]
    assert main(arguments) == 1
    assert "Expected `device` to be there, but got 'cuda:999'" in capsys.readouterr().err
