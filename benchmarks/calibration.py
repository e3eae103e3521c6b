"""Top-label calibration error of a CT-sized volume: right, fast, and who is neither.

A volume of 512 x 512 x 300 voxels, of two classes and of five, whose labels are drawn from its
probabilities: perfectly calibrated, but for the draw. The error of medkd is held against a plain
numpy reference in float64, against MONAI's `CalibrationErrorMetric` and against torchmetrics, each
in a process of its own. MONAI's takes probabilities of a channel: it is given the confidence as
probability and the correctness as label, which is the top-label error. Times count what a user has
to do to the probabilities and the label first. Each round measures every row, in turn, so that a
machine whose speed drifts slows all of them; the ratio is the median over rounds of the ratios
within a round. It is of processor seconds, which others on the machine disturb the least; with one
thread each they are the seconds of an idle one. Peak memory is that of the process less what it had
with the inputs loaded.

    python benchmarks/calibration.py [--size 512 512 300] [--rounds 3] [--threads 1]

torchmetrics is not among medkd's dependencies; where it is not installed its row is left out. The
table goes to benchmarks/results/calibration.md, the figures to calibration.json beside it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
NUM_BINS = 15
NAMES = {
    "medkd": "medkd",
    "reference": "numpy, float64",
    "monai": "MONAI, `CalibrationErrorMetric`",
    "torchmetrics": "torchmetrics, `multiclass_calibration_error`",
}


def main() -> None:
    """Measure and write benchmarks/results/calibration.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, nargs=3, default=[512, 512, 300], help="voxels")
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 5])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output_dir", type=Path, default=RESULTS)
    options = parser.parse_args()
    names = dict(NAMES)
    if importlib.util.find_spec("torchmetrics") is None:
        print("torchmetrics is not installed: its row is left out.", flush=True)
        del names["torchmetrics"]
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for num_classes in options.classes:
        with tempfile.TemporaryDirectory() as folder:
            alone(write_volume, Path(folder), num_classes, options.size)
            rounds = [
                {name: alone(measure, Path(folder), name, options.threads) for name in names}
                for _ in range(options.rounds)
            ]
        results[str(num_classes)] = {name: [one[name] for one in rounds] for name in names}
        print(json.dumps(results[str(num_classes)]), flush=True)
    write_report(results, options)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
    """The result of a function in a new process, which has nothing of this one's memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def write_volume(folder: Path, num_classes: int, size: list[int]) -> None:
    """Probabilities float32 ``(1, C, *size)`` and labels uint8 ``(1, 1, *size)`` drawn from them.

    The first class is background, and predicted nearly everywhere: with a median confidence of 0.95
    of two classes, of 0.78 of five.
    """
    generator = np.random.default_rng(num_classes)
    num_voxels = int(np.prod(size))
    probs = np.lib.format.open_memmap(
        folder / "probs.npy", "w+", np.float32, (1, num_classes, *size)
    )
    label = np.lib.format.open_memmap(folder / "label.npy", "w+", np.uint8, (1, 1, *size))
    flat_probs, flat_label = probs.reshape(num_classes, -1), label.reshape(-1)
    for start in range(0, num_voxels, 1 << 20):
        part = slice(start, min(start + (1 << 20), num_voxels))
        logits = generator.standard_normal((num_classes, part.stop - start), dtype=np.float32)
        logits[0] += 3
        exponentials = np.exp(logits)
        values = exponentials / exponentials.sum(axis=0)
        uniform = generator.random(part.stop - start)
        drawn = (values.cumsum(axis=0, dtype=np.float64) < uniform).sum(axis=0)
        flat_probs[:, part] = values
        flat_label[part] = np.minimum(drawn, num_classes - 1)
    probs.flush()
    label.flush()


def measure(folder: Path, name: str, threads: int) -> dict[str, Any]:
    """Error, seconds and bytes of one row."""
    import torch

    torch.set_num_threads(threads)
    error_of = PREPARED[name]()
    probs, label = (torch.from_numpy(np.load(folder / f"{k}.npy")) for k in ("probs", "label"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, processor_start = time.perf_counter(), time.process_time()
    error = error_of(probs, label)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "error": error,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "peak_bytes": peak * 1024,  # Linux counts kibibytes
    }


def prepare_medkd() -> Callable[..., float]:
    """The imports first, so that they are not timed."""
    from medkd.functional import expected_calibration_error, reliability_bins

    return lambda probs, label: expected_calibration_error(
        reliability_bins(probs, label, num_bins=NUM_BINS)
    ).item()


def prepare_monai() -> Callable[..., float]:
    """The top-label error through MONAI's metric of one channel."""
    from monai.metrics import CalibrationErrorMetric

    def error_of(probs: Any, label: Any) -> float:  # noqa: ANN401
        confidence, predicted = probs.max(dim=1, keepdim=True)
        metric = CalibrationErrorMetric(num_bins=NUM_BINS)
        metric(y_pred=confidence, y=(predicted == label).float())
        return metric.aggregate().item()

    return error_of


def prepare_torchmetrics() -> Callable[..., float]:
    """Without its checks of the arguments, which are slow, so that they are not held against it."""
    from torchmetrics.functional.classification import multiclass_calibration_error

    return lambda probs, label: multiclass_calibration_error(
        probs,
        label[:, 0].long(),
        num_classes=probs.shape[1],
        n_bins=NUM_BINS,
        validate_args=False,
    ).item()


def prepare_reference() -> Callable[..., float]:
    """Guo et al., equation 3, as it is written, in float64 and without a line of medkd."""

    def error_of(probs: Any, label: Any) -> float:  # noqa: ANN401
        values, label = probs.numpy()[0].reshape(probs.shape[1], -1), label.numpy().reshape(-1)
        confidence = values.max(axis=0).astype(np.float64)
        right = values.argmax(axis=0) == label
        bins = np.maximum(np.ceil(confidence * NUM_BINS).astype(np.int8), 1)
        error = 0.0
        for index in range(1, NUM_BINS + 1):
            inside = bins == index
            if inside.any():
                gap = right[inside].mean(dtype=np.float64) - confidence[inside].mean()
                error += inside.mean() * abs(gap)
        return float(error)

    return error_of


PREPARED = {
    "medkd": prepare_medkd,
    "reference": prepare_reference,
    "monai": prepare_monai,
    "torchmetrics": prepare_torchmetrics,
}


def write_report(
    results: dict[str, dict[str, list[dict[str, Any]]]], options: argparse.Namespace
) -> None:
    """Write and print the table."""
    lines = [
        "| | calibration error | off the reference by | seconds | processor seconds "
        "| ratio (median, min - max) | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for num_classes, rows in results.items():
        size = " x ".join(map(str, options.size))
        lines.append(f"| **{num_classes} classes, {size}** | | | | | | |")
        lines += [table_row(name, rounds, rows) for name, rounds in rows.items()]
    versions = {
        package: importlib.metadata.version(package)
        for package in ("medkd", "torch", "numpy", "monai", "torchmetrics")
        if importlib.util.find_spec(package) is not None
    }
    text = "\n".join(lines) + (
        f"\n\nMedians of {options.rounds} rounds; {options.threads} thread(s); {NUM_BINS} bins; "
        f"{', '.join(f'{package} {version}' for package, version in versions.items())}. "
        "Peak memory is beyond the inputs.\n"
    )
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "calibration.md").write_text(text, encoding="utf-8")
    figures = {
        "size": options.size,
        "threads": options.threads,
        "versions": versions,
        "classes": results,
    }
    (options.output_dir / "calibration.json").write_text(
        json.dumps(figures, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


def table_row(name: str, rounds: list[dict[str, Any]], rows: dict[str, list[dict]]) -> str:
    """One line of the table."""
    error, truth = rounds[0]["error"], rows["reference"][0]["error"]
    ratios = [
        theirs["processor_seconds"] / ours["processor_seconds"]
        for theirs, ours in zip(rounds, rows["medkd"], strict=True)
    ]
    seconds, processor_seconds = (
        statistics.median(one[key] for one in rounds) for key in ("seconds", "processor_seconds")
    )
    peak = max(one["peak_bytes"] for one in rounds)
    return (
        f"| {NAMES[name]} | {error:.9f} | {abs(error - truth):.1e} | {seconds:.2f} "
        f"| {processor_seconds:.2f} | {statistics.median(ratios):.1f} "
        f"({min(ratios):.1f} - {max(ratios):.1f}) | {peak / 2**20:,.0f} MiB |"
    )


if __name__ == "__main__":
    main()
