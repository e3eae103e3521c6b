"""What it costs to give a training its cases: MONAI's ``CacheDataset`` against ``PreparedDataset``.

The training data of two bundles on their phantoms, without soft labels, and of one of them on a
finer grid, where a volume is much larger than the patch that is cut out of it. A data set is made
by MONAI's, as each of a run's trainings made it anew; by ours as the first in a run, as the next in
the same process, and as the first of another process, which finds the cases beside the run. Then
items are asked for, with their random transforms, in blocks in turn; a ratio is the median over
rounds of the ratios within a round. Both are also asked with no memory to keep anything: MONAI's
decodes each item then, and ours reads it from disk. All is processor time, for other work on the
machine has no part in it.

    python benchmarks/prepared_cases.py [--rounds 15] [--items 24]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle import ConfigParser
from monai.data import CacheDataset
from monai.utils import set_determinism

from medkd.data import PreparedCases, PreparedDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
MONAI, MEMORY = "`CacheDataset`", "ours, in memory"
DECODED, DISK = "`CacheDataset` that caches nothing", "ours, from disk"
DATA = {
    "pictures, 384 x 384": ("end_kl", {}),
    "volumes, 3 x 3 x 4 mm": ("kd_uniform", {}),
    "volumes, 1.5 x 1.5 x 2 mm": ("kd_uniform", {"spacing": [1.5, 1.5, 2.0]}),
}


def main() -> None:
    """Measure and write benchmarks/results/prepared_cases.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--items", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, (bundle, changes) in DATA.items():
            config = configuration(bundle, Path(temporary) / bundle, changes)
            found[name] = measure(config, Path(temporary) / name, options.rounds, options.items)
    report(found, options.rounds, options.items)


def configuration(bundle: str, folder: Path, changes: dict[str, Any]) -> ConfigParser:
    """A bundle's configuration, without soft labels, and with its phantom drawn."""
    read = ConfigParser()
    read.read_config(str(REPOSITORY / "bundles" / bundle / "train.json"))
    config = {name: value for name, value in read.get().items() if name != "_meta_"}
    parser = ConfigParser(config)
    parser.update({"dataset_dir": str(folder), "distillation_weight": 0, **changes})
    parser.get_parsed_content("manifest")
    return parser


def measure(config: ConfigParser, cache: Path, rounds: int, items: int) -> dict[str, Any]:
    """Seconds to make each data set, and milliseconds an item, a value a round."""
    set_determinism(seed=0)
    cases = config.get_parsed_content("train::cases")
    transforms = config.get_parsed_content("preprocessing")
    transform = config.get_parsed_content("train::preprocessing")

    def ours(directory: Path, *, in_memory: bool = True) -> PreparedDataset:
        prepared = PreparedCases(transforms, directory=directory)
        if not in_memory:
            prepared.memory.capacity = 0
        return PreparedDataset(cases, transform, cases=prepared, progress=False)

    made: dict[str, float] = {}
    theirs = timed(made, MONAI, lambda: CacheDataset(cases, transform, progress=False))
    first = timed(made, "ours, first in a run", lambda: ours(cache))
    again = timed(made, "ours, again in the process", lambda: ours(cache))
    # Another name of the folder is another process to the memory.
    link = cache.with_name(f"{cache.name} again")
    link.symlink_to(cache, target_is_directory=True)
    timed(made, "ours, in another process", lambda: ours(link))
    other = cache.with_name(f"{cache.name} from disk")
    other.symlink_to(cache, target_is_directory=True)
    datasets = {
        MONAI: theirs,
        MEMORY: again,
        DECODED: CacheDataset(cases, transform, cache_rate=0.0),
        DISK: ours(other, in_memory=False),
    }
    taken: dict[str, list[float]] = {name: [] for name in datasets}
    for number in range(rounds + 1):
        for name, dataset in datasets.items():
            dataset.transform.set_random_state(seed=number)
            seconds = block(dataset, items)
            if number > 0:  # the first warms up
                taken[name].append(1000 * seconds / items)
    del first
    return {"seconds to make": made, "milliseconds an item": taken}


def timed(made: dict[str, float], name: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Make something and note how long that took."""
    start = time.process_time()
    thing = make()
    made[name] = time.process_time() - start
    return thing


def block(dataset: Sequence[Any], items: int) -> float:
    """Seconds for some items."""
    start = time.process_time()
    for index in range(items):
        dataset[index % len(dataset)]
    return time.process_time() - start


def report(found: dict[str, Any], rounds: int, items: int) -> None:
    """Write and print the tables."""
    lines = ["| data | data set | seconds to make |", "|---|---|---|"]
    for data, numbers in found.items():
        for name, seconds in numbers["seconds to make"].items():
            lines.append(f"| {data} | {name} | {seconds:.2f} |")
    lines += [
        "",
        "| data | data set | milliseconds an item (median) | to `CacheDataset` (min - max) |",
        "|---|---|---|---|",
    ]
    for data, numbers in found.items():
        taken = numbers["milliseconds an item"]
        for name, values in taken.items():
            ratios = [mine / base for mine, base in zip(values, taken[MONAI], strict=True)]
            ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
            lines.append(f"| {data} | {name} | {statistics.median(values):.2f} | {ratio} |")
    text = "\n".join(lines) + (
        f"\n\nProcessor time of one thread, torch {torch.__version__}, {rounds} rounds of {items} "
        "items.\n"
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "prepared_cases.md").write_text(text, encoding="utf-8")
    (RESULTS / "prepared_cases.json").write_text(
        json.dumps(found, indent=1) + "\n", encoding="utf-8"
    )
    print(text)


if __name__ == "__main__":
    main()
