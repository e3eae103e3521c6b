"""The cardiac cine MRI data set that a bundle falls back on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from medkd.data.phantoms.cardiac_mri import CARDIAC_CLASSES, draw_cardiac_mri
from medkd.data.phantoms.volume_phantom import VolumeKind, volume_phantom

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cardiac_mri_phantom"]

_KIND = VolumeKind(
    name="cardiac_mri_phantom",
    version=1,
    description="Phantom short-axis cardiac cine MRI: computed scans of people who do not exist at "
    "the end of filling (frame01) and of the beat (frame02), with the right ventricle, the "
    "myocardium and the left ventricle that a simulated observer marked.",
    modality="MR",
    channel_name="cine MR",
    class_names=CARDIAC_CLASSES,
    scans={
        "_frame01": partial(draw_cardiac_mri, frame="ED"),
        "_frame02": partial(draw_cardiac_mri, frame="ES"),
    },
)


def cardiac_mri_phantom(
    dataset_dir: str | Path,
    *,
    num_train: int = 7,
    num_validation: int = 2,
    num_test: int = 3,
    coarsening: int = 1,
    seed: int = 0,
) -> str:
    """Writes a data set of phantom cardiac cine MRI on first use, and returns its manifest.

    Each patient has two frames (int16 NIfTI, about 90 x 82 x 10 voxels of oblique short-axis
    slices), at the end of filling and of the beat, with right ventricle, myocardium and left
    ventricle (uint8 NIfTI). Size and strength of the heart, pose, thickness of the slices, coil
    field and noise differ between patients. The classes are those of ACDC, in its order.

    The same arguments give the same files, byte for byte, on the same versions of numpy, scipy and
    nibabel. The manifest is written last: a call that was interrupted is completed by the next one,
    and a finished folder is used as it is.

    Args:
        dataset_dir: folder for the data set: a new or empty one, or one that holds this phantom.
        num_train: number of patients in the training split, at least 1; two frames each.
        num_validation: number of patients in the validation split, at least 1.
        num_test: number of patients in the test split, at least 1.
        coarsening: factor on the width of the pixels within the slices, at least 1: 2 leaves a
            quarter of them.
        seed: seed of the whole data set, at least 0.

    Returns:
        Path of ``manifest.json`` in ``dataset_dir``.

    Raises:
        ValueError: if a setting is out of range, or ``dataset_dir`` is a file, holds anything
            else than this phantom, or holds it with other settings. Nothing is written then.
        OSError: if a file cannot be written.

    Example:
        >>> import json, pathlib, tempfile
        >>> settings = dict(num_train=1, num_validation=1, num_test=1, coarsening=6)
        >>> manifest = cardiac_mri_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(pathlib.Path(manifest).read_text())["splits"]["test"]
        ['patient03_frame01', 'patient03_frame02']

    References:
        O. Bernard et al. Deep learning techniques for automatic MRI cardiac multi-structures
        segmentation and diagnosis: is the problem solved? IEEE Trans. Med. Imaging 37(11), 2018.
    """
    num_patients = {"train": num_train, "validation": num_validation, "test": num_test}
    return volume_phantom(
        dataset_dir, _KIND, num_patients=num_patients, coarsening=coarsening, seed=seed
    )
