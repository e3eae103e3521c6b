"""Volumes that SimpleITK reads and writes: NRRD and MetaImage."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.images.stored_data import check_stored_data
from medkd.data.images.text_header import read_text_header
from medkd.data.images.volume_formats import image_io_of
from medkd.errors import FileError, InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ItkHeader", "read_itk_header", "read_itk_volume", "write_itk_volume"]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SPATIAL_DIMS = 3
_KIND = re.compile(r"(?:vector of )?(\d+)-bit (signed integer|unsigned integer|float)")
_LETTERS = {"signed integer": "i", "unsigned integer": "u", "float": "f"}
_NOISE = re.compile(r"^(\[nrrd\]|ITK ERROR:|itk::ERROR:|\w+\(0x[0-9a-f]+\):|\w+:(?= ))\s*")


@dataclass(frozen=True)
class ItkHeader:
    """What SimpleITK reads of a header, in its own convention: millimeters left, posterior, up.

    Args:
        size: voxels along each axis, ``(X, Y, Z)``.
        spacing: voxel sides in mm.
        origin: where the first voxel lies.
        direction: the axes as unit columns of a matrix, row by row.
        num_components: numbers a voxel.
        dtype: of these numbers.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    num_components: int
    dtype: np.dtype[Any]

    @property
    def affine(self) -> NDArray[np.float64]:
        """Voxel index to mm right, anterior and superior, ``(4, 4)``, as nibabel has it."""
        affine = np.eye(_SPATIAL_DIMS + 1)
        directions = np.reshape(self.direction, (_SPATIAL_DIMS, _SPATIAL_DIMS))
        affine[:_SPATIAL_DIMS, :_SPATIAL_DIMS] = directions * self.spacing
        affine[:_SPATIAL_DIMS, _SPATIAL_DIMS] = self.origin
        return _LPS_TO_RAS @ affine


def read_itk_header(path: Path) -> ItkHeader:
    """Read a header without its voxels.

    Args:
        path: a NRRD or MetaImage file.

    Returns:
        What it says.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such header, of no volume or no real numbers, or its voxels are not
            beside it; one sentence that names the file.
    """
    read_text_header(path)  # first, because SimpleITK follows a header to any file
    return _header_of(_open(path), path)


def read_itk_volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Read a volume.

    SimpleITK takes a damaged compressed MetaImage for data, whatever then is in the memory; so the
    voxels are checked as far as their format allows, before it reads them.

    Args:
        path: a NRRD or MetaImage file.

    Returns:
        Voxels ``(X, Y, Z)``, or ``(X, Y, Z, C)`` where each has several numbers, as stored; and
        voxel index to mm, RAS, ``(4, 4)``.

    Raises:
        OSError: if a file cannot be read.
        ValueError: as for :func:`read_itk_header`, or if the voxels are not all there, or damaged.
    """
    import SimpleITK

    text = read_text_header(path)
    reader = _open(path)
    header = _header_of(reader, path)
    num_bytes = int(np.prod(header.size)) * header.num_components * header.dtype.itemsize
    check_stored_data(path, text, num_bytes=num_bytes)
    try:
        stored = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise _refused(path, error) from error
    axes = (2, 1, 0, 3)[: stored.ndim]
    return stored.transpose(axes), header.affine


def write_itk_volume(path: Path, voxels: NDArray[Any], like: ItkHeader) -> None:
    """Write a volume, compressed, on the grid of another, with nothing else of it.

    Args:
        path: the file, ``.nrrd`` or ``.mha``.
        voxels: ``(X, Y, Z)``.
        like: the header of the other; its origin, spacing and directions are written as they are.

    Raises:
        OSError: if the file cannot be written.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing(like.spacing)
    image.SetOrigin(like.origin)
    image.SetDirection(like.direction)
    # SimpleITK writes to a path, and not whole or not at all.
    with atomic_write(path) as file, tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / f"map{path.suffix}"
        try:
            SimpleITK.WriteImage(image, str(written), useCompression=True)
        except RuntimeError as error:
            raise FileError(errno.EIO, _sentence(error)) from error  # atomic_write says where
        with written.open("rb") as whole:
            shutil.copyfileobj(whole, file)


def _open(path: Path) -> Any:  # noqa: ANN401 - SimpleITK has no annotations
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO(image_io_of(path))
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _refused(path, error) from error
    return reader


def _header_of(reader: Any, path: Path) -> ItkHeader:  # noqa: ANN401
    import SimpleITK

    size = tuple(map(int, reader.GetSize()))
    if len(size) != _SPATIAL_DIMS or 0 in size:
        raise InvalidValueError(
            f"Expected {path} to hold a volume (X, Y, Z), but got shape {size}: channels are "
            "several numbers a voxel, or a file each."
        )
    kind = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    match = _KIND.fullmatch(kind)
    if match is None:
        raise InvalidValueError(f"Expected {path} to hold real numbers, but got voxels of {kind}.")
    return ItkHeader(
        size=size,
        spacing=tuple(reader.GetSpacing()),
        origin=tuple(reader.GetOrigin()),
        direction=tuple(reader.GetDirection()),
        num_components=int(reader.GetNumberOfComponents()),
        dtype=np.dtype(f"{_LETTERS[match[2]]}{int(match[1]) // 8}"),
    )


def _refused(path: Path, error: RuntimeError) -> InvalidValueError:
    name = "NRRD" if image_io_of(path) == "NrrdImageIO" else "MetaImage"
    return InvalidValueError(
        f"Expected {path} to be a whole {name} file, but got: {_sentence(error)}."
    )


def _sentence(error: RuntimeError) -> str:
    """The one line of ITK's many that says what is wrong, which is its last."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Reason:", "Exception"))]
    sentence = said[-1] if said else str(error) or type(error).__name__
    while (shorter := _NOISE.sub("", sentence)) != sentence:
        sentence = shorter
    return sentence.rstrip(".")
