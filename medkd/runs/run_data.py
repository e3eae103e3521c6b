"""What a finished run says of the data that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.data import load_cases, read_manifest

if TYPE_CHECKING:
    from medkd.data import Manifest

__all__ = ["find_image", "find_manifest", "run_class_names"]

_SPLITS = ("validation", "test", "train")


def find_manifest(run_dir: str | Path) -> tuple[Manifest, Path] | None:
    """The manifest of a run's data set, where it is still to be found.

    No expression of the configuration is evaluated: a phantom would be drawn by it.

    Args:
        run_dir: the run's folder, with ``config.json``.

    Returns:
        The manifest and its path: the run's own copy or, in the folder of an older version's run,
        the file that its configuration names, seen from the working directory; where that is an
        expression, the one in the folder of the bundle or of the data. ``None`` if there is none.

    Raises:
        ValueError: if the manifest breaks its format.
    """
    places = [Path(run_dir) / "manifest.json"]
    config = _configuration(run_dir)
    stated = str(config.get("manifest", ""))
    if stated and not stated.startswith("$"):
        places.append(Path(stated).expanduser())
    else:
        folders = [config[name] for name in ("bundle_root", "dataset_dir") if name in config]
        places += [Path(str(folder)).expanduser() / "manifest.json" for folder in folders]
    found = next((path for path in places if path.is_file()), None)
    return None if found is None else (read_manifest(found), found)


def run_class_names(run_dir: str | Path, num_classes: int) -> list[str]:
    """Names of the classes that a run segments, the background first.

    Args:
        run_dir: the run's folder.
        num_classes: of its network.

    Returns:
        The manifest's names; ``"background"``, ``"class 1"``, ... where there is no manifest of so
        many classes.

    Example:
        >>> run_class_names("no_such_run", 3)
        ['background', 'class 1', 'class 2']
    """
    found = find_manifest(run_dir)
    if found is not None and found[0].num_classes == num_classes:
        return [*found[0].class_names]
    return ["background", *(f"class {number}" for number in range(1, num_classes))]


def find_image(run_dir: str | Path) -> dict[str, Any] | None:
    """A real image of a run's data set, rather one that it was not trained on.

    Args:
        run_dir: the run's folder.

    Returns:
        The first case of the validation split, else of another, as :func:`medkd.data.load_cases`
        has it; ``None`` if neither manifest nor files are to be found.
    """
    found = find_manifest(run_dir)
    if found is None:
        return None
    manifest, path = found
    folder = _configuration(run_dir)["dataset_dir"]
    for split in _SPLITS:
        if manifest.splits.get(split):
            try:
                cases: list[dict[str, Any]] = load_cases(path, folder, split=split, unlabeled=True)
            except OSError:
                return None
            return cases[0]
    return None


def _configuration(run_dir: str | Path) -> dict[str, Any]:
    path = Path(run_dir) / "config.json"
    if not path.is_file():
        return {}
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config
