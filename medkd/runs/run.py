"""A run: its folder, its configuration, its networks, and what was found out about them."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser

from medkd.data import read_manifest
from medkd.errors import InvalidValueError
from medkd.files import atomic_write, sha256_of
from medkd.handlers import read_history
from medkd.runs.configuration import running_parser
from medkd.runs.folder_lock import FolderLock, lock_folder
from medkd.runs.json_files import read_json
from medkd.runs.process_group import ProcessGroup
from medkd.teachers import count_members, member_dir, member_weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from medkd.data import Manifest

__all__ = ["Run", "this_run"]

_MANIFEST = "manifest.json"
# Laid out as members are, by the id of their folder.
_OTHER_NETWORKS = {"dropout network": "dropout_dir", "labels-only network": "labels_only_dir"}


class Run:
    """One object for all that a stage of a bundle needs to know.

    A bundle has it as the id ``this_run``, and every stage takes it. What a user may override stays
    an id of the bundle; here it is asked for by its name, so that a stage needs no list of them.

    Args:
        parser: the configuration, overrides merged.
    """

    def __init__(self, parser: ConfigParser) -> None:
        self.parser = parser
        self._locks: list[FolderLock] = []

    def lock(self, folder: str | Path) -> None:
        """Keep other processes out of a folder until the run ends.

        Args:
            folder: the folder; made if it is not there.

        Raises:
            RuntimeError: if another process is at work in it.
        """
        self._locks.append(lock_folder(folder))

    def finish(self) -> None:
        """Let others into the folders; what a bundle's ``finalize`` calls."""
        for lock in self._locks:
            lock.release()
        self._locks.clear()

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it stands, expressions and all, without the bundle's metadata."""
        return {k: v for k, v in self.parser.get().items() if k != ConfigParser.meta_key}

    def value(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - whatever the id says
        """What an id comes to.

        Args:
            name: the id, ``::`` between levels.
            default: for an id that the configuration does not have.

        Returns:
            The evaluated value, made once for all who ask.
        """
        return self.parser.get_parsed_content(name) if name in self.parser else default

    def with_overrides(self, *on_top: Mapping[str, Any]) -> ConfigParser:
        """A configuration of its own with overrides on top; what it makes is apart from this run's.

        Args:
            *on_top: ids, ``::`` between levels, to values; the last wins.

        Returns:
            Its parser.
        """
        parser = ConfigParser(copy.deepcopy(self.config))
        for overrides in on_top:
            parser.update(copy.deepcopy(dict(overrides)))
        return parser

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.value("output_dir"))

    @property
    def bundle_root(self) -> Path:
        """The bundle's folder."""
        return Path(self.value("bundle_root"))

    @property
    def training_dir(self) -> Path:
        """Where the training of this configuration leaves its checkpoint and its curves."""
        return Path(self.value("training_dir"))

    @property
    def model_file(self) -> Path:
        """The weights of this configuration's training, as trained."""
        return Path(self.value("model_file"))

    @property
    def device(self) -> torch.device | str:
        """Where networks are put."""
        device: torch.device | str = self.value("device")
        return device

    @property
    def num_members(self) -> int:
        """How many networks the ensemble has; 0 for a run without one."""
        return int(self.value("num_members", 0))

    @cached_property
    def process_group(self) -> ProcessGroup:
        """The processes that run it together, of which the main one writes."""
        return self.value("process_group") or ProcessGroup()

    @cached_property
    def manifest(self) -> Manifest:
        """Of the data set that the configuration names."""
        return read_manifest(self.value("manifest"))

    def keep_manifest(self) -> None:
        """Copy the manifest into the run's folder, for the data set's may change or go.

        Raises:
            ValueError: if the run was begun with another one.
        """
        path, kept = Path(self.value("manifest")), self.folder / _MANIFEST
        content = path.read_bytes()
        is_kept = kept.is_file() and kept.read_bytes() == content
        if kept.is_file() and not is_kept and any(self.folder.rglob("settings.json")):
            raise InvalidValueError(
                f"Expected {path} to be the manifest that {self.folder} was begun with, but it has "
                "changed since. Choose another --output_dir, or put the manifest back: the run's "
                f"own is {kept}."
            )
        if not is_kept:
            with atomic_write(kept) as file:
                file.write(content)

    def weights_sha256(self) -> list[str]:
        """What identifies the networks of the run: the SHA-256 of the weights of each.

        Returns:
            One hexadecimal digest a network: members, network on labels alone, student, peers.

        Raises:
            FileNotFoundError: if a member or the student is not trained.
        """
        digests: list[str] = []
        if self.value("members_dir") is not None:
            digests += member_weights_sha256(self.value("members_dir"), self.num_members)
        labels_only_dir = self.value("labels_only_dir")
        if labels_only_dir is not None:
            digests += member_weights_sha256(labels_only_dir, count_members(labels_only_dir))
        digests.append(sha256_of(self.model_file))
        if self.value("peers_dir") is not None:
            digests += map(sha256_of, sorted(Path(self.value("peers_dir")).glob("peer_*.pt")))
        return digests

    def teacher_weights_sha256(self) -> list[str]:
        """What identifies the ensemble; empty for a run without one."""
        if self.value("members_dir") is None:
            return []
        return member_weights_sha256(self.value("members_dir"), self.num_members)

    def temperatures(self) -> dict[str, list[float]]:
        """The calibration temperatures of the run's networks as they are now.

        Returns:
            Method name to one temperature for each of its predictors; empty before they were
            fitted, and if they are those of other weights.

        Raises:
            ValueError: if the file that holds them is damaged.
        """
        path = self.value("temperatures_file")
        if path is None or not Path(path).is_file():
            return {}
        known = read_json(path)
        if known.get("weights") != self.weights_sha256():
            return {}
        temperatures: dict[str, list[float]] = known["temperatures"]
        return temperatures

    def histories(self, *, member_name: str = "member") -> dict[str, list[dict[str, float]]]:
        """The training curves that are there.

        Args:
            member_name: what a member is called, ``"member"`` or ``"teacher"``.

        Returns:
            Network name to its rows: members, dropout network, labels-only network, student.
        """
        folders: dict[str, Path] = {}
        members_dir = self.value("members_dir")
        if members_dir is not None:
            numbers = range(self.num_members)
            folders = {f"{member_name} {m}": member_dir(members_dir, m) for m in numbers}
        for name, key in _OTHER_NETWORKS.items():
            if self.value(key) is not None:
                folders[name] = member_dir(self.value(key), 0)
        folders["student"] = self.training_dir
        files = {name: folder / "history.csv" for name, folder in folders.items()}
        return {name: read_history(file) for name, file in files.items() if file.is_file()}


def this_run() -> Run:
    """The run whose configuration is being evaluated, for the id ``this_run`` of a bundle."""
    return Run(running_parser())
