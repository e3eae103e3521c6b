from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from monai.handlers import from_engine

from medkd.handlers import (
    BrierScoreHandler,
    ExpectedCalibrationErrorHandler,
    NegativeLogLikelihoodHandler,
)
from medkd.metrics import (
    BrierScoreMetric,
    ExpectedCalibrationErrorMetric,
    NegativeLogLikelihoodMetric,
)

CLASSES = 3
HANDLERS = [
    (ExpectedCalibrationErrorHandler, ExpectedCalibrationErrorMetric),
    (BrierScoreHandler, BrierScoreMetric),
    (NegativeLogLikelihoodHandler, NegativeLogLikelihoodMetric),
]
pytestmark = pytest.mark.parametrize(
    ("handler_class", "metric_class"), HANDLERS, ids=["ece", "brier", "nll"]
)


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def batches(request):
    """Two batches as a MONAI evaluator leaves them: a list of dicts of channel-first cases."""
    generator = torch.Generator().manual_seed(10)

    def case(width):
        shape = (*request.param[:-1], width)
        return {
            "probs": torch.softmax(torch.randn(CLASSES, *shape, generator=generator), dim=0),
            "label": torch.randint(0, CLASSES, (1, *shape), generator=generator),
            "mask": torch.rand(1, *shape, generator=generator) > 0.3,
        }

    return [[case(7), case(5)], [case(6)]]


def run(handler, batches):
    engine = Engine(lambda _, batch: batch)
    handler.attach(engine, "score")
    return engine.run(batches)


@pytest.mark.parametrize("keys", [["probs", "label"], ["probs", "label", "mask"]], ids=len)
def test_engine_equals_metric(handler_class, metric_class, batches, keys):
    state = run(handler_class(output_transform=from_engine(keys)), batches)
    metric = metric_class()
    for batch in batches:
        metric(*([case[key] for case in batch] for key in keys))
    assert state.metrics["score"] == metric.aggregate().item()
    assert torch.equal(state.metric_details["score"], metric.get_buffer())


def test_every_run_starts_afresh(handler_class, metric_class, batches):  # noqa: ARG001
    handler = handler_class(output_transform=from_engine(["probs", "label", "mask"]))
    engine = Engine(lambda _, batch: batch)
    handler.attach(engine, "score")
    first = engine.run(batches).metrics["score"]
    assert engine.run(batches).metrics["score"] == first
    assert len(engine.state.metric_details["score"]) == 3


def test_is_made_from_json(handler_class, metric_class, batches):
    config = {
        "handler": {
            "_target_": f"medkd.handlers.{handler_class.__name__}",
            "output_transform": "$monai.handlers.from_engine(['probs', 'label', 'mask'])",
        },
        "imports": ["$import monai"],
    }
    handler = ConfigParser(config).get_parsed_content("handler")
    assert isinstance(handler.metric_fn, metric_class)
    assert 0.0 < run(handler, batches).metrics["score"] < 5.0


def test_rejects_output_of_another_length(handler_class, metric_class, batches):  # noqa: ARG001
    handler = handler_class(output_transform=from_engine(["probs"]))
    with pytest.raises(ValueError, match=r"\(probs, label\) or \(probs, label, mask\), but got 1"):
        handler.update((batches[0][0]["probs"],))


def test_rejects_reduction_at_once(handler_class, metric_class):  # noqa: ARG001
    with pytest.raises(ValueError, match="`reduction` to be one of"):
        handler_class(reduction="median")
