"""Uniform and diverse ensembles on the MSD hippocampus: the tables of the README.

Five members that differ by their seed, and six of three architectures and two losses; for either
ensemble a student over three seeds, on soft labels alone; the same network on labels with the
student's schedule over three seeds; a student on half of each; and a small student. 140 volumes
train, 20 validate, 40 test, split by person; nothing is chosen on the test split, and every network
is that of its last step. Killed, it goes on where it was with the same command.

    python benchmarks/hippocampus.py --dataset_dir Task04_Hippocampus [--jobs 2]

Tables go to benchmarks/results/hippocampus.md, figures to hippocampus.json beside it, pages for
reading to OUTPUT_DIR.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bundle_runs import REPOSITORY, run_bundle
from case_tables import read_scores, score_table, test_table, write_means

if TYPE_CHECKING:
    import pandas

RESULTS = REPOSITORY / "benchmarks" / "results"
METRICS = [
    *("dice", "dice_anterior", "dice_posterior", "hd95", "asd", "volume_error"),
    *("ece", "ece_band", "nll", "seconds"),
]
TESTED = ["dice", "hd95", "nll", "ece_band"]
ENSEMBLES = {"uniform": 5, "diverse": 6}
SCHEDULE = {
    "steps_per_epoch": 25,
    "member_num_epochs": 24,
    "num_epochs": 36,
    "val_interval": 12,
}
STUDENTS = {
    "student": {},
    "student, half on labels": {"distillation_weight": 0.5},
    "small student": {"network_def::channels": [8, 16, 32, 64]},
    "labels only": {"distillation_weight": 0},
}


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--dataset_dir", required=True, help="the folder of Task04_Hippocampus")
    parser.add_argument("--output_dir", default="runs/hippocampus", help="where the runs go")
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    options = parser.parse_args()

    members = [(name, m) for name, count in ENSEMBLES.items() for m in range(count)]
    students = [(name, "student", s) for s in range(options.seeds) for name in ENSEMBLES]
    students += [("uniform", "labels only", s) for s in range(options.seeds)]
    students += [("uniform", "student, half on labels", s) for s in range(options.seeds)]
    students += [("uniform", "small student", s) for s in range(options.seeds)]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda member: train_member(options, *member), members))
        # The first student of an ensemble writes the soft labels that the others share.
        list(pool.map(lambda student: train_student(options, *student), students[:2]))
        list(pool.map(lambda student: train_student(options, *student), students[2:]))
    write_tables(options)


def train_member(options: argparse.Namespace, ensemble: str, member: int) -> None:
    """One ordinary bundle run trains one member."""
    bundle = f"bundles/kd_{ensemble}"
    files = [f"{bundle}/train.json", f"{bundle}/member.json"]
    train = json.loads((REPOSITORY / files[0]).read_text(encoding="utf-8"))
    files += [f"{bundle}/{overlay}" for overlay in train["member_overlays"][member : member + 1]]
    output = f"{options.output_dir}/{ensemble}"
    overrides = {"member": member, "output_dir": output, "num_epochs": "@member_num_epochs"}
    run(options, files, {**SCHEDULE, **overrides})


def train_student(options: argparse.Namespace, ensemble: str, kind: str, seed: int) -> None:
    """A student of an ensemble, trained and judged."""
    shared = {
        "members_dir": f"{options.output_dir}/{ensemble}/members",
        "soft_labels_dir": f"{options.output_dir}/{ensemble}/soft_labels",
        # Members take the seeds 1 to 6.
        "training_seed": 100 * seed,
        "output_dir": folder(options, ensemble, kind, seed),
        "num_members": ENSEMBLES[ensemble],
    }
    # The ensemble is judged once, and each of its members for itself.
    first = (kind, seed) == ("student", 0)
    judged = member_predictors(ENSEMBLES[ensemble]) if first else student_only()
    run(
        options,
        [f"bundles/kd_{ensemble}/train.json"],
        {**SCHEDULE, **shared, **STUDENTS[kind], **judged},
    )


def member_predictors(count: int) -> dict[str, object]:
    """Each member as a predictor of its own, beside those of the bundle."""
    return {f"predictors::member_{m}": predictor(f"$@ensemble[{m}:{m + 1}]") for m in range(count)}


def student_only() -> dict[str, object]:
    """No predictor but the student."""
    return {
        "predictors": {"student": predictor("$[@student]")},
        "evaluate::temperature_scaled": ["student"],
    }


def predictor(members: str) -> dict[str, object]:
    """A predictor of networks as the bundle defines one."""
    return {
        "_target_": "medkd.predictors.NetworkPredictor",
        "members": members,
        "inferer": "@inferer",
        "amp": "@amp",
    }


def folder(options: argparse.Namespace, ensemble: str, kind: str, seed: int) -> str:
    """Where a run goes; the first student's is the run of the ensemble itself."""
    if (kind, seed) == ("student", 0):
        return f"{options.output_dir}/{ensemble}"
    words = kind.replace(",", "").replace(" ", "_")
    return f"{options.output_dir}/{ensemble}_{words}_{seed}"


def run(options: argparse.Namespace, files: list[str], overrides: dict[str, object]) -> None:
    """Run the bundle on the hippocampus."""
    config = [*files, "bundles/kd_uniform/hippocampus.json"]
    run_bundle(config, {"dataset_dir": options.dataset_dir, **overrides}, jobs=options.jobs)


def write_tables(options: argparse.Namespace) -> None:
    """Means over cases with the spread over seeds, and paired tests over cases."""
    rows = {name: found for name, found in collected(options).items() if found}
    text = "\n".join([score_table(rows, METRICS), test_table(rows, tested_pairs(), TESTED)])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "hippocampus.md").write_text(text, encoding="utf-8")
    write_means(rows, METRICS, RESULTS / "hippocampus.json")
    print(text)


def collected(options: argparse.Namespace) -> dict[str, list[pandas.DataFrame]]:
    """Row name to a table of cases by scores, one for each seed."""
    rows: dict[str, list[pandas.DataFrame]] = {}
    for ensemble, count in ENSEMBLES.items():
        first = Path(folder(options, ensemble, "student", 0))
        for member in range(count):
            rows[f"{ensemble}: member {member}"] = read_scores(first, f"member_{member}")
        rows[f"{ensemble}: ensemble of {count}"] = read_scores(first, "deep_ensemble")
        rows[f"{ensemble}: … with temperature"] = read_scores(first, "deep_ensemble_temperature")
        for kind in STUDENTS:
            runs = [Path(folder(options, ensemble, kind, seed)) for seed in range(options.seeds)]
            for ending, words in (("", ""), ("_temperature", " with temperature")):
                name = f"{ensemble}: {kind}{words}" if kind != "labels only" else f"{kind}{words}"
                frames = [frame for run in runs for frame in read_scores(run, f"student{ending}")]
                rows.setdefault(name, []).extend(frames)
    return rows


def tested_pairs() -> list[tuple[str, str]]:
    """The rows that are compared case by case."""
    pairs = []
    for ensemble, count in ENSEMBLES.items():
        whole = f"{ensemble}: ensemble of {count}"
        pairs += [(whole, f"{ensemble}: member {member}") for member in range(count)]
        student = f"{ensemble}: student"
        pairs += [(student, whole), (student, "labels only")]
    mixed = "uniform: student, half on labels"
    pairs += [(mixed, "uniform: ensemble of 5"), (mixed, "labels only")]
    return [
        *pairs,
        ("uniform: small student", "labels only"),
        ("diverse: student", "uniform: student"),
    ]


if __name__ == "__main__":
    main()
