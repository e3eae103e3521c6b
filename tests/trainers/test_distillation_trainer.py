from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch import nn

from medkd.functional import distillation_kl
from medkd.losses import DistillationKLLoss
from medkd.teachers import SoftLabelStore, TeacherEnsemble
from medkd.trainers import DistillationTrainer

CLASSES = 3


@pytest.fixture(params=[(8, 12), (8, 4, 12)], ids=["2d", "3d"])
def spatial(request):
    return request.param


def unet(spatial, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return UNet(len(spatial), 1, CLASSES, (4, 8), (2,), norm="batch", dropout=dropout)


def batches(spatial, count=3, size=2):
    generator = torch.Generator().manual_seed(7)
    return [
        {
            "image": torch.randn(size, 1, *spatial, generator=generator),
            "label": torch.randint(0, CLASSES, (size, 1, *spatial), generator=generator),
            "soft_label": torch.softmax(
                torch.randn(size, CLASSES, *spatial, generator=generator), dim=1
            ),
        }
        for _ in range(count)
    ]


def values(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def trained(engine, network, data, learning_rate=0.1, **kwargs):
    """The engine after its run over ``data``, seeded."""
    trainer = engine(
        device="cpu",
        max_epochs=1,
        train_data_loader=data,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9),
        **kwargs,
    )
    torch.manual_seed(3)
    trainer.run()
    return trainer


def distilled(network, data, **kwargs):
    settings = {
        "label_loss": DiceCELoss(to_onehot_y=True, softmax=True),
        "distillation_loss": DistillationKLLoss(temperature=2.0),
    }
    return trained(DistillationTrainer, network, data, **{**settings, **kwargs})


class Constant(nn.Module):
    """A network that says its parameter at every voxel, or several heads of it."""

    def __init__(self, *logits, shrink=(1,)):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.shrink = shrink

    def forward(self, image):
        shape = (1, -1, *(1,) * (image.dim() - 2))
        heads = [
            self.logits.view(shape).expand(len(image), -1, *(s // k for s in image.shape[2:]))
            for k in self.shrink
        ]
        return heads if len(heads) > 1 else heads[0]


class HeadMean(nn.Module):
    """A loss whose value says which head it was given."""

    def forward(self, logits, label):
        assert logits.shape[2:] == label.shape[2:]
        return logits.mean()


class TestLimits:
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_weight_zero_is_plain_supervised_training_bit_for_bit(self, spatial, dropout):
        loss = DiceCELoss(to_onehot_y=True, softmax=True)
        first, second = unet(spatial, dropout=dropout), unet(spatial, dropout=dropout)
        data = batches(spatial)
        plain = trained(SupervisedTrainer, first, data, loss_function=loss, decollate=False)
        ours = trained(DistillationTrainer, second, data, label_loss=loss, distillation_weight=0.0)
        assert torch.equal(plain.state.output["loss"], ours.state.output["loss"])
        assert torch.equal(plain.state.output["pred"], ours.state.output["pred"])
        state = second.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())

    def test_weight_zero_looks_at_no_soft_label(self, spatial):
        data = batches(spatial)
        for batch in data:
            batch["soft_label"] = "never read"
        trainer = distilled(unet(spatial), data, distillation_weight=0)
        assert trainer.state.output["loss_terms"].keys() == {"label"}

    def test_weight_one_is_the_soft_label_alone(self, spatial):
        data, network = batches(spatial, count=1), unet(spatial)
        trainer = distilled(network, data, distillation_weight=1.0, learning_rate=0.0)
        output = trainer.state.output
        expected = distillation_kl(output["pred"], data[0]["soft_label"], temperature=2.0)
        torch.testing.assert_close(output["loss"], expected)


class TestLoss:
    def test_is_the_weighted_sum_of_its_terms(self, spatial):
        # Cross-entropy of odds 1:1:2 at class 2 is log 2; the teacher is certain of class 0, which
        # the student gives a quarter.
        network = Constant(0.0, 0.0, math.log(2))
        batch = batches(spatial, count=1)[0]
        batch["label"] = torch.full_like(batch["label"], 2)
        batch["soft_label"] = torch.zeros_like(batch["soft_label"])
        batch["soft_label"][:, 0] = 1.0
        trainer = distilled(
            network,
            [batch],
            label_loss=DiceCELoss(to_onehot_y=True, softmax=True, lambda_dice=0.0),
            distillation_loss=DistillationKLLoss(temperature=1.0),
            distillation_weight=0.25,
        )
        terms = trainer.state.output["loss_terms"]
        assert terms.keys() == {"label", "distillation"}
        assert terms["label"].item() == pytest.approx(math.log(2), rel=1e-5)
        assert terms["distillation"].item() == pytest.approx(math.log(4), rel=1e-5)
        expected = 0.75 * math.log(2) + 0.25 * math.log(4)
        assert trainer.state.output["loss"].item() == pytest.approx(expected, rel=1e-5)
        assert not any(term.requires_grad for term in terms.values())

    def test_output_is_what_monai_names(self, spatial):
        data = batches(spatial)
        output = distilled(unet(spatial), data).state.output
        assert output.keys() == {"image", "label", "pred", "loss", "loss_terms"}
        assert torch.equal(output["image"], data[-1]["image"])
        assert torch.equal(output["label"], data[-1]["label"])

    def test_soft_labels_may_have_another_key(self, spatial):
        data = batches(spatial)
        expected = distilled(unet(spatial), data).state.output["loss"]
        renamed = [{**b, "teacher_says": b.pop("soft_label")} for b in batches(spatial)]
        found = distilled(unet(spatial), renamed, soft_label_key="teacher_says")
        assert torch.equal(found.state.output["loss"], expected)

    def test_batches_are_not_modified(self, spatial):
        data = batches(spatial)
        distilled(unet(spatial), data)
        for batch, before in zip(data, batches(spatial), strict=True):
            assert all(torch.equal(batch[key], before[key]) for key in before)


class TestTeacher:
    def teacher(self, spatial):
        return TeacherEnsemble([unet(spatial, seed) for seed in (1, 2)], temperature=2.0)

    def test_a_step_moves_the_student_and_not_the_teacher(self, spatial):
        student, teacher = unet(spatial), self.teacher(spatial)
        before, teacher_before = values(student), values(teacher)
        distilled(student, batches(spatial), teacher=teacher)
        # A bias before a batch norm has no effect, hence no gradient.
        kernels = [(name, p) for name, p in student.named_parameters() if p.dim() > 1]
        assert all(not torch.equal(parameter, before[name]) for name, parameter in kernels)
        assert all(torch.equal(v, teacher_before[n]) for n, v in teacher.state_dict().items())
        assert all(parameter.grad is None for parameter in teacher.parameters())

    def test_in_the_loop_equals_its_stored_soft_labels(self, spatial, tmp_path):
        teacher, store, data = self.teacher(spatial), SoftLabelStore(tmp_path), batches(spatial)
        in_the_loop = distilled(
            unet(spatial), [{**b, "soft_label": None} for b in data], teacher=teacher
        )
        for number, batch in enumerate(data):
            for case, probs in enumerate(teacher(batch["image"])):
                store.write(f"{number}_{case}", probs, source_sha256="")
            batch["soft_label"] = torch.stack([store.read(f"{number}_{case}") for case in (0, 1)])
        stored = distilled(unet(spatial), data)
        # A byte for a probability costs 2.5e-5 nats of KL and class, times the temperature squared.
        torch.testing.assert_close(
            in_the_loop.state.output["loss_terms"], stored.state.output["loss_terms"],
            atol=2e-3, rtol=0,
        )  # fmt: skip

    def test_in_the_loop_equals_its_exact_probabilities_bit_for_bit(self, spatial):
        teacher, data = self.teacher(spatial), batches(spatial)
        first, second = unet(spatial), unet(spatial)
        distilled(first, data, teacher=teacher)
        distilled(second, [{**b, "soft_label": teacher(b["image"])} for b in data])
        state = second.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())

    def test_distillation_alone_brings_the_student_closer(self, spatial):
        teacher, student, data = self.teacher(spatial), unet(spatial), batches(spatial, count=1)
        losses = [
            distilled(student, data, teacher=teacher, distillation_weight=1.0).state.output["loss"]
            for _ in range(5)
        ]
        assert losses[-1] < losses[0]


class TestStep:
    @pytest.mark.parametrize("amp", [False, True], ids=["float32", "amp"])
    def test_gradients_are_clipped(self, spatial, amp):
        norms = []

        class Watched(torch.optim.SGD):
            def step(self, closure=None):
                parameters = [p for group in self.param_groups for p in group["params"]]
                norms.append(nn.utils.get_total_norm([p.grad for p in parameters]).item())
                return super().step(closure)

        def run(max_grad_norm):
            norms.clear()
            network = unet(spatial)
            DistillationTrainer(
                device="cpu",
                max_epochs=1,
                train_data_loader=batches(spatial, count=2),
                network=network,
                optimizer=Watched(network.parameters(), lr=0.1),
                label_loss=DiceCELoss(to_onehot_y=True, softmax=True),
                distillation_weight=0,
                max_grad_norm=max_grad_norm,
                amp=amp,
            ).run()
            return list(norms)

        free = run(None)
        assert min(free) > 0.05
        assert run(0.05) == pytest.approx([0.05, 0.05], rel=1e-4)
        assert run(1e6) == free

    def test_amp_on_a_cpu_computes_in_bfloat16_and_trains(self, spatial):
        network, data = unet(spatial), batches(spatial)
        exact = distilled(unet(spatial), data)
        trainer = distilled(network, data, amp=True)
        assert trainer.state.output["pred"].dtype == torch.bfloat16
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        assert trainer.state.output["loss"].item() == pytest.approx(
            exact.state.output["loss"].item(), rel=0.05
        )

    def test_events_come_in_monais_order(self, spatial):
        seen = []
        network = unet(spatial)
        trainer = DistillationTrainer(
            device="cpu",
            max_epochs=1,
            train_data_loader=batches(spatial, count=1),
            network=network,
            optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
            label_loss=DiceCELoss(to_onehot_y=True, softmax=True),
            distillation_loss=DistillationKLLoss(temperature=1.0),
        )
        for event in IterationEvents:
            trainer.add_event_handler(event, partial(seen.append, event))
        trainer.add_event_handler(Events.ITERATION_COMPLETED, partial(seen.append, "done"))
        trainer.run()
        assert seen == [
            IterationEvents.FORWARD_COMPLETED,
            IterationEvents.LOSS_COMPLETED,
            IterationEvents.BACKWARD_COMPLETED,
            IterationEvents.MODEL_COMPLETED,
            "done",
        ]

    def test_decollated_output_is_what_the_engine_keeps(self, spatial):
        output = distilled(unet(spatial), batches(spatial), decollate=True).state.output
        assert isinstance(output, list)
        assert [case["pred"].shape for case in output] == [(CLASSES, *spatial)] * 2
        assert output[0]["loss_terms"].keys() == {"label", "distillation"}


class TestDeepSupervision:
    def test_heads_of_a_list_are_weighted_by_halves(self):
        # Heads 0, 1 and 2 say 8, 4 and 2: (8 + 4/2 + 2/4) / (1 + 1/2 + 1/4).
        class ThreeHeads(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.tensor(1.0))

            def forward(self, image):
                size = (len(image), CLASSES)
                (height, width) = image.shape[2:]
                return [
                    self.scale * torch.full((*size, height // k, width // k), 8.0 / k)
                    for k in (1, 2, 4)
                ]

        trainer = distilled(
            ThreeHeads(),
            batches((8, 12), count=1),
            label_loss=HeadMean(),
            distillation_loss=HeadMean(),
            distillation_weight=0.5,
        )
        output = trainer.state.output
        assert output["loss"].item() == pytest.approx(10.5 / 1.75)
        assert [t.item() for t in output["loss_terms"].values()] == pytest.approx([6.0, 6.0])
        assert output["pred"].shape == (2, CLASSES, 8, 12)

    def test_equal_heads_are_one_head(self, spatial):
        data = batches(spatial, count=2)
        one = distilled(Constant(0.0, 1.0, 2.0), data).state.output
        three = distilled(Constant(0.0, 1.0, 2.0, shrink=(1, 2, 4)), data).state.output
        torch.testing.assert_close(one["loss"], three["loss"])
        torch.testing.assert_close(one["loss_terms"], three["loss_terms"])

    def test_a_stack_of_heads_as_of_dynunet(self):
        from monai.networks.nets import DynUNet

        def network():
            torch.manual_seed(0)
            return DynUNet(
                2, 1, CLASSES, kernel_size=[3] * 3, strides=[1, 2, 2], upsample_kernel_size=[2, 2],
                filters=[4, 6, 8], deep_supervision=True, deep_supr_num=1,
            )  # fmt: skip

        data = batches((16, 24), count=1)
        student = network()
        stack = student.train()(data[0]["image"])
        assert stack.shape == (2, 2, CLASSES, 16, 24)  # (B, heads, C, *spatial)
        loss = DistillationKLLoss(temperature=2.0)
        heads = [loss(stack[:, head], data[0]["soft_label"]).item() for head in (0, 1)]
        teacher = TeacherEnsemble([network()], temperature=2.0)
        assert teacher(data[0]["image"]).shape == (2, CLASSES, 16, 24)
        output = distilled(network(), data).state.output
        found = output["loss_terms"]["distillation"].item()
        assert found == pytest.approx((heads[0] + heads[1] / 2) / 1.5, rel=1e-5)
        torch.testing.assert_close(output["pred"], stack[:, 0])


class TestRejects:
    def make(self, **kwargs):
        network = Constant(0.0, 1.0, 2.0)
        settings = {
            "device": "cpu",
            "max_epochs": 1,
            "train_data_loader": [],
            "network": network,
            "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
            "label_loss": HeadMean(),
            "distillation_loss": HeadMean(),
        }
        return DistillationTrainer(**{**settings, **kwargs})

    @pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
    def test_rejects_weight(self, weight):
        match = f"`distillation_weight` to be between 0 .* and 1 .*, but got {weight}"
        with pytest.raises(ValueError, match=match):
            self.make(distillation_weight=weight)

    def test_rejects_weight_without_a_loss(self):
        match = "`distillation_loss` when `distillation_weight` is above zero, but got None with"
        with pytest.raises(ValueError, match=match):
            self.make(distillation_loss=None)
        assert self.make(distillation_loss=None, distillation_weight=0.0).distillation_loss is None

    def test_rejects_accumulation(self):
        with pytest.raises(ValueError, match=r"`accumulation_steps` to be 1, .* but got 4"):
            self.make(accumulation_steps=4)

    def test_rejects_a_batch_without_soft_labels(self, spatial):
        data = batches(spatial, count=1)
        del data[0]["soft_label"]
        match = r"soft labels as `soft_label`, or a `teacher` .* got \['image', 'label'\] and no"
        with pytest.raises(RuntimeError, match=match):
            distilled(unet(spatial), data)
