"""Phantoms: data sets that are computed, so that everything runs before real data is at hand."""

from __future__ import annotations

from medkd.data.phantoms.abdominal_ct import draw_abdominal_ct
from medkd.data.phantoms.brain_mri import draw_brain_mri
from medkd.data.phantoms.cardiac_mri import draw_cardiac_mri
from medkd.data.phantoms.chest_ct import draw_chest_ct
from medkd.data.phantoms.fundus_image import FundusImage, draw_fundus
from medkd.data.phantoms.fundus_phantom import fundus_phantom
from medkd.data.phantoms.left_atrium import draw_left_atrium
from medkd.data.phantoms.phantom_volume import PhantomVolume
from medkd.data.phantoms.volume_phantoms import (
    abdominal_ct_phantom,
    brain_mri_phantom,
    cardiac_mri_phantom,
    chest_ct_phantom,
    left_atrium_phantom,
)

__all__ = [
    "FundusImage",
    "PhantomVolume",
    "abdominal_ct_phantom",
    "brain_mri_phantom",
    "cardiac_mri_phantom",
    "chest_ct_phantom",
    "draw_abdominal_ct",
    "draw_brain_mri",
    "draw_cardiac_mri",
    "draw_chest_ct",
    "draw_fundus",
    "draw_left_atrium",
    "fundus_phantom",
    "left_atrium_phantom",
]
