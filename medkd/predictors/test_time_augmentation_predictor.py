"""Many predictions of one predictor, by turning the image over."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from medkd.errors import InvalidValueError
from medkd.predictors._joining import join_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from medkd.predictors.predictor import Predictor
    from medkd.types import MemberProbs, Probs

__all__ = ["TestTimeAugmentationPredictor"]


class TestTimeAugmentationPredictor:
    """Predictions of an image's mirror images, each mapped back exactly.

    A view flips some of ``flip_axes``, from none to all, so there are :math:`2^n` of them; the
    first is the image itself. With ``transpose_axes`` each view is also taken with these two axes
    exchanged, which makes twice as many: with flips of both, these are all eight turns and mirror
    images of the plane. No view interpolates. Where the predictor does not mind how the image lies,
    the views are members that agree.

    Args:
        predictor: asked once a view. It brings its inferer, and may have several members.
        flip_axes: the axes of ``*spatial`` to flip, from zero. The default is all of an image and
            those in the plane of a volume; ``(0, 1, 2)`` are all of a volume. Flip what was flipped
            in training: a network may never have seen the rest.
        transpose_axes: two axes of ``*spatial`` to exchange; ``None`` for no exchange.

    Raises:
        ValueError: if an axis is below zero or named twice, or ``transpose_axes`` are not two.

    Example:
        A network that prefers the right of two voxels, asked about the image and its mirror image:

        >>> import torch
        >>> from monai.inferers import SimpleInferer
        >>> from medkd.predictors import NetworkPredictor, TestTimeAugmentationPredictor
        >>> class PrefersRight(torch.nn.Module):
        ...     def forward(self, window):
        ...         return torch.tensor([[[9.0, 0.0], [0.0, 9.0]]])  # (B, C, *spatial)
        >>> network = NetworkPredictor([PrefersRight()], SimpleInferer())
        >>> predictor = TestTimeAugmentationPredictor(network, flip_axes=[0])
        >>> predictor(torch.zeros(1, 1, 2))[:, 0, 1].round().tolist()  # (M, B, C, *spatial)
        [[0.0, 1.0], [1.0, 0.0]]

    References:
        G. Wang, W. Li, M. Aertsen, J. Deprest, S. Ourselin, T. Vercauteren. Aleatoric uncertainty
        estimation with test-time augmentation for medical image segmentation with convolutional
        neural networks. Neurocomputing 338, 34-45, 2019, arXiv:1807.07356. They draw flips, turns,
        scales and noise at random; these are the symmetries of the grid, each once.
    """

    __test__ = False  # to pytest, a name that begins with "Test" is a class of tests

    def __init__(
        self,
        predictor: Predictor,
        *,
        flip_axes: Sequence[int] = (0, 1),
        transpose_axes: Sequence[int] | None = None,
    ) -> None:
        _check_axes(flip_axes, "flip_axes")
        if transpose_axes is not None:
            _check_axes(transpose_axes, "transpose_axes")
            if len(transpose_axes) != 2:
                raise InvalidValueError(
                    f"Expected `transpose_axes` to be two axes, but got {tuple(transpose_axes)}."
                )
        self.predictor = predictor
        self.flip_axes = tuple(flip_axes)
        self.transpose_axes = None if transpose_axes is None else tuple(transpose_axes)

    @property
    def num_parameters(self) -> int:
        """Parameters of the predictor."""
        return self.predictor.num_parameters

    @property
    def num_passes(self) -> int:
        """Those of the predictor, for each view."""
        return self.predictor.num_passes * len(self._views)

    def __call__(self, image: Tensor) -> MemberProbs:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``, as the predictor takes it.

        Returns:
            Probabilities ``(M, B, C, *spatial)``, float32 on the image's device, all in the
            orientation of ``image``: the predictor's members for the first view, then for the next.

        Raises:
            ValueError: if the image has too few spatial axes.
        """
        self._check_image(image)
        predictions = (self._predict_view(view, image) for view in self._views)
        return join_members(predictions, num_predictions=len(self._views))

    def predict_members(self, image: Tensor) -> Iterator[Probs]:
        """Predict one batch, one member of one view after the other.

        Args:
            image: ``(B, C_in, *spatial)``, as above.

        Yields:
            Probabilities ``(B, C, *spatial)`` in the order and orientation of :meth:`__call__`.

        Raises:
            ValueError: if the image has too few spatial axes.
        """
        self._check_image(image)
        num_spatial = image.ndim - 2
        for view in self._views:
            for probs in self.predictor.predict_members(view.apply(image, num_spatial)):
                yield view.undo(probs, num_spatial)

    @property
    def _views(self) -> list[_View]:
        exchanges = [None] if self.transpose_axes is None else [None, self.transpose_axes]
        return [
            _View(flips, exchange)
            for exchange in exchanges
            for count in range(len(self.flip_axes) + 1)
            for flips in combinations(self.flip_axes, count)
        ]

    def _predict_view(self, view: _View, image: Tensor) -> MemberProbs:
        num_spatial = image.ndim - 2
        return view.undo(self.predictor(view.apply(image, num_spatial)), num_spatial)

    def _check_image(self, image: Tensor) -> None:
        highest = max((*self.flip_axes, *(self.transpose_axes or ())), default=-1)
        if highest >= image.ndim - 2:
            raise InvalidValueError(
                f"Expected `image` to have a spatial axis {highest}, for it is to be flipped or "
                f"exchanged, but got shape {tuple(image.shape)}."
            )


class _View(NamedTuple):
    """First two spatial axes are exchanged, then some are flipped."""

    flips: tuple[int, ...]
    exchange: tuple[int, ...] | None

    def apply(self, tensor: Tensor, num_spatial: int) -> Tensor:
        return self._flip(self._exchange(tensor, num_spatial), num_spatial)

    def undo(self, tensor: Tensor, num_spatial: int) -> Tensor:
        return self._exchange(self._flip(tensor, num_spatial), num_spatial)

    # Counted from the end, spatial axes are the same in an image and in a prediction of it.
    def _exchange(self, tensor: Tensor, num_spatial: int) -> Tensor:
        if self.exchange is None:
            return tensor
        first, second = self.exchange
        return tensor.transpose(first - num_spatial, second - num_spatial)

    def _flip(self, tensor: Tensor, num_spatial: int) -> Tensor:
        return tensor.flip([axis - num_spatial for axis in self.flips]) if self.flips else tensor


def _check_axes(axes: Sequence[int], name: str) -> None:
    if any(axis < 0 for axis in axes) or len(set(axes)) < len(axes):
        raise InvalidValueError(
            f"Expected `{name}` to be different spatial axes, counted from zero, "
            f"but got {tuple(axes)}."
        )
