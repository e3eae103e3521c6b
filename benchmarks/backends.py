"""What runs a student fastest on a CPU: PyTorch, `torch.compile`, TorchScript or ONNX Runtime.

A batch of four windows through the networks of `bundles/end_kl` (2D) and `bundles/kd_uniform` (3D),
or through those of finished runs, in each of the forms that `medkd predict --backend` knows. Each
round times every form in turn, so that a machine whose speed drifts slows all of them; the ratio is
the median over rounds of the ratios within a round. What a form costs before its first window, with
the pass that proves its logits equal to PyTorch's, is a column of its own.

`medkd.export.network_formats.choose_backend` takes the fastest of this table.

    python benchmarks/backends.py [--threads 2] [--rounds 9] [--batches 5] [--runs RUN ...]
        [--skip compile]

The table goes to benchmarks/results/backends.md, the figures to backends.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from untrained_runs import write_untrained_run

from medkd.export.network_formats import BACKENDS, backend_network, check_outputs
from medkd.runs import Deployment, open_deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
BATCH_SIZE = 4  # that of the bundles' windows
NAMES = {
    "torch": "PyTorch",
    "compile": "torch.compile",
    "torchscript": "TorchScript",
    "onnx": "ONNX Runtime",
}


def main() -> None:
    """Measure and write benchmarks/results/backends.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=5, help="timed together in a round")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], help="finished runs")
    parser.add_argument("--skip", nargs="*", default=[], choices=BACKENDS[2:])
    parser.add_argument("--output_dir", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [name for name in NAMES if name not in options.skip]
    taken = {}
    with tempfile.TemporaryDirectory() as temporary:
        runs = {folder.name: folder for folder in options.runs}
        for bundle in () if runs else ("end_kl", "kd_uniform"):
            runs[bundle] = write_untrained_run(Path(temporary) / bundle, bundle)
        for name, folder in runs.items():
            run = open_deployment(folder, device="cpu")
            taken[f"{name}, {run.spatial_dims}D"] = measure(run, names, options)
    write_report(taken, options)


@torch.no_grad()
def measure(
    run: Deployment, names: list[str], options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Seconds a batch in every round, seconds before the first, and how far logits are apart."""
    generator = torch.Generator().manual_seed(0)
    window = torch.randn(BATCH_SIZE, run.num_channels, *run.patch_size, generator=generator)
    networks: dict[str, Callable[[Tensor], Tensor]] = {}
    taken: dict[str, dict[str, Any]] = {}
    for name in names:
        start = time.perf_counter()
        networks[name] = backend_network(run, name)
        networks[name](window)
        seconds = time.perf_counter() - start
        networks[name](window)  # TorchScript looks at two batches before it is at its best
        difference = check_outputs(run.network, networks[name], [window], name=name)
        taken[name] = {"before": seconds, "difference": difference, "seconds": []}
    for _ in range(options.rounds):
        for name, network in networks.items():
            start = time.perf_counter()
            for _ in range(options.batches):
                network(window)
            taken[name]["seconds"].append((time.perf_counter() - start) / options.batches)
    return taken


def write_report(taken: dict[str, dict[str, dict[str, Any]]], options: argparse.Namespace) -> None:
    """Write and print the table."""
    lines = [
        f"| | | seconds a batch of {BATCH_SIZE} windows (median) | of PyTorch's (median, min - "
        "max) | seconds before the first | largest difference of logits |",
        "|---|---|---|---|---|---|",
    ]
    for title, rows in taken.items():
        for name, row in rows.items():
            pairs = zip(row["seconds"], rows["torch"]["seconds"], strict=True)
            ratios = [mine / theirs for mine, theirs in pairs]
            lines.append(
                f"| {title} | {NAMES[name]} | {statistics.median(row['seconds']):.3f} | "
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) | "
                f"{row['before']:.1f} | {row['difference']:.1e} |"
            )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    lines += [
        "",
        f"{options.threads} thread(s), torch {torch.__version__}, {options.rounds} rounds of "
        f"{options.batches} batches. Differences are in parts of the largest logit. Load average "
        f"at the end {load:.1f} on {os.cpu_count()} cores.",
    ]
    text = "\n".join(lines) + "\n"
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "backends.md").write_text(text, encoding="utf-8")
    (options.output_dir / "backends.json").write_text(
        json.dumps({"taken": taken, "threads": options.threads}, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
