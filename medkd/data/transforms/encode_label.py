"""From the values stored in a label file to class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

__all__ = ["EncodeLabeld"]

_SHOWN = 8  # values listed in a message before it says how many more there are
_CHUNK = 1 << 18  # voxels encoded at a time, so that the steps between stay in the cache


class EncodeLabeld(MapTransform):
    """Replace the values stored in a label file by class indices, refusing values it does not know.

    A label file says vessel with 255, 1 or whatever its painter chose; the manifest's
    ``label_values`` says what each value means. In a bundle,
    ``"label_values": "$medkd.data.read_manifest(@manifest).label_values"``.

    Args:
        keys: labels to encode, each ``(1, *spatial)`` as loaded with one channel. Where a value is
            above 2^24, ``LoadImaged`` must have been given ``"dtype": null``, for the float32 that
            it makes otherwise merges such values.
        label_values: stored value to class index, ``{0: 0, 255: 1}``.
        allow_missing_keys: leave out a key that the case does not have (a second observer).

    Raises:
        ValueError: if ``label_values`` is empty; when called, if a label has several channels or a
            value that is not in ``label_values`` (the message names the file and both sets), or was
            loaded as float32 where ``label_values`` need more.

    Example:
        >>> import torch
        >>> encode = EncodeLabeld(keys="label", label_values={0: 0, 255: 1})
        >>> encode({"label": torch.tensor([[[0.0, 255.0, 255.0]]])})["label"].tolist()
        [[[0, 1, 1]]]
    """

    def __init__(
        self,
        keys: Hashable | Sequence[Hashable],
        label_values: Mapping[int, int],
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if not label_values:
            raise InvalidValueError(
                "Expected `label_values` to have at least one value, but got none."
            )
        self.label_values = {int(stored): int(index) for stored, index in label_values.items()}
        self.dtype = torch.uint8 if max(self.label_values.values()) < 256 else torch.int64

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Encode the labels of one case.

        Args:
            data: the case; it is not modified.

        Returns:
            A copy in which each label is ``(1, *spatial)``, ``uint8`` (``int64`` from 256 classes).
        """
        case = dict(data)
        for key in self.key_iterator(case):
            case[key] = self._encode(case[key], key=key)
        return case

    def _encode(self, stored: torch.Tensor, *, key: Hashable) -> torch.Tensor:
        name = getattr(stored, "meta", {}).get("filename_or_obj", f"`{key}`")
        if stored.shape[0] != 1:
            raise InvalidValueError(
                f"Expected the label {name} to be of shape (1, *spatial), "
                f"but got shape {tuple(stored.shape)}."
            )
        self._check_precision(stored, name=name)
        index = torch.zeros_like(stored, dtype=self.dtype, memory_format=torch.contiguous_format)
        ordered = sorted(self.label_values.items())
        known = torch.tensor([v for v, _ in ordered], dtype=torch.float64, device=stored.device)
        classes = torch.tensor([i for _, i in ordered], dtype=self.dtype, device=stored.device)
        unknown: set[float] = set()
        plain = _plain(stored).reshape(-1)
        for start in range(0, plain.numel(), _CHUNK):
            values = plain[start : start + _CHUNK].double()
            position = torch.searchsorted(known, values).clamp_max(len(known) - 1)
            unknown |= set(values[known[position] != values].unique().tolist())
            _plain(index).view(-1)[start : start + _CHUNK] = classes[position]
        if unknown:
            raise InvalidValueError(
                f"Expected the label {name} to hold only the values {_listed(self.label_values)} "
                f"of `label_values`, but got {_shown(sorted(unknown))}."
            )
        return index

    def _check_precision(self, stored: torch.Tensor, *, name: object) -> None:
        if not stored.is_floating_point():
            return
        largest = max(map(abs, self.label_values))
        if largest >= 2 / torch.finfo(stored.dtype).eps:
            raise InvalidValueError(
                f"Expected the label {name} to be loaded as whole numbers, because {stored.dtype} "
                f'merges values as large as {largest} of `label_values` (give LoadImaged "dtype": '
                "null), but got float numbers."
            )


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory without metadata, which would be copied at every step."""
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor


def _listed(values: Iterable[int]) -> str:
    numbers = list(values)
    return str(numbers) if len(numbers) <= 2 * _SHOWN else f"[{_shown(sorted(numbers))}]"


def _shown(values: Sequence[float]) -> str:
    # Whole numbers in full: 312782546 as 3.12783e+08 could be many.
    shown = (f"{v:.0f}" if float(v).is_integer() else f"{v:g}" for v in values[:_SHOWN])
    more = len(values) - _SHOWN
    text = ", ".join(shown)
    return f"{text} and {more} more" if more > 0 else text
