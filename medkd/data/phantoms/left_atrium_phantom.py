"""The data set of left atria that a bundle falls back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.data.phantoms.left_atrium import LEFT_ATRIUM_CLASSES, draw_left_atrium
from medkd.data.phantoms.volume_phantom import VolumeKind, volume_phantom

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["left_atrium_phantom"]

_KIND = VolumeKind(
    name="left_atrium_phantom",
    version=1,
    description="Phantom late gadolinium-enhanced MRI of the left atrium: computed scans of people "
    "who do not exist, with the cavity that a simulated observer marked.",
    modality="MR",
    channel_name="LGE MR",
    class_names=LEFT_ATRIUM_CLASSES,
    scans={"": draw_left_atrium},
)


def left_atrium_phantom(
    dataset_dir: str | Path,
    *,
    num_train: int = 16,
    num_validation: int = 2,
    num_test: int = 6,
    coarsening: int = 1,
    seed: int = 0,
) -> str:
    """Writes a data set of phantom left atria on first use, and returns its manifest.

    Each patient has one late gadolinium-enhanced scan (int16 NIfTI, about 92 x 78 x 37 voxels) with
    the cavity of the left atrium, its appendage and the stubs of the lung veins (uint8 NIfTI). Size
    and veins of the atrium, scars, contrast, coil field, noise, tilt, grid and order of the voxels
    differ between patients. Every case has its label: how many are made use of is said where one
    trains, e.g. with ``num_labeled``.

    The same arguments give the same files, byte for byte, on the same versions of numpy, scipy and
    nibabel. The manifest is written last: a call that was interrupted is completed by the next one,
    and a finished folder is used as it is.

    Args:
        dataset_dir: folder for the data set: a new or empty one, or one that holds this phantom.
        num_train: number of patients in the training split, at least 1.
        num_validation: number of patients in the validation split, at least 1.
        num_test: number of patients in the test split, at least 1.
        coarsening: factor on the width of the voxels along all axes, at least 1: 2 leaves an
            eighth of them.
        seed: seed of the whole data set, at least 0.

    Returns:
        Path of ``manifest.json`` in ``dataset_dir``.

    Raises:
        ValueError: if a setting is out of range, or ``dataset_dir`` is a file, holds anything
            else than this phantom, or holds it with other settings. Nothing is written then.
        OSError: if a file cannot be written.

    Example:
        >>> import json, pathlib, tempfile
        >>> settings = dict(num_train=2, num_validation=1, num_test=1, coarsening=6)
        >>> manifest = left_atrium_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(pathlib.Path(manifest).read_text())["splits"]["train"]
        ['patient01', 'patient02']

    References:
        Z. Xiong et al. A global benchmark of algorithms for segmenting the left atrium from late
        gadolinium-enhanced cardiac magnetic resonance imaging. Medical Image Analysis 67, 101832,
        2021.
    """
    num_patients = {"train": num_train, "validation": num_validation, "test": num_test}
    return volume_phantom(
        dataset_dir, _KIND, num_patients=num_patients, coarsening=coarsening, seed=seed
    )
