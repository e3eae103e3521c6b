"""Uniform and diverse ensembles on the MSD hippocampus: the tables of the README.

Five members that differ by their seed, and six of three architectures and two losses; for either
ensemble a student over three seeds, on soft labels alone; the same network on labels with the
student's schedule over three seeds; and a small student. 140 volumes train, 20 validate, 40 test;
nothing is chosen on the test split, and every network is that of its last step. Killed, it goes on
where it was with the same command.

    python benchmarks/hippocampus.py --dataset_dir Task04_Hippocampus [--jobs 2]

Tables go to benchmarks/results/hippocampus.md, figures to hippocampus.json beside it, pages for
reading to OUTPUT_DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
ENSEMBLES = {"uniform": 5, "diverse": 6}
SCHEDULE = {
    "steps_per_epoch": 25,
    "member_num_epochs": 32,
    "num_epochs": 48,
    "val_interval": 8,
}
STUDENTS = {
    "student": {},
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
    students += [("uniform", "small student", s) for s in range(options.seeds)]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda member: train_member(options, *member), members))
        # The first student of an ensemble writes the soft labels that the others share.
        list(pool.map(lambda student: train_student(options, *student), students[:2]))
        list(pool.map(lambda student: train_student(options, *student), students[2:]))


def train_member(options: argparse.Namespace, ensemble: str, member: int) -> None:
    """One ordinary bundle run trains one member."""
    bundle = REPOSITORY / "bundles" / f"kd_{ensemble}"
    files = [bundle / "train.json", bundle / "member.json"]
    if overlays := json.loads(files[0].read_text(encoding="utf-8"))["member_overlays"]:
        files.append(bundle / overlays[member])
    output = f"{options.output_dir}/{ensemble}"
    overrides = {"member": member, "output_dir": output, "num_epochs": "@member_num_epochs"}
    run(options, files, {**SCHEDULE, **overrides})


def train_student(options: argparse.Namespace, ensemble: str, kind: str, seed: int) -> None:
    """A student of an ensemble, trained and judged."""
    bundle = REPOSITORY / "bundles" / f"kd_{ensemble}"
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
    run(options, [bundle / "train.json"], {**SCHEDULE, **shared, **STUDENTS[kind], **judged})


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
    return f"{options.output_dir}/{ensemble}_{kind.replace(' ', '_')}_{seed}"


def run(options: argparse.Namespace, files: list[Path], overrides: dict[str, object]) -> None:
    """Run the bundle in a process of its own; with several jobs each has its share of the cores."""
    config = [str(file) for file in [*files, REPOSITORY / "bundles/kd_uniform/hippocampus.json"]]
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


if __name__ == "__main__":
    main()
