"""What is computed on an accelerator equals what is computed on the CPU."""

import pytest
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet

from medkd.ensembles import TeacherEnsemble
from medkd.functional import (
    brier_score,
    decode_probs,
    distillation_kl,
    encode_probs,
    expected_calibration_error,
    label_band,
    mutual_information,
    negative_log_likelihood,
    reliability_bins,
)
from medkd.losses import DistillationKLLoss
from medkd.trainers import DistillationTrainer

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
