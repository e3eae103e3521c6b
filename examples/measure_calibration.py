"""How good is the best possible forecast, and what does an overconfident one lose?

The fundus phantom knows the probability that an observer marks a pixel. Forecasting just that is
the best anyone can do: its Dice is well below one, for observers disagree on faint vessels, and its
calibration error is next to nothing. Sharpened to yes and no it segments the same pixels, and only
the calibrated scores tell the two apart.

    python examples/measure_calibration.py
"""

from __future__ import annotations

import torch

from medkd.data.phantoms import draw_fundus
from medkd.metrics import (
    BrierScoreMetric,
    ExpectedCalibrationErrorMetric,
    NegativeLogLikelihoodMetric,
    dice_in_mask,
)


def main() -> None:
    """Print both forecasts' scores, over four eyes."""
    eyes = [draw_fundus(patient=p, eye=e, size=256, seed=0) for p in range(2) for e in "LR"]
    vessel = torch.stack([torch.as_tensor(eye.vessel_prob) for eye in eyes]).float()
    label = torch.stack([torch.as_tensor(eye.label > 0) for eye in eyes]).long().unsqueeze(1)
    mask = torch.stack([torch.as_tensor(eye.mask > 0) for eye in eyes]).unsqueeze(1)

    ideal = torch.stack([1 - vessel, vessel], dim=1)  # (B, C, *spatial)
    sharpened = torch.nn.functional.one_hot(ideal.argmax(dim=1), 2).movedim(-1, 1).float()
    sharpened = sharpened.clamp(0.001, 0.999)

    print(f"{'forecast':12s} {'Dice':>8s} {'ECE':>8s} {'Brier':>8s} {'NLL':>8s}")
    for name, probs in {"ideal": ideal, "sharpened": sharpened}.items():
        prediction = probs.argmax(dim=1, keepdim=True)
        scores = [float(dice_in_mask(prediction, label, num_classes=2, mask=mask).mean())]
        for metric in (
            ExpectedCalibrationErrorMetric(),
            BrierScoreMetric(),
            NegativeLogLikelihoodMetric(),
        ):
            metric(probs, label, mask=mask)
            scores.append(float(metric.aggregate()))
        print(f"{name:12s} " + " ".join(f"{score:8.4f}" for score in scores))


if __name__ == "__main__":
    main()
