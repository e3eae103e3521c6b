"""Writing a planned bundle, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.data import write_manifest
from medkd.errors import ExistingFileError, InvalidValueError
from medkd.files import atomic_folder, atomic_write
from medkd.planning.bundle_changes import planned_configs
from medkd.planning.bundle_readme import readme_text
from medkd.planning.json_layout import format_json
from medkd.texts import check_path

if TYPE_CHECKING:
    from medkd.data import Manifest
    from medkd.planning.bundle_plan import BundlePlan

__all__ = ["check_dataset_dir", "check_output", "write_bundle"]

_MARK = "fingerprint.json"


def check_output(output: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse a place where a bundle must not be written.

    Args:
        output: the bundle's folder.
        overwrite: whether a bundle that was planned before may be replaced.

    Returns:
        The absolute path.

    Raises:
        FileExistsError: if there is something that is not to be replaced: anything without
            ``overwrite``, and what was not written by ``medkd plan`` with it.
        ValueError: if the bundle could not say where it is: MONAI would rewrite the path.
    """
    path = check_path(Path(output).expanduser().resolve(), where="--output")
    if not path.exists():
        return path
    if not overwrite:
        raise ExistingFileError(
            f"Expected a new folder for --output, but {path} exists: --overwrite?"
        )
    if not (path / _MARK).is_file():
        raise ExistingFileError(
            f"Expected --output to be new or a bundle that `medkd plan` wrote, but {path} has no "
            f"{_MARK}; it is not overwritten."
        )
    return path


def check_dataset_dir(dataset_dir: str | Path) -> Path:
    """Refuse a data set's folder that a bundle could not name.

    Args:
        dataset_dir: the folder.

    Returns:
        The absolute path.

    Raises:
        ValueError: if MONAI would rewrite the path.
    """
    return check_path(Path(dataset_dir).expanduser().resolve(), where="the data set's folder")


def write_bundle(
    plan: BundlePlan,
    manifest: Manifest,
    *,
    dataset_dir: str | Path,
    output: str | Path,
    overwrite: bool = False,
) -> Path:
    """Write the bundle, whole or not at all.

    Args:
        plan: what was chosen.
        manifest: of the data set, written into the bundle.
        dataset_dir: the data set's folder.
        output: the bundle's folder.
        overwrite: whether a bundle that was planned before is replaced, with all in its folder.

    Returns:
        The bundle's folder.

    Raises:
        FileExistsError: as :func:`check_output`.
        OSError: if it cannot be written; nothing is left, and nothing replaced.
        ValueError: if MONAI would rewrite the path of the bundle or of the data set.
    """
    path = check_output(output, overwrite=overwrite)
    dataset = check_dataset_dir(dataset_dir)
    images = _images_of(manifest, dataset)
    texts = {
        file: format_json(content)
        for file, content in planned_configs(
            plan, bundle_dir=path, dataset_dir=dataset, image_dir=images
        ).items()
    }
    texts["logging.conf"] = plan.template.logging_conf
    texts["README.md"] = readme_text(plan, bundle_dir=path, image_dir=images)
    texts[_MARK] = format_json(plan.fingerprint.to_json())
    with atomic_folder(path, replace=overwrite) as temporary:
        for file, text in texts.items():
            with atomic_write(temporary / file, "w") as stream:
                stream.write(text)
        write_manifest(manifest, temporary / "manifest.json")
    return path


def _images_of(manifest: Manifest, dataset_dir: Path) -> Path:
    """The folder of the first image, or the data set's where MONAI would rewrite that."""
    folder = dataset_dir / Path(manifest.cases[0].paths("image")[0]).parent
    try:
        return check_path(folder, where="the folder of images")
    except InvalidValueError:
        return dataset_dir
