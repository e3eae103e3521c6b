"""The h5 files of UA-MT and SSL4MIS as NIfTI with a manifest, once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.images.volume_file_writer import write_volume
from medkd.data.manifests.channel_proposal import name_modality
from medkd.data.manifests.label_proposal import name_classes, rank_label_values
from medkd.data.manifests.manifest import parse_manifest
from medkd.data.manifests.manifest_making import write_manifest
from medkd.data.ssl4mis.ssl4mis_folder import read_ssl4mis_folder
from medkd.data.ssl4mis.ssl4mis_sets import SSL4MIS_SETS, Ssl4misSet
from medkd.data.ssl4mis.ssl4mis_volume import read_ssl4mis_volume
from medkd.errors import InvalidValueError
from medkd.files import atomic_folder
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medkd.data.manifests.manifest import Manifest
    from medkd.data.ssl4mis.ssl4mis_folder import Ssl4misFolder

__all__ = ["convert_ssl4mis"]

_UNKNOWN_SPACING = (1.0, 1.0, 1.0)


def convert_ssl4mis(
    folder: str | Path,
    output_dir: str | Path,
    *,
    spacing: Sequence[float] | None,
    class_names: Sequence[str] | None = None,
) -> Manifest:
    """Convert the h5 files with which the semi-supervised field compares its methods to NIfTI.

    Slices are stacked to the volumes that they were cut from, because a patient is trained and
    measured on as a volume. Cases keep the order of the train list, so that the first ones that
    :func:`medkd.data.select_labeled` takes are the published ones. The files have lost the size of
    their voxels: it must be stated, or stated to be unknown; then a voxel's side is 1 of no unit.
    They have lost how they lie in the patient, too, and are written as lying along right, anterior
    and superior. What was lost, stated and decided is in the manifest's ``changes``.

    Args:
        folder: with the lists and, at any depth, the h5 files of UA-MT (``<id>/mri_norm2.h5``) or
            SSL4MIS (``patient001_frame01.h5``, ``patient001_frame01_slice_1.h5``).
        output_dir: a new folder for ``manifest.json``, ``images`` and ``labels``.
        spacing: sides of a voxel along x, y and z in mm; or None if nobody knows.
        class_names: names of the classes in the order of their index, ``background`` first; by
            default those of ACDC and of the left atria where names of files say so.

    Returns:
        The manifest, as written.

    Raises:
        OSError: if ``output_dir`` exists, or files are missing or cannot be written; nothing is
            left then, and nothing replaced.
        ValueError: if ``spacing`` is not three sides above zero, lists or files are not understood,
            or there are not as many names as classes.

    References:
        L. Yu, S. Wang, X. Li, C.-W. Fu, P.-A. Heng. Uncertainty-aware self-ensembling model for
        semi-supervised 3D left atrium segmentation. MICCAI 2019, arXiv:1907.07034.
        X. Luo. SSL4MIS. https://github.com/HiLab-git/SSL4MIS, 2020.
    """
    _check_spacing(spacing)
    affine = np.diag([*(spacing or _UNKNOWN_SPACING), 1.0])
    unit = "unknown" if spacing is None else "mm"
    values: set[int] = set()
    with atomic_folder(output_dir) as temporary:
        source = read_ssl4mis_folder(folder)
        for case in progress(source.cases, desc="converting volumes", unit="volume"):
            image, label = read_ssl4mis_volume(case.files)
            values |= set(np.unique(label).tolist())
            for part, voxels in (("images", image), ("labels", label)):
                path = temporary / part / f"{case.case_id}.nii.gz"
                write_volume(path, voxels, affine, unit=unit, code="aligned")
        manifest = _make_manifest(source, values, spacing=spacing, class_names=class_names)
        write_manifest(manifest, temporary / "manifest.json")
    return manifest


def _check_spacing(spacing: Sequence[float] | None) -> None:
    if spacing is None:
        return
    if len(spacing) != 3 or not all(math.isfinite(side) and side > 0 for side in spacing):
        raise InvalidValueError(
            "Expected `spacing` to be the three sides of a voxel in mm, each above zero, or None, "
            f"but got {list(spacing)}."
        )


def _make_manifest(
    source: Ssl4misFolder,
    values: Iterable[int],
    *,
    spacing: Sequence[float] | None,
    class_names: Sequence[str] | None,
) -> Manifest:
    known = SSL4MIS_SETS.get(source.data_set, Ssl4misSet())
    label_values = rank_label_values(dict.fromkeys(values, ""))
    decided = (
        "Made by `medkd data convert` from h5 files.",
        known.changes,
        _say_spacing(spacing),
        "How the volumes lie in the patient is lost in these files, too: they are written as lying "
        "along right, anterior and superior.",
        source.decided,
    )
    return parse_manifest(
        {
            "name": "h5 volumes",
            **known.texts,
            "modality": name_modality([known.channel_name]),
            "changes": " ".join(filter(None, decided)),
            "spatial_dims": 3,
            "distance_unit": "voxels" if spacing is None else "mm",
            "channel_names": {"0": known.channel_name},
            "labels": name_classes(label_values, names=class_names, known=known.class_names),
            "label_values": {str(stored): index for stored, index in label_values.items()},
            "cases": [
                {
                    "case_id": case.case_id,
                    "patient": case.patient,
                    "image": f"images/{case.case_id}.nii.gz",
                    "label": f"labels/{case.case_id}.nii.gz",
                }
                for case in source.cases
            ],
            "splits": {name: list(ids) for name, ids in source.splits.items()},
        }
    )


def _say_spacing(spacing: Sequence[float] | None) -> str:
    if spacing is None:
        return (
            "The size of a voxel is lost in these files and not known: it is written as 1 without "
            "a unit, and distances are in voxels, not in mm."
        )
    sides = " x ".join(f"{side:g}" for side in spacing)
    return (
        f"The size of a voxel is lost in these files: {sides} mm was stated by who converted them, "
        "for all volumes."
    )
