"""What a data set holds: manifests, read, and made for a folder of one's own."""

from __future__ import annotations

from medkd.data.manifests.case_loading import load_cases
from medkd.data.manifests.file_pairing import FilePatterns
from medkd.data.manifests.fold_leaving import leave_fold_out
from medkd.data.manifests.labeled_selection import select_labeled, select_unlabeled
from medkd.data.manifests.manifest import Case, Manifest, parse_manifest, read_manifest
from medkd.data.manifests.manifest_making import make_manifest, write_manifest
from medkd.data.manifests.patient_split import split_patients, suggest_patients

__all__ = [
    "Case",
    "FilePatterns",
    "Manifest",
    "leave_fold_out",
    "load_cases",
    "make_manifest",
    "parse_manifest",
    "read_manifest",
    "select_labeled",
    "select_unlabeled",
    "split_patients",
    "suggest_patients",
    "write_manifest",
]
