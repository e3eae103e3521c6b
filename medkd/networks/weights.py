"""Network weights as files: whole or not at all, and only into the network they were made for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medkd.errors import InvalidValueError, MissingFileError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from torch import nn

__all__ = ["check_state", "load_state", "load_weights", "save_state", "save_weights"]

_SHOWN = 3


def save_state(state: Any, path: str | Path) -> None:  # noqa: ANN401 - whatever torch can save
    """Write what :func:`torch.save` can write, atomically.

    The bytes are made in memory first, so that a full disk is one :class:`OSError` naming ``path``
    and not a message from inside a zip writer.

    Args:
        state: tensors and plain containers of them.
        path: the file to write or replace.

    Raises:
        OSError: if the file cannot be written; the old file is then untouched.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def load_state(path: str | Path, *, map_location: str | torch.device = "cpu") -> Any:  # noqa: ANN401
    """Read a file of :func:`save_state` with ``weights_only=True``, so no code in it can run.

    Args:
        path: the file.
        map_location: the device that tensors are put on.

    Returns:
        What was saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or holds more than tensors and plain containers.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"Expected a file of weights at {path}, but there is none.")
    # Read here, so that what goes wrong below is the content's fault and not the disk's.
    content = io.BytesIO(Path(path).read_bytes())
    try:
        return torch.load(content, map_location=map_location, weights_only=True)
    except Exception as error:  # on damaged bytes torch raises KeyError, struct.error and more
        raise InvalidValueError(
            f"Expected {path} to hold weights only, but it cannot be read as such: it is damaged, "
            "or was written by something else."
        ) from error


def save_weights(network: nn.Module, path: str | Path) -> None:
    """Write a network's state dict, and nothing else, atomically.

    Args:
        network: the network; its tensors are written as on the CPU.
        path: the file to write or replace.
    """
    save_state({name: value.detach().cpu() for name, value in network.state_dict().items()}, path)


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Load weights into a network of exactly the architecture they were trained in.

    Args:
        network: the network; changed in place, and only if everything fits.
        path: a file of :func:`save_weights`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, or a tensor is missing, left over or of another shape.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> path = Path(tempfile.mkdtemp()) / "model.pt"
        >>> save_weights(nn.Linear(2, 1), path)
        >>> load_weights(nn.Linear(3, 1), path)
        Traceback (most recent call last):
        medkd.errors.InvalidValueError: Expected ... to hold weights of this Linear, but weight ...
    """
    state = load_state(path)
    check_state(network, state, path)
    network.load_state_dict(state)


def check_state(network: nn.Module, state: Any, path: str | Path) -> None:  # noqa: ANN401
    """Refuse a state dict that does not fit a network, saying where it does not.

    Args:
        network: the network that the state is for.
        state: what was read from ``path``.
        path: named in the message.

    Raises:
        ValueError: if a tensor is missing, left over or of another shape.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()} if _is_state(state) else {}
    faults = [
        *(f"{name} is missing" for name in expected if name not in found),
        *(f"{name} is not part of it" for name in found if name not in expected),
        *(
            f"{name} has shape {found[name]} where the network has {shape}"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ),
    ]
    if faults:
        more = f" (and {len(faults) - _SHOWN} more)" if len(faults) > _SHOWN else ""
        raise InvalidValueError(
            f"Expected {path} to hold weights of this {type(network).__name__}, but "
            f"{'; '.join(faults[:_SHOWN])}{more}: it was trained with another architecture."
        )


def _is_state(state: Any) -> bool:  # noqa: ANN401
    return isinstance(state, dict) and all(isinstance(v, torch.Tensor) for v in state.values())
