"""EnD-KL on CHASE_DB1: the tables of the README.

One ensemble of five, and students of it over three seeds: of the members' size, of a quarter of
it, with the teacher in the loop, and the same network on labels with the student's schedule. Every
source of uncertainty is judged on the same cases: one network, test-time augmentation, MC dropout,
ensemble and students, and what a temperature adds. Children 01-07 train, 08 validates, 09-10 test;
nothing is chosen on the test split, and every network is that of its last step. With ``--shift``
the first student's run is judged on blurred, dark and noisy versions of the test images, too.
Killed, it goes on where it was with the same command.

    python benchmarks/chase_db1.py --dataset_dir DIR [--jobs 2] [--shift]

Tables go to benchmarks/results/chase_db1.md, figures to chase_db1.json and chase_db1_shift.csv
beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
from bundle_runs import REPOSITORY, run_bundle

RESULTS = REPOSITORY / "benchmarks" / "results"
NUM_MEMBERS = 5
METRICS = [
    *("dice", "mcc", "ece", "ace", "brier", "nll", "ece_band", "nll_band"),
    *("aurc", "error_auroc", "disagreement_correlation", "seconds_per_case"),
]

STUDENT_ONLY = {
    "predictors": {
        "student": {
            "_target_": "medkd.predictors.NetworkPredictor",
            "members": "$[@student]",
            "inferer": "@inferer",
        }
    },
    "evaluate::temperature_scaled": ["student"],
}
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
    parser.add_argument("--shift", action="store_true", help="judge on degraded images, too")
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
    if options.shift:
        evaluate_under_shift(options)


def train_member(options: argparse.Namespace, member: int) -> None:
    """One ordinary bundle run trains one member."""
    overrides = {"member": member, "output_dir": options.output_dir}
    run(options, ["train.json", "member.json"], {**overrides, "num_epochs": "@member_num_epochs"})


def train_student(options: argparse.Namespace, name: str, seed: int) -> None:
    """A student of the shared ensemble, trained and judged."""
    shared = {
        "members_dir": f"{options.output_dir}/members",
        "soft_labels_dir": f"{options.output_dir}/soft_labels",
        "dropout_dir": f"{options.output_dir}/dropout",
        # Members take the seeds 1 to 5.
        "training_seed": 100 * seed,
        "output_dir": folder(options, name, seed),
        "num_members": NUM_MEMBERS,
    }
    # The ensemble and what else does not depend on the student is judged once.
    judged = {} if (name, seed) == ("student", 0) else STUDENT_ONLY
    run(options, ["train.json"], {**shared, **STUDENTS[name], **judged})


def evaluate_under_shift(options: argparse.Namespace) -> None:
    """The first student's run on degraded images, by one command; figures stay with the run."""
    overrides = {
        "output_dir": options.output_dir,
        "num_members": NUM_MEMBERS,
        # Sixteen evaluations: one eye of each child, and larger windows, which overlap less.
        "evaluate::cases": "$medkd.data.load_cases(@manifest, @dataset_dir, split=@split)[::2]",
        "inferer::roi_size": [512, 512],
    }
    run(options, ["train.json", "evaluate.json", "shift.json"], overrides)
    folder = Path(options.output_dir) / "evaluation" / "CHASE_DB1_test_shift"
    table = pandas.read_csv(REPOSITORY / folder / "comparison.csv")
    columns = ["shift_kind", "shift_strength", "method", "num_cases"]
    columns += [f"{metric}_mean" for metric in METRICS if f"{metric}_mean" in table]
    table[columns].to_csv(RESULTS / "chase_db1_shift.csv", index=False, float_format="%.5f")


def folder(options: argparse.Namespace, name: str, seed: int) -> str:
    """Where a student's run goes; the first student's is the run of the ensemble itself."""
    if name == "student" and seed == 0:
        return options.output_dir
    words = name.replace(",", "").replace("'", "").replace(" ", "_")
    return f"{options.output_dir}_{words}_{seed}"


def run(
    options: argparse.Namespace,
    files: list[str],
    overrides: dict[str, object],
    *,
    bundle: str = "bundles/end_kl",
) -> None:
    """Run the bundle on CHASE_DB1."""
    config = [f"{bundle}/{file}" for file in files] + ["benchmarks/chase_db1.json"]
    run_bundle(config, {"dataset_dir": options.dataset_dir, **overrides}, jobs=options.jobs)


def write_table(options: argparse.Namespace) -> None:
    """A row for each method of the first run, then for each kind of student over its seeds."""
    first = _metrics(options, "student", 0)["methods"]
    rows = {name: [scores] for name, scores in first.items() if not name.startswith("student")}
    for kind in STUDENTS:
        found = [_metrics(options, kind, seed) for seed in range(options.seeds)]
        for ending, words in (("", ""), ("_temperature", " + temperature")):
            rows[f"{kind}{words}"] = [
                metrics["methods"][f"student{ending}"] for metrics in found if metrics
            ]
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
        cells += [_cell([_mean(method, metric) for method in methods]) for metric in METRICS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean(method: dict, metric: str) -> float:
    mean = method.get(metric, {}).get("mean")
    return math.nan if mean is None else mean


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    main()
