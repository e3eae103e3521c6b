"""The formats of volumes by the endings of their files: the one place that knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ITK_SUFFIXES",
    "NIFTI_SUFFIXES",
    "VOLUME_SUFFIXES",
    "image_io_of",
    "is_itk_volume",
    "map_suffix",
    "name_without_suffix",
]

NIFTI_SUFFIXES = (".nii", ".nii.gz", ".hdr")

# Ending to the reader of SimpleITK, which is named so that no other decoder is ever tried, and to
# the ending that a map of such a volume gets: always one file, for two are easily parted.
_ITK = {
    ".nrrd": ("NrrdImageIO", ".nrrd"),
    ".nhdr": ("NrrdImageIO", ".nrrd"),
    ".mha": ("MetaImageIO", ".mha"),
    ".mhd": ("MetaImageIO", ".mha"),
}
ITK_SUFFIXES = tuple(_ITK)
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)
_MAP_SUFFIX = ".nii.gz"


def is_itk_volume(path: str | Path) -> bool:
    """Whether a file is read by SimpleITK, as NRRD and MetaImage are; all others by nibabel.

    Args:
        path: a file's path or name.

    Returns:
        What its ending says, in capitals or not.
    """
    return str(path).lower().endswith(ITK_SUFFIXES)


def image_io_of(path: str | Path) -> str:
    """The name by which SimpleITK knows the reader of a format.

    Args:
        path: a path of which :func:`is_itk_volume` is true.

    Returns:
        ``"NrrdImageIO"`` or ``"MetaImageIO"``.
    """
    return _ITK[_itk_suffix(path)][0]


def map_suffix(path: str | Path | None) -> str:
    """The ending that maps of a volume get, of the volume's own format.

    Args:
        path: the volume's file; ``None`` where it came from none.

    Returns:
        ``".nrrd"``, ``".mha"`` or ``".nii.gz"``.

    Example:
        >>> map_suffix("scan.nhdr"), map_suffix("scan.nii"), map_suffix(None)
        ('.nrrd', '.nii.gz', '.nii.gz')
    """
    return _ITK[_itk_suffix(path)][1] if path is not None and is_itk_volume(path) else _MAP_SUFFIX


def name_without_suffix(path: Path) -> str:
    """What a file is called without the ending of its format.

    Args:
        path: the file.

    Returns:
        Its name without ``.nii.gz``, or without what follows its last dot.

    Example:
        >>> from pathlib import Path
        >>> name_without_suffix(Path("a.b.nii.gz")), name_without_suffix(Path("a.b.mha"))
        ('a.b', 'a.b')
    """
    packed = ".nii.gz"
    return path.name[: -len(packed)] if path.name.lower().endswith(packed) else path.stem


def _itk_suffix(path: str | Path) -> str:
    return next(suffix for suffix in ITK_SUFFIXES if str(path).lower().endswith(suffix))
