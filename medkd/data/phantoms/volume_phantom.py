"""What the phantoms of scans have in common: their settings, manifest and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from medkd.data.phantoms.phantom_folder import check_settings, deal_cases, fill_folder
from medkd.data.phantoms.volume_files import write_volume

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from medkd.data.phantoms.phantom_volume import PhantomVolume

__all__ = ["DrawVolume", "VolumeKind", "volume_phantom"]


class DrawVolume(Protocol):
    """Draws one scan of a patient who does not exist; the same arguments give the same voxels."""

    def __call__(self, *, patient: int, coarsening: int, seed: int) -> PhantomVolume:
        """The scan of patient number ``patient``."""


@dataclass(frozen=True)
class VolumeKind:
    """One kind of phantom scan.

    Args:
        name: name of the data set; its function is ``medkd.data.<name>``.
        version: raise when the same settings give other voxels, so that old and new files are
            never mixed.
        description: what is in it.
        modality: how the images were taken.
        channel_name: name of the only channel.
        class_names: names of the classes in the order of their index, ``background`` first.
        scans: end of the case id to how the scan is drawn, for each scan of a patient.
    """

    name: str
    version: int
    description: str
    modality: str
    channel_name: str
    class_names: tuple[str, ...]
    scans: Mapping[str, DrawVolume]


def volume_phantom(
    dataset_dir: str | Path,
    kind: VolumeKind,
    *,
    num_patients: Mapping[str, int],
    coarsening: int,
    seed: int,
) -> str:
    """Writes a data set of phantom scans on first use, and returns its manifest.

    Args:
        dataset_dir: folder for the data set: a new or empty one, or one that holds this phantom.
        kind: what is drawn.
        num_patients: split name to its number of patients, each at least 1.
        coarsening: factor on the width of the voxels, at least 1.
        seed: seed of the whole data set, at least 0.

    Returns:
        Path of ``manifest.json`` in ``dataset_dir``.

    Raises:
        ValueError: if a setting is out of range, or ``dataset_dir`` is a file, holds anything
            else than this phantom, or holds it with other settings. Nothing is written then.
        OSError: if a file cannot be written.
    """
    check_settings(
        {
            "coarsening": (coarsening, 1),
            "seed": (seed, 0),
            **{f"num_{split}": (number, 1) for split, number in num_patients.items()},
        }
    )

    def write_case(folder: Path, case: dict[str, str]) -> None:
        patient = int(case["patient"]) - 1
        ending = case["case_id"].removeprefix(f"patient{case['patient']}")
        scan = kind.scans[ending](patient=patient, coarsening=coarsening, seed=seed)
        write_volume(folder / case["image"], scan.image, scan.affine)
        write_volume(folder / case["label"], scan.label, scan.affine)

    return fill_folder(
        dataset_dir,
        settings={
            "generator": f"medkd.data.{kind.name}",
            "version": kind.version,
            "coarsening": coarsening,
            "num_patients": dict(num_patients),
            "seed": seed,
        },
        manifest=_manifest(kind, num_patients),
        write_case=write_case,
        title=f"Drawing the {kind.name.replace('_', ' ')}",
    )


def _manifest(kind: VolumeKind, num_patients: Mapping[str, int]) -> dict[str, Any]:
    indices = range(len(kind.class_names))
    return {
        "name": kind.name,
        "description": kind.description,
        "modality": kind.modality,
        "source": f"computed by medkd.data.{kind.name}",
        "license": "CC0-1.0",
        "citation": "none: no person was scanned",
        "changes": "none",
        "spatial_dims": 3,
        "channel_names": {"0": kind.channel_name},
        "labels": dict(zip(kind.class_names, indices, strict=True)),
        "label_values": {str(index): index for index in indices},
        **deal_cases(num_patients, lambda patient: _cases(kind, patient)),
    }


def _cases(kind: VolumeKind, patient: int) -> list[dict[str, str]]:
    number = f"{patient + 1:02d}"
    return [
        {
            "case_id": f"patient{number}{ending}",
            "patient": number,
            "image": f"images/patient{number}{ending}.nii.gz",
            "label": f"labels/patient{number}{ending}.nii.gz",
        }
        for ending in kind.scans
    ]
