"""A prediction that is as sure as it turned out to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd._checks import check_positive
from medkd.functional import tempered_probs
from medkd.predictors._joining import mean_of_members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from medkd.predictors.predictor import Predictor
    from medkd.types import MemberProbs, Probs

__all__ = ["TemperaturePredictor"]


class TemperaturePredictor:
    r"""The mean of a predictor's members at a temperature.

    .. math::
        p_c \propto \Big( \tfrac{1}{M} \sum_m p_{mc} \Big)^{1/T}

    that is :math:`\mathrm{softmax}(\log \bar p / T)`: pool first, then calibrate. Members that are
    calibrated one by one average to an ensemble that is less sure than right. Above one the
    temperature makes a prediction less sure, below one surer, at one it changes nothing; which
    class is most likely stays the same.

    Args:
        predictor: any.
        temperature: :math:`T`, finite and above zero, fitted on cases of the validation split.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.
        TypeError: if it is not a number.

    Example:
        A network that says 0.9 against 0.1; at a temperature of 2 the odds of 9 become 3:

        >>> import torch
        >>> from monai.inferers import SimpleInferer
        >>> from torch import nn
        >>> from medkd.predictors import NetworkPredictor, TemperaturePredictor
        >>> network = NetworkPredictor([nn.Identity()], SimpleInferer())
        >>> predictor = TemperaturePredictor(network, 2.0)
        >>> probs = predictor(torch.tensor([0.9, 0.1]).log().view(1, 2, 1))
        >>> [round(p, 4) for p in probs.flatten().tolist()]
        [0.75, 0.25]

    References:
        R. Rahaman, A. H. Thiery. Uncertainty quantification and deep ensembles. NeurIPS 2021,
        arXiv:2007.08792.
    """

    def __init__(self, predictor: Predictor, temperature: float) -> None:
        check_positive(temperature, "temperature")
        self.predictor = predictor
        self.temperature = float(temperature)

    @property
    def num_parameters(self) -> int:
        """Parameters of the predictor."""
        return self.predictor.num_parameters

    @property
    def num_passes(self) -> int:
        """Those of the predictor."""
        return self.predictor.num_passes

    def __call__(self, image: Tensor) -> MemberProbs:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``, as the predictor takes it.

        Returns:
            Probabilities ``(M, B, C, *spatial)`` with ``M = 1``, float32 on the image's device.
        """
        pooled = mean_of_members(self.predictor.predict_members(image))
        return tempered_probs(pooled, temperature=self.temperature).unsqueeze(0)

    def predict_members(self, image: Tensor) -> Iterator[Probs]:
        """Predict one batch; the pooled members are one.

        Args:
            image: ``(B, C_in, *spatial)``, as above.

        Yields:
            Probabilities ``(B, C, *spatial)``, once.
        """
        yield from self(image)
