"""What is computed on an accelerator equals what is computed on the CPU."""

from functools import partial

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet, UNet
from torch import nn

from medkd.functional import (
    brier_score,
    consistency,
    contrastive_representation,
    cross_pseudo_label,
    decode_probs,
    distillation_kl,
    encode_probs,
    expected_calibration_error,
    label_band,
    mutual_dice,
    mutual_information,
    mutual_kl,
    negative_log_likelihood,
    reliability_bins,
    supervised_info_nce,
)
from medkd.losses import (
    ConsistencyLoss,
    ContrastiveRepresentationLoss,
    DistillationKLLoss,
    MutualDiceLoss,
    SupervisedInfoNCELoss,
)
from medkd.networks import FeatureStudent, MeanTeacher, PeerNetworks, TwoTaskNetwork
from medkd.predictors import (
    MonteCarloDropoutPredictor,
    NetworkPredictor,
    TemperaturePredictor,
    TestTimeAugmentationPredictor,
    measure_cost,
)
from medkd.teachers import FeatureTeacher, TeacherEnsemble
from medkd.trainers import (
    DistillationTrainer,
    FeatureDistillationTrainer,
    MutualDistillationTrainer,
)

pytestmark = pytest.mark.gpu

SHAPES = pytest.mark.parametrize("spatial", [(33, 20), (9, 12, 7)], ids=["2d", "3d"])


def _case(spatial):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, *spatial, generator=generator)
    label = torch.randint(0, 3, (2, 1, *spatial), generator=generator)
    mask = torch.rand(2, 1, *spatial, generator=generator) > 0.3
    return logits, label, mask


@SHAPES
def test_scores_equal_those_of_the_cpu(spatial):
    logits, label, mask = _case(spatial)
    probs = logits.softmax(dim=1)
    on_gpu = [tensor.cuda() for tensor in (probs, label, mask)]
    for score in (brier_score, negative_log_likelihood):
        ours = score(on_gpu[0], on_gpu[1], mask=on_gpu[2]).cpu()
        torch.testing.assert_close(ours, score(probs, label, mask=mask), rtol=1e-6, atol=1e-9)
    bins, expected = (
        reliability_bins(*on_gpu[:2], mask=on_gpu[2]),
        reliability_bins(probs, label, mask=mask),
    )
    assert torch.equal(bins.count.cpu(), expected.count)
    assert torch.equal(bins.correct.cpu(), expected.correct)
    torch.testing.assert_close(
        expected_calibration_error(bins).cpu(), expected_calibration_error(expected)
    )
    assert torch.equal(label_band(on_gpu[1], radius=2).cpu(), label_band(label, radius=2))
    assert torch.equal(encode_probs(on_gpu[0]).cpu(), encode_probs(probs))
    torch.testing.assert_close(
        decode_probs(encode_probs(on_gpu[0])).cpu(), decode_probs(encode_probs(probs))
    )


@SHAPES
def test_uncertainty_and_distillation_equal_those_of_the_cpu(spatial):
    logits, _, mask = _case(spatial)
    members = torch.stack([logits, logits.flip(1)]).softmax(dim=2)
    torch.testing.assert_close(
        mutual_information(members.cuda()).cpu(), mutual_information(members), rtol=1e-4, atol=1e-6
    )
    teacher = (logits / 2).flip(1).softmax(dim=1)
    expected = distillation_kl(logits, teacher, temperature=2.0, mask=mask)
    ours = distillation_kl(logits.cuda(), teacher.cuda(), temperature=2.0, mask=mask.cuda())
    torch.testing.assert_close(ours.cpu(), expected)


@pytest.mark.parametrize("amp", [False, True])
def test_a_step_of_distillation_moves_the_student(amp):
    def network():
        return UNet(2, 1, 2, (4, 8), (2,)).cuda()

    student = network()
    before = [p.detach().clone() for p in student.parameters()]
    batch = {"image": torch.randn(2, 1, 16, 16), "label": torch.randint(0, 2, (2, 1, 16, 16))}
    trainer = DistillationTrainer(
        device=torch.device("cuda"),
        max_epochs=1,
        train_data_loader=[batch, batch],
        network=student,
        optimizer=torch.optim.AdamW(student.parameters(), 0.01),
        label_loss=DiceCELoss(to_onehot_y=True, softmax=True),
        distillation_loss=DistillationKLLoss(2.0),
        teacher=TeacherEnsemble([network(), network()], temperature=2.0),
        max_grad_norm=1.0,
        amp=amp,
    )
    trainer.run()
    assert torch.isfinite(trainer.state.output["loss"])
    assert any(not torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))


@SHAPES
@pytest.mark.parametrize("amp", [False, True])
def test_losses_of_peers_equal_those_of_the_cpu(spatial, amp):
    generator = torch.Generator().manual_seed(0)
    peer_logits = torch.randn(3, 2, 4, *spatial, generator=generator)
    on_gpu = peer_logits.cuda().requires_grad_()
    peer_logits.requires_grad_()
    for function in (
        partial(mutual_dice, temperature=2.0),
        partial(mutual_kl, temperature=2.0),
        cross_pseudo_label,
        consistency,
    ):
        with torch.autocast("cuda", enabled=amp):
            ours = function(on_gpu)
        expected = function(peer_logits)
        torch.testing.assert_close(ours.cpu(), expected)
        (gradient,) = torch.autograd.grad(ours, on_gpu)
        (expected_gradient,) = torch.autograd.grad(expected, peer_logits)
        torch.testing.assert_close(gradient.cpu(), expected_gradient, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", ["peers", "teacher"])
def test_a_step_of_mutual_distillation_moves_all_networks(name, amp):
    plain = [UNet(2, 1, 2, (4, 8), (2,)).cuda() for _ in range(2)]
    network = PeerNetworks(plain) if name == "peers" else MeanTeacher(plain[0])
    before = [[p.detach().clone() for p in own.parameters()] for own in network.networks]
    batch = {
        "image": torch.randn(2, 1, 16, 16),
        "label": torch.randint(0, 2, (2, 1, 16, 16)),
        "unlabeled_image": torch.randn(3, 1, 16, 16),
    }
    trainer = MutualDistillationTrainer(
        device=torch.device("cuda"),
        max_epochs=1,
        train_data_loader=8 * [batch],  # float16 may overflow until the scale has come down
        network=network,
        optimizer=torch.optim.AdamW(network.parameters(), 0.01),
        label_loss=DiceCELoss(to_onehot_y=True, softmax=True),
        mutual_loss=MutualDiceLoss(2.0) if name == "peers" else ConsistencyLoss(),
        max_grad_norm=1.0,
        amp=amp,
    )
    trainer.run()
    assert all(term.isfinite() for term in trainer.state.output["loss_terms"].values())
    for own, old in zip(network.networks, before, strict=True):
        assert any(not torch.equal(a, b) for a, b in zip(old, own.parameters(), strict=True))


def _members(spatial, device):
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        members.append(BasicUNet(len(spatial), 2, 3, (4, 4, 4, 4, 4, 4), norm="batch").to(device))
    return members


def _predictors(spatial, device, *, amp):
    members = _members(spatial, device)
    inferer = SlidingWindowInferer([16] * len(spatial), sw_batch_size=3, overlap=0.5)
    ensemble = NetworkPredictor(members, inferer, amp=amp)
    single = NetworkPredictor(members[:1], inferer, amp=amp)
    # Where all is dropped, masks do not depend on the device's random numbers.
    drops_all = nn.Sequential(members[0], nn.Dropout(1.0))
    return {
        "ensemble": ensemble,
        "batched": NetworkPredictor(members, inferer, amp=amp, batched=True),
        "automatic": NetworkPredictor(members, inferer, amp=amp, batched="auto"),
        "views": TestTimeAugmentationPredictor(single, transpose_axes=[0, 1]),
        "temperature": TemperaturePredictor(ensemble, 1.5),
        "samples": MonteCarloDropoutPredictor(drops_all, inferer, num_samples=2, amp=amp),
    }


@SHAPES
@pytest.mark.parametrize("amp", [False, True])
def test_predictors_equal_those_of_the_cpu(spatial, amp):
    image = torch.randn(2, 2, *spatial, generator=torch.Generator().manual_seed(0))
    expected = _predictors(spatial, "cpu", amp=False)
    # Without AMP, convolutions may multiply in TF32, of 11 bits; float16 has 11 as well.
    for name, predictor in _predictors(spatial, "cuda", amp=amp).items():
        probs = predictor(image.cuda())
        assert probs.device.type == "cuda"
        assert probs.dtype == torch.float32
        torch.testing.assert_close(
            probs.cpu(), expected[name](image), rtol=0, atol=2e-2 if amp else 5e-3
        )


@pytest.mark.parametrize("amp", [False, True])
def test_dropout_samples_follow_from_the_seed_and_have_the_mean_of_the_cpu(amp):
    # The devices draw other masks, so the mean is compared: 8 samples of 2 x 40 x 40 voxels.
    image = torch.stack([torch.zeros(2, 40, 40), torch.full((2, 40, 40), 1.5)], dim=1)
    inferer = SlidingWindowInferer((16, 16), sw_batch_size=3, overlap=0)
    predictor = MonteCarloDropoutPredictor(nn.Dropout(0.25), inferer, num_samples=8, amp=amp)
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    probs = predictor(image.cuda())
    assert torch.equal(torch.cuda.get_rng_state(), before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.equal(predictor(image.cuda()), probs)
    assert not torch.equal(probs[0], probs[1])
    expected = predictor(image)
    assert abs(probs[:, :, 1].mean().item() - expected[:, :, 1].mean().item()) < 0.01


@SHAPES
def test_cost_counts_as_on_the_cpu_and_measures_memory(spatial):
    image = torch.randn(2, 2, *spatial, generator=torch.Generator().manual_seed(0))
    predictors = _predictors(spatial, "cpu", amp=False)
    for name, predictor in _predictors(spatial, "cuda", amp=False).items():
        cost = measure_cost(predictor, image.cuda())
        assert cost.multiply_adds == measure_cost(predictors[name], image).multiply_adds
        assert cost.peak_memory_bytes >= image[:, :1].numel() * 3 * 4  # the mean prediction
        assert cost.seconds > 0


@pytest.mark.parametrize("amp", [False, True])
def test_contrasts_equal_those_of_the_cpu(amp):
    generator = torch.Generator().manual_seed(0)
    anchors, keys, others = (torch.randn(n, 16, generator=generator) for n in (12, 12, 30))
    classes = torch.randint(0, 3, (12,), generator=generator)

    def contrasts(anchors, keys, others, classes):
        yield supervised_info_nce(
            anchors, keys, anchor_classes=classes, key_classes=classes, temperature=0.1
        )
        yield contrastive_representation(
            anchors, keys, others, bank_size=60, temperature=0.07, log_normalizer=5.0
        )

    on_gpu = [tensor.cuda() for tensor in (anchors, keys, others, classes)]
    on_gpu[0].requires_grad_()
    anchors.requires_grad_()
    with torch.autocast("cuda", enabled=amp):
        found = list(contrasts(*on_gpu))
    for ours, expected in zip(found, contrasts(anchors, keys, others, classes), strict=True):
        torch.testing.assert_close(ours.cpu(), expected, rtol=1e-4, atol=1e-5)
        (gradient,) = torch.autograd.grad(ours, on_gpu[0])
        (expected_gradient,) = torch.autograd.grad(expected, anchors)
        torch.testing.assert_close(gradient.cpu(), expected_gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("kind", ["info_nce", "representation", "two_tasks"])
def test_a_step_of_losses_within_a_network_moves_all_of_it(kind, amp):
    def network():
        return UNet(2, 1, 2, (4, 8), (2,)).cuda()

    features = {"encoder": "model.0"}
    losses = {
        "info_nce": partial(SupervisedInfoNCELoss, embedding_dim=8, num_positions=20),
        "representation": partial(
            ContrastiveRepresentationLoss, num_positions=20, num_negatives=30, bank_size=60
        ),
    }
    if kind == "two_tasks":
        teacher, trained = None, TwoTaskNetwork(network(), ["model.0"], (1, 1, 16, 16))
    else:
        teacher = FeatureTeacher([network(), network()], features)
        trained = FeatureStudent(network(), features, {"encoder": losses[kind](4, [4, 4])}).cuda()
    before = {name: weight.detach().clone() for name, weight in trained.named_parameters()}
    batch = {"image": torch.randn(2, 1, 16, 16), "label": torch.randint(0, 2, (2, 1, 16, 16))}
    trainer = FeatureDistillationTrainer(
        device=torch.device("cuda"),
        max_epochs=1,
        train_data_loader=8 * [batch],  # float16 may overflow until the scale has come down
        network=trained,
        optimizer=torch.optim.AdamW(trained.parameters(), 0.01),
        label_loss=DiceCELoss(to_onehot_y=True, softmax=True),
        distillation_weight=0.0,
        feature_teacher=teacher,
        own_weights={"reconstruction" if teacher is None else "encoder": 0.5},
        amp=amp,
    )
    trainer.run()
    assert torch.isfinite(trainer.state.output["loss"])
    for name, weight in trained.named_parameters():
        assert not torch.equal(before[name], weight), name
