"""What the phantoms of scans have in common: their settings, manifest and files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from medkd.data.images.volume_file_writer import write_volume
from medkd.data.phantoms.phantom_folder import check_phantom_settings, deal_cases, fill_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from medkd.data.phantoms.phantom_volume import PhantomVolume

__all__ = ["DrawVolume", "VolumePhantom"]

_NUM_PATIENTS = {"train": 7, "validation": 2, "test": 3}


class DrawVolume(Protocol):
    """Draws one scan of a patient who does not exist; the same arguments give the same voxels."""

    def __call__(self, *, patient: int, coarsening: int, seed: int) -> PhantomVolume:
        """The scan of patient number ``patient``."""


@dataclass(frozen=True)
class VolumePhantom:
    """A data set of phantom scans, written on first use by calling it.

    The same settings give the same files, byte for byte, on the same versions of numpy, scipy and
    nibabel. The manifest is written last: a call that was interrupted is completed by the next one,
    and a finished folder is used as it is.

    Args:
        name: name of the data set; it is called as ``medkd.data.<name>``.
        version: raise when the same settings give other voxels, so that old and new files are
            never mixed.
        description: what is in it.
        modality: how the images were taken.
        channel_name: name of the only channel.
        class_names: names of the classes in the order of their index, ``background`` first.
        scans: end of the case id to how the scan is drawn, for each scan of a patient.
        num_patients: split name to its number of patients where the caller says nothing.

    Example:
        >>> import json, pathlib, tempfile
        >>> from medkd.data import chest_ct_phantom
        >>> settings = dict(num_train=1, num_validation=1, num_test=1, coarsening=8)
        >>> manifest = chest_ct_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(pathlib.Path(manifest).read_text())["splits"]["test"]
        ['patient03']
    """

    name: str
    version: int
    description: str
    modality: str
    channel_name: str
    class_names: tuple[str, ...]
    scans: Mapping[str, DrawVolume]
    num_patients: Mapping[str, int] = field(default_factory=lambda: _NUM_PATIENTS)

    def __call__(
        self,
        dataset_dir: str | Path,
        *,
        num_train: int | None = None,
        num_validation: int | None = None,
        num_test: int | None = None,
        coarsening: int = 1,
        seed: int = 0,
    ) -> str:
        """Writes the data set on first use, and returns its manifest.

        Args:
            dataset_dir: folder for the data set: a new or empty one, or one that holds this
                phantom.
            num_train: number of patients in the training split, at least 1; by default that of
                the phantom.
            num_validation: number of patients in the validation split, likewise.
            num_test: number of patients in the test split, likewise.
            coarsening: factor on the width of the voxels, at least 1: 2 leaves an eighth of them,
                or a quarter where only the slices' pixels are widened.
            seed: seed of the whole data set, at least 0.

        Returns:
            Path of ``manifest.json`` in ``dataset_dir``.

        Raises:
            ValueError: if a setting is out of range, or ``dataset_dir`` is a file, holds anything
                else than this phantom, or holds it with other settings. Nothing is written then.
            OSError: if a file cannot be written.
        """
        asked = {"train": num_train, "validation": num_validation, "test": num_test}
        num_patients = dict(self.num_patients) | {
            split: number for split, number in asked.items() if number is not None
        }
        check_phantom_settings(
            {
                "coarsening": (coarsening, 1),
                "seed": (seed, 0),
                **{f"num_{split}": (number, 1) for split, number in num_patients.items()},
            }
        )

        def write_case(folder: Path, case: dict[str, str]) -> None:
            patient = int(case["patient"]) - 1
            ending = case["case_id"].removeprefix(f"patient{case['patient']}")
            scan = self.scans[ending](patient=patient, coarsening=coarsening, seed=seed)
            write_volume(folder / case["image"], scan.image, scan.affine)
            write_volume(folder / case["label"], scan.label, scan.affine)

        return fill_folder(
            dataset_dir,
            settings={
                "generator": f"medkd.data.{self.name}",
                "version": self.version,
                "coarsening": coarsening,
                "num_patients": num_patients,
                "seed": seed,
            },
            manifest=self._manifest(num_patients),
            write_case=write_case,
            title=f"Drawing the {self.name.replace('_', ' ')}",
        )

    def _manifest(self, num_patients: Mapping[str, int]) -> dict[str, Any]:
        indices = range(len(self.class_names))
        return {
            "name": self.name,
            "description": self.description,
            "modality": self.modality,
            "source": f"computed by medkd.data.{self.name}",
            "license": "CC0-1.0",
            "citation": "none: no person was scanned",
            "changes": "none",
            "spatial_dims": 3,
            "channel_names": {"0": self.channel_name},
            "labels": dict(zip(self.class_names, indices, strict=True)),
            "label_values": {str(index): index for index in indices},
            **deal_cases(num_patients, self._cases),
        }

    def _cases(self, patient: int) -> list[dict[str, str]]:
        number = f"{patient + 1:02d}"
        return [
            {
                "case_id": f"patient{number}{ending}",
                "patient": number,
                "image": f"images/patient{number}{ending}.nii.gz",
                "label": f"labels/patient{number}{ending}.nii.gz",
            }
            for ending in self.scans
        ]
