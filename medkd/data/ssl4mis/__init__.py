"""The h5 files with which the semi-supervised field compares its methods."""

from __future__ import annotations

from medkd.data.ssl4mis.ssl4mis_conversion import convert_ssl4mis

__all__ = ["convert_ssl4mis"]
