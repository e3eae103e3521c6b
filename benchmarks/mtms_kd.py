"""MTMS-KD: small students with and without a teacher's features, and which scale helps.

Two teachers of two tasks, a U-Net and a transformer (SwinUNETR); students S1 (11-23-43 channels,
57 k parameters in 2D) and S2 (22-44-91, 227 k). Of each, over three seeds: the network on labels
alone, and distilled from either teacher with all terms; S1 from the U-Net also with one term at a
time: contrast at the encoder (EE), the bottleneck (BB) and the decoder (DD), and the probabilities
(prediction maps, PMD), each with the weight that it has among all. Teachers are trained on all
training patients, students on half of them; all students of a table have the same optimizer,
schedule and patches, and are those of their last step; nothing is chosen on the test split.

- ``acdc``: axial slices of cardiac cine MRI at 96 x 96, the files of the semi-supervised field made
  NIfTI by ``medkd data convert``; tested on the 20 published validation volumes.
- ``hippocampus``: MSD volumes, tested on 40.

Killed, it goes on where it was with the same command.

    medkd data convert SSL4MIS_ACDC --output acdc --spacing unknown
    python benchmarks/mtms_kd.py acdc --dataset_dir acdc [--jobs 2]
    python benchmarks/mtms_kd.py hippocampus --dataset_dir Task04_Hippocampus [--jobs 2]

Tables go to benchmarks/results/mtms_kd_<data set>.md, figures to the JSON beside it.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundle_runs import REPOSITORY, run_bundle
from case_tables import read_scores, score_table, test_table, write_means

if TYPE_CHECKING:
    import pandas

RESULTS = REPOSITORY / "benchmarks" / "results"
BUNDLE = "bundles/mtms_kd"
FILES = {"acdc": [f"{BUNDLE}/slices.json"], "hippocampus": []}
TEACHERS = {"U-Net": [], "SwinUNETR": [f"{BUNDLE}/swin_unetr_teacher.json"]}
STUDENTS = {"S1": [], "S2": [f"{BUNDLE}/student_2.json"]}
SCALES = {"EE": "encoder", "BB": "bottleneck", "DD": "decoder"}
ALL, PMD = "all", "PMD"
METRICS = ["dice", "hd95", "asd", "ece", "ece_band", "nll"]
TESTED = ["dice", "hd95", "nll", "ece_band"]


@dataclass(frozen=True)
class Kind:
    """A student: which, of which teacher, by which terms."""

    student: str
    teacher: str
    terms: str = ALL

    def __str__(self) -> str:
        """The row's name."""
        return f"{self.student} of the {self.teacher}, {self.terms}"

    @property
    def trains_baseline(self) -> bool:
        """Whether the network on labels alone is trained in this run, as one of them must."""
        return (self.teacher, self.terms) == ("U-Net", ALL)


KINDS = [
    *(Kind(student, teacher) for student in STUDENTS for teacher in TEACHERS),
    *(Kind("S1", "U-Net", terms) for terms in (*SCALES, PMD)),
]


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("data_set", choices=FILES)
    parser.add_argument("--dataset_dir", required=True, help="the folder of the data set")
    parser.add_argument("--output_dir", default="runs/mtms_kd", help="where the runs go")
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    options = parser.parse_args()

    # The first student of a teacher trains it and writes the soft labels that the others share.
    first = [(Kind("S1", teacher), 0) for teacher in TEACHERS]
    runs = [(kind, seed) for seed in range(options.seeds) for kind in KINDS]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda run: train(options, *run), first))
        list(pool.map(lambda run: train(options, *run), [r for r in runs if r not in first]))
    write_tables(options)


def train(options: argparse.Namespace, kind: Kind, seed: int) -> None:
    """One run, judged; with the network on labels alone where no other run has it."""
    shared = f"{options.output_dir}/{options.data_set}_{kind.teacher}"
    overrides: dict[str, object] = {
        "dataset_dir": options.dataset_dir,
        "output_dir": str(folder(options, kind, seed)),
        "members_dir": f"{shared}_members",
        "soft_labels_dir": f"{shared}_soft_labels",
        # The teacher takes the seed 1.
        "training_seed": 100 * seed,
        "labels_only": kind.trains_baseline,
        # No row has a temperature.
        "evaluate::temperature_scaled": [],
        **of_terms(kind.terms),
    }
    if (kind.student, seed) != ("S1", 0) or kind.terms != ALL:
        overrides["predictors::teacher::_disabled_"] = True  # it is judged once
    files = [f"{BUNDLE}/train.json", *FILES[options.data_set]]
    files += [*TEACHERS[kind.teacher], *STUDENTS[kind.student]]
    files.append(f"benchmarks/mtms_kd_{options.data_set}.json")
    # A finished run is not judged again.
    if not (REPOSITORY / folder(options, kind, seed) / "report" / "cases.csv").is_file():
        run_bundle(files, overrides, jobs=options.jobs)


def of_terms(terms: str) -> dict[str, object]:
    """The weights of a run: all of the bundle's, or of one term alone."""
    if terms == ALL:
        return {}
    weights = {f"feature_weights::{scale}": 0 for scale in SCALES.values()}
    if terms == PMD:
        return weights
    del weights[f"feature_weights::{SCALES[terms]}"]
    return {**weights, "distillation_weight": 0}


def folder(options: argparse.Namespace, kind: Kind, seed: int) -> Path:
    """Where a run goes."""
    words = [options.data_set, kind.student, kind.teacher, kind.terms, str(seed)]
    return Path(options.output_dir) / "_".join(words)


def write_tables(options: argparse.Namespace) -> None:
    """Mean over cases with the spread over seeds, and paired tests."""
    rows: dict[str, list[pandas.DataFrame]] = {}
    for teacher in TEACHERS:
        run = folder(options, Kind("S1", teacher), 0)
        rows[f"teacher: {teacher}"] = read_scores(REPOSITORY / run, "teacher")
    for student in STUDENTS:
        rows[alone(student)] = _scores(options, Kind(student, "U-Net"), "labels_only")
        for kind in KINDS:
            if kind.student == student:
                rows[str(kind)] = _scores(options, kind, "student")
    rows = {name: frames for name, frames in rows.items() if frames}
    pairs = [(str(kind), alone(kind.student)) for kind in KINDS]
    pairs += [(str(Kind(s, "SwinUNETR")), str(Kind(s, "U-Net"))) for s in STUDENTS]
    pairs.append((str(Kind("S1", "U-Net")), alone("S2")))
    text = "\n".join([score_table(rows, METRICS), test_table(rows, pairs, TESTED)])
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"mtms_kd_{options.data_set}.md"
    file.write_text(text, encoding="utf-8")
    write_means(rows, METRICS, file.with_suffix(".json"))
    print(text)


def alone(student: str) -> str:
    """The row of a student on labels alone."""
    return f"{student} on labels alone"


def _scores(options: argparse.Namespace, kind: Kind, method: str) -> list[pandas.DataFrame]:
    runs = [REPOSITORY / folder(options, kind, seed) for seed in range(options.seeds)]
    return [frame for run in runs for frame in read_scores(run, method)]


if __name__ == "__main__":
    main()
