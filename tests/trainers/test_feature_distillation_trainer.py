from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet

from medkd.losses import (
    ContrastiveRepresentationLoss,
    DistillationKLLoss,
    SupervisedInfoNCELoss,
    losses_by_feature,
)
from medkd.networks import FeatureStudent, TwoTaskNetwork, feature_channels, weighted_features
from medkd.teachers import FeatureTeacher, TeacherEnsemble
from medkd.trainers import DistillationTrainer, FeatureDistillationTrainer

CLASSES = 3
FEATURES = {"encoder": "model.0", "bottleneck": "model.1.submodule"}
KINDS = {
    "supervised": partial(SupervisedInfoNCELoss, embedding_dim=8, num_positions=30),
    "representation": partial(
        ContrastiveRepresentationLoss,
        embedding_dim=8, num_positions=30, num_negatives=40, bank_size=80,
    ),
}  # fmt: skip


@pytest.fixture(params=[(8, 12), (8, 4, 12)], ids=["2d", "3d"])
def spatial(request):
    return request.param


def unet(spatial, seed=0, channels=(4, 8)):
    torch.manual_seed(seed)
    return UNet(len(spatial), 1, CLASSES, channels, (2,), norm="batch")


def batches(spatial, count=3):
    generator = torch.Generator().manual_seed(7)
    return [
        {
            "image": torch.randn(2, 1, *spatial, generator=generator),
            "label": torch.randint(0, CLASSES, (2, 1, *spatial), generator=generator),
        }
        for _ in range(count)
    ]


def parts(spatial, kind="supervised"):
    """A student, its module in training, and two teachers that are wider."""
    student = unet(spatial)
    teachers = [unet(spatial, seed, channels=(6, 10)) for seed in (1, 2)]
    feature_teacher = FeatureTeacher(teachers, FEATURES)
    shape = (1, 1, *spatial)
    losses = losses_by_feature(
        KINDS[kind],
        student_channels=feature_channels(student, FEATURES, shape),
        teacher_channels=feature_teacher.channels(shape),
    )
    return student, FeatureStudent(student, FEATURES, losses), feature_teacher


def trained(network, data, *, engine=FeatureDistillationTrainer, **kwargs):
    settings = {
        "device": "cpu",
        "max_epochs": 1,
        "train_data_loader": data,
        "network": network,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.05),
        "label_loss": DiceCELoss(to_onehot_y=True, softmax=True),
        "distillation_weight": 0.0,
    }
    trainer = engine(**{**settings, **kwargs})
    torch.manual_seed(3)
    trainer.run()
    return trainer


WEIGHTS = {"encoder": 0.25, "bottleneck": 0.5}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amp", [False, True], ids=["float32", "amp"])
def test_a_step_moves_student_and_projections_and_no_teacher(spatial, kind, amp):
    student, network, teacher = parts(spatial, kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    teachers = {name: value.clone() for name, value in teacher.state_dict().items()}
    trained(
        network, batches(spatial), feature_teacher=teacher, own_weights=WEIGHTS, amp=amp,
        max_grad_norm=1.0,
    )  # fmt: skip
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, teachers[name])
    moved = {name for name, value in network.state_dict().items() if not value.equal(before[name])}
    projections = [name for name in before if "projection" in name and name.endswith("weight")]
    assert len(projections) == 2 * 3
    assert set(projections) <= moved
    assert all(value.isfinite().all() for value in student.state_dict().values())


def test_loss_is_the_weighted_sum_of_its_terms(spatial):
    _, network, feature_teacher = parts(spatial)
    teacher = TeacherEnsemble([unet(spatial, 5)], temperature=2.0)
    state = trained(
        network, batches(spatial), feature_teacher=feature_teacher, own_weights=WEIGHTS,
        teacher=teacher, distillation_weight=0.3, distillation_loss=DistillationKLLoss(2.0),
    ).state  # fmt: skip
    terms = {name: term.item() for name, term in state.output["loss_terms"].items()}
    assert list(terms) == ["label", "distillation", "encoder", "bottleneck"]
    expected = 0.7 * terms["label"] + 0.3 * terms["distillation"]
    expected += 0.25 * terms["encoder"] + 0.5 * terms["bottleneck"]
    assert state.output["loss"].item() == pytest.approx(expected, rel=1e-6)


def test_with_one_channel_probabilities_teach_too(spatial):
    """The fault of the released code: softmax over one channel, which is always one."""

    def one_channel(seed):
        torch.manual_seed(seed)
        return UNet(len(spatial), 1, 1, (4, 8), (2,), norm="batch")

    data = batches(spatial)
    for batch in data:
        batch["label"] = (batch["label"] > 0).long()
    student, members = one_channel(0), [one_channel(seed) for seed in (1, 2)]
    before = next(student.parameters()).clone()
    state = trained(
        student, data, teacher=TeacherEnsemble(members, temperature=2.0), distillation_weight=1.0,
        distillation_loss=DistillationKLLoss(2.0), label_loss=DiceCELoss(sigmoid=True),
    ).state  # fmt: skip
    assert state.output["loss_terms"]["distillation"].item() > 1e-4
    assert not torch.equal(next(student.parameters()), before)


def test_without_feature_teacher_it_is_distillation(spatial):
    first, second = unet(spatial), unet(spatial)
    trained(first, batches(spatial))
    trained(second, batches(spatial), engine=DistillationTrainer)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_with_weights_of_zero_the_student_is_trained_as_without(spatial):
    """Its features are left out then, as the bundles do, and no teacher runs."""
    student, _, teacher = parts(spatial)
    weights = dict.fromkeys(FEATURES, 0.0)
    network = FeatureStudent(student, weighted_features(FEATURES, weights), {})
    teacher.register_forward_hook(lambda *_: pytest.fail("a teacher ran"))
    trained(network, batches(spatial), feature_teacher=teacher, own_weights=weights)
    other = unet(spatial)
    trained(other, batches(spatial), engine=DistillationTrainer)
    for one, two in zip(student.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("amp", [False, True], ids=["float32", "amp"])
def test_a_teacher_of_two_tasks_learns_both(spatial, amp):
    """It needs no teacher; the second decoder is in the optimizer, and the encoder feels it."""
    student = unet(spatial)
    torch.manual_seed(4)
    network = TwoTaskNetwork(student, FEATURES.values(), (1, 1, *spatial))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = trained(network, batches(spatial), own_weights={"reconstruction": 0.2}, amp=amp).state
    terms = {name: term.item() for name, term in state.output["loss_terms"].items()}
    assert list(terms) == ["label", "reconstruction"]
    expected = terms["label"] + 0.2 * terms["reconstruction"]
    assert state.output["loss"].item() == pytest.approx(expected, rel=1e-5)
    moved = {name for name, value in network.state_dict().items() if not value.equal(before[name])}
    weights = {name for name, _ in network.named_parameters() if name.endswith("weight")}
    assert {name for name in weights if name.startswith("decoder.")} <= moved
    alone = unet(spatial)
    trained(alone, batches(spatial), amp=amp)
    encoders = [next(network.model[0].parameters()) for network in (alone, student)]
    assert not torch.equal(*encoders)


def test_features_come_closer(spatial):
    _, network, teacher = parts(spatial)
    data = batches(spatial, count=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    settings = {"feature_teacher": teacher, "own_weights": dict.fromkeys(FEATURES, 1.0)}
    found = [
        trained(network, data, optimizer=optimizer, **settings).state.output["loss_terms"]
        for _ in range(25)
    ]
    for name in FEATURES:
        assert found[-1][name] < found[0][name]


class TestRejects:
    @pytest.mark.parametrize("weight", [-0.1, math.nan, math.inf])
    def test_weights(self, weight):
        spatial = (8, 12)
        match = f"`own_weights` to be finite and zero or more, but got {weight} for 'encoder'"
        with pytest.raises(ValueError, match=match):
            trained(unet(spatial), [], own_weights={"encoder": weight})

    def test_weights_of_other_features(self):
        spatial = (8, 12)
        _, network, teacher = parts(spatial)
        match = (
            r"`own_weights` for the network's losses \['bottleneck', 'encoder'\], but got \['a'\]"
        )
        with pytest.raises(ValueError, match=match):
            trained(network, batches(spatial), feature_teacher=teacher, own_weights={"a": 1.0})

    def test_features_of_other_names(self):
        with pytest.raises(ValueError, match=r"student's features, \['a'\], to be the teachers'"):
            losses_by_feature(
                SupervisedInfoNCELoss, student_channels={"a": 1}, teacher_channels={"b": [1]}
            )
