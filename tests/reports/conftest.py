from __future__ import annotations

import numpy as np
import pytest
import torch

from medkd.functional import ErrorBins, reliability_bins
from medkd.reports import CasePicture, EvaluationResults, MethodCost, MethodResult, write_report

METHODS = (
    "single",
    "single_temperature",
    "test_time_augmentation",
    "mc_dropout",
    "deep_ensemble",
    "deep_ensemble_temperature",
    "student",
    "student_as_shipped",
)
MORE = ("mce", "brier_calibration", "aurc", "error_auroc")
METRICS = [f"{m}{region}" for region in ("", "_all", "_band") for m in ("ece", "brier", "nll")]


def new_method(name: str, *, seed: int = 0, case_ids=("a", "b", "c"), **given) -> MethodResult:
    """Random scores, but for those given as ``metric=[a value for each case]``."""
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    probs = torch.randn(3, 2, 500, generator=generator).mul(2).softmax(dim=1)
    bins = reliability_bins(probs, torch.randint(2, (3, 1, 500), generator=generator))
    counts = torch.randint(1, 90, (2, 3, 20), generator=generator)
    return MethodResult(
        name=name,
        title=given.get("title", name.replace("_", " ")),
        num_parameters=given.get("num_parameters", 1000 + seed),
        seconds_per_case={
            case_id: given["seconds"][i] if "seconds" in given else random.uniform(0.1, 2)
            for i, case_id in enumerate(case_ids)
        },
        scores={
            case_id: {
                metric: float(given[metric][i]) if metric in given else random.uniform()
                for metric in ("dice", "mcc", *METRICS, *given.get("more", ()))
            }
            for i, case_id in enumerate(case_ids)
        },
        reliability={"field of view": bins, "band": bins},
        errors={"field of view": ErrorBins(right=100 * counts[0], wrong=counts[1])},
        summary=given.get("summary", {}),
        cost=given.get("cost"),
    )


def new_picture(title: str = "best", *, num_classes: int = 2, has_mask: bool = True) -> CasePicture:
    random = np.random.default_rng(0)
    shape = (24, 20)
    mask = np.zeros(shape, dtype=bool)
    mask[2:-3, 1:-4] = True
    return CasePicture(
        case_id="a",
        title=title,
        image=random.uniform(size=(*shape, 3)),
        label=random.integers(num_classes, size=shape),
        mask=mask if has_mask else None,
        methods={
            name: (random.integers(num_classes, size=shape), random.uniform(0, 0.69, shape))
            for name in ("deep_ensemble", "student")
        },
    )


def new_results(methods=None, **fields) -> EvaluationResults:
    if methods is None:
        names = ("single", "deep_ensemble", "student")
        methods = [new_method(name, seed=seed) for seed, name in enumerate(names)]
    fields.setdefault("class_names", ["background", "vessel"])
    return EvaluationResults("EYES", "test", methods, **fields)


@pytest.fixture(scope="session")
def eight_methods() -> list[MethodResult]:
    """Those that a bundle evaluates, on eight cases, with everything measured."""
    return [
        new_method(
            name,
            seed=seed,
            case_ids=[f"case {i}" for i in range(8)],
            more=MORE,
            title=name.replace("_", " "),
            num_parameters=155_000_000 + seed,
            cost=MethodCost(33_000_000_000, 512 * 2**20, 7200.0, num_passes=5),
        )
        for seed, name in enumerate(METHODS)
    ]


@pytest.fixture(scope="session")
def make_method():
    return new_method


@pytest.fixture(scope="session")
def make_picture():
    return new_picture


@pytest.fixture(scope="session")
def make_results():
    return new_results


@pytest.fixture(scope="session")
def full_results() -> EvaluationResults:
    """Everything a report can show, with names that would break HTML and figures if let through."""
    row = {"epoch": 1.0, "loss": 0.5, "label": 0.4, "learning_rate": 1e-3}
    history = [row, {**row, "epoch": 2.0, "val_dice": 0.7, "label": float("nan")}]
    hostile = "<script src='http://evil'>&\"$x$"
    return EvaluationResults(
        dataset=f"EYES {hostile}",
        split="test",
        methods=[
            new_method("single", dice=[0.7, float("nan"), 0.5]),
            new_method("deep_ensemble", seed=1, dice=[0.8, 0.75, 0.6], more=MORE),
            new_method(
                "student",
                seed=2,
                dice=[0.78, 0.76, 0.6],
                title=f"student {hostile}",
                more=MORE,
                summary={"failure_auroc": 0.75, "failure_aurc": float("nan")},
                cost=MethodCost(2_000_000_000, None, 5400.0, num_passes=1),
            ),
        ],
        class_names=["background", hostile],
        settings={"members": "5", hostile: hostile},
        histories={"member 0": history, "member 1": history, "student": history},
        pictures=[new_picture(), new_picture("worst", has_mask=False)],
    )


@pytest.fixture(scope="session")
def report_dir(full_results, tmp_path_factory):
    """The folder of a report, written once for all tests that only read it."""
    return write_report(full_results, tmp_path_factory.mktemp("run") / "report").parent
