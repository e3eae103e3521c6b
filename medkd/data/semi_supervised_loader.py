"""Labeled and unlabeled batches side by side, as one batch for a trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch.utils.data import DataLoader

__all__ = ["SemiSupervisedLoader"]


class SemiSupervisedLoader:
    """Walks a loader of labeled cases and one of unlabeled cases in step.

    Each has transforms, a sampler, a batch size and workers of its own, so a batch holds as many
    labeled and as many unlabeled images as stated, and the crops of unlabeled images know nothing
    of labels. What is drawn depends on the two loaders alone: seeded at the start of an epoch, as
    by :class:`medkd.handlers.EpochSeedHandler`, they give that epoch's batches again, and the
    labeled ones are the same with and without unlabeled ones.

    It is not a torch ``DataLoader``, so MONAI's engines do not tell its samplers the epoch; where
    one is a ``DistributedSampler``, call :meth:`set_epoch`.

    Args:
        labeled: loader whose batches are dicts with image and label.
        unlabeled: loader of as many batches, dicts with an image; or None, for training on labels
            alone.
        image_key: the image in a batch of ``unlabeled``.
        unlabeled_key: the name it gets in the joint batch.

    Raises:
        ValueError: if the loaders are not of one length.

    Example:
        >>> labeled = [{"image": 1, "label": 10}, {"image": 2, "label": 20}]
        >>> unlabeled = [{"image": 3}, {"image": 4}]
        >>> list(SemiSupervisedLoader(labeled, unlabeled))[0]
        {'image': 1, 'label': 10, 'unlabeled_image': 3}
    """

    def __init__(
        self,
        labeled: DataLoader[Any],
        unlabeled: DataLoader[Any] | None = None,
        image_key: str = "image",
        unlabeled_key: str = "unlabeled_image",
    ) -> None:
        if unlabeled is not None and len(unlabeled) != len(labeled):
            raise InvalidValueError(
                "Expected `labeled` and `unlabeled` to be of one number of batches, but got "
                f"{len(labeled)} and {len(unlabeled)}."
            )
        self.labeled = labeled
        self.unlabeled = unlabeled
        self.image_key = image_key
        self.unlabeled_key = unlabeled_key

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.labeled)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """The labeled batches, each with the unlabeled images beside it."""
        if self.unlabeled is None:
            yield from self.labeled
            return
        others: Iterator[Any] | None = None
        for labeled in self.labeled:
            # Not before: a loader draws its seed when it begins, from where the other does as well.
            if others is None:
                others = iter(self.unlabeled)
            yield {**labeled, self.unlabeled_key: next(others)[self.image_key]}

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch to the samplers that shuffle by it.

        Args:
            epoch: its number.
        """
        for loader in (self.labeled, self.unlabeled):
            tell = getattr(getattr(loader, "sampler", None), "set_epoch", None)
            if tell is not None:
                tell(epoch)
