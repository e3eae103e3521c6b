"""What every source of probabilities can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from medkd.types import MemberProbs, Probs

__all__ = ["Predictor"]


class Predictor(Protocol):
    """From an image to class probabilities, by one network pass or by many.

    Members, dropout samples and augmented views all lie on the axis ``M``, so that one network, an
    ensemble and a student are asked, scored and paid for in the same way. Whoever can answer these
    four is a predictor; there is nothing to inherit from.

    Example:
        >>> import torch
        >>> from medkd.predictors import Predictor
        >>> class Undecided:
        ...     num_parameters = 0
        ...     num_passes = 1
        ...
        ...     def predict_members(self, image):
        ...         yield image.new_full((len(image), 2, *image.shape[2:]), 0.5)
        ...
        ...     def __call__(self, image):
        ...         return torch.stack(list(self.predict_members(image)))
        >>> predictor: Predictor = Undecided()
        >>> tuple(predictor(torch.zeros(1, 3, 4, 5)).shape)  # (M, B, C, *spatial)
        (1, 1, 2, 4, 5)
    """

    @property
    def num_parameters(self) -> int:
        """Parameters that are held in memory, of all networks together."""

    @property
    def num_passes(self) -> int:
        """How often a network goes over an image for one prediction."""

    def __call__(self, image: torch.Tensor) -> MemberProbs:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``; not modified.

        Returns:
            Class probabilities ``(M, B, C, *spatial)``, float32, in ``[0, 1]``, summing to one over
            ``C``, on the device of ``image``, without gradient.
        """

    def predict_members(self, image: torch.Tensor) -> Iterator[Probs]:
        """Predict one batch, one member after the other.

        For volumes of which not all members fit into memory: a mean needs one at a time. Between
        two of them no network is left in another mode, nor any random state.

        Args:
            image: ``(B, C_in, *spatial)``; not modified.

        Yields:
            The members of :meth:`__call__` in their order, ``(B, C, *spatial)``.
        """
