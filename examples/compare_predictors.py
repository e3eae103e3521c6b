"""Ask one MONAI network in four ways how sure it is, and see whether its doubt finds its errors.

A small U-Net with dropout learns, in a few seconds, to tell blobs from a noisy background. Then the
same weights are asked once, with dropout left on, and turned over; and at a temperature that was
fitted on other images. Any MONAI network and any inferer will do.

    python examples/compare_predictors.py
"""

from __future__ import annotations

import torch
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet

from medkd.functional import (
    entropy_error_bins,
    error_detection_auroc,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from medkd.predictors import (
    MonteCarloDropoutPredictor,
    NetworkPredictor,
    TemperaturePredictor,
    TestTimeAugmentationPredictor,
)

SIZE = 48
STEPS = 60


def blobs(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Four images ``(B, 1, *spatial)`` and their labels: where a smooth field is high."""
    coarse = torch.randn((4, 1, 8, 8), generator=generator)
    field = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    noise = torch.randn((4, 1, SIZE, SIZE), generator=generator)
    return field + 0.8 * noise, (field > 0.4).long()


def main() -> None:
    """Train, then print each predictor's passes, calibration error and detection of errors."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = BasicUNet(2, 1, 2, features=[8, 8, 16, 16, 16, 8], norm="batch", dropout=0.2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    loss = DiceCELoss(softmax=True, to_onehot_y=True)
    for _ in range(STEPS):
        image, label = blobs(generator)
        optimizer.zero_grad()
        loss(network(image), label).backward()
        optimizer.step()

    inferer = SlidingWindowInferer(roi_size=(32, 32), overlap=0.25, mode="gaussian")
    plain = NetworkPredictor([network], inferer)
    others = [blobs(generator) for _ in range(8)]
    temperature = fit_temperature((plain(image)[0], label, None) for image, label in others)
    predictors = {
        "as it is": plain,
        "MC dropout": MonteCarloDropoutPredictor(network, inferer, num_samples=10),
        "turned over": TestTimeAugmentationPredictor(plain, flip_axes=[0, 1]),
        f"temperature {temperature:.2f}": TemperaturePredictor(plain, temperature),
    }
    image, label = blobs(generator)
    print(f"{'predictor':20s} {'passes':>6s} {'ECE':>8s} {'AUROC':>8s}")
    for name, predictor in predictors.items():
        probs = predictor(image).mean(dim=0)
        error = expected_calibration_error(reliability_bins(probs, label).pooled())
        auroc = error_detection_auroc(entropy_error_bins(probs, label).pooled())
        print(f"{name:20s} {predictor.num_passes:6d} {float(error):8.4f} {float(auroc):8.4f}")


if __name__ == "__main__":
    main()
