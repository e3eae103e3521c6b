"""What the memory format of its weights does to the speed of a 2D network on the CPU.

One window of 512 x 512 pixels through the network of ``bundles/end_kl``, with its weights as torch
makes them and channels last, as ``medkd.teachers.load_network`` gives them. Both are measured in
every round, in turn; the ratio is the median over rounds of the ratios within a round.

    python benchmarks/memory_format.py [--rounds 9] [--threads 2]

The table goes to benchmarks/results/memory_format.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from pathlib import Path

import torch
from monai.bundle import ConfigParser

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = json.loads((REPOSITORY / "bundles/end_kl/train.json").read_text(encoding="utf-8"))
    network = ConfigParser(config).get_parsed_content("member_def").eval()
    networks = {
        "as torch makes them": network,
        "channels last": copy.deepcopy(network).to(memory_format=torch.channels_last),
    }
    image = torch.rand(1, config["num_channels"], 512, 512)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    logits = {}
    for round_number in range(options.rounds + 1):
        for name, each in networks.items():
            start = time.perf_counter()
            with torch.inference_mode():
                logits[name] = each(image)
            if round_number:  # the first pays for memory that the others reuse
                seconds[name].append(time.perf_counter() - start)
    first, second = logits.values()
    base = seconds["as torch makes them"]
    lines = ["| weights | seconds | speed (median, min - max) |", "|---|---|---|"]
    for name, found in seconds.items():
        ratios = [b / f for b, f in zip(base, found, strict=True)]
        speed = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        lines.append(f"| {name} | {statistics.median(found):.3f} | {speed} |")
    difference = (first - second).abs().max().item()
    lines += [
        "",
        f"{options.rounds} rounds, {options.threads} threads, torch {torch.__version__}; logits "
        f"differ by {difference:.1e} at most.",
    ]
    text = "\n".join(lines) + "\n"
    (REPOSITORY / "benchmarks/results/memory_format.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
