from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.losses import DiceCELoss, DiceLoss
from monai.networks.nets import BasicUNet, DynUNet, UNet
from torch import nn

from medkd.functional import consistency, mutual_dice
from medkd.losses import ConsistencyLoss, CrossPseudoLabelLoss, MutualDiceLoss, MutualKLLoss
from medkd.networks import MeanTeacher, PeerNetworks
from medkd.trainers import DistillationTrainer, MutualDistillationTrainer

CLASSES = 3
LABELED, UNLABELED = 2, 3


@pytest.fixture(params=[(8, 12), (8, 4, 12)], ids=["2d", "3d"])
def spatial(request):
    return request.param


def unet(spatial, seed=0):
    torch.manual_seed(seed)
    return UNet(len(spatial), 1, CLASSES, (4, 8), (2,), norm="batch")


def batches(spatial, count=3):
    generator = torch.Generator().manual_seed(7)
    return [
        {
            "image": torch.randn(LABELED, 1, *spatial, generator=generator),
            "label": torch.randint(0, CLASSES, (LABELED, 1, *spatial), generator=generator),
            "unlabeled_image": torch.randn(UNLABELED, 1, *spatial, generator=generator),
        }
        for _ in range(count)
    ]


def values(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def trained(network, data, *, engine=MutualDistillationTrainer, learning_rate=0.1, **kwargs):
    """The engine after its run over ``data``, seeded."""
    settings = {
        "label_loss": DiceCELoss(to_onehot_y=True, softmax=True),
        "max_epochs": 1,
        "optimizer": torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9),
        **({"mutual_loss": MutualDiceLoss(2.0)} if engine is MutualDistillationTrainer else {}),
    }
    trainer = engine(
        device="cpu",
        train_data_loader=data,
        network=network,
        **{**settings, **kwargs},
    )
    torch.manual_seed(3)
    trainer.run()
    return trainer


class Constant(nn.Module):
    """A network that says its parameter at every voxel."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image):
        shape = (1, -1, *(1,) * (image.dim() - 2))
        return self.logits.view(shape).expand(len(image), -1, *image.shape[2:])


class TestWithoutMutualLoss:
    @pytest.mark.parametrize("amp", [False, True], ids=["float32", "amp"])
    @pytest.mark.parametrize("max_grad_norm", [None, 0.05])
    @pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
    def test_equals_supervised_trainings_bit_for_bit(self, spatial, amp, max_grad_norm, optimizer):
        together = [unet(spatial, seed) for seed in (0, 1, 2)]
        alone = [unet(spatial, seed) for seed in (0, 1, 2)]
        kwargs = {"amp": amp, "max_grad_norm": max_grad_norm}
        peers = PeerNetworks(together)
        trained(
            peers, batches(spatial), mutual_weight=0.0, mutual_loss=None,
            optimizer=optimizer(peers.parameters(), lr=0.1), **kwargs,
        )  # fmt: skip
        for first, second in zip(together, alone, strict=True):
            trained(
                second, batches(spatial), engine=DistillationTrainer, distillation_weight=0.0,
                optimizer=optimizer(second.parameters(), lr=0.1), **kwargs,
            )  # fmt: skip
            assert same(values(first), values(second))

    def test_equals_monais_supervised_training_bit_for_bit(self, spatial):
        first, second = unet(spatial), unet(spatial)
        ours = trained(PeerNetworks([first, unet(spatial, 1)]), batches(spatial), mutual_weight=0.0)
        loss = DiceCELoss(to_onehot_y=True, softmax=True)
        plain = SupervisedTrainer(
            device="cpu", max_epochs=1, train_data_loader=batches(spatial), network=second,
            optimizer=torch.optim.SGD(second.parameters(), lr=0.1, momentum=0.9),
            loss_function=loss, decollate=False,
        )  # fmt: skip
        plain.run()
        assert same(values(first), values(second))
        assert torch.equal(ours.state.output["pred"], plain.state.output["pred"])
        assert torch.equal(ours.state.output["loss_terms"]["label_1"], plain.state.output["loss"])

    def test_unlabeled_images_are_not_looked_at(self, spatial):
        data = [{**batch, "unlabeled_image": "never read"} for batch in batches(spatial)]
        trainer = trained(PeerNetworks([unet(spatial)]), data, mutual_weight=0)
        assert trainer.state.output["loss_terms"].keys() == {"label_1", "predictive_entropy"}


class TestLoss:
    def test_is_the_weighted_sum_of_its_terms(self, spatial):
        # Odds of 1:1:2 and of 1:1:1 for class 2, which is the label: log 2 and log 3. Foreground
        # of (1/4, 1/2) and of (1/3, 1/3): squared differences over the sums of the squares.
        networks = PeerNetworks([Constant(0.0, 0.0, math.log(2)), Constant(0.0, 0.0, 0.0)])
        batch = batches(spatial, count=1)[0]
        batch["label"] = torch.full_like(batch["label"], 2)
        trainer = trained(
            networks,
            [batch],
            label_loss=DiceCELoss(to_onehot_y=True, softmax=True, lambda_dice=0.0),
            mutual_loss=MutualDiceLoss(1.0),
            mutual_weight=4.0,
        )
        terms = trainer.state.output["loss_terms"]
        assert list(terms) == ["label_1", "label_2", "mutual", "predictive_entropy"]
        first, second = (1 / 4 - 1 / 3) ** 2, (1 / 2 - 1 / 3) ** 2
        dice = (first / (1 / 16 + 1 / 9) + second / (1 / 4 + 1 / 9)) / 2
        assert terms["label_1"].item() == pytest.approx(math.log(2), rel=1e-5)
        assert terms["label_2"].item() == pytest.approx(math.log(3), rel=1e-5)
        assert terms["mutual"].item() == pytest.approx(dice, rel=1e-5)
        assert terms["predictive_entropy"].item() == pytest.approx(1.5 * math.log(2), rel=1e-5)
        expected = math.log(2) + math.log(3) + 4.0 * dice
        assert trainer.state.output["loss"].item() == pytest.approx(expected, rel=1e-5)
        assert not any(term.requires_grad for term in terms.values())

    def test_labels_are_of_the_first_images_and_the_mutual_loss_is_of_all(self, spatial):
        data = batches(spatial, count=1)
        networks = [unet(spatial, seed) for seed in (0, 1)]
        images = torch.cat([data[0]["image"], data[0]["unlabeled_image"]])
        logits = torch.stack([network.train()(images) for network in networks])
        output = trained(PeerNetworks(networks), data, learning_rate=0.0).state.output
        label_loss = DiceCELoss(to_onehot_y=True, softmax=True)
        expected = {
            "label_1": label_loss(logits[0, :LABELED], data[0]["label"]),
            "label_2": label_loss(logits[1, :LABELED], data[0]["label"]),
            "mutual": mutual_dice(logits, temperature=2.0),
            "predictive_entropy": torch.special.entr(logits[0].softmax(1)).sum(1).mean(),
        }
        torch.testing.assert_close(output["loss_terms"], expected)
        torch.testing.assert_close(output["pred"], logits[0, :LABELED])
        assert output.keys() == {"image", "label", "pred", "loss", "loss_terms"}
        assert torch.equal(output["image"], data[0]["image"])

    def test_without_unlabeled_images_it_is_mutual_learning_on_labels(self, spatial):
        data = batches(spatial, count=1)
        del data[0]["unlabeled_image"]
        networks = [unet(spatial, seed) for seed in (0, 1)]
        logits = torch.stack([network.train()(data[0]["image"]) for network in networks])
        output = trained(PeerNetworks(networks), data, learning_rate=0.0).state.output
        expected = mutual_dice(logits, temperature=2.0)
        torch.testing.assert_close(output["loss_terms"]["mutual"], expected)

    def test_unlabeled_images_may_have_another_key(self, spatial):
        expected = trained(PeerNetworks([unet(spatial), unet(spatial, 1)]), batches(spatial))
        renamed = [{**b, "more": b.pop("unlabeled_image")} for b in batches(spatial)]
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])
        found = trained(networks, renamed, unlabeled_key="more")
        assert torch.equal(found.state.output["loss"], expected.state.output["loss"])

    def test_batches_are_not_modified(self, spatial):
        data = batches(spatial)
        trained(PeerNetworks([unet(spatial), unet(spatial, 1)]), data)
        for batch, before in zip(data, batches(spatial), strict=True):
            assert same(batch, before)


class TestRampUp:
    def losses(self, **kwargs):
        """Loss, label term and mutual term at each of six steps in three epochs."""
        found = []

        class Watch:
            def attach(self, engine):
                engine.add_event_handler(Events.ITERATION_COMPLETED, self)

            def __call__(self, engine):
                terms = engine.state.output["loss_terms"]
                labels = terms["label_1"] + terms["label_2"]
                weight = (engine.state.output["loss"] - labels) / terms["mutual"]
                found.append(weight.item())

        spatial = (8, 12)
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])
        trained(
            networks, batches(spatial, count=2), max_epochs=3, train_handlers=[Watch()], **kwargs
        )
        return found

    def test_weight_is_constant_by_default(self):
        assert self.losses(mutual_weight=3.0) == pytest.approx([3.0] * 6, rel=1e-4)

    def test_weight_follows_the_gaussian_over_steps(self):
        # Two steps an epoch and a ramp of two epochs: t / ramp is 0, 1/4, 1/2, 3/4 and then 1.
        expected = [4.0 * math.exp(-5 * (1 - t) ** 2) for t in (0, 0.25, 0.5, 0.75, 1, 1)]
        assert self.losses(mutual_weight=4.0, ramp_up_epochs=2) == pytest.approx(expected, rel=1e-3)

    def test_a_resumed_run_goes_on_in_the_ramp(self):
        spatial = (8, 12)
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])
        settings = {"mutual_weight": 4.0, "ramp_up_epochs": 2, "learning_rate": 0.0}
        output = trained(networks, batches(spatial, count=2), max_epochs=2, **settings).state.output
        resumed = MutualDistillationTrainer(
            device="cpu", max_epochs=2, train_data_loader=batches(spatial, count=2),
            network=networks, optimizer=torch.optim.SGD(networks.parameters(), lr=0.0),
            label_loss=DiceCELoss(to_onehot_y=True, softmax=True), mutual_loss=MutualDiceLoss(2.0),
            mutual_weight=4.0, ramp_up_epochs=2,
        )  # fmt: skip

        @resumed.on(Events.STARTED)
        def go_on():
            resumed.state.epoch, resumed.state.iteration = 1, 2

        resumed.run()
        assert resumed.state.iteration == 4
        torch.testing.assert_close(resumed.state.output["loss"], output["loss"])


class TestNetworks:
    @pytest.mark.parametrize(
        "mutual_loss", [MutualDiceLoss(2.0), MutualKLLoss(), CrossPseudoLabelLoss()]
    )
    def test_a_step_moves_all_networks_by_the_mutual_loss_alone(self, spatial, mutual_loss):
        class Nothing(nn.Module):
            def forward(self, logits, label):
                assert len(logits) == len(label)
                return 0.0 * logits.mean()

        networks = [unet(spatial, seed) for seed in (0, 1, 2)]
        before = [values(network) for network in networks]
        data = batches(spatial, count=1)
        trained(PeerNetworks(networks), data, label_loss=Nothing(), mutual_loss=mutual_loss)
        for network, old in zip(networks, before, strict=True):
            # A bias before a batch norm has no effect, hence no gradient.
            kernels = [(name, p) for name, p in network.named_parameters() if p.dim() > 1]
            assert all(not torch.equal(parameter, old[name]) for name, parameter in kernels)

    def test_architectures_may_differ(self, spatial):
        torch.manual_seed(1)
        other = BasicUNet(len(spatial), 1, CLASSES, (2, 2, 4, 4, 4, 2), norm="batch")
        data = [
            {key: value.repeat(1, 1, *[4] * len(spatial)) for key, value in batch.items()}
            for batch in batches(spatial)
        ]
        networks = PeerNetworks([unet(spatial), other])
        before = values(networks)
        terms = trained(networks, data).state.output["loss_terms"]
        assert all(term.isfinite() for term in terms.values())
        moved = [n for n, v in networks.state_dict().items() if not torch.equal(v, before[n])]
        assert {name.split(".")[1] for name in moved} == {"0", "1"}

    def test_heads_of_deep_supervision_learn_from_labels_and_the_first_from_peers(self):
        def network(seed):
            torch.manual_seed(seed)
            return DynUNet(
                2, 1, CLASSES, kernel_size=[3] * 3, strides=[1, 2, 2], upsample_kernel_size=[2, 2],
                filters=[4, 6, 8], deep_supervision=True, deep_supr_num=1,
            )  # fmt: skip

        data = batches((16, 24), count=1)
        networks = PeerNetworks([network(0), network(1)])
        images = torch.cat([data[0]["image"], data[0]["unlabeled_image"]])
        stacks = [stack.detach() for stack in networks.train()(images)]
        assert stacks[0].shape == (5, 2, CLASSES, 16, 24)  # (B, heads, C, *spatial)
        terms = trained(networks, data, learning_rate=0.0).state.output["loss_terms"]
        loss = DiceCELoss(to_onehot_y=True, softmax=True)
        heads = [loss(stacks[1][:LABELED, head], data[0]["label"]).item() for head in (0, 1)]
        assert terms["label_2"].item() == pytest.approx((heads[0] + heads[1] / 2) / 1.5, rel=1e-5)
        first = torch.stack([stack[:, 0] for stack in stacks])
        torch.testing.assert_close(terms["mutual"], mutual_dice(first, temperature=2.0))

    def test_peers_come_closer(self, spatial):
        networks, data = PeerNetworks([unet(spatial), unet(spatial, 1)]), batches(spatial, count=1)
        found = [
            trained(networks, data, learning_rate=0.01).state.output["loss_terms"]["mutual"]
            for _ in range(5)
        ]
        assert found[-1] < found[0]


class TestMeanTeacher:
    def settings(self, **kwargs):
        return {"mutual_loss": ConsistencyLoss(), "mutual_weight": 0.5, **kwargs}

    def test_student_learns_and_the_teacher_follows(self, spatial):
        network = MeanTeacher(unet(spatial), decay=0.9, noise=0.0)
        states = []

        class Watch:
            def attach(self, engine):
                engine.add_event_handler(Events.ITERATION_COMPLETED, self)

            def __call__(self):
                states.append([p.detach().clone() for p in network.student.parameters()])

        data = batches(spatial)
        trained(network, data, train_handlers=[Watch()], **self.settings())
        # Three steps: the plain mean, for 1 - 1/3 is below the decay.
        for *steps, average in zip(*states, network.networks[1].parameters(), strict=True):
            torch.testing.assert_close(average, torch.stack(steps).mean(dim=0))
            assert average.grad is None

    def test_terms_are_those_of_the_student(self, spatial):
        network = MeanTeacher(unet(spatial), noise=0.0)
        for parameter in network.teacher.parameters():
            parameter.data += 0.1
        data = batches(spatial, count=1)
        images = torch.cat([data[0]["image"], data[0]["unlabeled_image"]])
        logits = torch.stack(network.train()(images))
        output = trained(network, data, learning_rate=0.0, **self.settings()).state.output
        terms = output["loss_terms"]
        assert list(terms) == ["label_1", "mutual", "predictive_entropy"]
        torch.testing.assert_close(terms["mutual"], consistency(logits).detach())
        torch.testing.assert_close(output["loss"], terms["label_1"] + 0.5 * terms["mutual"])

    def test_weight_zero_is_supervised_training_bit_for_bit(self, spatial):
        first, second = unet(spatial), unet(spatial)
        trained(MeanTeacher(first), batches(spatial), mutual_weight=0.0)
        trained(second, batches(spatial), engine=DistillationTrainer, distillation_weight=0.0)
        assert same(values(first), values(second))


class TestStep:
    @pytest.mark.parametrize("amp", [False, True], ids=["float32", "amp"])
    def test_gradients_are_clipped_in_each_network_by_itself(self, spatial, amp):
        norms = []
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])

        class Watched(torch.optim.SGD):
            def step(self, closure=None):
                for network in networks.networks:
                    total = nn.utils.get_total_norm([p.grad for p in network.parameters()])
                    norms.append(total.item())
                return super().step(closure)

        optimizer = Watched(networks.parameters(), lr=0.0)
        data = batches(spatial, count=1)
        trained(networks, data, optimizer=optimizer, amp=amp)
        small, large = sorted(norms)
        assert small < large
        norms.clear()
        limit = (small + large) / 2
        trained(networks, data, optimizer=optimizer, amp=amp, max_grad_norm=limit)
        assert sorted(norms) == pytest.approx([small, limit], rel=1e-4)

    def test_amp_on_a_cpu_computes_in_bfloat16_and_trains(self, spatial):
        exact = trained(PeerNetworks([unet(spatial), unet(spatial, 1)]), batches(spatial))
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])
        output = trained(networks, batches(spatial), amp=True).state.output
        assert output["pred"].dtype == torch.bfloat16
        assert output["loss_terms"]["mutual"].dtype == torch.float32
        assert output["loss"].item() == pytest.approx(exact.state.output["loss"].item(), rel=0.05)

    def test_decollated_output_is_what_the_engine_keeps(self, spatial):
        networks = PeerNetworks([unet(spatial), unet(spatial, 1)])
        output = trained(networks, batches(spatial), decollate=True).state.output
        assert [case["pred"].shape for case in output] == [(CLASSES, *spatial)] * LABELED
        assert list(output[0]["loss_terms"])[:2] == ["label_1", "label_2"]


class TestRejects:
    def make(self, **kwargs):
        network = PeerNetworks([Constant(0.0, 1.0, 2.0), Constant(0.0, 0.0, 0.0)])
        settings = {
            "device": "cpu",
            "max_epochs": 1,
            "train_data_loader": [],
            "network": network,
            "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
            "label_loss": DiceLoss(to_onehot_y=True, softmax=True),
            "mutual_loss": MutualDiceLoss(2.0),
        }
        return MutualDistillationTrainer(**{**settings, **kwargs})

    @pytest.mark.parametrize("name", ["mutual_weight", "ramp_up_epochs"])
    @pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
    def test_rejects_numbers(self, name, value):
        match = f"`{name}` to be finite and zero or more, but got {value}"
        with pytest.raises(ValueError, match=match):
            self.make(**{name: value})

    def test_rejects_weight_without_a_loss(self):
        match = "`mutual_loss` when `mutual_weight` is above zero, but got None with a weight of 4"
        with pytest.raises(ValueError, match=match):
            self.make(mutual_loss=None)
        assert self.make(mutual_loss=None, mutual_weight=0).mutual_loss is None

    def test_rejects_weight_with_a_single_network(self):
        match = "at least two networks when `mutual_weight` is above zero, but got one"
        with pytest.raises(ValueError, match=match):
            self.make(network=PeerNetworks([Constant(0.0, 1.0, 2.0)]))

    def test_rejects_a_plain_network(self):
        match = "`network` to be PeerNetworks or a MeanTeacher, but got Constant"
        with pytest.raises(TypeError, match=match):
            self.make(network=Constant(0.0, 1.0, 2.0))

    def test_rejects_accumulation(self):
        with pytest.raises(ValueError, match=r"`accumulation_steps` to be 1, .* but got 4"):
            self.make(accumulation_steps=4)

    def test_rejects_unlabeled_images_of_another_size(self, spatial):
        data = batches(spatial, count=1)
        data[0]["unlabeled_image"] = data[0]["unlabeled_image"][..., :-1]
        match = (
            r"`unlabeled_image` of the channels and the grid of `image`, \(1, 8, .*12\), but got"
        )
        with pytest.raises(ValueError, match=match):
            trained(PeerNetworks([unet(spatial), unet(spatial, 1)]), data)
