"""Cases that are decoded and prepared once a run, whoever asks for them and however often."""

from __future__ import annotations

from medkd.data.preparation.prepared_cases import PreparedCases
from medkd.data.preparation.prepared_dataset import PreparedDataset

__all__ = ["PreparedCases", "PreparedDataset"]
