"""The chest CT data set that a bundle falls back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.data.phantoms.chest_ct import CHEST_CLASSES, draw_chest_ct
from medkd.data.phantoms.volume_phantom import VolumeKind, volume_phantom

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["chest_ct_phantom"]

_KIND = VolumeKind(
    name="chest_ct_phantom",
    version=1,
    description="Phantom chest CT: computed scans of people who do not exist, in Hounsfield "
    "units, with the esophagus, heart, trachea and aorta that a simulated observer marked.",
    modality="CT",
    channel_name="CT",
    class_names=CHEST_CLASSES,
    scans={"": draw_chest_ct},
)


def chest_ct_phantom(
    dataset_dir: str | Path,
    *,
    num_train: int = 7,
    num_validation: int = 2,
    num_test: int = 3,
    coarsening: int = 1,
    seed: int = 0,
) -> str:
    """Writes a data set of phantom chest CT on first use, and returns its manifest.

    Each patient has one scan (int16 NIfTI in Hounsfield units, about 108 x 88 x 46 voxels) from
    above the aortic arch to below the heart, with esophagus, heart, trachea and aorta (uint8
    NIfTI). Body, pose of the organs, contrast agent, noise, spacing, tilt of the planes and order
    of the voxels differ between patients. The classes are those of SegTHOR, in its order.

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
        >>> manifest = chest_ct_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(pathlib.Path(manifest).read_text())["splits"]["test"]
        ['patient03']

    References:
        Z. Lambert, C. Petitjean, B. Dubray, S. Ruan. SegTHOR: Segmentation of thoracic organs at
        risk in CT images. arXiv:1912.05950, 2019.
    """
    num_patients = {"train": num_train, "validation": num_validation, "test": num_test}
    return volume_phantom(
        dataset_dir, _KIND, num_patients=num_patients, coarsening=coarsening, seed=seed
    )
