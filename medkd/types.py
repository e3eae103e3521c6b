"""Names for tensors by their axes, used in signatures.

Axis letters, the same everywhere: ``M`` members, ``B`` batch, ``C`` classes, ``*spatial`` one to
three axes. The names are plain aliases of :class:`torch.Tensor`: they tell a reader the layout,
:mod:`medkd._checks` enforces it.
"""

from __future__ import annotations

from typing import TypeAlias

from torch import Tensor

__all__ = ["Label", "Logits", "Mask", "MemberLogits", "MemberProbs", "Probs", "VoxelMap"]

#: Any floating-point tensor of network outputs before softmax, ``(B, C, *spatial)``.
Logits: TypeAlias = Tensor

#: Class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``.
Probs: TypeAlias = Tensor

#: Logits of every member, ``(M, B, C, *spatial)``.
MemberLogits: TypeAlias = Tensor

#: Class probabilities of every member, ``(M, B, C, *spatial)``.
MemberProbs: TypeAlias = Tensor

#: Class index of every voxel, ``(B, 1, *spatial)``, whole numbers in ``[0, C)``.
Label: TypeAlias = Tensor

#: Voxels that count, ``(B, 1, *spatial)``, bool.
Mask: TypeAlias = Tensor

#: One floating-point number per voxel, ``(B, 1, *spatial)``.
VoxelMap: TypeAlias = Tensor
