"""Distilling features on CHASE_DB1: EnD-KL, EnD-CRD and both, beside labels alone.

Students of one ensemble of five, over three seeds: on labels alone, from the ensemble's
probabilities (EnD-KL), from its members' features at the bottleneck (EnD-CRD), and from both. All
have the same network, a quarter of a member's size, and the same optimizer, patches and schedule,
those of ``chase_db1.py`` (1,500 steps), whose split and members these are too; all are those of
their last step. Nothing is chosen on the test split: the weight of the features is that of
``--sweep``, which trains students of a member's size and several weights for 300 steps, with a seed
that the table does not have, and judges them on child 08. Killed, it goes on where it was with the
same command.

    python benchmarks/chase_db1_features.py --dataset_dir DIR [--jobs 2] [--sweep]

Tables go to benchmarks/results/chase_db1_features.md, figures to the JSON beside it, those of the
sweep to chase_db1_feature_weight.md.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from bundle_runs import REPOSITORY
from case_tables import read_scores, score_table, test_table, write_means
from chase_db1 import NUM_MEMBERS, RESULTS, SMALL, STUDENT_ONLY, run, train_member

END_KL, END_CRD = "bundles/end_kl", "bundles/end_crd"
LABELS = {"distillation_weight": 0}
# The members are those of EnD-KL: they are not trained here, nor compared with these settings.
GIVEN_MEMBERS = {"member_training": []}
KINDS = {
    "labels only": (END_KL, LABELS),
    "EnD-KL": (END_KL, {}),
    "EnD-CRD": (END_CRD, {**LABELS, **GIVEN_MEMBERS}),
    "EnD-KL and EnD-CRD": (END_CRD, GIVEN_MEMBERS),
}
# The same students, trained faster.
CHANNELS_LAST = {"network": "$@network_def.to(@device, memory_format=torch.channels_last)"}
SWEPT_WEIGHTS = [0.01, 0.05, 0.2]
SWEEP = {"training_seed": 1000, "num_epochs": 6, "split": "validation"}
ENSEMBLE = {
    "predictors::deep_ensemble": {
        "_target_": "medkd.predictors.NetworkPredictor",
        "members": "@ensemble",
        "inferer": "@inferer",
    }
}
METRICS = [*("dice", "mcc", "ece", "brier", "nll", "ece_band", "nll_band", "aurc")]
TESTED = ["dice", "nll", "ece_band"]


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--dataset_dir", required=True, help="the folder of CHASE_DB1")
    parser.add_argument("--output_dir", default="runs/chase_db1", help="where the runs go")
    parser.add_argument("--seeds", type=int, default=3, help="students of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    parser.add_argument("--sweep", action="store_true", help="weights of the features, on child 08")
    options = parser.parse_args()

    if options.sweep:
        runs = [("EnD-KL", 0, None)]
        runs += [(name, 0, w) for w in SWEPT_WEIGHTS for name in KINDS if KINDS[name][0] == END_CRD]
    else:
        runs = [("EnD-KL", 0, None)]
        runs += [(name, s, None) for s in range(options.seeds) for name in KINDS]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda member: train_member(options, member), range(NUM_MEMBERS)))
        train(options, *runs[0])  # it writes the soft labels that the others share
        list(pool.map(lambda one: train(options, *one), runs[1:]))
    if options.sweep:
        write_sweep(options, runs)
    else:
        write_tables(options)


def train(options: argparse.Namespace, name: str, seed: int, weight: float | None) -> None:
    """A student of the shared ensemble, trained and judged."""
    bundle, settings = KINDS[name]
    output = folder(options, name, seed, weight)
    if (REPOSITORY / output / "report" / "cases.csv").is_file():
        return  # a finished run is not judged again
    overrides: dict[str, object] = {
        "members_dir": f"{options.output_dir}/members",
        "soft_labels_dir": f"{options.output_dir}/soft_labels",
        "dropout": 0,
        "num_members": NUM_MEMBERS,
        # Members take the seeds 1 to 5.
        "training_seed": 100 * seed,
        "output_dir": output,
        **CHANNELS_LAST,
        **settings,
        **STUDENT_ONLY,
    }
    if (name, seed) == ("EnD-KL", 0):
        overrides |= ENSEMBLE  # it is judged once
    overrides |= SWEEP if options.sweep else SMALL
    if weight is not None:
        overrides["feature_weights::bottleneck"] = weight
    run(options, ["train.json"], overrides, bundle=bundle)


def folder(options: argparse.Namespace, name: str, seed: int, weight: float | None) -> str:
    """Where a run goes."""
    words = [options.output_dir, "sweep" if options.sweep else "features", name.replace(" ", "_")]
    return "_".join([*words, str(seed), *([] if weight is None else [f"{weight:g}"])])


def write_tables(options: argparse.Namespace) -> None:
    """Mean over cases with the spread over seeds, and paired tests."""
    first = REPOSITORY / folder(options, "EnD-KL", 0, None)
    rows = {f"deep ensemble of {NUM_MEMBERS}": read_scores(first, "deep_ensemble")}
    for name in KINDS:
        for ending, words in (("", ""), ("_temperature", ", with temperature")):
            runs = [folder(options, name, seed, None) for seed in range(options.seeds)]
            frames = [f for one in runs for f in read_scores(REPOSITORY / one, f"student{ending}")]
            rows[f"{name}{words}"] = frames
    rows = {name: frames for name, frames in rows.items() if frames}
    names = list(KINDS)
    pairs = [(name, "labels only") for name in names[1:]]
    pairs += [(name, "EnD-KL") for name in names[2:]]
    text = "\n".join([score_table(rows, METRICS), test_table(rows, pairs, TESTED)])
    file = RESULTS / "chase_db1_features.md"
    file.write_text(text, encoding="utf-8")
    write_means(rows, METRICS, file.with_suffix(".json"))
    print(text)


def write_sweep(options: argparse.Namespace, runs: list[tuple[str, int, float | None]]) -> None:
    """Each student on the validation split."""
    rows = {}
    for name, seed, weight in runs:
        words = name if weight is None else f"{name}, weight {weight:g}"
        run_dir = REPOSITORY / folder(options, name, seed, weight)
        rows[words] = read_scores(run_dir, "student")
    text = score_table(rows, METRICS)
    (RESULTS / "chase_db1_feature_weight.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
