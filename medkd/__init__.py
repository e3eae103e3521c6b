"""Distil an ensemble of segmentation networks into one fast, calibrated student, on MONAI."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = frozenset(
    {
        "data",
        "export",
        "files",
        "functional",
        "handlers",
        "judging",
        "losses",
        "metrics",
        "networks",
        "planning",
        "prediction",
        "predictors",
        "reports",
        "runs",
        "teachers",
        "trainers",
        "types",
        "workflows",
    }
)


def __getattr__(name: str) -> ModuleType:
    """Import a room when it is first asked for.

    A bundle says ``$import medkd`` and then ``medkd.data.load_cases``; the command line says
    ``medkd --help`` and does not wait for torch.
    """
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The rooms, for completion, and the version."""
    return sorted({*_ROOMS, "__version__"})
