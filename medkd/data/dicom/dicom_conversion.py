"""Series with contours or segments as NIfTI with a manifest, once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.dicom.dicom_files import find_dicom_files
from medkd.data.dicom.header_reading import quiet_pydicom
from medkd.data.dicom.label_files import LabelSource, match_labels, read_labels
from medkd.data.dicom.label_painting import paint_labels
from medkd.data.dicom.series_listing import group_series
from medkd.data.dicom.series_reading import read_listed_series
from medkd.data.dicom.structure_choice import StructureChoice, choose_structures
from medkd.data.images.volume_file_writer import write_volume
from medkd.data.manifests.channel_proposal import name_modality
from medkd.data.manifests.manifest import parse_manifest
from medkd.data.manifests.manifest_making import write_manifest
from medkd.data.manifests.patient_split import split_patients
from medkd.errors import InvalidValueError
from medkd.files import atomic_folder
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from medkd.data.dicom.dicom_files import DicomFile
    from medkd.data.dicom.series_listing import SeriesListing
    from medkd.data.manifests.manifest import Manifest

__all__ = ["convert_dicom"]

_FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
_ONE_SPLIT = "all"
_SHORT = np.iinfo(np.int16)


@dataclass
class _Findings:
    """What a conversion meets on its way, to be said in the manifest."""

    cases: list[dict[str, str]] = field(default_factory=list)
    modalities: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    overlapping: int = 0


def convert_dicom(
    path: str | Path,
    output_dir: str | Path,
    *,
    structures: Sequence[str] | None = None,
    name: str = "DICOM series",
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Manifest:
    """Convert series with RTSTRUCT or SEG to NIfTI images, label maps and a manifest.

    No identifier is written: cases and patients are numbered in the order of their paths, names of
    structures are kept only where they are known words or the caller wrote them, and neither
    headers nor the manifest hold a date, a UID or the name of a file. A series that is not one
    volume is left out; the manifest's ``changes`` say why.

    Args:
        path: a folder with the series of any number of patients, at any depth, or a zip archive.
        output_dir: a new folder for ``manifest.json``, ``images`` and ``labels``.
        structures: names of the structures that become classes, in their order, however upper and
            lower case and signs are written in the files; a case without one has none of it. By
            default all known names that every labeled series has.
        name: of the data set.
        fractions: split name to its share of the patients; 70 % ``train``, 10 % ``validation`` and
            20 % ``test`` by default, and one split ``all`` where there are fewer than three.
        seed: seed of the shuffle that deals the patients to the splits.

    Returns:
        The manifest, as written.

    Raises:
        OSError: if ``output_dir`` exists, or files cannot be read or written; nothing is left then,
            and nothing replaced.
        ValueError: if no series has labels, none of them is a volume, no structure is known, or
            series of several modalities are mixed.
    """
    with find_dicom_files(path) as files, quiet_pydicom():
        listings = sorted(group_series(files), key=lambda each: min(f.path for f in each.files))
        matched, unmatched = match_labels(files, listings)
        labeled = [each for each in listings if each.number in matched]
        if not labeled:
            raise InvalidValueError(
                f"Expected {path} to hold series with an RTSTRUCT or SEG about them, but none of "
                f"the {len(listings)} series has one."
            )
        sources = {n: [read_labels(f) for f in found] for n, found in matched.items()}
        names = [[n for s in sources[each.number] for n in s.names] for each in labeled]
        choice = choose_structures(names, wanted=structures)
        with atomic_folder(output_dir) as temporary:
            findings = _convert(labeled, sources, choice, temporary)
            if not findings.cases:
                raise InvalidValueError(
                    f"Expected {path} to hold a series that is a volume, but all are left out. "
                    f"{' '.join(findings.left_out)}"
                )
            ignored = _say_ignored(len(listings) - len(labeled), unmatched)
            manifest = _make_manifest(
                findings,
                choice,
                ignored=ignored,
                name=name,
                splits=_deal(findings.cases, fractions=fractions, seed=seed),
                seed=seed,
            )
            write_manifest(manifest, temporary / "manifest.json")
    return manifest


def _convert(
    listings: Sequence[SeriesListing],
    sources: Mapping[int, Sequence[LabelSource]],
    choice: StructureChoice,
    folder: Path,
) -> _Findings:
    findings = _Findings()
    patients: dict[str, str] = {}
    for place, listing in enumerate(progress(listings, desc="converting series", unit="series"), 1):
        try:
            series = read_listed_series(listing, where=f"series {place}")
            label, overlapping = paint_labels(sources[listing.number], choice, series)
        except ValueError as error:
            findings.left_out.append(f"Series {place} is left out: {error}")
            continue
        case_id = f"case_{len(findings.cases) + 1:03d}"
        patient = patients.setdefault(
            _patient_key(listing.files[0]), f"patient_{len(patients) + 1:03d}"
        )
        parts = {"image": f"images/{case_id}.nii.gz", "label": f"labels/{case_id}.nii.gz"}
        write_volume(folder / parts["image"], _shorten(series.image), series.affine)
        write_volume(folder / parts["label"], label, series.affine)
        findings.cases.append({"case_id": case_id, "patient": patient, **parts})
        findings.modalities.add(series.modality)
        findings.overlapping += overlapping
    return findings


def _patient_key(file: DicomFile) -> str:
    """Whose a series is: by the patient's number, or by the study where there is none."""
    stated = str(file.header.get("PatientID") or "").strip()
    return stated or f"study {file.header.get('StudyInstanceUID', '')}"


def _shorten(image: NDArray[np.float32]) -> NDArray[Any]:
    """Whole numbers such as Hounsfield units as int16, half the size."""
    is_short = image.min() >= _SHORT.min and image.max() <= _SHORT.max
    return image.astype(np.int16) if is_short and (image == np.rint(image)).all() else image


def _deal(
    cases: Sequence[Mapping[str, str]], *, fractions: Mapping[str, float] | None, seed: int
) -> dict[str, list[str]]:
    ids = defaultdict(list)
    for case in cases:
        ids[case["patient"]].append(case["case_id"])
    if fractions is None and len(ids) < len(_FRACTIONS):
        return {_ONE_SPLIT: [case["case_id"] for case in cases]}
    dealt = split_patients(ids, fractions=fractions or _FRACTIONS, seed=seed)
    return {
        split: [i for patient in people for i in ids[patient]] for split, people in dealt.items()
    }


def _say_ignored(without_labels: int, unmatched: int) -> str:
    series = f"{without_labels} series without labels are left out." if without_labels else ""
    files = f"{unmatched} files with labels are about none of the series." if unmatched else ""
    return " ".join(filter(None, (series, files)))


def _make_manifest(
    findings: _Findings,
    choice: StructureChoice,
    *,
    ignored: str,
    name: str,
    splits: Mapping[str, list[str]],
    seed: int,
) -> Manifest:
    if len(findings.modalities) > 1:
        raise InvalidValueError(
            "Expected labeled series of one modality, but got "
            f"{', '.join(sorted(findings.modalities))}."
        )
    (modality,) = findings.modalities
    overlap = (
        f"Where structures overlap ({findings.overlapping} voxels), the smaller one is kept."
        if findings.overlapping
        else ""
    )
    said = (
        "Made by `medkd data from-dicom`: contours are filled by the even-odd rule where the "
        "centers of voxels are inside.",
        "Cases are numbered in the order of their paths, patients by their number in the files, "
        f"which is not kept, dealt with seed {seed}.",
        choice.decided,
        overlap,
        ignored,
        *findings.left_out,
    )
    class_names = ["background", *choice.class_names]
    return parse_manifest(
        {
            "name": name,
            "modality": name_modality([modality]),
            "changes": " ".join(filter(None, said)),
            "spatial_dims": 3,
            "channel_names": {"0": modality},
            "labels": {class_name: index for index, class_name in enumerate(class_names)},
            "label_values": {str(index): index for index in range(len(class_names))},
            "cases": findings.cases,
            "splits": splits,
        }
    )
