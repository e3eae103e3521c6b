"""Many predictions of one network, by leaving dropout on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.predictors._joining import join_members
from medkd.predictors.network_predictor import NetworkPredictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monai.inferers import Inferer
    from torch import Tensor

    from medkd.types import MemberProbs, Probs

__all__ = ["MonteCarloDropoutPredictor"]

_DROPOUT = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


class MonteCarloDropoutPredictor:
    """Samples of a network's probabilities, with dropout as in training.

    Only dropout modules that drop something are woken while it predicts; all else stays in
    evaluation mode, so batch-norm statistics do not move, and every module is left in the mode it
    was in. Each sample is one pass over the whole image. Within it every window draws its own
    masks, so where windows overlap a sample is already an average and samples differ a little less.

    The masks follow from ``seed`` and the shape of the image alone: the same image gives the same
    samples on the same kind of device. The global random state is left as it was.

    Dropout that is no module (``torch.nn.functional.dropout``) and dropped paths (stochastic depth)
    stay off.

    Args:
        network: has a dropout module with a probability above zero; put into evaluation mode.
        inferer: MONAI's, e.g. ``SlidingWindowInferer``.
        num_samples: ``M``, 1 or more.
        seed: of the masks.
        amp: compute under autocast on the window's device.

    Raises:
        ValueError: if ``num_samples`` is below 1, or no dropout of the network drops anything.
        TypeError: if ``num_samples`` is not an ``int``.

    Example:
        A network that gives its input, halved or twice as large, as logits of two classes:

        >>> from monai.inferers import SimpleInferer
        >>> predictor = MonteCarloDropoutPredictor(nn.Dropout(0.5), SimpleInferer(), num_samples=8)
        >>> member_probs = predictor(torch.tensor([0.0, 1.0]).view(1, 2, 1))
        >>> tuple(member_probs.shape)  # (M, B, C, *spatial)
        (8, 1, 2, 1)
        >>> sorted({round(p, 4) for p in member_probs[:, 0, 1, 0].tolist()})  # dropped, or doubled
        [0.5, 0.8808]

    References:
        Y. Gal, Z. Ghahramani. Dropout as a Bayesian approximation: representing model uncertainty
        in deep learning. ICML 2016, arXiv:1506.02142.
    """

    def __init__(
        self,
        network: nn.Module,
        inferer: Inferer,
        *,
        num_samples: int = 10,
        seed: int = 0,
        amp: bool = False,
    ) -> None:
        check_at_least(num_samples, 1, "num_samples")
        if not _active_dropout(network):
            raise InvalidValueError(
                "Expected `network` to have a dropout module with a probability above zero, but "
                f"got a {type(network).__name__} without one."
            )
        self.network = network
        self.num_samples = num_samples
        self.seed = seed
        self._predictor = NetworkPredictor([network], inferer, amp=amp)

    @property
    def num_parameters(self) -> int:
        """Parameters of the network."""
        return self._predictor.num_parameters

    @property
    def num_passes(self) -> int:
        """One for each sample."""
        return self.num_samples

    def __call__(self, image: Tensor) -> MemberProbs:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``, on the device of the network, or on any if the inferer
                moves the windows there.

        Returns:
            Probabilities ``(M, B, C, *spatial)``, one sample a member, float32 on the image's
            device.
        """
        samples = (sample.unsqueeze(0) for sample in self.predict_members(image))
        return join_members(samples, num_predictions=self.num_samples)

    def predict_members(self, image: Tensor) -> Iterator[Probs]:
        """Predict one batch, one sample after the other.

        Args:
            image: ``(B, C_in, *spatial)``, as above.

        Yields:
            Probabilities of each sample, ``(B, C, *spatial)``, float32 on the image's device.
        """
        devices = {image.device, *(p.device for p in self.network.parameters())}
        for seed in self._sample_seeds():
            # Not around the loop: whoever asks may do anything between two samples.
            with _dropout_awake(self.network), _seeded(seed, devices):
                sample = self._predictor.predict_member(0, image)
            yield sample
            del sample  # or it would be held while the next one is computed

    def _sample_seeds(self) -> list[int]:
        # Drawn, not counted up from `seed`: the samples of two seeds next to each other would be
        # the same but for one.
        generator = torch.Generator().manual_seed(self.seed)
        return [
            int(torch.randint(1 << 62, (), generator=generator)) for _ in range(self.num_samples)
        ]


def _active_dropout(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, _DROPOUT) and m.p > 0]


@contextmanager
def _dropout_awake(network: nn.Module) -> Iterator[None]:
    before = {module: module.training for module in network.modules()}
    network.eval()
    for dropout in _active_dropout(network):
        dropout.train()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


@contextmanager
def _seeded(seed: int, devices: set[torch.device]) -> Iterator[None]:
    cuda = sorted(device.index for device in devices if device.type == "cuda")
    with torch.random.fork_rng(devices=cuda):
        # Not `torch.manual_seed`, which seeds the devices that are not restored as well.
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            with torch.cuda.device(index):
                torch.cuda.manual_seed(seed)
        yield
