"""From an image to the probabilities of one network or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from monai.utils import convert_to_tensor

from medkd.errors import InvalidValueError
from medkd.predictors._joining import join_members
from medkd.predictors.batched_members import batch_members, have_one_architecture, is_faster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from monai.inferers import Inferer
    from torch import Tensor, nn

    from medkd.types import MemberLogits, MemberProbs, Probs

__all__ = ["NetworkPredictor", "single_networks"]


class NetworkPredictor:
    """Probabilities of every member, over images of any size.

    A single network is an ensemble of one, so single networks, ensembles and students are asked in
    the same way. The softmax is taken inside each window and windows are blended as
    probabilities, so the result sums to one wherever windows overlap.

    Members of one architecture can run batched, as one network with one more axis (``torch.func``).
    That pays where a window is too small to keep the device busy; ``benchmarks/batched_members.py``
    measures it. On a CPU it costs time at the usual sizes, so one by one is the default. The two
    differ by rounding, and batched holds the members' weights and activations at the same time.

    Args:
        members: the networks; put into evaluation mode.
        inferer: MONAI's, e.g. ``SlidingWindowInferer``.
        amp: compute under autocast on the window's device.
        batched: run the members batched. ``"auto"`` tries both ways on the first window and keeps
            the faster one, and runs members that cannot be batched one by one; so two runs may
            differ by rounding.

    Raises:
        ValueError: if there is no member, ``batched`` is none of the three, or it is true and the
            members are not of one architecture.

    Example:
        >>> from monai.inferers import SimpleInferer
        >>> from torch import nn
        >>> predictor = NetworkPredictor([nn.Conv2d(1, 2, 1)] * 3, SimpleInferer())
        >>> tuple(predictor(torch.zeros(1, 1, 4, 5)).shape)  # (M, B, C, *spatial)
        (3, 1, 2, 4, 5)
        >>> predictor.num_parameters, predictor.num_passes
        (12, 3)
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        inferer: Inferer,
        *,
        amp: bool = False,
        batched: bool | Literal["auto"] = False,
    ) -> None:
        if not members:
            raise InvalidValueError(
                "Expected `members` to hold at least one network, but got none."
            )
        if batched not in (False, True, "auto"):
            raise InvalidValueError(
                f"Expected `batched` to be False, True or 'auto', but got {batched!r}."
            )
        self.members = [member.eval() for member in members]
        self.inferer = inferer
        self.amp = amp
        self.batched = batched
        if batched == "auto" and (len(members) == 1 or not have_one_architecture(self.members)):
            self.batched = False
        if self.batched is True and not have_one_architecture(self.members):
            raise InvalidValueError(
                "Expected `members` to be of one architecture, for they are to run batched, but "
                f"got {', '.join(type(member).__name__ for member in members)} that differ in "
                "more than their weights."
            )

    @property
    def num_parameters(self) -> int:
        """Parameters of all members together."""
        return sum(p.numel() for member in self.members for p in member.parameters())

    @property
    def num_passes(self) -> int:
        """One for each member."""
        return len(self.members)

    def __call__(self, image: Tensor) -> MemberProbs:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``, on the device of the members, or on any if the inferer
                moves the windows there (``sw_device``).

        Returns:
            Probabilities ``(M, B, C, *spatial)``, a plain float32 tensor on the image's device.
        """
        if self.batched is not False:
            return self._predict_batched(image)
        members = (member.unsqueeze(0) for member in self.predict_members(image))
        return join_members(members, num_predictions=len(self.members))

    def predict_members(self, image: Tensor) -> Iterator[Probs]:
        """Predict one batch, one member after the other; all at once where they run batched.

        Args:
            image: ``(B, C_in, *spatial)``, as above.

        Yields:
            Probabilities of each member, ``(B, C, *spatial)``, float32 on the image's device.
        """
        if self.batched is not False:
            yield from self._predict_batched(image)
        else:
            for member in range(len(self.members)):
                yield self.predict_member(member, image)

    def predict_member(self, member: int, image: Tensor) -> Probs:
        """Predict one batch with one member.

        Args:
            member: its number, from zero.
            image: ``(B, C_in, *spatial)``, as above.

        Returns:
            Probabilities ``(B, C, *spatial)``, a plain float32 tensor on the image's device.
        """
        network = self.members[member]
        return self._infer(image, lambda window: network(window).unsqueeze(0)).squeeze(0)

    def _predict_batched(self, image: Tensor) -> MemberProbs:
        at_once = batch_members(self.members)

        def one_by_one(window: Tensor) -> MemberLogits:
            return torch.stack([member(window) for member in self.members])

        def chosen(window: Tensor) -> MemberLogits:
            if self.batched == "auto":
                self.batched = is_faster(at_once, one_by_one, window)
            return at_once(window) if self.batched else one_by_one(window)

        return self._infer(image, chosen)

    @torch.no_grad()
    def _infer(self, image: Tensor, logits_of: Callable[[Tensor], MemberLogits]) -> MemberProbs:
        num_members = 0

        def probs_of(window: Tensor) -> Tensor:
            nonlocal num_members
            with torch.autocast(window.device.type, enabled=self.amp):
                member_logits = logits_of(window)
            num_members = len(member_logits)
            # (B, M * C, *spatial): to an inferer, members are more channels.
            return member_logits.float().softmax(dim=2).transpose(0, 1).flatten(1, 2)

        # A MetaTensor would carry the image's metadata through every window, and a narrow dtype
        # would be that of the blending.
        plain = convert_to_tensor(image, track_meta=False).float()
        blended = self.inferer(plain, probs_of).to(image.device, torch.float32)
        return blended.unflatten(1, (num_members, -1)).transpose(0, 1)


def single_networks(
    members: Sequence[nn.Module], inferer: Inferer, *, amp: bool = False
) -> list[NetworkPredictor]:
    """Each member for itself: what one network is worth is the mean of their scores.

    Args:
        members: the networks; put into evaluation mode.
        inferer: MONAI's.
        amp: compute under autocast on the window's device.

    Returns:
        One predictor a member, each with ``M = 1``.

    Example:
        >>> from monai.inferers import SimpleInferer
        >>> from torch import nn
        >>> singles = single_networks([nn.Conv2d(1, 2, 1)] * 3, SimpleInferer())
        >>> [single.num_passes for single in singles]
        [1, 1, 1]
    """
    return [NetworkPredictor([member], inferer, amp=amp) for member in members]
