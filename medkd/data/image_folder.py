"""The images of a folder, for inference."""

from __future__ import annotations

from pathlib import Path

from medkd.data.image_file_reader import SUFFIXES

__all__ = ["images_in"]


def images_in(folder: str | Path, pattern: str = "*") -> list[dict[str, str]]:
    """List the images of a folder.

    Args:
        folder: the folder.
        pattern: glob pattern relative to it; files of other kinds than images are passed over.

    Returns:
        ``{"case_id", "image"}`` each, by name.

    Raises:
        FileNotFoundError: if the folder does not exist or holds no such image.
        ValueError: if two images differ in their suffix only, so that their results would have one
            name.
    """
    files = sorted(
        path
        for path in Path(folder).glob(pattern)
        if path.is_file() and path.name.lower().endswith(tuple(SUFFIXES))
    )
    if not files:
        raise FileNotFoundError(
            f"Expected images in {folder} (pattern {pattern!r}; one of {', '.join(SUFFIXES)}), "
            "but found none."
        )
    items: dict[str, str] = {}
    for path in files:
        case_id = path.name[: -len(".nii.gz")] if path.name.endswith(".nii.gz") else path.stem
        if case_id in items:
            raise ValueError(
                f"Expected images with names of their own, but {items[case_id]} and {path} would "
                "both be saved under one name. Choose one kind with a pattern."
            )
        items[case_id] = str(path)
    return [{"case_id": case_id, "image": path} for case_id, path in items.items()]
