"""Maps of a 2-D image as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.transforms.transform import MapTransform
from PIL import Image

from medkd.data.transforms.decode_label import decode_label, label_value_table
from medkd.errors import InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["SaveMapd"]

_DEPTHS = {8: np.uint8, 16: np.uint16}
_TOP = 2**16 - 1  # of a PNG's pixel


class SaveMapd(MapTransform):
    """Write a map ``(1, width, height)`` as ``<case_id>_<key>.png``, in grey.

    MONAI's ``PILWriter`` cuts off fractions where this rounds (a probability of 0.9999 becomes 254
    of 255 there), and writes in place, so that a full disk leaves half a picture.

    With ``label_values`` the pixels hold the values that the user's own label files store, of 8
    bits up to 255 and 16 above; a viewer shows values of a few classes as nearly black.

    Args:
        keys: which maps.
        output_dir: where to.
        maximum: the value that becomes white; zero is black, and values outside are clipped.
        bits: 8 or 16 a pixel.
        name_key: the key of the name that files begin with.
        label_values: for a map of class indices, the value to write for each class, in the order of
            the class index; ``maximum`` and ``bits`` then say nothing. ``None`` for other maps, and
            to write indices as shades. See :attr:`medkd.data.Manifest.written_label_values`.

    Raises:
        ValueError: if ``bits`` is neither, ``maximum`` is not above zero, or ``label_values`` are
            not one value from 0 to 65535 of its own for each class; when called, if a map is not
            2-D, or has other values than class indices where ``label_values`` are given.
        TypeError: if a label value is no whole number.
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
        self.output_dir = Path(output_dir)
        self.maximum = maximum
        self.bits = bits
        self.name_key = name_key
        self.table = None if label_values is None else _table(label_values)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps of one case and hand it on."""
        item = dict(data)
        for key in self.key_iterator(item):
            values = torch.as_tensor(item[key]).cpu()
            if values.ndim != 3 or values.shape[0] != 1:
                raise InvalidValueError(
                    f"Expected `{key}` of shape (1, width, height), but got {tuple(values.shape)}."
                )
            if self.table is None:
                grey = self._shades(values[0].numpy())
            else:
                grey = decode_label(values[0], self.table, key=key)
            picture = Image.fromarray(np.ascontiguousarray(grey.T))
            with atomic_write(self.output_dir / f"{item[self.name_key]}_{key}.png") as file:
                picture.save(file, format="PNG")
        return item

    def _shades(self, values: NDArray[Any]) -> NDArray[Any]:
        """Black at zero, white at the maximum."""
        shades = np.rint(np.clip(values / self.maximum, 0, 1) * (2**self.bits - 1))
        return shades.astype(_DEPTHS[self.bits])


def _table(label_values: Sequence[int]) -> NDArray[Any]:
    """The values of all classes in a type of PNG, whose 16 bits have no sign."""
    table = label_value_table(label_values)
    if table.min() < 0 or table.max() > _TOP:
        raise InvalidValueError(
            f"Expected `label_values` from 0 to {_TOP}, which are all that a PNG can hold, but got "
            f"{table.min()} to {table.max()}."
        )
    return table if table.dtype == np.uint8 else table.astype(np.uint16)
