"""The data set that every bundle falls back on: photographs of eyes that do not exist."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from medkd.data.phantoms.fundus_image import draw_fundus
from medkd.data.phantoms.phantom_folder import check_phantom_settings, deal_cases, fill_folder
from medkd.files import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fundus_phantom"]

_GENERATOR = "medkd.data.fundus_phantom"
# Raise when the same settings give other pixels, so that old and new files are never mixed.
_VERSION = 1
_SMALLEST_SIZE = 32
_EYES: tuple[Literal["L", "R"], ...] = ("L", "R")


def fundus_phantom(
    dataset_dir: str | Path,
    *,
    image_size: int = 384,
    num_train: int = 6,
    num_validation: int = 2,
    num_test: int = 4,
    seed: int = 0,
) -> str:
    """Writes a data set of phantom fundus photographs on first use, and returns its manifest.

    Each patient has a left and a right eye. An eye is a photograph of a circular field of view
    (RGB PNG) with branching, tapering arteries and veins down to one pixel, optic disc, fovea,
    uneven light, noise and distractors such as haemorrhages; what two observers marked as vessel
    (PNG of 0 and 255); and the field of view. The fainter a vessel, the less likely it is that an
    observer marked it, so that a forecast can be right only as a probability; see ``draw_fundus``
    for that probability.

    The same arguments give the same files, byte for byte, on the same versions of numpy, scipy and
    Pillow. The manifest is written last: a call that was interrupted is completed by the next one,
    and a finished folder is used as it is.

    Args:
        dataset_dir: folder for the data set: a new or empty one, or one that holds this phantom.
        image_size: height and width of the images in pixels, at least 32.
        num_train: number of **patients** in the training split, at least 1; two images each.
        num_validation: number of patients in the validation split, at least 1.
        num_test: number of patients in the test split, at least 1.
        seed: seed of the whole data set, at least 0.

    Returns:
        Path of ``manifest.json`` in ``dataset_dir``.

    Raises:
        ValueError: if a setting is out of range, or ``dataset_dir`` is a file, holds anything
            else than this phantom, or holds it with other settings. Nothing is written then.
        OSError: if a file cannot be written.

    Example:
        >>> import json, tempfile
        >>> settings = dict(image_size=32, num_train=2, num_validation=1, num_test=1)
        >>> manifest = fundus_phantom(tempfile.mkdtemp(), **settings)
        >>> json.loads(Path(manifest).read_text())["splits"]["test"]
        ['phantom_04L', 'phantom_04R']
    """
    num_patients = {"train": num_train, "validation": num_validation, "test": num_test}
    check_phantom_settings(
        {
            "image_size": (image_size, _SMALLEST_SIZE),
            "seed": (seed, 0),
            **{f"num_{split}": (number, 1) for split, number in num_patients.items()},
        }
    )

    def write_case(folder: Path, case: dict[str, str]) -> None:
        _write_case(folder, case, image_size, seed)

    return fill_folder(
        dataset_dir,
        settings={
            "generator": _GENERATOR,
            "version": _VERSION,
            "image_size": image_size,
            "num_patients": num_patients,
            "seed": seed,
        },
        manifest=_manifest(num_patients),
        write_case=write_case,
        title="Drawing fundus phantoms",
    )


def _case(patient: int, eye: str) -> dict[str, str]:
    case_id = f"phantom_{patient + 1:02d}{eye}"
    return {
        "case_id": case_id,
        "patient": f"{patient + 1:02d}",
        "image": f"images/{case_id}.png",
        "label": f"labels_1st/{case_id}.png",
        "label_2nd": f"labels_2nd/{case_id}.png",
        "mask": f"fov/{case_id}.png",
    }


def _manifest(num_patients: dict[str, int]) -> dict[str, Any]:
    return {
        "name": "fundus_phantom",
        "description": "Phantom fundus photographs: computed images of eyes that do not exist, "
        "with the vessels that two simulated observers marked.",
        "modality": "fundus photography",
        "source": f"computed by {_GENERATOR}",
        "license": "CC0-1.0",
        "citation": "none: no person was photographed",
        "changes": "none",
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"background": 0, "vessel": 1},
        "label_values": {"0": 0, "255": 1},
        **deal_cases(num_patients, lambda patient: [_case(patient, eye) for eye in _EYES]),
    }


def _write_case(folder: Path, case: dict[str, str], image_size: int, seed: int) -> None:
    patient = int(case["patient"]) - 1
    eye: Literal["L", "R"] = "L" if case["case_id"].endswith("L") else "R"
    fundus = draw_fundus(patient=patient, eye=eye, size=image_size, seed=seed)
    for key in ("image", "label", "label_2nd", "mask"):
        pixels = getattr(fundus, key)
        _write_png(folder / case[key], pixels if key == "image" else pixels * np.uint8(255))


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, format="PNG", compress_level=6)
    with atomic_write(path) as file:
        file.write(encoded.getvalue())
