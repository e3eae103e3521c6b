"""What a step of distillation costs beside a supervised step of the same network.

Trainings of the bundle's student on its phantom, measured side by side in one process: on labels,
from stored soft labels (EnD-KL), with the five members run in every step, and with features
distilled beside the soft labels: by contrast with a bank from five members (EnD-CRD), and by
supervised InfoNCE at three scales from one teacher. The student is of a member's size, and then a
quarter of that, as in the tables of EnD-CRD; teachers are always of full size. Then S1 and S2 of
MTMS-KD with that bundle's teacher, on slices and S1 in volumes, on its phantom. Each round times a
block of steps of every row, in turn, so that a machine whose speed drifts slows all of them; a
ratio, to labels alone and to EnD-KL of a student of the same size, is the median over rounds of the
ratios within a round. Loading and augmentation count.

    python benchmarks/step_cost.py [--rounds 9] [--steps 10]
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
from monai.utils import set_determinism

from medkd.files import sha256_of
from medkd.teachers import SoftLabelStore, TeacherEnsemble

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "benchmarks" / "results"
NUM_MEMBERS = 5
QUARTER = {"network_def::features": [8, 8, 16, 32, 64, 8]}
LABELS, END_KL = "labels only", "stored soft labels (EnD-KL)"
MTMS_KD = "EnD-KL and features of one teacher at 3 scales (InfoNCE)"
SCALES = {
    "features": {"encoder": "down_2", "bottleneck": "down_4", "decoder": "upcat_2"},
    "feature_weights": {"encoder": 0.1, "bottleneck": 0.1, "decoder": 0.1},
    "feature_loss": {
        "_target_": "medkd.losses.SupervisedInfoNCELoss",
        "_mode_": "callable",
        "num_positions": 1024,
    },
}


class Row:
    """One training, advanced a block of steps at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        bundle: str = "end_kl",
        overlays: Sequence[str] = (),
        num_teachers: int = 0,
        **overrides: Any,  # noqa: ANN401
    ) -> None:
        merged = ConfigParser()
        files = [REPOSITORY / "bundles" / bundle / name for name in ("train.json", *overlays)]
        merged.read_config([str(file) for file in files])
        config = {name: value for name, value in merged.get().items() if name != "_meta_"}
        if num_teachers:  # untrained: weights have no bearing on cost
            overrides["feature_teacher"] = {
                "_target_": "medkd.teachers.FeatureTeacher",
                "members": [config["member_def"]] * num_teachers,
                "features": config["feature_teacher"]["features"],
            }
        parser = ConfigParser(config)
        parser.update(
            {
                "dataset_dir": str(folder / "data"),
                "soft_labels_dir": str(folder / "labels"),
                "cache_dir": str(folder / "cache"),
            }
        )
        parser.update(
            {"train::handlers": [], "num_epochs": 1, "steps_per_epoch": 10_000, **overrides}
        )
        self.parser = parser
        set_determinism(seed=0)
        self.trainer = parser.get_parsed_content("train::trainer")
        self.batches = iter(parser.get_parsed_content("train::dataloader"))

    def seconds(self, steps: int) -> float:
        """Advance, and say how long a step took."""
        start = time.perf_counter()
        for _ in range(steps):
            self.trainer._iteration(self.trainer, next(self.batches))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps


def main() -> None:
    """Measure and write benchmarks/results/step_cost.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        eyes, slices, volumes = (Path(temporary) / name for name in ("eyes", "slices", "volumes"))
        write_random_soft_labels(Row(eyes, distillation_weight=0), eyes)
        sizes = {
            "a member's size": rows_of(eyes),
            "a quarter of the size": rows_of(eyes, **QUARTER),
        }
        for name, folder, overlays in (
            ("S1, slices", slices, ["slices.json"]),
            ("S2, slices", slices, ["slices.json", "student_2.json"]),
            ("S1, volumes", volumes, []),
        ):
            alone = row_of_mtms_kd(folder, overlays, distillation_weight=0)
            if not (folder / "labels").is_dir():
                write_random_soft_labels(alone, folder)
            sizes[name] = {
                LABELS: alone,
                END_KL: row_of_mtms_kd(folder, overlays),
                MTMS_KD: row_of_mtms_kd(folder, overlays, num_teachers=1),
            }
        taken = measure(sizes, rounds=options.rounds, steps=options.steps)
    report(taken)


def rows_of(folder: Path, **student: Any) -> dict[str, Row]:  # noqa: ANN401
    """All trainings of one student."""
    online = Row(folder, online_teacher=True, teacher=None, **student)
    online.trainer.teacher = untrained_teacher(online.parser)
    crd = Row(folder, bundle="end_crd", num_teachers=NUM_MEMBERS, **student)
    return {
        LABELS: Row(folder, distillation_weight=0, **student),
        END_KL: Row(folder, **student),
        f"{NUM_MEMBERS} members in every step": online,
        f"EnD-KL and features of {NUM_MEMBERS} members (CRD)": crd,
        MTMS_KD: Row(folder, bundle="end_crd", num_teachers=1, **SCALES, **student),
    }


def row_of_mtms_kd(
    folder: Path, overlays: Sequence[str], *, num_teachers: int = 0, **overrides: Any,  # noqa: ANN401
) -> Row:  # fmt: skip
    """A training of that bundle's student; without a teacher, without features."""
    if not num_teachers:
        overrides |= {"feature_weights": {}, "feature_teacher": None, "trained": "@network"}
    return Row(folder, bundle="mtms_kd", overlays=overlays, num_teachers=num_teachers, **overrides)


def write_random_soft_labels(row: Row, folder: Path) -> None:
    """Soft labels of the right shape; what they say has no bearing on what they cost."""
    store = SoftLabelStore(folder / "labels")
    store.open_for({"benchmark": "step_cost"})
    generator = torch.Generator().manual_seed(0)
    transform = row.parser.get_parsed_content("validate::preprocessing")
    for case in row.parser.get_parsed_content("train::cases"):
        size = transform(dict(case))["image"].shape[1:]
        probs = torch.rand(2, *size, generator=generator).softmax(dim=0)
        store.write(case["case_id"], probs, source_sha256=sha256_of(case["image"]))


def untrained_teacher(parser: ConfigParser) -> TeacherEnsemble:
    """Members of the bundle's architecture; weights have no bearing on cost either."""
    members = []
    for _ in range(NUM_MEMBERS):
        fresh = ConfigParser(parser.get())
        members.append(fresh.get_parsed_content("member_def"))
    return TeacherEnsemble(members, temperature=2.0).to(parser.get_parsed_content("device"))


def measure(
    sizes: dict[str, dict[str, Row]], *, rounds: int, steps: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds a step, a value a round and row; the first round warms up and is not counted."""
    taken: dict[str, dict[str, list[float]]] = {
        size: {name: [] for name in rows} for size, rows in sizes.items()
    }
    for number in range(rounds + 1):
        for size, rows in sizes.items():
            for name, row in rows.items():
                seconds = row.seconds(steps)
                if number > 0:
                    taken[size][name].append(seconds)
    return taken


def report(taken: dict[str, dict[str, list[float]]]) -> None:
    """Write and print the table."""
    lines = [
        "| student | trained on | seconds a step (median) | to labels only (min - max) "
        "| to EnD-KL (min - max) |",
        "|---|---|---|---|---|",
    ]
    for size, rows in taken.items():
        for name, seconds in rows.items():
            ratios = " | ".join(ratio(seconds, rows[base]) for base in (LABELS, END_KL))
            lines.append(f"| {size} | {name} | {statistics.median(seconds):.3f} | {ratios} |")
    rounds = len(next(iter(taken.values()))[LABELS])
    threads = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    text = "\n".join(lines) + f"\n\n{threads}, {rounds} rounds.\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "step_cost.md").write_text(text, encoding="utf-8")
    (RESULTS / "step_cost.json").write_text(json.dumps(taken, indent=1) + "\n", encoding="utf-8")
    print(text)


def ratio(seconds: list[float], base: list[float]) -> str:
    """Median, least and largest of the ratios within a round."""
    found = [mine / theirs for mine, theirs in zip(seconds, base, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} - {max(found):.2f})"


if __name__ == "__main__":
    main()
