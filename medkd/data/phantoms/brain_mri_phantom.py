"""The brain MRI data set that a bundle falls back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.data.phantoms.brain_mri import BRAIN_CLASSES, draw_brain_mri
from medkd.data.phantoms.volume_phantom import VolumeKind, volume_phantom

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["brain_mri_phantom"]

_KIND = VolumeKind(
    name="brain_mri_phantom",
    version=1,
    description="Phantom T1-weighted brain MRI without skull: computed scans of people who do not "
    "exist, with the six structures that a simulated observer marked.",
    modality="MR",
    channel_name="T1",
    class_names=BRAIN_CLASSES,
    scans={"": draw_brain_mri},
)


def brain_mri_phantom(
    dataset_dir: str | Path,
    *,
    num_train: int = 7,
    num_validation: int = 2,
    num_test: int = 3,
    coarsening: int = 1,
    seed: int = 0,
) -> str:
    """Writes a data set of phantom brain MRI on first use, and returns its manifest.

    Each patient has one T1-weighted scan without skull (int16 or float32 NIfTI, about 75 x 95 x 75
    voxels), with white matter, cortical gray matter, basal ganglia with thalami, ventricles,
    cerebellum and brain stem (uint8 NIfTI). Folds, atrophy, unit of the signal, coil field, noise,
    grid and order of the voxels differ between patients. The classes are those of Noothout et al.,
    in its order.

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
        >>> settings = dict(num_train=1, num_validation=1, num_test=1, coarsening=8)
        >>> manifest = brain_mri_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(pathlib.Path(manifest).read_text())["splits"]["test"]
        ['patient03']

    References:
        J. Noothout et al. Knowledge distillation with ensembles of convolutional neural networks
        for medical image segmentation. J. Med. Imaging 9(5) 052407, 2022.
    """
    num_patients = {"train": num_train, "validation": num_validation, "test": num_test}
    return volume_phantom(
        dataset_dir, _KIND, num_patients=num_patients, coarsening=coarsening, seed=seed
    )
