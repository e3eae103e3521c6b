from __future__ import annotations

import math

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.planning import plan_bundle

_HIPPOCAMPUS = ((35, 50, 36), (1.0, 1.0, 1.0))
_BODY = ((512, 512, 200), (0.8, 0.8, 2.5))
_HEART = ((216, 256, 10), (1.5, 1.5, 10.0))
_SLAB = ((60, 50, 5), (1.0, 1.0, 1.0))


def test_small_volumes_are_taken_whole_with_a_narrow_network(make_fingerprint):
    plan = plan_bundle(make_fingerprint(*_HIPPOCAMPUS, classes=("anterior", "posterior")))
    assert plan["patch_size"] == [40, 56, 40]
    assert plan["strides"] == [2, 2, 2]
    assert plan["channels"] == [16, 32, 64, 128]
    assert (plan["num_classes"], plan["num_channels"], plan["num_members"]) == (3, 1, 5)


@pytest.mark.parametrize(
    ("shape", "spacing", "method"),
    [
        (*_HIPPOCAMPUS, "end_kl"),
        (*_BODY, "end_kl"),
        (*_HEART, "kd_diverse"),
        (*_SLAB, "kd_diverse"),
    ],
)
def test_fits_the_memory_and_every_network_runs(make_fingerprint, shape, spacing, method):
    plan = plan_bundle(make_fingerprint(shape, spacing), method=method, memory=1.0)
    assert plan.memory <= plan.memory_budget == 2**30
    assert all(size % by == 0 for size, by in zip(plan["patch_size"], plan.factors, strict=True))
    assert plan["batch_size"] >= 2


def test_five_slices_are_not_halved(make_fingerprint):
    plan = plan_bundle(make_fingerprint(*_SLAB))
    assert plan["patch_size"][2] == 5
    assert plan.factors[2] == 1
    ids = dict(plan.template.train, strides=plan["strides"], channels=plan["channels"])
    network = ConfigParser(ids | {"num_classes": 2}).get_parsed_content("network_def")
    assert network(torch.zeros(1, 1, *plan["patch_size"])).shape == (1, 2, *plan["patch_size"])


def test_more_memory_makes_a_larger_patch(make_fingerprint):
    fingerprint = make_fingerprint(*_BODY, modality="CT")
    sizes = [math.prod(plan_bundle(fingerprint, memory=memory)["patch_size"]) for memory in (1, 8)]
    assert sizes == sorted(set(sizes))


def test_methods_differ_in_what_the_student_learns(make_fingerprint):
    fingerprint = make_fingerprint()
    weights = {m: plan_bundle(fingerprint, method=m) for m in ("end_kl", "kd_uniform")}
    assert {m: p["distillation_weight"] for m, p in weights.items()} == {
        "end_kl": 0.7,
        "kd_uniform": 1.0,
    }


def test_peers_are_planned_together(make_fingerprint):
    """Two networks, each on labeled and unlabeled patches: four times the memory of a patch."""
    arguments = {"fingerprint": make_fingerprint(*_BODY, modality="CT"), "memory": 4.0}
    alone, peers = (plan_bundle(method=m, **arguments) for m in ("kd_uniform", "dmd"))
    assert math.prod(peers["patch_size"]) < math.prod(alone["patch_size"])
    assert peers.memory <= peers.memory_budget
    assert peers["unlabeled_batch_size"] == peers["batch_size"]
    assert (peers["mutual_weight"], peers["distillation_temperature"], peers["num_labeled"]) == (
        4.0,
        2.0,
        0,
    )
    assert peers["num_epochs"] * peers["steps_per_epoch"] >= 15_000


def test_unlabeled_cases_are_counted(make_fingerprint):
    reason = plan_bundle(make_fingerprint(num_unlabeled=7), method="dmd").choices["num_labeled"]
    assert reason.reason.startswith(
        "0 stands for all of the 3 training cases that have a label; 7 have none."
    )
    assert "`--num_labeled 8`" not in reason.reason


@pytest.mark.parametrize("method", ["end_kl", "dmd"])
def test_every_choice_has_a_reason(make_fingerprint, method):
    for name, choice in plan_bundle(make_fingerprint(), method=method).choices.items():
        assert choice.reason.endswith("."), name


def test_rejects_unlabeled_cases_for_an_ensemble(make_fingerprint):
    with pytest.raises(ValueError, match="for the method end_kl, but 2 of 10 have none"):
        plan_bundle(make_fingerprint(num_unlabeled=2))


def test_rejects_memory_too_small(make_fingerprint):
    with pytest.raises(
        ValueError, match=r"smallest patch, \(\d+, \d+, \d+\), which takes 0\.\d+ GiB"
    ):
        plan_bundle(make_fingerprint(), memory=0.001)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "dark"},
            "`method` to be one of end_kl, end_crd, .*, mtms_kd, but got 'dark'",
        ),
        ({"memory": 0}, "`memory` to be above 0 GiB, but got 0"),
        ({"memory": float("nan")}, "`memory` to be above 0 GiB, but got nan"),
        ({"num_members": 0}, "`num_members` to be at least 1, but got 0"),
        ({"method": "kd_diverse", "num_members": 7}, "to be 1 to 6, .* but got 7"),
        ({"method": "dmd", "num_members": 3}, "no `num_members` for a method without an ensemble"),
    ],
)
def test_rejects_arguments(make_fingerprint, arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_bundle(make_fingerprint(), **arguments)
