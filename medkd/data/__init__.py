"""From files to checked cases: manifests, reading, and deterministic case transforms."""

from __future__ import annotations

from medkd.data.case_checks import Finding, check_cases, find_unused_files
from medkd.data.case_loading import load_cases
from medkd.data.check_case import CheckCased
from medkd.data.degrade import DEGRADATIONS, Degraded, degraded
from medkd.data.encode_label import EncodeLabeld
from medkd.data.field_of_view import ExtendFieldOfViewd, FieldOfViewd, estimate_field_of_view
from medkd.data.file_pairing import FilePatterns
from medkd.data.image_file_reader import ImageFileReader, stored_channels
from medkd.data.image_folder import images_in
from medkd.data.manifest import Case, Manifest, parse_manifest, read_manifest
from medkd.data.manifest_making import make_manifest, split_patients, write_manifest
from medkd.data.phantoms import fundus_phantom
from medkd.data.save_map import SaveMapd

__all__ = [
    "DEGRADATIONS",
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
    "SaveMapd",
    "check_cases",
    "degraded",
    "estimate_field_of_view",
    "find_unused_files",
    "fundus_phantom",
    "images_in",
    "load_cases",
    "make_manifest",
    "parse_manifest",
    "read_manifest",
    "split_patients",
    "stored_channels",
    "write_manifest",
]
