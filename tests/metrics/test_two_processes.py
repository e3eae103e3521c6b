"""Two processes that share the cases out aggregate to what one process gets with all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing

import medkd.metrics
from medkd.metrics import (
    AdaptiveCalibrationErrorMetric,
    AreaUnderRiskCoverageMetric,
    BrierDecompositionMetric,
    BrierScoreMetric,
    ClasswiseCalibrationErrorMetric,
    ErrorDetectionMetric,
    ExpectedCalibrationErrorMetric,
    MaskedMetric,
    MaximumCalibrationErrorMetric,
    NegativeLogLikelihoodMetric,
)

CLASSES = 3
SIZES = [(9, 8), (6, 5, 4), (7, 12), (13,), (5, 6)]  # every case has another size

METRICS = {
    "ace": AdaptiveCalibrationErrorMetric,
    "aurc": AreaUnderRiskCoverageMetric,
    "excess_aurc": lambda: AreaUnderRiskCoverageMetric(excess=True),
    "brier": BrierScoreMetric,
    "brier_decomposition": BrierDecompositionMetric,
    "classwise_ece": ClasswiseCalibrationErrorMetric,
    "ece": ExpectedCalibrationErrorMetric,
    "error_auroc": ErrorDetectionMetric,
    "mce": MaximumCalibrationErrorMetric,
    "nll": NegativeLogLikelihoodMetric,
}

# How many cases each process has.
SPLITS = {"half": (2, 2), "uneven": (3, 2), "all in the second": (0, 5), "one case": (1, 0)}

# What else than the scores a metric gathers, as a method that returns a dataclass of tensors.
BINS = {
    "aurc": "error_bins",
    "brier_decomposition": "decomposition",
    "ece": "reliability_bins",
}


def make_case(number):
    """Probabilities, label and mask of one case; the fourth has no valid voxel."""
    generator = torch.Generator().manual_seed(number)
    spatial = SIZES[number]
    probs = torch.softmax(torch.randn(CLASSES, *spatial, generator=generator) * 2, dim=0)
    label = torch.randint(0, CLASSES, (1, *spatial), generator=generator)
    mask = torch.rand(1, *spatial, generator=generator) > 0.3
    return probs, label, mask & (number != 3)


def results_of(name, cases):
    """What a metric says after these cases, and once more after a reset and one batch of them."""
    metric = METRICS[name]()
    for probs, label, mask in map(make_case, cases):
        metric(probs[None], label[None], mask[None])
    results = read(name, metric)
    metric.reset()
    if cases:
        metric(*(list(part) for part in zip(*map(make_case, cases), strict=True)))
    return results, read(name, metric)


def read(name, metric):
    results = {"mean": metric.aggregate(), "buffer": metric.get_buffer()}
    if name in BINS:
        results |= vars(getattr(metric, BINS[name])())
    return results


def run_process(rank, folder):
    """The life of one of the processes: every metric on every split of the cases."""
    os.environ["LOCAL_RANK"] = str(rank)  # as torchrun does; ignite would warn
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    results = {}
    for split, counts in SPLITS.items():
        first = sum(counts[:rank])
        own = range(first, first + counts[rank])
        results[split] = {name: results_of(name, own) for name in METRICS}
    try:
        BrierScoreMetric().aggregate()  # no process saw a case
    except RuntimeError as error:
        results["nothing"] = str(error)
    torch.save(results, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The results of the two processes."""
    folder = tmp_path_factory.mktemp("two_processes")
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=120)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", METRICS)
def test_equals_one_process_exactly(both, name, split):
    expected = results_of(name, range(sum(SPLITS[split])))
    for results in both:
        for round_, of_one in zip(results[split][name], expected, strict=True):
            assert round_.keys() == of_one.keys()
            for key, tensor in of_one.items():
                assert round_[key].dtype == tensor.dtype, key
                assert round_[key].shape == tensor.shape, key
                torch.testing.assert_close(
                    round_[key], tensor, rtol=0, atol=0, equal_nan=True, msg=key
                )


def test_every_metric_is_here():
    public = [getattr(medkd.metrics, name) for name in medkd.metrics.__all__]
    metrics = {one for one in public if isinstance(one, type) and issubclass(one, MaskedMetric)} - {
        MaskedMetric
    }
    assert {type(make()) for make in METRICS.values()} == metrics


def test_rejects_aggregation_of_nothing_in_every_process(both):
    for results in both:
        assert "to be called before it is aggregated, but got no case" in results["nothing"]


if __name__ == "__main__":
    # Forked from a process that has imported MONAI and done nothing yet: importing it twice is what
    # would take the time.
    torch.multiprocessing.start_processes(
        run_process, args=(Path(sys.argv[1]),), nprocs=2, start_method="fork"
    )
