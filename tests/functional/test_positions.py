from __future__ import annotations

import numpy as np
import pytest
import torch

from medkd.functional import features_at, sample_positions


@pytest.fixture(params=[(7,), (6, 8), (4, 5, 6)], ids=["1d", "2d", "3d"])
def grid(request):
    return request.param


def label_of(grid, batch=2, classes=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, classes, (batch, 1, *grid), generator=generator)


class TestSamplePositions:
    def test_positions_have_the_classes_that_are_said(self, grid):
        label = label_of(grid)
        index, classes = sample_positions(label, grid=grid, num_positions=9)
        assert torch.equal(label.flatten()[index], classes)
        assert len(index.unique()) == len(index) == 9
        assert classes.bincount().tolist() == [3, 3, 3]

    def test_a_rare_class_is_drawn_and_leaves_its_rest(self, grid):
        label = torch.zeros(2, 1, *grid)
        label.flatten()[-1] = 1
        index, classes = sample_positions(label, grid=grid, num_positions=8)
        assert classes.tolist() == [0, 0, 0, 0, 1]
        assert index[-1] == label.numel() - 1

    def test_positions_are_drawn_from_all_images(self):
        seen = set()
        for _ in range(20):
            index, _ = sample_positions(torch.zeros(3, 1, 4, 4), grid=(4, 4), num_positions=9)
            seen |= set((index // 16).tolist())
        assert seen == {0, 1, 2}

    def test_label_is_brought_to_the_grid_of_the_features(self):
        label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).view(1, 1, 8)
        index, classes = sample_positions(label, grid=(2,), num_positions=2)
        assert (index.tolist(), classes.tolist()) == ([0, 1], [0, 1])

    def test_follows_the_seed(self, grid):
        found = []
        for _ in range(2):
            torch.manual_seed(4)
            found.append(sample_positions(label_of(grid), grid=grid, num_positions=6)[0])
        assert torch.equal(*found)

    def test_rejects(self):
        label = torch.arange(4).view(1, 1, 4)
        with pytest.raises(ValueError, match="at least the number of classes, 4, but got 3"):
            sample_positions(label, grid=(4,), num_positions=3)
        with pytest.raises(ValueError, match="with 2 spatial axes"):
            sample_positions(label, grid=(4, 4), num_positions=9)
        with pytest.raises(ValueError, match="`num_positions` to be at least 1"):
            sample_positions(label, grid=(4,), num_positions=0)


class TestFeaturesAt:
    def test_on_their_own_grid_it_is_plain_indexing(self, grid):
        features = torch.randn(2, 3, *grid)
        index = torch.arange(2 * int(np.prod(grid)))
        expected = features.movedim(1, -1).reshape(-1, 3)
        assert torch.equal(features_at(features, index, grid=grid), expected)

    @pytest.mark.parametrize("factor", [2, 3])
    def test_of_a_finer_map_the_middle_of_the_cell(self, grid, factor):
        fine = torch.randn(2, 3, *(factor * size for size in grid))
        middle = [slice(factor // 2, None, factor)] * len(grid)
        expected = fine[(slice(None), slice(None), *middle)].movedim(1, -1).reshape(-1, 3)
        index = torch.arange(len(expected))
        assert torch.equal(features_at(fine, index, grid=grid), expected)

    def test_of_a_coarser_map_the_one_that_holds_the_position(self):
        coarse = torch.tensor([5.0, 7.0]).view(1, 1, 2)
        found = features_at(coarse, torch.arange(4), grid=(4,))
        assert found.flatten().tolist() == [5.0, 5.0, 7.0, 7.0]

    def test_gradient_reaches_the_positions_alone(self, grid):
        features = torch.randn(2, 3, *grid, requires_grad=True)
        features_at(features, torch.tensor([1, 4]), grid=grid).sum().backward()
        reached = features.grad.movedim(1, -1).reshape(-1, 3).sum(1)
        assert reached.nonzero().flatten().tolist() == [1, 4]

    def test_rejects_another_number_of_axes(self):
        with pytest.raises(ValueError, match="with 1 spatial axes"):
            features_at(torch.zeros(1, 2, 3, 3), torch.tensor([0]), grid=(3,))
