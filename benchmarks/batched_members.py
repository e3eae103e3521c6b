"""When members of one architecture are faster batched than one by one.

The members of the bundle and those of a small 3D U-Net predict the same image in both ways, in
turn, side by side in one process, on the CPU and on an accelerator where there is one. A round
times each way once, so that a machine whose speed drifts slows both; the ratio is the median over
rounds of the ratios within a round. Windows, softmax and blending count, and so does stacking the
weights.

    python benchmarks/batched_members.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle import ConfigParser
from monai.inferers import SlidingWindowInferer
from monai.networks.nets import UNet

from medkd.predictors import NetworkPredictor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
NUM_MEMBERS = 5


class Row:
    """One ensemble, one size of window, one device; predicted in both ways."""

    def __init__(
        self,
        make_network: Callable[[], nn.Module],
        num_channels: int,
        window: tuple[int, ...],
        device: str,
        *,
        amp: bool,
    ) -> None:
        torch.manual_seed(0)
        members = [make_network().to(device) for _ in range(NUM_MEMBERS)]
        # Two windows along each axis, the last moved back to the end of the image.
        size = [side + side // 2 for side in window]
        self.image = torch.randn(1, num_channels, *size, device=device)
        inferer = SlidingWindowInferer(window, sw_batch_size=4, overlap=0.25, mode="gaussian")
        self.ways = {
            batched: NetworkPredictor(members, inferer, amp=amp, batched=batched)
            for batched in (False, True)
        }

    def difference(self) -> float:
        """The most that the two differ in a probability."""
        one_by_one, batched = (predictor(self.image) for predictor in self.ways.values())
        return float((one_by_one - batched).abs().max())

    def seconds(self) -> list[float]:
        """Of an image: one by one, batched."""
        taken = []
        for predictor in self.ways.values():
            start = time.perf_counter()
            predictor(self.image).sum().item()  # waits for an accelerator
            taken.append(time.perf_counter() - start)
        return taken


def bundle_network() -> nn.Module:
    """A member of the bundle."""
    config: dict[str, Any] = ConfigParser.load_config_file(
        REPOSITORY / "bundles" / "end_kl" / "train.json"
    )
    return ConfigParser(config).get_parsed_content("member_def")


def small_unet_3d() -> nn.Module:
    """A U-Net of 0.3 million parameters."""
    return UNet(3, 1, 2, channels=(8, 16, 32, 64), strides=(2, 2, 2), num_res_units=2)


def rows_on(device: str, *, amp: bool) -> dict[str, Row]:
    """What is measured on one device."""
    place = f"{device}, AMP" if amp else device
    rows = {}
    for side in (32, 128):
        rows[f"2D BasicUNet of the bundle, windows of {side}^2, {place}"] = Row(
            bundle_network, 3, (side, side), device, amp=amp
        )
    for side in (16, 48):
        rows[f"3D U-Net, windows of {side}^3, {place}"] = Row(
            small_unet_3d, 1, (side, side, side), device, amp=amp
        )
    return rows


def main() -> None:
    """Measure and write benchmarks/results/batched_members.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rows = rows_on("cpu", amp=False)
    if torch.cuda.is_available():
        rows |= rows_on("cuda", amp=False) | rows_on("cuda", amp=True)
    differences = {name: row.difference() for name, row in rows.items()}  # warms up as well
    taken: dict[str, list[list[float]]] = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, row in rows.items():
            taken[name].append(row.seconds())
    report(taken, differences)


def report(taken: dict[str, list[list[float]]], differences: dict[str, float]) -> None:
    """Write and print the table."""
    lines = [
        "| | one by one, s | batched, s | batched / one by one (median, min - max) | "
        "largest difference of a probability |",
        "|---|---|---|---|---|",
    ]
    for name, seconds in taken.items():
        ratios = [batched / one_by_one for one_by_one, batched in seconds]
        one_by_one, batched = (statistics.median(way) for way in zip(*seconds, strict=True))
        lines.append(
            f"| {name} | {one_by_one:.3f} | {batched:.3f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} - {max(ratios):.2f}) | {differences[name]:.0e} |"
        )
    devices = [f"{torch.get_num_threads()} CPU threads"]
    if torch.cuda.is_available():
        devices.append(torch.cuda.get_device_name())
    text = "\n".join(lines) + (
        f"\n\n{NUM_MEMBERS} members; {', '.join(devices)}, torch {torch.__version__}, "
        f"{len(next(iter(taken.values())))} rounds.\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "batched_members.md").write_text(text, encoding="utf-8")
    (RESULTS / "batched_members.json").write_text(
        json.dumps(taken, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
