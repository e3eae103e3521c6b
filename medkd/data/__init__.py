"""From files to checked cases: manifests, reading, and deterministic case transforms."""

from __future__ import annotations

from medkd.data.case_checks import Finding, check_cases, find_unused_files
from medkd.data.case_loading import load_cases
from medkd.data.check_case import CheckCased
from medkd.data.degrade import DEGRADATIONS, Degraded, degraded
from medkd.data.encode_label import EncodeLabeld
from medkd.data.field_of_view import ExtendFieldOfViewd, FieldOfViewd, estimate_field_of_view
from medkd.data.file_pairing import FilePatterns
from medkd.data.fold_leaving import leave_fold_out
from medkd.data.grid_resampling import resample_map
from medkd.data.image_file_reader import ImageFileReader, stored_channels
from medkd.data.image_folder import images_in
from medkd.data.labeled_selection import select_labeled, select_unlabeled
from medkd.data.manifest import Case, Manifest, parse_manifest, read_manifest
from medkd.data.manifest_making import make_manifest, write_manifest
from medkd.data.patient_split import split_patients, suggest_patients
from medkd.data.phantoms import (
    brain_mri_phantom,
    cardiac_mri_phantom,
    chest_ct_phantom,
    fundus_phantom,
    left_atrium_phantom,
)
from medkd.data.restore_geometry import RestoreGeometryd
from medkd.data.save_map import SaveMapd
from medkd.data.save_volume import SaveVolumed
from medkd.data.semi_supervised_loader import SemiSupervisedLoader
from medkd.data.ssl4mis_conversion import convert_ssl4mis
from medkd.data.volume_file_reader import VOLUME_SUFFIXES, VolumeFileReader

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
    "RestoreGeometryd",
    "SaveMapd",
    "SaveVolumed",
    "SemiSupervisedLoader",
    "VolumeFileReader",
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
