"""What the soft labels of a whole CT take: on disk, to write, to read.

A teacher's probabilities of four organs and background are made up: round organs with borders as
blurred as an ensemble leaves them, uneven along the surface. A case is written as the store writes
it, and read whole, as training does once when it fills its cache, and by crops of 96 voxels a side.

    python benchmarks/soft_label_size.py [--size 512 512 300]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional

from medkd.functional import decode_probs
from medkd.teachers import SoftLabelStore
from medkd.teachers.soft_label_file import read_codes

RESULTS = Path(__file__).resolve().parent / "results"
SLAB = 16  # planes made at a time
CROP = 96
NUM_CROPS = 20
CASE = "made_up_ct"
# Center and radii of each organ as shares of the volume: heart, aorta, trachea, esophagus.
ORGANS = (
    ((0.45, 0.40, 0.45), (0.12, 0.11, 0.22)),
    ((0.56, 0.60, 0.50), (0.030, 0.030, 0.45)),
    ((0.50, 0.52, 0.75), (0.022, 0.020, 0.22)),
    ((0.52, 0.58, 0.55), (0.018, 0.015, 0.42)),
)
BORDER = 1.5  # voxels over which the log-odds change by one


def teacher_probs(size: tuple[int, ...], *, seed: int = 0) -> torch.Tensor:
    """Probabilities ``(5, *size)`` of four organs and background, made slab by slab."""
    generator = torch.Generator().manual_seed(seed)
    num_classes = len(ORGANS) + 1
    # What a teacher is unsure of, in lumps of about 8 voxels: on a coarse grid, interpolated.
    coarse = [math.ceil(side / 8) + 1 for side in size]
    lumps = torch.randn(1, num_classes, *coarse, generator=generator)
    probs = torch.empty(num_classes, *size)
    for start in range(0, size[0], SLAB):
        planes = range(start, min(start + SLAB, size[0]))
        first, last = planes[0] // 8, math.ceil(planes[-1] / 8) + 1
        noise = functional.interpolate(
            lumps[:, :, first:last], scale_factor=8, mode="trilinear", align_corners=False
        )[0]
        noise = noise[:, planes[0] - 8 * first :][:, : len(planes), : size[1], : size[2]]
        logits = organ_log_odds(planes, size) + 1.5 * noise
        probs[:, start : start + len(planes)] = logits.softmax(dim=0)
    return probs


def organ_log_odds(planes: range, size: tuple[int, ...]) -> torch.Tensor:
    """Log-odds ``(5, planes, *size[1:])`` that fall with the distance from each organ."""
    axes = [torch.arange(planes.start, planes.stop), *(torch.arange(side) for side in size[1:])]
    log_odds = torch.zeros(len(ORGANS) + 1, *(len(axis) for axis in axes))
    for number, (center, radii) in enumerate(ORGANS, start=1):
        squares = [
            ((axis / side - middle) / radius).square()
            for axis, side, middle, radius in zip(axes, size, center, radii, strict=True)
        ]
        grid = squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
        shortest = min(radius * side for radius, side in zip(radii, size, strict=True))
        distance = (1 - grid.sqrt()) * shortest  # voxels, about, positive inside
        log_odds[number] = (distance / BORDER).clamp(-14, 14)
    return log_odds


def peak_megabytes(*, reset: bool = False) -> float:
    """The most memory this process has held since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def crops(size: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Where a training would cut."""
    generator = torch.Generator().manual_seed(1)
    edges = [min(CROP, side) for side in size]
    return [
        tuple(
            slice(start, start + edge)
            for side, edge in zip(size, edges, strict=True)
            for start in [int(torch.randint(side - edge + 1, (), generator=generator))]
        )
        for _ in range(NUM_CROPS)
    ]


def measure(store: SoftLabelStore, size: tuple[int, ...]) -> dict[str, float]:
    """Megabytes and seconds of one case."""
    probs = teacher_probs(size)
    found = {"float32_megabytes": probs.numel() * 4 / 1e6}
    before = peak_megabytes(reset=True)
    start = time.perf_counter()
    store.write(CASE, probs, source_sha256="0" * 64)
    found["write_seconds"] = time.perf_counter() - start
    found["write_extra_megabytes"] = peak_megabytes() - before
    del probs
    path = Path(store.path_of(CASE))
    found["stored_megabytes"] = path.stat().st_size / 1e6
    found["read_seconds"] = seconds_of_read(path, [()] * 5)
    codes = read_codes(path)
    found["uint8_megabytes"] = codes.numel() / 1e6
    found["crop_seconds"] = seconds_of_read(path, crops(size))
    taken = []
    for region in crops(size):
        crop = codes[(slice(None), *region)].unsqueeze(0)
        start = time.perf_counter()
        decode_probs(crop)
        taken.append(time.perf_counter() - start)
    found["decode_crop_seconds"] = statistics.median(taken)
    return found


def seconds_of_read(path: Path, regions: list[tuple[slice, ...]]) -> float:
    """Median time to read a region of the file, which the operating system holds in memory."""
    taken = []
    for region in regions:
        start = time.perf_counter()
        read_codes(path, region)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Measure and write benchmarks/results/soft_label_size.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, nargs=3, default=[512, 512, 300])
    size = tuple(parser.parse_args().size)
    with tempfile.TemporaryDirectory() as folder:
        store = SoftLabelStore(folder)
        store.open_for({"benchmark": "soft_label_size"})
        found = measure(store, size)
    report(found, size)


def report(found: dict[str, float], size: tuple[int, ...]) -> None:
    """Write and print the tables."""
    num_voxels = math.prod(size)
    lines = ["| one case | MB | bytes a voxel and class |", "|---|---|---|"]
    for name, key in (
        ("float32 probabilities", "float32_megabytes"),
        ("codes, uint8, not compressed", "uint8_megabytes"),
        ("as the store writes it", "stored_megabytes"),
    ):
        share = found[key] * 1e6 / num_voxels / (len(ORGANS) + 1)
        lines.append(f"| {name} | {found[key]:.1f} | {share:.3f} |")
    lines += ["", "| | seconds |", "|---|---|"]
    for name, key in (
        ("encode and write", "write_seconds"),
        ("read whole, once a training", "read_seconds"),
        (f"read a crop of {CROP}^3", "crop_seconds"),
        (f"decode a crop of {CROP}^3, in every step", "decode_crop_seconds"),
    ):
        lines.append(f"| {name} | {found[key]:.3f} |")
    shape = "x".join(map(str, size))
    text = "\n".join(lines) + (
        f"\n\n{shape} voxels, {len(ORGANS) + 1} classes with background, made up; writing held "
        f"{found['write_extra_megabytes']:.0f} MB besides the probabilities. "
        f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}.\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soft_label_size.md").write_text(text, encoding="utf-8")
    (RESULTS / "soft_label_size.json").write_text(
        json.dumps(found, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
