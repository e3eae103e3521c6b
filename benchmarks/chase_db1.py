"""EnD-KL on CHASE_DB1: the table of the README.

One ensemble of five, and students of it over three seeds: of the members' size, of a quarter of
it, with the teacher in the loop, and the same network on labels with the student's schedule.
Children 01-07 train, 08 validates, 09-10 test; nothing is chosen on the test split, and every
network is that of its last step. Killed, it goes on where it was with the same command.

    python benchmarks/chase_db1.py --dataset_dir DIR [--jobs 2]

The table goes to benchmarks/results/chase_db1.md, the figures to chase_db1.json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
NUM_MEMBERS = 5
METRICS = ["dice", "mcc", "ece", "brier", "nll", "ece_band", "nll_band", "seconds_per_case"]

SMALL = {"network_def::features": [8, 8, 16, 32, 64, 8]}
ONLINE = {"online_teacher": True}
LABELS = {"distillation_weight": 0}
STUDENTS = {
    "student": {},
    "student, a quarter of the size": SMALL,
    "student, teacher in the loop": ONLINE,
    "labels only, the student's schedule": LABELS,
}


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--dataset_dir", required=True, help="the folder of CHASE_DB1")
    parser.add_argument("--output_dir", default="runs/chase_db1", help="where the runs go")
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    parser.add_argument("--only", nargs="*", help="kinds of student, by the start of their names")
    options = parser.parse_args()

    kinds = {
        name: overrides
        for name, overrides in STUDENTS.items()
        if options.only is None or any(name == wanted for wanted in options.only)
    }
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda m: train_member(options, m), range(NUM_MEMBERS)))
        runs = [(name, seed) for seed in range(options.seeds) for name in kinds]
        # The first writes the soft labels that the others share.
        train_student(options, *runs[0])
        list(pool.map(lambda run: train_student(options, *run), runs[1:]))
    write_table(options)


def train_member(options: argparse.Namespace, member: int) -> None:
    """One ordinary bundle run trains one member."""
    overrides = {"member": member, "output_dir": options.output_dir}
    run(options, ["train.json", "member.json"], {**overrides, "num_epochs": "@member_num_epochs"})


def train_student(options: argparse.Namespace, name: str, seed: int) -> None:
    """A student of the shared ensemble, trained and judged."""
    shared = {
        "members_dir": f"{options.output_dir}/members",
        "soft_labels_dir": f"{options.output_dir}/soft_labels",
        # Members take the seeds 1 to 5.
        "training_seed": 100 * seed,
        "output_dir": folder(options, name, seed),
        "num_members": NUM_MEMBERS,
    }
    run(options, ["train.json"], {**shared, **STUDENTS[name]})


def folder(options: argparse.Namespace, name: str, seed: int) -> str:
    """Where a student's run goes; the first student's is the run of the ensemble itself."""
    if name == "student" and seed == 0:
        return options.output_dir
    words = name.replace(",", "").replace("'", "").replace(" ", "_")
    return f"{options.output_dir}_{words}_{seed}"


def run(options: argparse.Namespace, files: list[str], overrides: dict[str, object]) -> None:
    """Run the bundle in a process of its own; with several jobs each has its share of the cores."""
    config = [f"bundles/end_kl/{file}" for file in files] + ["benchmarks/chase_db1.json"]
    pairs = {"dataset_dir": options.dataset_dir, **overrides}
    command = [sys.executable, "-m", "monai.bundle", "run", "training"]
    command += ["--config_file", str(config)]
    command += [text for key, value in pairs.items() for text in (f"--{key}", str(value))]
    environment = dict(os.environ)
    if options.jobs > 1:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // options.jobs))
    start = time.monotonic()
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    print(f"{overrides['output_dir']}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)


def write_table(options: argparse.Namespace) -> None:
    """Mean and spread over cases for single network and ensemble; over seeds for students."""
    first = _metrics(options, "student", 0)["methods"]
    rows = {
        "single network (mean of the members)": [first["single"]],
        f"deep ensemble of {NUM_MEMBERS}": [first["deep_ensemble"]],
    }
    for name in STUDENTS:
        found = [_metrics(options, name, seed) for seed in range(options.seeds)]
        rows[name] = [metrics["methods"]["student"] for metrics in found if metrics]
    rows = {name: methods for name, methods in rows.items() if methods}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "chase_db1.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "chase_db1.md").write_text(_markdown(rows), encoding="utf-8")
    print(_markdown(rows))


def _metrics(options: argparse.Namespace, name: str, seed: int) -> dict:
    file = Path(folder(options, name, seed)) / "report" / "metrics.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _markdown(rows: dict[str, list[dict]]) -> str:
    lines = [
        "| | seeds | parameters | " + " | ".join(METRICS) + " |",
        "|---|---|---|" + "---|" * len(METRICS),
    ]
    for name, methods in rows.items():
        cells = [name, str(len(methods)), f"{methods[0]['parameters']:,}"]
        cells += [_cell([method[metric]["mean"] for method in methods]) for metric in METRICS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    main()
