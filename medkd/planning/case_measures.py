"""What one case of a data set looks like, measured in one reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from monai.data import MetaTensor
from monai.utils.enums import MetaKeys
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes, io_orientation

from medkd.data import EncodeLabeld, VolumeFileReader
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from medkd.data import Case, Manifest

__all__ = ["SAMPLE_SIZE", "CaseMeasures", "ChannelMeasures", "measure_case"]

SAMPLE_SIZE = 50_000
_AIR = -500  # HU: what is above is body, where an image reaches below


@dataclass(frozen=True)
class ChannelMeasures:
    """Intensities of one channel of one case.

    Args:
        minimum: least value of the volume.
        whole_numbers: whether all values are.
        zero_share: share of the voxels that are exactly zero.
        total: sum over the foreground.
        total_of_squares: sum of the squared differences to the foreground's mean.
        sample: foreground values, evenly spaced in storage order, at most ``SAMPLE_SIZE``.
    """

    minimum: float
    whole_numbers: bool
    zero_share: float
    total: float
    total_of_squares: float
    sample: NDArray[np.float32]


@dataclass(frozen=True)
class CaseMeasures:
    """One case, axes in the order right-left, posterior-anterior, inferior-superior (RAS).

    Args:
        case_id: the case.
        shape: voxels along each axis.
        spacing: mm between voxels along each axis.
        orientation: how the file stores its axes, such as ``"LPS"``.
        body: extent in mm of what is not air, along each axis.
        class_voxels: voxels of each class, background first; zeros for a case without a label.
        channels: the image's channels.
    """

    case_id: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    orientation: str
    body: tuple[float, ...]
    class_voxels: tuple[int, ...]
    channels: tuple[ChannelMeasures, ...]

    @property
    def is_labeled(self) -> bool:
        """Whether the case has a label, every voxel of which is of some class."""
        return any(self.class_voxels)


def measure_case(case: Case, manifest: Manifest, folder: Path) -> CaseMeasures:
    """Read a case and measure it.

    A case without a label has no foreground: of its intensities, the least value, the share of
    zeros and whether they are whole numbers are known.

    Args:
        case: one of the manifest's.
        manifest: of a data set of volumes.
        folder: the folder that its paths are relative to.

    Returns:
        The measures.

    Raises:
        OSError: if a file may not be read.
        ValueError: if one cannot be read, image and label differ in shape, the label has a value
            that the manifest does not know, or the image has NaN or infinity.
    """
    reader = VolumeFileReader(num_channels=manifest.num_channels)
    image, header = reader.get_data(tuple(folder / path for path in case.paths("image")))
    image = image.astype(np.float32, copy=False)  # as a bundle loads it
    volumes = np.moveaxis(image, -1, 0) if image.ndim > 3 else image[np.newaxis]
    label = np.zeros(volumes.shape[1:], dtype=np.uint8)
    if case.is_labeled:
        label = _read_label(folder / case.paths("label")[0], manifest)
    if label.shape != volumes.shape[1:]:
        raise InvalidValueError(
            f"Expected the label of case {case.case_id!r} to be of the shape of its image, "
            f"{volumes.shape[1:]}, but got {label.shape}."
        )
    if not np.isfinite(volumes).all():
        raise InvalidValueError(
            f"Expected the image of case {case.case_id!r} to hold numbers, but got NaN or infinity."
        )
    class_voxels = np.bincount(label.ravel(), minlength=manifest.num_classes) * case.is_labeled
    foreground = label > 0
    affine = header[MetaKeys.AFFINE.value]
    return CaseMeasures(
        case_id=case.case_id,
        shape=_in_ras(affine, label.shape),
        spacing=_in_ras(affine, voxel_sizes(affine).tolist()),
        orientation="".join(aff2axcodes(affine)),
        body=_body_extent(volumes[0], affine),
        class_voxels=tuple(class_voxels.tolist()),
        channels=tuple(_measure_channel(volume, foreground) for volume in volumes),
    )


def _read_label(path: Path, manifest: Manifest) -> NDArray[Any]:
    """Class index of each voxel."""
    stored, _ = VolumeFileReader().get_data((path,))
    tensor = MetaTensor(stored[np.newaxis], meta={"filename_or_obj": str(path)})
    encode = EncodeLabeld("label", manifest.label_values)
    return np.asarray(encode({"label": tensor})["label"])[0]


def _in_ras(affine: NDArray[np.float64], along_axes: Sequence[Any]) -> tuple[Any, ...]:
    """Numbers of a file's axes in the order of the body's axes."""
    order = io_orientation(affine)[:, 0].astype(int)
    return tuple(along_axes[int(np.flatnonzero(order == axis)[0])] for axis in range(3))


def _body_extent(volume: NDArray[np.float32], affine: NDArray[np.float64]) -> tuple[float, ...]:
    body = volume > _AIR if float(volume.min()) < _AIR else volume != 0
    spacing = voxel_sizes(affine)
    extents = []
    for axis in range(3):
        present = np.flatnonzero(body.any(axis=tuple({0, 1, 2} - {axis})))
        voxels = int(present[-1] - present[0]) + 1 if present.size else 0
        extents.append(round(voxels * float(spacing[axis]), 3))
    return _in_ras(affine, extents)


def _measure_channel(volume: NDArray[np.float32], foreground: NDArray[np.bool_]) -> ChannelMeasures:
    values = volume[foreground].astype(np.float64)
    mean = float(values.mean()) if values.size else 0.0
    step = max(1, -(-values.size // SAMPLE_SIZE))
    return ChannelMeasures(
        minimum=float(volume.min()),
        whole_numbers=bool((volume == np.rint(volume)).all()),
        zero_share=1 - np.count_nonzero(volume) / volume.size,
        total=float(values.sum()),
        total_of_squares=float(np.square(values - mean).sum()),
        sample=values[::step].astype(np.float32),
    )
