"""Few labels and many images: deep mutual distillation beside what it is compared with.

Labels alone, Deep Mutual Distillation (DMD), deep mutual learning (DML), cross pseudo supervision
(CPS) and mean teacher, over three seeds, in one table:

- ``acdc``: slices of cardiac cine MRI, the files of the semi-supervised field, made NIfTI by
  ``medkd data convert``; the first 3 and the first 7 patients of the published order are labeled (6
  and 14 volumes), tested on the 20 published validation volumes.
- ``hippocampus``: volumes, 8 of 140 labeled, tested on 40.

All networks of a table have the same architecture, schedule, optimizer and labeled batches, and
are those of their last step; nothing is chosen on the test split. On ACDC, smaller than published:
96 x 96 pixels for 256 x 256, 500 steps for 30,000, 8 slices a step for 24, and a narrower U-Net.
``--sweep`` trains DMD at several temperatures instead and draws Dice, entropy and calibration for
them. Killed, it goes on where it was with the same command.

    medkd data convert SSL4MIS_ACDC --output acdc --spacing unknown
    python benchmarks/semi_supervised.py acdc --dataset_dir acdc [--jobs 2] [--sweep]
    python benchmarks/semi_supervised.py hippocampus --dataset_dir Task04_Hippocampus [--jobs 2]

Tables go to benchmarks/results/semi_supervised_<data set>.md, figures to the JSON beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bundle_runs import REPOSITORY, run_bundle
from case_tables import read_scores, score_table, test_table, write_means

from medkd.handlers import read_history

if TYPE_CHECKING:
    import pandas

RESULTS = REPOSITORY / "benchmarks" / "results"
BUNDLE = "bundles/dmd"
DATA_SETS = {
    "acdc": {"files": [f"{BUNDLE}/cardiac_slices.json"], "num_labeled": [6, 14]},
    "hippocampus": {"files": [], "num_labeled": [8]},
}
METHODS = {
    "DMD": [],
    "DML": [f"{BUNDLE}/deep_mutual_learning.json"],
    "CPS": [f"{BUNDLE}/cross_pseudo_supervision.json"],
    "mean teacher": [f"{BUNDLE}/mean_teacher.json"],
}
TEMPERATURES = [1.0, 1.2, 1.6, 2.0, 3.0]
DEFAULT_TEMPERATURE = 2.0  # its runs are those of the table
METRICS = ["dice", "jaccard", "hd95", "asd", "ece", "ece_band", "nll"]
TESTED = ["dice", "hd95", "nll", "ece_band"]


def main() -> None:
    """Train what is missing, then write the table or draw the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("data_set", choices=DATA_SETS)
    parser.add_argument("--dataset_dir", required=True, help="the folder of the data set")
    parser.add_argument("--output_dir", default="runs/semi_supervised", help="where the runs go")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    parser.add_argument("--sweep", action="store_true", help="DMD at several temperatures")
    options = parser.parse_args()

    numbers = DATA_SETS[options.data_set]["num_labeled"]
    seeds = range(options.seeds)
    if options.sweep:
        runs = [("DMD", numbers[0], seed, t) for seed in seeds for t in TEMPERATURES]
    else:
        runs = [(name, n, seed, None) for seed in seeds for n in numbers for name in METHODS]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda run: train(options, *run), runs))
    if options.sweep:
        draw_sweep(options)
    else:
        write_table(options)


def train(
    options: argparse.Namespace, name: str, num_labeled: int, seed: int, temperature: float | None
) -> None:
    """One run, judged; that of DMD trains the network on labels alone, too."""
    files = [
        f"{BUNDLE}/train.json",
        *DATA_SETS[options.data_set]["files"],
        f"benchmarks/semi_supervised_{options.data_set}.json",
        *METHODS[name],
    ]
    overrides = {
        "dataset_dir": options.dataset_dir,
        "output_dir": str(folder(options, name, num_labeled, seed, temperature)),
        "num_labeled": num_labeled,
        "training_seed": 100 * seed,
        "labels_only": name == "DMD" and temperature in (None, DEFAULT_TEMPERATURE),
        **({} if temperature is None else {"distillation_temperature": temperature}),
    }
    # A finished run is not judged again.
    if not (REPOSITORY / overrides["output_dir"] / "report" / "cases.csv").is_file():
        run_bundle(files, overrides, jobs=options.jobs)


def folder(
    options: argparse.Namespace,
    name: str,
    num_labeled: int,
    seed: int,
    temperature: float | None = None,
) -> Path:
    """Where a run goes."""
    words = [options.data_set, str(num_labeled), name.lower().replace(" ", "_"), str(seed)]
    if temperature not in (None, DEFAULT_TEMPERATURE):
        words.append(f"temperature_{temperature}")
    return Path(options.output_dir) / "_".join(words)


def write_table(options: argparse.Namespace) -> None:
    """Mean over cases with the spread over seeds, and paired tests against labels alone."""
    rows, pairs = {}, []
    for number in DATA_SETS[options.data_set]["num_labeled"]:
        runs = {
            name: [folder(options, name, number, seed) for seed in range(options.seeds)]
            for name in METHODS
        }
        alone = f"{number} labeled: labels only"
        rows[alone] = _scores(runs["DMD"], "labels_only")
        for name, folders in runs.items():
            row = f"{number} labeled: {name}"
            rows[row] = _scores(folders, "student")
            rows[f"{row}, mean of the networks"] = _scores(folders, "peer_ensemble")
            pairs.append((row, alone))
        pairs += [(f"{number} labeled: DMD", f"{number} labeled: {name}") for name in METHODS][1:]
    rows = {name: frames for name, frames in rows.items() if frames}
    text = "\n".join([score_table(rows, METRICS), test_table(rows, pairs, TESTED)])
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"semi_supervised_{options.data_set}.md"
    file.write_text(text, encoding="utf-8")
    write_means(rows, METRICS, file.with_suffix(".json"))
    print(text)


def draw_sweep(options: argparse.Namespace) -> None:
    """Dice, entropy at the end of the training and calibration over the temperature."""
    from matplotlib.figure import Figure

    number = DATA_SETS[options.data_set]["num_labeled"][0]
    found: dict[str, dict[str, list[float]]] = {
        "Dice": {},
        "predictive entropy (nats)": {},
        "ECE": {},
    }
    for temperature in TEMPERATURES:
        for seed in range(options.seeds):
            run = folder(options, "DMD", number, seed, temperature)
            scores = read_scores(REPOSITORY / run, "student")[0].mean(numeric_only=True)
            last = read_history(REPOSITORY / run / "student" / "history.csv")[-1]
            values = (scores["dice"], last["predictive_entropy"], scores["ece"])
            for name, value in zip(found, values, strict=True):
                found[name].setdefault(str(temperature), []).append(float(value))
    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, (name, by_temperature) in zip(figure.subplots(1, 3), found.items(), strict=True):
        for seed in range(options.seeds):
            values = [by_temperature[str(t)][seed] for t in TEMPERATURES]
            axes.plot(TEMPERATURES, values, "o", color="#7b8794", markersize=4)
        means = [statistics.mean(by_temperature[str(t)]) for t in TEMPERATURES]
        axes.plot(TEMPERATURES, means, "-", color="#d55e00")
        axes.set(title=name, xlabel="temperature")
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"temperature_{options.data_set}.png"
    figure.savefig(file, dpi=120)
    file.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{file}: {found}")


def _scores(runs: list[Path], method: str) -> list[pandas.DataFrame]:
    return [frame for run in runs for frame in read_scores(REPOSITORY / run, method)]


if __name__ == "__main__":
    main()
