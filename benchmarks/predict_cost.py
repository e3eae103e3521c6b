"""What `medkd predict` costs from file to file, beside MONAI's own inference of the same network.

A CT phantom of 512 x 512 x 300 voxels (0.75 x 0.75 x 1 mm, compressed NIfTI, stored
left-posterior-superior) through the network of `bundles/kd_uniform` at 3 mm, or through that of a
finished run. `medkd` reads the run's `inference.json`; MONAI runs a bundle of the same weights,
windows and intensities in the way of the Model Zoo's: logits blended, softmax, `Invertd` of the
probabilities, `AsDiscreted`, `SaveImaged`. The phantom is stretched from the one of 3 mm that
`medkd.data.chest_ct_phantom` draws, with noise of its own.

Every row is a process of its own, in turn; seconds and memory are those of the whole process from
its imports on, and memory is the most that was resident.

    python benchmarks/predict_cost.py [--threads 2] [--rounds 3] [--size 512 512 300] [--run RUN]
        [--backends torch torchscript onnx]

The tables go to benchmarks/results/predict_cost.md, the figures to predict_cost.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
SPACING = [3.0, 3.0, 3.0]
VOXEL = (0.75, 0.75, 1.0)
MONAI = "MONAI's bundle"


def main() -> None:
    """Measure and write benchmarks/results/predict_cost.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, nargs=3, default=[512, 512, 300], help="voxels")
    parser.add_argument("--run", type=Path, help="a finished run on CT, in place of an untrained")
    parser.add_argument("--backends", nargs="*", default=["torch", "torchscript", "onnx"])
    parser.add_argument("--skip_monai", action="store_true")
    parser.add_argument("--output_dir", type=Path, default=RESULTS)
    options = parser.parse_args()
    taken: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        alone(write_phantom, folder / "images" / "scan.nii.gz", options.size)
        run = options.run or alone(write_run, folder / "run")
        for _ in range(options.rounds):
            for backend in options.backends:
                row = alone(predict_with_medkd, backend, run, folder, options.threads)
                taken.setdefault(f"medkd, {backend}", []).append(row)
                print(backend, row, flush=True)
            if not options.skip_monai:
                row = alone(predict_with_monai, run, folder, options.threads)
                taken.setdefault(MONAI, []).append(row)
                print(MONAI, row, flush=True)
        # An untrained network is undecided nearly everywhere, so there it would say nothing.
        comparable = options.run is not None and not options.skip_monai
        share = alone(agreement, folder, options.backends[0]) if comparable else None
    write_report(taken, share, options)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
    """The result of a function in a new process, which has nothing of this one's memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def write_phantom(path: Path, size: list[int]) -> None:
    """A chest CT of that many voxels."""
    import nibabel
    import numpy as np
    from scipy import ndimage

    from medkd.data.phantoms.chest_ct import draw_chest_ct

    drawn = draw_chest_ct(patient=0).image.astype(np.float32)
    factors = [n / m for n, m in zip(size, drawn.shape, strict=True)]
    generator = np.random.default_rng(0)
    values = ndimage.zoom(drawn, factors, order=1)
    values += generator.normal(0, 12, values.shape).astype(np.float32)
    path.parent.mkdir(parents=True)
    image = nibabel.Nifti1Image(
        values.round().clip(-1024, 3071).astype(np.int16),
        np.diag([-VOXEL[0], -VOXEL[1], VOXEL[2], 1]),
    )
    nibabel.save(image, path)


def write_run(folder: Path) -> Path:
    """The bundle's network at 3 mm, untrained."""
    from untrained_runs import write_untrained_run

    return write_untrained_run(folder, "kd_uniform", spacing=SPACING)


def predict_with_medkd(backend: str, run_dir: Path, folder: Path, threads: int) -> dict[str, Any]:
    """What the command does, with the time of each stage."""
    start = time.perf_counter()
    import torch

    from medkd.export.network_formats import backend_network
    from medkd.prediction import find_inputs, predict_cases
    from medkd.runs import open_deployment

    torch.set_num_threads(threads)
    imported = time.perf_counter()
    run = open_deployment(run_dir, output_dir=folder / backend, device="cpu")
    scans = find_inputs(folder / "images", spatial_dims=3, num_channels=run.num_channels)
    network = backend_network(run, backend)
    opened = time.perf_counter()
    (case,) = predict_cases(run, scans, network=network)
    before = {"importing": imported - start, "opening": opened - imported}
    return {
        "seconds": time.perf_counter() - start,
        "stages": before | case.seconds,
        "peak_bytes": peak_bytes(),
    }


def predict_with_monai(run_dir: Path, folder: Path, threads: int) -> dict[str, Any]:
    """A bundle as the Model Zoo's are, run by MONAI."""
    start = time.perf_counter()
    import torch
    from monai.bundle import run

    torch.set_num_threads(threads)
    path = folder / "monai.json"
    path.write_text(json.dumps(monai_bundle(run_dir, folder)), encoding="utf-8")
    run(run_id="run", config_file=str(path), logging_file=False)
    return {"seconds": time.perf_counter() - start, "stages": {}, "peak_bytes": peak_bytes()}


def monai_bundle(run_dir: Path, folder: Path) -> dict[str, Any]:
    """MONAI's inference of a run's network: same weights, grid, intensities and windows."""
    config = json.loads((run_dir / "inference.json").read_text(encoding="utf-8"))
    same = ("image", "pred", "spatial_dims", "num_channels", "num_classes", "spacing", "patch_size")
    same += ("channels", "strides", "kernel_size", "network_def", "normalization", "windows")
    invert = {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": "image",
        "nearest_interp": False,
        "to_tensor": True,
    }
    save = {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": str(folder / "monai"),
        "output_postfix": "segmentation",
        "output_dtype": "$torch.uint8",
        "separate_folder": False,
    }
    return {name: config[name] for name in same} | {
        "imports": ["$import torch"],
        "reading": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
            {"_target_": "Spacingd", "keys": "image", "pixdim": "@spacing", "mode": "bilinear"},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@reading + @normalization"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                invert,
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                save,
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": [{"image": str(folder / "images" / "scan.nii.gz")}],
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "$torch.device('cpu')",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@windows",
            "postprocessing": "@postprocessing",
        },
        "initialize": [
            f"$@network_def.load_state_dict(torch.load({str(run_dir / 'models' / 'model.pt')!r}, "
            "weights_only=True))"
        ],
        "run": ["$@evaluator.run()"],
    }


def agreement(folder: Path, backend: str) -> float:
    """Share of voxels to which both give the same class."""
    import nibabel
    import numpy as np

    paths = (folder / backend, folder / "monai")
    ours, theirs = (
        np.asarray(nibabel.load(path / "scan_segmentation.nii.gz").dataobj) for path in paths
    )
    return float(np.mean(ours == theirs))


def peak_bytes() -> int | None:
    """The most that was resident of this process; ``None`` where the system does not say."""
    from medkd.predictors import cost

    if not (cost._PROCESS / "status").exists():
        return None
    return cost._status_bytes("VmHWM")


def write_report(
    taken: dict[str, list[dict[str, Any]]], share: float | None, options: argparse.Namespace
) -> None:
    """Write and print the tables."""
    size = " x ".join(map(str, options.size))
    lines = [
        f"From file to file, {size} voxels:",
        "",
        "| | seconds | peak memory |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {median(rows, lambda row: row['seconds']):.1f} | {gibibytes(rows)} |"
        for name, rows in taken.items()
    ]
    staged = {name: rows for name, rows in taken.items() if rows[0]["stages"]}
    stages = list(next(iter(staged.values()))[0]["stages"]) if staged else []
    lines += ["", "Share of each stage:", ""]
    lines += [f"| | {' | '.join(stages)} |", f"|---{'|---' * len(stages)}|"]
    for name, rows in staged.items():
        total = median(rows, lambda row: row["seconds"])
        shares = [median(rows, lambda row, s=stage: row["stages"][s]) / total for stage in stages]
        lines.append(f"| {name} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |")
    if share is not None:
        lines += ["", f"Voxels of one class in both: {100 * share:.2f} %."]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    lines += [
        "",
        f"{options.threads} thread(s), medians of {options.rounds} round(s), most memory of all. "
        f"{'An untrained network' if options.run is None else 'A trained network'}. Load average "
        f"at the end {load:.1f} on {os.cpu_count()} cores.",
    ]
    text = "\n".join(lines) + "\n"
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "predict_cost.md").write_text(text, encoding="utf-8")
    figures = {"taken": taken, "agreement": share, "size": options.size}
    figures |= {"threads": options.threads}
    (options.output_dir / "predict_cost.json").write_text(
        json.dumps(figures, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


def median(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> float:
    """Over the rounds."""
    return statistics.median(map(value, rows))


def gibibytes(rows: list[dict[str, Any]]) -> str:
    """The most of all rounds."""
    values = [row["peak_bytes"] for row in rows]
    return "unknown" if None in values else f"{max(values) / 2**30:.2f} GiB"


if __name__ == "__main__":
    main()
