"""Maps of a 2-D image as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.transforms.transform import MapTransform
from PIL import Image

from medkd.data.transforms.label_table import label_table
from medkd.errors import InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SaveMapd"]

_DEPTHS = {8: np.uint8, 16: np.uint16}


class SaveMapd(MapTransform):
    """Write a map ``(1, width, height)`` as ``<case_id>_<key>.png``, in grey.

    MONAI's ``PILWriter`` cuts off fractions where this rounds (a probability of 0.9999 becomes 254
    of 255 there), and writes in place, so that a full disk leaves half a picture.

    Args:
        keys: which maps.
        output_dir: where to.
        maximum: the value that becomes white; zero is black, and values outside are clipped.
        bits: 8 or 16 a pixel.
        name_key: the key of the name that files begin with.
        label_values: for a map of class indices: what is written for each class, in the order of
            their indices, in place of shades from black to white. From 256 on it takes 16 bits.

    Raises:
        ValueError: if ``bits`` is neither, ``maximum`` is not above zero, PNG does not hold the
            ``label_values``, or a map is not 2-D.
        OSError: if a file cannot be written.
    """

    def __init__(
        self,
        keys: str | list[str],
        output_dir: str | Path,
        maximum: float = 1.0,
        bits: int = 8,
        name_key: str = "case_id",
        label_values: Sequence[int] | None = None,
    ) -> None:
        super().__init__(keys)
        if bits not in _DEPTHS:
            raise InvalidValueError(f"Expected `bits` to be 8 or 16, but got {bits}.")
        if not maximum > 0:
            raise InvalidValueError(f"Expected `maximum` to be above zero, but got {maximum}.")
        self.label_values = (
            None if label_values is None else label_table(label_values, (np.uint8, np.uint16))
        )
        self.output_dir = Path(output_dir)
        self.maximum = maximum
        self.bits = bits
        self.name_key = name_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps of one case and hand it on."""
        item = dict(data)
        for key in self.key_iterator(item):
            values = torch.as_tensor(item[key]).cpu().numpy()
            if values.ndim != 3 or values.shape[0] != 1:
                raise InvalidValueError(
                    f"Expected `{key}` of shape (1, width, height), but got {values.shape}."
                )
            picture = Image.fromarray(np.ascontiguousarray(self._stored(values[0].T)))
            with atomic_write(self.output_dir / f"{item[self.name_key]}_{key}.png") as file:
                picture.save(file, format="PNG")
        return item

    def _stored(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.label_values is not None:
            return self.label_values[values.astype(np.int64)]
        top = 2**self.bits - 1
        shades: NDArray[Any] = np.rint(np.clip(values / self.maximum, 0, 1) * top)
        return shades.astype(_DEPTHS[self.bits])
