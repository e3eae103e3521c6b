"""Soft labels on disk: the teacher's price, paid once per data set."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.data import image_sha256
from medkd.errors import InvalidValueError, MissingKeyError
from medkd.files import atomic_write
from medkd.functional import decode_probs
from medkd.teachers.soft_label_file import read_codes, write_codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

__all__ = ["SoftLabelStore", "add_soft_labels"]

_FORMAT = 2  # 1 was a .npy file a case, not compressed
_log = logging.getLogger(__name__)


class SoftLabelStore:
    """The teacher's probabilities of every training case, in the geometry the student sees.

    One HDF5 file a case with the codes of :func:`medkd.functional.encode_probs`, whose error is at
    most about 2e-5 nats of KL for two classes: ``(C - 1, *spatial)`` of ``uint8``, **C - 1 bytes
    per voxel** (one for vessels, where two float32 channels take eight), and far fewer on disk,
    because codes are compressed (``benchmarks/results/soft_label_size.md``). They lie in chunks, so
    a crop reads little more than the crop.

    ``index.json`` says what produced them: a *key* for all (teacher weights, temperature,
    deterministic transforms, sliding window) and the SHA-256 of each case's image. :meth:`open_for`
    compares and drops what is stale, with a line in the log that says why, so a stale label is
    never read and a good one never computed twice. Both files are written whole or not at all; a
    case counts once it is in the index.

    Args:
        directory: where the files lie or will lie.

    Raises:
        ValueError: if the directory holds an ``index.json`` that is not one of a store.

    Example:
        >>> import tempfile, torch
        >>> store = SoftLabelStore(tempfile.mkdtemp())
        >>> store.open_for({"temperature": 2.0})
        >>> probs = torch.full((2, 4, 3), 0.5)
        >>> store.write("eye_1", probs, source_sha256="0" * 64)
        >>> tuple(store.read("eye_1", (slice(1, 3), slice(None))).shape)
        (2, 2, 3)
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._index: dict[str, Any] = {"format": _FORMAT, "key": None, "cases": {}}
        if self._index_path.is_file():
            self._index = _read_index(self._index_path)

    @property
    def _index_path(self) -> Path:
        return self.directory / "index.json"

    def open_for(self, key: Mapping[str, Any]) -> None:
        """Keep what was written for ``key`` and forget the rest, saying what changed.

        Args:
            key: what the labels depend on, as JSON: names to values.

        Raises:
            OSError: if the index cannot be written.
        """
        wanted = json.loads(json.dumps(key))
        if self._index["key"] == wanted and self._index["format"] == _FORMAT:
            return
        dropped = self._index["cases"]
        if dropped:
            _log.warning(
                "Soft labels in %s are written again: %s.",
                self.directory,
                _difference(
                    {**(self._index["key"] or {}), "format of the store": self._index["format"]},
                    {**wanted, "format of the store": _FORMAT},
                ),
            )
        self._index = {"format": _FORMAT, "key": wanted, "cases": {}}
        self._save_index()
        # Those of another format have another name and would never be written over.
        for entry in dropped.values():
            (self.directory / Path(entry["file"]).name).unlink(missing_ok=True)

    def missing(self, cases: Sequence[Mapping[str, Any]], *, source: str = "image") -> list[str]:
        """Which cases have no label, or one of another image.

        Args:
            cases: items with ``case_id`` and, under ``source``, a file or a list of them.
            source: the key of what the teacher saw.

        Returns:
            Their ids, in the order of ``cases``.
        """
        missing = []
        for case in cases:
            entry = self._index["cases"].get(case["case_id"])
            if entry is None or not (self.directory / entry["file"]).is_file():
                missing.append(case["case_id"])
            elif entry["source_sha256"] != image_sha256(case[source]):
                _log.warning(
                    "The soft label of %s is written again: its image has changed.", case["case_id"]
                )
                missing.append(case["case_id"])
        return missing

    def write(self, case_id: str, probs: torch.Tensor, *, source_sha256: str) -> None:
        """Store one case.

        Args:
            case_id: the case; one folder level, as in a manifest.
            probs: the teacher's probabilities, ``(C, *spatial)``, one when summed over ``C``.
            source_sha256: SHA-256 of the image they were computed from, of one file or several.

        Raises:
            OSError: if the file cannot be written.
        """
        name = f"{case_id}.h5"
        write_codes(self.directory / name, probs)
        self._index["cases"][case_id] = {"file": name, "source_sha256": source_sha256}
        self._save_index()

    def path_of(self, case_id: str) -> str:
        """The file of one case.

        Args:
            case_id: the case.

        Returns:
            Its path.

        Raises:
            KeyError: if the store has no label of it.
        """
        if case_id not in self._index["cases"]:
            raise MissingKeyError(
                f"Expected a soft label of {case_id} in {self.directory}, but there is none."
            )
        return str(self.directory / self._index["cases"][case_id]["file"])

    def read(self, case_id: str, region: tuple[slice, ...] = ()) -> torch.Tensor:
        """Read one case, or a crop of it.

        Args:
            case_id: the case.
            region: a slice for each spatial axis; all of it by default.

        Returns:
            Probabilities ``(C, *spatial)`` in float32, one at each voxel when summed over ``C``.

        Raises:
            KeyError: if the store has no label of it.
            ValueError: if its file is damaged.
        """
        return decode_probs(read_codes(self.path_of(case_id), region).unsqueeze(0)).squeeze(0)

    def _save_index(self) -> None:
        with atomic_write(self._index_path, "w") as file:
            json.dump(self._index, file, indent=1)


def add_soft_labels(
    cases: Sequence[Mapping[str, Any]], store: SoftLabelStore | None
) -> list[dict[str, Any]]:
    """Give every case the file of its soft label as one more key.

    Args:
        cases: items with ``case_id``.
        store: where the labels lie; ``None`` leaves the cases as they are (labels only, or a
            teacher in the loop).

    Returns:
        New items, with ``soft_label`` where there is a store.

    Raises:
        KeyError: if the store has no label of a case.
    """
    if store is None:
        return [dict(case) for case in cases]
    return [{**case, "soft_label": store.path_of(case["case_id"])} for case in cases]


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        index = None
    if not (isinstance(index, dict) and {"format", "key", "cases"} <= index.keys()):
        raise InvalidValueError(
            f"Expected {path} to be the index of a soft-label store, but it is damaged, or was "
            "written by something else. Remove the folder to have it written again."
        )
    return index


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which entries of a key changed; values are shown where they are short."""
    parts = []
    for name in sorted(set(old) | set(new)):
        before, after = json.dumps(old.get(name)), json.dumps(new.get(name))
        if before != after:
            short = len(before) + len(after) < 80  # a line of the log
            parts.append(f"{name} was {before}, is {after}" if short else f"{name} changed")
    return "; ".join(parts)
