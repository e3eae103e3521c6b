"""Maps of a volume as files that lie exactly on the file they were predicted from."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import torch
from monai.transforms.transform import MapTransform
from monai.utils.type_conversion import convert_to_tensor
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image

from medkd.data.images.itk_volume import read_itk_header, write_itk_volume
from medkd.data.images.volume_formats import is_itk_volume, map_suffix
from medkd.data.transforms.decode_label import decode_label, label_value_table
from medkd.errors import InvalidTypeError, InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SaveVolumed"]

_LABEL_DTYPES = (torch.uint8, torch.int16)
_TOP = 255
_LONGEST = 2**15 - 1  # of an axis in NIfTI-1
_ALIGNED = 2  # NIfTI's code for coordinates that agree with another file's
_SLAB = 16
# Where a voxel lies, as the standard says it three times over, and in which unit.
_PLACE = (
    *("qform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units"),
)


class SaveVolumed(MapTransform):
    """Write a map ``(1, X, Y, Z)`` as ``<case_id>_<key>.nii.gz``, on the grid of the image's file.

    A map of a NRRD or MetaImage volume is ``.nrrd`` or ``.mha``, one file each, with the spacing,
    origin and directions of the volume as SimpleITK reads them. All others are NIfTI: voxel size,
    sform and qform with their codes, and units are copied from the header of the image's file,
    number by number, so that whatever a viewer makes of the scan it makes of the map. Nothing else
    of a file is: ``descrip``, ``aux_file``, ``db_name``, ``intent_name`` and extensions are
    empty, for they may name a patient. It is NIfTI-1, also for a scan in NIfTI-2, which SimpleITK
    and 3D Slicer cannot open, unless an axis is longer than 32767 voxels.

    Labels, with ``maximum`` left out, are not scaled. With ``label_values`` they hold the values
    that the user's own label files store, in the smallest integers that hold these; without, class
    indices as the network numbers them, uint8, int16 from 257 classes.

    Other maps are written as uint8 with ``scl_slope = maximum / 255``: 3D Slicer, SimpleITK and
    nibabel give back the real values, rounded to the nearest 255th of the maximum. That is finer
    than a shade one can see, a quarter of the size of float32, and compresses far better. NIfTI has
    no float16. NRRD and MetaImage know no scale, so there the rounded values are float32.

    Args:
        keys: which maps; on the file's grid already, see :class:`~medkd.data.RestoreGeometryd`.
        output_dir: where to.
        maximum: what 255 stands for; values outside 0 to it are clipped. ``None`` for labels.
        image_key: the image, whose ``filename_or_obj`` names the file. Without one, the map's own
            affine is written, in mm.
        name_key: the key of the name that files begin with.
        allow_missing_keys: leave out maps that were not asked for.
        label_values: the value to write for each class, in the order of the class index; ``None``
            to write the index. See :attr:`medkd.data.Manifest.written_label_values`.

    Raises:
        ValueError: if ``maximum`` is not above zero or stated beside ``label_values``, or these are
            not one 32-bit value of its own for each class; when called, if a map has another shape
            than the file, labels are not uint8 or int16, or of a class without a value.
        TypeError: if a label value is no whole number; when called, if neither file nor map
            says where the map lies.
        OSError: if a file cannot be written.
    """

    def __init__(
        self,
        keys: Hashable | Sequence[Hashable],
        output_dir: str | Path,
        maximum: float | None = None,
        image_key: Hashable = "image",
        name_key: str = "case_id",
        allow_missing_keys: bool = False,
        label_values: Sequence[int] | None = None,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if maximum is not None and label_values is not None:
            raise InvalidValueError(
                "Expected `maximum` or `label_values`, for labels are not scaled, but got both: "
                f"{maximum} and {list(label_values)}."
            )
        if maximum is not None and not maximum > 0:
            raise InvalidValueError(f"Expected `maximum` to be above zero, but got {maximum}.")
        self.output_dir = Path(output_dir)
        self.maximum = maximum
        self.table = None if label_values is None else label_value_table(label_values)
        self.image_key = image_key
        self.name_key = name_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps of one case and hand it on."""
        case = dict(data)
        source = getattr(case[self.image_key], "meta", {}).get("filename_or_obj")
        for key in self.key_iterator(case):
            path = self.output_dir / f"{case[self.name_key]}_{key}{map_suffix(source)}"
            if source is not None and is_itk_volume(source):
                self._save_like_itk(source, case[key], path, key=key)
            else:
                self._save_as_nifti(source, case[key], path, key=key)
        return case

    def _save_like_itk(
        self, source: str, tensor: torch.Tensor, path: Path, *, key: Hashable
    ) -> None:
        header = read_itk_header(Path(source))
        _check_shape(tensor, header.size, source=source, key=key)
        stored, slope = self._stored(tensor, key=key)
        values = stored if self.maximum is None else stored * np.float32(slope)
        write_itk_volume(path, values, header)

    def _save_as_nifti(
        self, source: str | None, tensor: torch.Tensor, path: Path, *, key: Hashable
    ) -> None:
        header = _header_like(source, tensor, key=key)
        stored, slope = self._stored(tensor, key=key)
        if self.maximum is not None:
            header["cal_max"] = self.maximum  # the window that a viewer opens with
        header.set_data_dtype(stored.dtype)
        _write(stored, header, path, slope=slope)

    def _stored(self, tensor: torch.Tensor, *, key: Hashable) -> tuple[NDArray[Any], float]:
        """Whole numbers, and what they are multiplied by."""
        values = convert_to_tensor(tensor, track_meta=False)[0].cpu()
        if self.maximum is None:
            return self._labels(values, key=key), 1.0
        return _scaled(values, self.maximum), self.maximum / _TOP

    def _labels(self, values: torch.Tensor, *, key: Hashable) -> NDArray[Any]:
        if values.dtype not in _LABEL_DTYPES:
            raise InvalidValueError(
                f"Expected `{key}` to be labels of torch.uint8 or torch.int16, for no `maximum` is "
                f"given, but got {values.dtype}."
            )
        return values.numpy() if self.table is None else decode_label(values, self.table, key=key)


def _header_like(source: str | None, values: torch.Tensor, *, key: Hashable) -> Nifti1Header:
    """A new header with the grid of a file, or with a map's own where there is no file."""
    found = None if source is None else nibabel.load(source).header
    grid = values.shape[1:] if found is None else found.get_data_shape()[:3]
    shape = tuple(int(size) for size in grid)
    _check_shape(values, shape, source=source, key=key)
    header = Nifti1Header() if max(shape) <= _LONGEST else Nifti2Header()
    header.set_data_shape(shape)
    if isinstance(found, Nifti1Header):  # which NIfTI-2's is, too
        header["pixdim"][:4] = found["pixdim"][:4]
        for name in _PLACE:
            header[name] = found[name]
        return header
    if not hasattr(values, "affine"):
        raise InvalidTypeError(
            f"Expected `{key}` to be a MetaTensor, for its image came from no volume's file, "
            f"but got {type(values).__name__}."
        )
    affine = np.asarray(values.affine, dtype=np.float64)
    header.set_sform(affine, code=_ALIGNED)
    header.set_qform(affine, code=_ALIGNED, strip_shears=True)
    header.set_xyzt_units("mm")
    return header


def _check_shape(
    values: torch.Tensor, shape: tuple[int, ...], *, source: str | None, key: Hashable
) -> None:
    if tuple(values.shape) != (1, *shape) or len(shape) != 3:
        raise InvalidValueError(
            f"Expected `{key}` of shape (1, X, Y, Z) = {(1, *shape)}, the grid of "
            f"{source or 'a volume'}, but got {tuple(values.shape)}."
        )


def _scaled(values: torch.Tensor, maximum: float) -> NDArray[np.uint8]:
    """255ths of the maximum, a few slices at a time, for float32 is four times as large."""
    stored = torch.empty(values.shape, dtype=torch.uint8)
    for part, slab in zip(values.split(_SLAB), stored.split(_SLAB), strict=True):
        slab.copy_((part.float() / maximum).clamp(0, 1).mul_(_TOP).round_())
    return stored.numpy()


def _write(stored: NDArray[Any], header: Nifti1Header, path: Path, *, slope: float) -> None:
    kind = Nifti2Image if isinstance(header, Nifti2Header) else Nifti1Image
    image = kind(stored, None, header)  # no affine of its own, so the header stays as it is
    image.header.set_slope_inter(slope, 0.0)  # a new image begins without
    with (
        atomic_write(path) as file,
        # Without name and time, so that equal maps make equal files.
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed,
    ):
        image.to_stream(packed)
