"""Phantoms: data sets that are computed, so that everything runs before real data is at hand."""

from __future__ import annotations

from medkd.data.phantoms.fundus_image import FundusImage, draw_fundus
from medkd.data.phantoms.fundus_phantom import fundus_phantom

__all__ = ["FundusImage", "draw_fundus", "fundus_phantom"]
