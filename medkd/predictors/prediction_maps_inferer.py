"""From a volume to maps of it, without ever holding all its probabilities."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import Inferer, SliceInferer, SlidingWindowInferer
from monai.utils import PytorchPadMode, convert_to_tensor, ensure_tuple_rep, fall_back_tuple
from torch import nn

from medkd.errors import InvalidTypeError, InvalidValueError
from medkd.predictors._window_buffer import WindowBuffer
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from medkd.types import Probs

__all__ = ["PredictionMapsInferer"]

_SECONDS_BEFORE_PROGRESS = 10.0


class PredictionMapsInferer(Inferer):
    """Sliding windows that leave maps instead of logits, in memory that does not grow with a scan.

    MONAI's ``SlidingWindowInferer`` holds ``C`` channels of the whole volume: 12.6 GB for
    512 x 512 x 600 voxels and 20 classes. Here the same windows come in order along one axis, the
    one for which that is least, and meet in a buffer one window deep. A slice that no later window
    touches is reduced to what is wanted of it:

    - ``segmentation``: index of the most likely class, uint8 (int16 from 257 classes);
    - ``probability``: that of this class, in ``[1 / C, 1]``;
    - ``uncertainty``: predictive entropy in nats, in ``[0, log C]``.

    The last two are float16, accurate to 0.001 or better: finer than what is written to files, in
    half the memory of float32.

    The softmax is taken inside each window and windows are blended as probabilities, as are
    members: so says :class:`~medkd.predictors.NetworkPredictor`, so these are maps of the very
    prediction that evaluation scores. MONAI's inferer on a bare network blends logits, which makes
    the blend overconfident where windows disagree.

    Args:
        windows: MONAI's inferer, whose windows, weights, padding, devices and progress bar are
            used: the one that evaluation uses. ``device`` is where windows meet and the maps are;
            ``buffer_steps`` has no effect. A ``SliceInferer`` hands 2-D windows of a volume to its
            network.
        with_probability: make that map; ``"true"`` and ``"false"`` are what a command line makes of
            a bool.
        with_uncertainty: make that map.

    Raises:
        TypeError: if ``windows`` is of another class, or a switch is neither on nor off.
        ValueError: if ``windows`` hands coordinates to its network (``with_coord``).

    Example:
        >>> windows = SlidingWindowInferer(roi_size=(4, 4, 4), overlap=0.5, mode="gaussian")
        >>> infer = PredictionMapsInferer(windows, with_uncertainty=True)
        >>> network = nn.Conv3d(1, 2, kernel_size=1)
        >>> _ = nn.init.zeros_(network.weight), nn.init.zeros_(network.bias)
        >>> maps = infer(torch.zeros(1, 1, 9, 8, 7), network)
        >>> {name: tuple(values.shape) for name, values in maps.items()}
        {'segmentation': (1, 1, 9, 8, 7), 'uncertainty': (1, 1, 9, 8, 7)}
        >>> round(maps["uncertainty"].max().item(), 3)  # undecided: log 2
        0.693
    """

    def __init__(
        self,
        windows: SlidingWindowInferer,
        *,
        with_probability: bool | str = False,
        with_uncertainty: bool | str = False,
    ) -> None:
        super().__init__()
        # Another subclass makes its windows in another way.
        if type(windows) not in (SlidingWindowInferer, SliceInferer):
            raise InvalidTypeError(
                "Expected `windows` to be a monai.inferers.SliceInferer or SlidingWindowInferer, "
                f"but got {type(windows).__name__}."
            )
        if windows.with_coord:
            raise InvalidValueError("Expected `windows` with `with_coord` False, but got True.")
        self.windows = windows
        self.with_probability = _switch(with_probability, "with_probability")
        self.with_uncertainty = _switch(with_uncertainty, "with_uncertainty")

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor] | Sequence[Callable[..., Tensor]],
        *args: Any,  # noqa: ANN401 - the network's own
        **kwargs: Any,  # noqa: ANN401
    ) -> dict[str, Tensor]:
        """Predict one batch, one volume after the other.

        Args:
            inputs: ``(B, C_in, *spatial)``; not modified.
            network: from windows ``(B, C_in, *window)`` to logits ``(B, C, *window)``, in
                evaluation mode; or several as a list, tuple or ``nn.ModuleList``, of one ``C``,
                whose probabilities are averaged.
            args: handed to every network.
            kwargs: handed to every network.

        Returns:
            The maps by name, each ``(B, 1, *spatial)``, plain tensors on the device of ``windows``
            or, by default, of ``inputs``.

        Raises:
            ValueError: if there is no network, or one gives NaN, infinity or another shape.
            TypeError: if one gives no tensor.
        """
        several = isinstance(network, (list, tuple, nn.ModuleList))
        members: list[Callable[..., Tensor]] = [*network] if several else [network]  # type: ignore[misc,list-item]
        if not members:
            raise InvalidValueError(
                "Expected `network` to hold at least one network, but got none."
            )

        def logits_of(member: Callable[..., Tensor], window: Tensor) -> Tensor:
            called = partial(member, *args, **kwargs)
            if isinstance(self.windows, SliceInferer):  # from the volume's window to the network's
                return self.windows.network_wrapper(called, window)
            return called(window)

        def mean_probs(window: Tensor) -> Probs:
            probs = _probs(logits_of(members[0], window), window)
            for member in members[1:]:
                probs += _probs(logits_of(member, window), window)
            return probs.div_(len(members))

        # A MetaTensor would carry the image's metadata through every window.
        plain = convert_to_tensor(inputs, track_meta=False).float()
        cases = [self._infer_case(case, mean_probs) for case in plain.split(1)]
        if len(cases) == 1:
            return cases[0]  # not copied
        return {name: torch.cat([maps[name] for maps in cases]) for name in cases[0]}

    def _infer_case(self, case: Tensor, mean_probs: Callable[[Tensor], Probs]) -> dict[str, Tensor]:
        """The maps ``(1, 1, *spatial)`` of one volume ``(1, C_in, *spatial)``."""
        size = tuple(case.shape[2:])
        roi_size = self._roi_size(size)
        case, before = self._pad(case, roi_size)
        padded_size = tuple(case.shape[2:])
        # The ring is as long as the volume in all axes but this one.
        axis = min(range(len(size)), key=lambda number: roi_size[number] / padded_size[number])
        places = sorted(self._places(padded_size, roi_size), key=lambda place: place[axis].start)
        window_device, device = self._devices(case)
        weights = self._weights(roi_size, window_device)
        buffer: WindowBuffer | None = None
        for batch in self._batches(places):
            window = torch.cat([case[(slice(None), slice(None), *place)] for place in batch])
            weighted = mean_probs(window.to(window_device)).mul_(weights).to(device)
            buffer = buffer or WindowBuffer(
                weighted.shape[1],
                padded_size,
                depth=roi_size[axis],
                axis=axis,
                device=device,
                with_probability=self.with_probability,
                with_uncertainty=self.with_uncertainty,
            )
            for place, one in zip(batch, weighted, strict=True):
                buffer.add(place, one)
        maps = buffer.finish() if buffer is not None else {}
        inside = tuple(slice(b, b + length) for b, length in zip(before, size, strict=True))
        return {name: values[inside][None, None] for name, values in maps.items()}

    def _roi_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Of a window in the volume, which for a slice has one voxel across."""
        roi_size = self.windows.roi_size
        if isinstance(self.windows, SliceInferer):
            roi_size = list(self.windows.orig_roi_size)
            roi_size.insert(self.windows.spatial_dim, 1)
        window: tuple[int, ...] = fall_back_tuple(roi_size, size)
        return window

    def _pad(self, case: Tensor, roi_size: Sequence[int]) -> tuple[Tensor, list[int]]:
        """A volume no smaller than a window, and what was added before each axis."""
        missing = [max(r - n, 0) for r, n in zip(roi_size, case.shape[2:], strict=True)]
        before = [count // 2 for count in missing]
        if not any(missing):
            return case, before
        pads = [(b, count - b) for b, count in zip(before, missing, strict=True)]
        mode = PytorchPadMode(self.windows.padding_mode).value
        value = self.windows.cval if mode == "constant" else None
        flat = [number for pair in reversed(pads) for number in pair]
        return nn.functional.pad(case, flat, mode=mode, value=value), before

    def _places(self, size: Sequence[int], roi_size: Sequence[int]) -> list[tuple[slice, ...]]:
        overlap = ensure_tuple_rep(self.windows.overlap, len(size))
        # As MONAI does it, in a function that is not public.
        interval = [
            r if r == n else max(int(r * (1 - o)), 1)
            for r, n, o in zip(roi_size, size, overlap, strict=True)
        ]
        places: list[tuple[slice, ...]] = dense_patch_slices(size, roi_size, interval)
        return places

    def _devices(self, case: Tensor) -> tuple[torch.device, torch.device]:
        """Where windows are predicted, and where they meet."""
        limit = self.windows.cpu_thresh
        is_large = limit is not None and math.prod(case.shape[2:]) > limit
        default = "cpu" if is_large else case.device
        return (
            torch.device(self.windows.sw_device or case.device),
            torch.device(self.windows.device or default),
        )

    def _weights(self, roi_size: Sequence[int], device: torch.device) -> Tensor:
        return compute_importance_map(
            tuple(roi_size),
            mode=self.windows.mode,
            sigma_scale=self.windows.sigma_scale,
            device=device,
            dtype=torch.float32,
        )

    def _batches(self, places: list[tuple[slice, ...]]) -> Iterable[list[tuple[slice, ...]]]:
        count = self.windows.sw_batch_size
        batches = [places[start : start + count] for start in range(0, len(places), count)]
        return progress(
            batches,
            desc="windows",
            leave=False,
            delay=_SECONDS_BEFORE_PROGRESS,
            disable=not self.windows.progress,
        )


def _switch(value: bool | str, name: str) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise InvalidTypeError(f"Expected `{name}` to be true or false, but got {value!r}.")
    return text == "true"


def _probs(logits: Tensor, window: Tensor) -> Probs:
    """Float32 probabilities of one member's logits."""
    if not isinstance(logits, torch.Tensor):
        raise InvalidTypeError(
            f"Expected `network` to give a tensor of logits, but got {type(logits).__name__}."
        )
    expected = (len(window), *window.shape[2:])
    if (len(logits), *logits.shape[2:]) != expected or logits.shape[1] < 2:
        raise InvalidValueError(
            "Expected `network` to give logits (B, C, *window) of two classes or more for windows "
            f"{tuple(window.shape)}, but got shape {tuple(logits.shape)}."
        )
    return logits.float().softmax(dim=1)
