"""Deterministic transforms of one case, on its way into a network and out."""

from __future__ import annotations

from medkd.data.transforms.check_case import CheckCased
from medkd.data.transforms.degrade import DEGRADATIONS, Degraded, degraded
from medkd.data.transforms.encode_label import EncodeLabeld
from medkd.data.transforms.field_of_view import (
    ExtendFieldOfViewd,
    FieldOfViewd,
    estimate_field_of_view,
)
from medkd.data.transforms.grid_resampling import resample_map
from medkd.data.transforms.restore_geometry import RestoreGeometryd
from medkd.data.transforms.save_map import SaveMapd
from medkd.data.transforms.save_volume import SaveVolumed

__all__ = [
    "DEGRADATIONS",
    "CheckCased",
    "Degraded",
    "EncodeLabeld",
    "ExtendFieldOfViewd",
    "FieldOfViewd",
    "RestoreGeometryd",
    "SaveMapd",
    "SaveVolumed",
    "degraded",
    "estimate_field_of_view",
    "resample_map",
]
