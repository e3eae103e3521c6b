from __future__ import annotations

import numpy as np
import pytest
import torch

from medkd.functional import reliability_bins
from medkd.reports import CasePicture, EvaluationResults, MethodResult

METRICS = tuple(f"{m}{r}" for r in ("", "_all", "_band") for m in ("ece", "brier", "nll"))
METRICS = ("dice", "mcc", *METRICS)


def make_bins(seed: int, *, classes: int = 2, voxels: int = 500):
    generator = torch.Generator().manual_seed(seed)
    probs = torch.randn(3, classes, voxels, generator=generator).mul(2).softmax(dim=1)
    label = torch.randint(classes, (3, 1, voxels), generator=generator)
    return reliability_bins(probs, label)


def make_method(name: str, *, seed: int = 0, case_ids=("a", "b", "c"), **values) -> MethodResult:
    """Random scores, but for those given as ``metric=[a value for each case]``."""
    random = np.random.default_rng(seed)
    scores = {
        case_id: {m: float(values[m][i]) if m in values else random.uniform() for m in METRICS}
        for i, case_id in enumerate(case_ids)
    }
    return MethodResult(
        name=name,
        title=values.get("title", name.replace("_", " ")),
        num_parameters=values.get("num_parameters", 1000 + seed),
        seconds_per_case={
            case_id: values["seconds"][i] if "seconds" in values else random.uniform(0.1, 2)
            for i, case_id in enumerate(case_ids)
        },
        scores=scores,
        reliability={"field of view": make_bins(seed), "band": make_bins(seed + 1)},
    )


def make_picture(title: str = "best", *, case_id: str = "a", classes: int = 2, mask=True):
    random = np.random.default_rng(0)
    shape = (24, 20)
    label = random.integers(classes, size=shape)
    valid = None
    if mask:
        valid = np.zeros(shape, dtype=bool)
        valid[2:-3, 1:-4] = True
    methods = {
        name: (random.integers(classes, size=shape), random.uniform(0, np.log(classes), shape))
        for name in ("deep_ensemble", "student")
    }
    return CasePicture(case_id, title, random.uniform(size=(*shape, 3)), label, valid, methods)


def make_results(methods=None, **fields) -> EvaluationResults:
    if methods is None:
        names = ("single", "deep_ensemble", "student")
        methods = [make_method(name, seed=seed) for seed, name in enumerate(names)]
    fields.setdefault("class_names", ["background", "vessel"])
    return EvaluationResults("EYES", "test", methods, **fields)


@pytest.fixture
def results() -> EvaluationResults:
    row = {"epoch": 1.0, "loss": 0.5, "label": 0.4, "learning_rate": 1e-3}
    history = [row, {**row, "epoch": 2.0, "val_dice": 0.7, "label": float("nan")}]
    return make_results(
        settings={"members": "5", "temperature": "2.0"},
        histories={"member 0": history, "member 1": history, "student": history},
        pictures=[make_picture()],
    )
