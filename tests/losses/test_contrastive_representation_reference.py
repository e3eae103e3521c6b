"""CRD as a module, step by step, against a reference in numpy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from medkd.losses import ContrastiveRepresentationLoss

STUDENT, TEACHERS = 4, [6, 5]
BATCH, CLASSES = 2, 3


class ReferenceCRD:
    """The module's loss in numpy: every position is an anchor, all that is stored a negative."""

    def __init__(self, loss):
        self.loss = loss
        self.banks = None
        self.log_normalizers = {}

    def step(self, student, teachers, label):
        grid = student.shape[2:]
        classes = self.at(label, grid)[:, 0]
        projected = [self.project(self.loss.student_projection, self.at(student, grid))]
        for projection, teacher in zip(self.loss.teacher_projections, teachers, strict=True):
            projected.append(self.project(projection, self.at(teacher, grid)))
        own, *members = [p / np.linalg.norm(p, axis=1, keepdims=True) for p in projected]
        if self.loss.combine == "mean":
            mean = sum(members) / len(members)
            members = [mean / np.linalg.norm(mean, axis=1, keepdims=True)]
        terms = []
        for number, member in enumerate(members):
            terms.append(self.direction((number, 0), own, member, 1 + number, classes))
            terms.append(self.direction((number, 1), member, own, 0, classes))
        new = [*(own, *members), classes]
        old = self.banks or [each[:0] for each in new]
        self.banks = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
        return np.mean(terms)

    def direction(self, name, anchors, positives, bank, classes):
        """-log h of each pair, and -log(1 - h) of each anchor with each negative."""
        scores = np.exp(np.sum(anchors * positives, axis=1) / self.loss.temperature)
        if self.banks is None:
            noise = 1 / self.loss.bank_size
            return np.mean(-np.log(scores / (scores + noise)))
        negatives = np.exp(anchors @ self.banks[bank].T / self.loss.temperature)
        z = self.log_normalizers.setdefault(name, self.loss.bank_size * negatives.mean())
        noise = z * negatives.shape[1] / self.loss.bank_size
        others = -np.log(1 - negatives / (negatives + noise))
        if self.loss.other_classes_only:
            others[classes[:, None] == self.banks[-1][None]] = 0
        return np.mean(-np.log(scores / (scores + noise)) + others.sum(axis=1))

    @staticmethod
    def project(linear, rows):
        weight, bias = (p.detach().double().numpy() for p in (linear.weight, linear.bias))
        return rows @ weight.T + bias

    @staticmethod
    def at(array, grid):
        """Rows of the grid's positions: each takes the voxel that holds the middle of its cell."""
        places = [
            [math.floor((i + 0.5) * own / size) for i in range(size)]
            for own, size in zip(array.shape[2:], grid, strict=True)
        ]
        array = array.double().numpy()
        rows = itertools.product(range(len(array)), *places)
        return np.stack([array[(b, slice(None), *place)] for b, *place in rows])


@pytest.mark.parametrize("grid", [(6, 8), (4, 5, 6)], ids=["2d", "3d"])
@pytest.mark.parametrize("other_classes_only", [False, True])
@pytest.mark.parametrize("combine", ["mean", "each"])
def test_equals_a_reference_in_numpy_step_by_step(grid, combine, other_classes_only):
    """With a bank that holds all of three steps; the label's grid is no multiple of theirs."""
    count = BATCH * math.prod(grid)
    torch.manual_seed(1)
    loss = ContrastiveRepresentationLoss(
        STUDENT, TEACHERS, embedding_dim=8, temperature=0.3, num_positions=CLASSES * count,
        num_negatives=4 * count, bank_size=4 * count, combine=combine,
        other_classes_only=other_classes_only,
    )  # fmt: skip
    reference = ReferenceCRD(loss)
    for _ in range(3):
        student = torch.randn(BATCH, STUDENT, *grid)
        teachers = [
            torch.randn(BATCH, channels, *(size + extra for size in grid))
            for channels, extra in zip(TEACHERS, (0, 3), strict=True)
        ]
        size = [2 * each + 1 + axis for axis, each in enumerate(grid)]
        label = torch.randint(0, CLASSES, (BATCH, 1, *size))
        expected = reference.step(student, teachers, label)
        assert loss(student, teachers, label).item() == pytest.approx(expected, rel=2e-5)
    assert loss.num_stored == 3 * count
