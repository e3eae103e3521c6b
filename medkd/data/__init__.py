"""From files to checked cases: manifests, reading, and deterministic case transforms."""

from __future__ import annotations

from medkd.data.checks import Finding, check_cases, find_unused_files
from medkd.data.images import (
    VOLUME_SUFFIXES,
    ImageFileReader,
    VolumeFileReader,
    images_in,
    stored_channels,
)
from medkd.data.manifests import (
    Case,
    FilePatterns,
    Manifest,
    leave_fold_out,
    load_cases,
    make_manifest,
    parse_manifest,
    read_manifest,
    select_labeled,
    select_unlabeled,
    split_patients,
    suggest_patients,
    write_manifest,
)
from medkd.data.phantoms import (
    abdominal_ct_phantom,
    brain_mri_phantom,
    cardiac_mri_phantom,
    chest_ct_phantom,
    fundus_phantom,
    left_atrium_phantom,
)
from medkd.data.preparation import PreparedCases, PreparedDataset
from medkd.data.semi_supervised_loader import SemiSupervisedLoader
from medkd.data.ssl4mis import convert_ssl4mis
from medkd.data.transforms import (
    DEGRADATIONS,
    CheckCased,
    Degraded,
    EncodeLabeld,
    ExtendFieldOfViewd,
    FieldOfViewd,
    RestoreGeometryd,
    SaveMapd,
    SaveVolumed,
    degraded,
    estimate_field_of_view,
    resample_map,
)

__all__ = [
    "DEGRADATIONS",
    "VOLUME_SUFFIXES",
    "Case",
    "CheckCased",
    "Degraded",
    "EncodeLabeld",
    "ExtendFieldOfViewd",
    "FieldOfViewd",
    "FilePatterns",
    "Finding",
    "ImageFileReader",
    "Manifest",
    "PreparedCases",
    "PreparedDataset",
    "RestoreGeometryd",
    "SaveMapd",
    "SaveVolumed",
    "SemiSupervisedLoader",
    "VolumeFileReader",
    "abdominal_ct_phantom",
    "brain_mri_phantom",
    "cardiac_mri_phantom",
    "check_cases",
    "chest_ct_phantom",
    "convert_ssl4mis",
    "degraded",
    "estimate_field_of_view",
    "find_unused_files",
    "fundus_phantom",
    "images_in",
    "leave_fold_out",
    "left_atrium_phantom",
    "load_cases",
    "make_manifest",
    "parse_manifest",
    "read_manifest",
    "resample_map",
    "select_labeled",
    "select_unlabeled",
    "split_patients",
    "stored_channels",
    "suggest_patients",
    "write_manifest",
]
