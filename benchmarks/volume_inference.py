"""What it takes to segment a volume: memory, and the way back to the grid of the scan.

**Stitching**: windows over a volume of 512 x 512 x 600 voxels and 20 classes, through a network of
one 1 x 1 x 1 convolution, so that what is measured is how windows are put together; then the way
back from the network's grid to a scan stored in another order and with other voxels. medkd's
`PredictionMapsInferer` and `RestoreGeometryd` stand beside MONAI's `SlidingWindowInferer`, softmax
and `Invertd` of the probabilities. MONAI's holds all classes of the whole volume several times over
and is measured on `--monai_size`, where both are; a size whose probabilities alone do not fit is
not tried.

**Student and ensemble**: the network of `bundles/kd_uniform` with its windows on 192 x 192 x 128
voxels, alone and five of them whose probabilities are averaged, as that bundle's inference does.

Every row is a process of its own. Peak memory on a CPU is the growth of the resident set beyond
what was held with the inputs loaded; on CUDA it is what tensors take there, and the way back is
always on the CPU.

    python benchmarks/volume_inference.py [--threads 1] [--device cuda] [--rounds 1]
        [--size 512 512 600] [--classes 20] [--monai_size 192 192 160] [--skip stitching networks]

The tables go to benchmarks/results/volume_inference.md, the figures to volume_inference.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from monai.data import MetaTensor
    from torch import Tensor, nn

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
BUNDLE = Path(__file__).resolve().parents[1] / "bundles" / "kd_uniform" / "inference.json"
NUM_MEMBERS = 5
NAMES = {
    "medkd_segmentation": "medkd, segmentation",
    "medkd_all": "medkd, segmentation, probability, uncertainty",
    "monai": "MONAI, all classes",
}


def main() -> None:
    """Measure and write benchmarks/results/volume_inference.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, nargs=3, default=[512, 512, 600], help="voxels")
    parser.add_argument("--monai_size", type=int, nargs=3, default=[192, 192, 160])
    parser.add_argument("--network_size", type=int, nargs=3, default=[192, 192, 128])
    parser.add_argument("--window", type=int, nargs=3, default=[96, 96, 96])
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--skip", nargs="*", default=[], choices=["stitching", "networks"])
    parser.add_argument("--output_dir", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = vars(options) | {"output_dir": str(options.output_dir)}
    stitching: dict[str, list[dict[str, Any]]] = {}
    if "stitching" not in options.skip:
        rows = [(name, options.monai_size) for name in NAMES]
        rows += [(name, options.size) for name in NAMES if name != "monai"]
        for name, size in rows:
            key = f"{name} {' x '.join(map(str, size))}"
            stitching[key] = [alone(stitch, name, size, settings) for _ in range(options.rounds)]
            print(key, stitching[key], flush=True)
    networks: dict[str, list[dict[str, Any]]] = {}
    if "networks" not in options.skip:
        rounds = [
            {number: alone(predict, number, settings) for number in (1, NUM_MEMBERS)}
            for _ in range(options.rounds)
        ]
        for number in (1, NUM_MEMBERS):
            networks[str(number)] = [one[number] for one in rounds]
            print(number, networks[str(number)], flush=True)
    write_report(stitching, networks, options)


def alone(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
    """The result of a function in a new process, which has nothing of this one's memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def stitch(name: str, size: list[int], settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds and bytes of stitching and of the way back, in one way."""
    from monai.inferers import SlidingWindowInferer

    torch.set_num_threads(settings["threads"])
    device = torch.device(settings["device"])
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, settings["classes"], 1).to(device).eval()
    windows = SlidingWindowInferer(
        settings["window"], sw_batch_size=1, overlap=0.25, mode="gaussian"
    )
    image, prepare = scan_on_network_grid(size, really=name == "monai")
    seen = image.as_tensor().to(device)
    infer, back = monai_way(image, prepare) if name == "monai" else medkd_way(name, image)
    inferring = Measured(device)
    with torch.no_grad():
        result = infer(seen.unsqueeze(0), network, windows)
    taken = {f"stitching_{key}": value for key, value in inferring.stop().items()}
    result = {key: value.cpu() for key, value in result.items()}
    returning = Measured(torch.device("cpu"))
    restored = back(result)
    taken |= {f"back_{key}": value for key, value in returning.stop().items()}
    expected = tuple(int(number) for number in image.meta["spatial_shape"])
    if not all(tuple(values.shape[1:]) == expected for values in restored.values()):
        raise RuntimeError(f"Expected maps of {expected}, but got others.")
    return taken


def scan_on_network_grid(size: list[int], *, really: bool) -> tuple[MetaTensor, Callable[..., Any]]:
    """A scan stored posterior-superior-right on the grid of a network, about ``size`` of 1 mm.

    MONAI's `Spacing` works in float64 with coordinates for each voxel, which is more than is to be
    measured; so what it makes of a large scan is drawn in its place, unless it is to be inverted.
    """
    import numpy as np
    from monai.data import MetaTensor
    from monai.transforms import Compose, Orientationd, Spacingd
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform

    voxel = (0.95, 0.95, 1.05)
    shape = tuple(round((n - 1) / mm) + 1 for n, mm in zip(size, voxel, strict=True))
    ornt = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt("PSR"))
    affine = np.diag([*voxel, 1.0]) @ inv_ornt_aff(ornt, shape)
    stored = tuple(shape[int(axis)] for axis in np.argsort(ornt[:, 0]))
    meta = {"original_affine": affine, "spatial_shape": np.asarray(stored)}
    prepare = Compose(
        [Orientationd("image", "RAS", labels=None), Spacingd("image", (1.0, 1.0, 1.0))],
        lazy=not really,
    )
    generator = torch.Generator().manual_seed(0)
    if really:
        scan = MetaTensor(torch.randn(1, *stored, generator=generator), affine=affine, meta=meta)
        return prepare({"image": scan})["image"], prepare
    scan = MetaTensor(torch.zeros(1).expand(1, *stored), affine=affine, meta=meta)
    for transform in prepare.transforms:
        scan = transform({"image": scan}, lazy=True)["image"]
    seen = torch.randn(1, *scan.peek_pending_shape(), generator=generator)
    return MetaTensor(seen, affine=scan.peek_pending_affine(), meta=meta), prepare


def medkd_way(name: str, image: MetaTensor) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The bundle's: maps slice by slice, and the maps alone brought back."""
    from medkd.data import RestoreGeometryd
    from medkd.predictors import PredictionMapsInferer

    more = {"with_probability": name == "medkd_all", "with_uncertainty": name == "medkd_all"}

    def infer(seen: Tensor, network: nn.Module, windows: Any) -> dict[str, Tensor]:  # noqa: ANN401
        return PredictionMapsInferer(windows, **more)(seen, network)

    def back(maps: dict[str, Tensor]) -> dict[str, Tensor]:
        case = {"image": image, **{key: values[0] for key, values in maps.items()}}
        restored = RestoreGeometryd(list(maps))(case)
        return {key: restored[key] for key in maps}

    return infer, back


def monai_way(
    image: MetaTensor, prepare: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """MONAI's: all classes of the volume, brought back with `Invertd`, and then the maximum."""
    from monai.data import MetaTensor
    from monai.transforms import Invertd

    def infer(seen: Tensor, network: nn.Module, windows: Any) -> dict[str, Tensor]:  # noqa: ANN401
        return {"pred": windows(seen, network).softmax(dim=1)}

    def back(maps: dict[str, Tensor]) -> dict[str, Tensor]:
        case = {"image": image, "pred": MetaTensor(maps.pop("pred")[0], affine=image.affine)}
        invert = Invertd("pred", transform=prepare, orig_keys="image", nearest_interp=False)
        return {"segmentation": invert(case)["pred"].argmax(dim=0, keepdim=True)}

    return infer, back


def predict(num_members: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds and bytes of a prediction with the network and windows of the bundle."""
    from monai.bundle import ConfigParser

    from medkd.predictors import PredictionMapsInferer

    torch.set_num_threads(settings["threads"])
    device = torch.device(settings["device"])
    torch.manual_seed(0)
    config = ConfigParser.load_config_file(BUNDLE)
    config["windows"]["progress"] = False
    parser = ConfigParser(config)
    windows = parser.get_parsed_content("windows")
    definition = parser["network_def"]
    members = torch.nn.ModuleList(
        ConfigParser({**config, "network_def": definition}).get_parsed_content("network_def")
        for _ in range(num_members)
    )
    members.to(device).eval()
    image = torch.randn(1, config["num_channels"], *settings["network_size"], device=device)
    infer = PredictionMapsInferer(windows, with_probability=True, with_uncertainty=True)
    corner = [min(2 * n, m) for n, m in zip(config["patch_size"], image.shape[2:], strict=True)]
    with torch.autocast(device.type, enabled=device.type == "cuda"):
        infer(image[(..., *(slice(0, n) for n in corner))].contiguous(), members)  # warms up
        measured = Measured(device)
        infer(image, members)
        return measured.stop()


class Measured:
    """Time and peak memory from now until :meth:`stop`; the peak is the kernel's own."""

    def __init__(self, device: torch.device) -> None:
        from medkd.predictors import cost

        is_cuda = device.type == "cuda"
        self.device = device
        self.peak = cost._cuda_peak(device) if is_cuda else cost._resident_peak()
        self.start, self.processor_start = time.perf_counter(), time.process_time()

    def stop(self) -> dict[str, Any]:
        """Seconds, processor seconds and bytes (``None`` where the system does not say)."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return {
            "seconds": time.perf_counter() - self.start,
            "processor_seconds": time.process_time() - self.processor_start,
            "peak_bytes": self.peak(),
        }


def write_report(
    stitching: dict[str, list[dict[str, Any]]],
    networks: dict[str, list[dict[str, Any]]],
    options: argparse.Namespace,
) -> None:
    """Write and print the tables."""
    lines = []
    if stitching:
        lines += [
            f"Stitching windows of {' x '.join(map(str, options.window))} with {options.classes} "
            "classes, and the way back to a scan in another order and of other voxels:",
            "",
            "| | voxels | stitching, s | processor s | peak memory | way back, s | processor s "
            "| peak memory |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for key, rounds in stitching.items():
            name, size = key.split(" ", maxsplit=1)
            cells = [
                text
                for part in ("stitching", "back")
                for text in (
                    seconds(rounds, f"{part}_"),
                    seconds(rounds, f"{part}_processor_"),
                    gibibytes(rounds, f"{part}_"),
                )
            ]
            lines.append(f"| {NAMES[name]} | {size} | {' | '.join(cells)} |")
        held = 4 * options.classes * torch.Size(options.size).numel() / 2**30
        lines += [
            "",
            f"{' x '.join(map(str, options.size))} voxels of {options.classes} classes in float32 "
            f"are {held:.1f} GiB; MONAI's holds them about three times over on the way back, so it "
            "was measured on the smaller size.",
            "",
        ]
    if networks:
        lines += [
            f"The network of `bundles/kd_uniform` on {' x '.join(map(str, options.network_size))} "
            "voxels, all three maps:",
            "",
            "| | seconds | processor seconds | peak memory |",
            "|---|---|---|---|",
        ]
        for number, rounds in networks.items():
            name = "student" if number == "1" else f"ensemble of {number}"
            lines.append(
                f"| {name} | {seconds(rounds)} | {seconds(rounds, 'processor_')} "
                f"| {gibibytes(rounds)} |"
            )
        lines.append("")
    place = "cuda" if options.device != "cpu" else f"{options.threads} CPU thread(s)"
    if options.device != "cpu":
        place = torch.cuda.get_device_name()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    lines.append(
        f"{place}, torch {torch.__version__}, medians of {options.rounds} round(s); peak memory is "
        f"beyond the inputs. Load average at the end {load:.1f} on {os.cpu_count()} cores: where "
        "other programs run, processor seconds are nearer to those of an idle machine."
    )
    text = "\n".join(lines) + "\n"
    options.output_dir.mkdir(parents=True, exist_ok=True)
    (options.output_dir / "volume_inference.md").write_text(text, encoding="utf-8")
    settings = {key: value for key, value in vars(options).items() if key != "output_dir"}
    figures = {"stitching": stitching, "networks": networks, "settings": settings}
    (options.output_dir / "volume_inference.json").write_text(
        json.dumps(figures, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


def seconds(rounds: list[dict[str, Any]], prefix: str = "") -> str:
    """The median."""
    return f"{statistics.median(one[f'{prefix}seconds'] for one in rounds):.1f}"


def gibibytes(rounds: list[dict[str, Any]], prefix: str = "") -> str:
    """The most of all rounds."""
    values = [one[f"{prefix}peak_bytes"] for one in rounds]
    return "unknown" if None in values else f"{max(values) / 2**30:.2f} GiB"


if __name__ == "__main__":
    main()
