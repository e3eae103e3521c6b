"""The proof that an exported bundle segments as its run does, where medkd is not installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
from monai.bundle.config_parser import ConfigParser
from monai.transforms.io.array import LoadImage
from PIL import Image

from medkd.data import VolumeFileReader
from medkd.data.images.image_file_reader import open_picture
from medkd.data.images.volume_formats import is_itk_volume
from medkd.errors import FailureError, InvalidValueError
from medkd.prediction import PredictionInput, predict_cases
from medkd.runs import open_deployment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medkd.export.trained_run import TrainedRun

__all__ = ["Proof", "prove_bundle"]

# Windows are summed in another order, so where two classes are as likely as each other rounding
# may choose the other one.
_MOST_DIFFERENT = 1e-5
_SAME_PLACE = 1e-4  # of a voxel's affine, which NIfTI keeps as float32
_MADE_UP_SLICES = 9
_SHOWN = 400  # characters of what a failing process said
_ERROR = re.compile(r"^\w+(?:\.\w+)*(?:Error|Exception): .*", re.MULTILINE)
# Run in a process of its own, so that nothing of this one can help the bundle.
_WITHOUT_MEDKD = """
import runpy, sys

class WithoutMedkd:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "medkd":
            raise ModuleNotFoundError("No module named 'medkd'", name="medkd")

sys.meta_path.insert(0, WithoutMedkd())
sys.path.insert(0, "")
sys.argv[0] = "monai.bundle"
runpy.run_module("monai.bundle", run_name="__main__")
"""


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Args:
        case: what was segmented; a word for it where it was made up.
        num_voxels: of its label map.
        num_different: how many of them differ between run and bundle.
        classes: how many classes the label map shows, background included.
    """

    case: str
    num_voxels: int
    num_different: int
    classes: int

    def __str__(self) -> str:
        return (
            f"{self.num_different} of {self.num_voxels} voxels of {self.case} differ between the "
            f"run and the bundle without medkd; {self.classes} classes are there"
        )


def prove_bundle(bundle_dir: str | Path, run: TrainedRun) -> Proof:
    """Segment one case by the bundle, in a process that cannot import medkd, and by the run.

    The case is the first of the split that the run was judged on, or of any other; where none of
    the data set's files are there, it is made up.

    Args:
        bundle_dir: the exported bundle.
        run: the run it was exported from.

    Returns:
        What was compared.

    Raises:
        RuntimeError: if the bundle does not run.
        ValueError: if its label map is not the run's, or lies elsewhere.
    """
    # The name of a case may be a patient's; in here all are called alike.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, what = _write_case(folder / "images", run)
        expected = _segment_by_run(run, image, folder / "run")
        found = _segment_by_bundle(Path(bundle_dir), image.parent, folder / "bundle")
        return _compare(expected, found, case=what)


def _write_case(folder: Path, run: TrainedRun) -> tuple[Path, str]:
    """One image in a folder of its own."""
    folder.mkdir()
    files, split = _find_case(run)
    if not files:
        return _make_up(folder, run), "a made-up image"
    what = f"a case of split {split}"
    if len(files) == 1 and not is_itk_volume(files[0]):
        suffix = ".nii.gz" if files[0].name.endswith(".nii.gz") else files[0].suffix
        path = folder / f"case{suffix}"
        path.write_bytes(files[0].read_bytes())
        return path, what
    _write_nifti(files, folder / "case.nii.gz", num_channels=run.manifest.num_channels)
    return folder / "case.nii.gz", what


def _write_nifti(files: list[Path], path: Path, *, num_channels: int) -> None:
    """One NIfTI file, which a bundle reads, of files of another format or one a channel."""
    reader = VolumeFileReader(num_channels=num_channels)
    image = LoadImage(reader=reader, ensure_channel_first=True)([*map(str, files)])
    array = np.moveaxis(image.numpy(), 0, -1)
    array = array[..., 0] if num_channels == 1 else array
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), image.affine.numpy()), path)


def _find_case(run: TrainedRun) -> tuple[list[Path], str]:
    root = Path(str(ConfigParser(dict(run.config)).get_parsed_content("dataset_dir")))
    judged = run.metrics.get("split")
    splits = sorted(run.manifest.splits, key=lambda split: split != judged)
    for split in splits:
        for case in run.manifest.split_cases(split)[:1]:
            files = [root / path for path in case.paths("image")]
            if all(file.is_file() for file in files):
                return files, split
    return [], ""


def _make_up(folder: Path, run: TrainedRun) -> Path:
    """Blocks of brightness, half as large again as a window."""
    generator = np.random.default_rng(0)
    shape = [3 * int(size) // 2 + 1 for size in run.opened.window_size]
    if run.opened.slice_axis is not None:
        shape.insert(run.opened.slice_axis, _MADE_UP_SLICES)
    coarse = generator.uniform(30, 220, [size // 8 + 1 for size in shape])
    blocks = np.kron(coarse, np.ones([8] * len(shape)))[tuple(slice(size) for size in shape)]
    if run.opened.image_dims == 2:
        path = folder / "case.png"
        Image.fromarray(np.repeat(blocks.astype(np.uint8)[..., None], 3, axis=2)).save(path)
        return path
    path = folder / "case.nii.gz"
    count = run.manifest.num_channels
    array = blocks if count == 1 else np.stack([blocks] * count, axis=-1)
    affine = np.diag([*run.inference.get("spacing", [1.0] * 3), 1.0])
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), affine), path)
    return path


def _segment_by_run(run: TrainedRun, image: Path, output: Path) -> Path:
    """The run's own deployment, in this process."""
    deployment = open_deployment(run.opened.folder, output_dir=output, device="cpu")
    for _ in predict_cases(deployment, [PredictionInput("case", str(image))]):
        pass
    return next(output.glob("case_segmentation.*"))


def _segment_by_bundle(bundle_dir: Path, images: Path, output: Path) -> Path:
    settings = {"dataset_dir": images, "output_dir": output, "device": "cpu"}
    pairs = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    arguments = ["run", "--config_file", "configs/inference.json", *pairs]
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_MEDKD, *arguments],
        cwd=bundle_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    found = sorted(output.glob("*_segmentation.*"))
    if done.returncode or len(found) != 1:
        raise FailureError(
            "Expected the exported bundle to segment an image without medkd, but got: "
            f"{_cause(done.stderr)}"
        )
    return found[0]


def _cause(written: str) -> str:
    """The first error of a process, from which the others came, or else its last words."""
    errors = _ERROR.findall(written)
    return str(errors[0])[:_SHOWN] if errors else " ".join(written.split())[-_SHOWN:]


def _compare(expected: Path, found: Path, *, case: str) -> Proof:
    label, affine = _read(expected)
    other, other_affine = _read(found)
    if label.shape != other.shape or not np.allclose(affine, other_affine, atol=_SAME_PLACE):
        raise InvalidValueError(
            f"Expected the exported bundle to give a label map of shape {label.shape} that lies "
            f"where the run's does, but got shape {other.shape}, affine {other_affine.tolist()}."
        )
    proof = Proof(case, label.size, int((label != other).sum()), len(np.unique(label)))
    if proof.num_different > _MOST_DIFFERENT * label.size:
        raise InvalidValueError(
            f"Expected the exported bundle to segment as its run does, but {proof.num_different} "
            f"of {label.size} voxels of {case} differ."
        )
    return proof


def _read(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    if path.suffix == ".png":
        with open_picture(path) as picture:
            return np.asarray(picture), np.eye(4)
    image: nibabel.Nifti1Image = nibabel.load(path)
    return np.asanyarray(image.dataobj), image.affine
