from __future__ import annotations

import torch
from torch import nn

from medkd.export.network_formats.check_windows import cut_check_windows


class OfOneSize(nn.Module):
    def forward(self, window):
        return window.reshape(len(window), 1, 2, 3)


def test_cuts_the_middle_and_the_beginning():
    image = torch.arange(24.0).view(1, 4, 6)
    pair, *longer = cut_check_windows(image, (2, 2), nn.Identity())
    assert pair.tolist() == [[[[8, 9], [14, 15]]], [[[0, 1], [6, 7]]]]
    assert [tuple(window.shape) for window in longer] == [(1, 1, 4, 2), (1, 1, 2, 4)]
    assert longer[0][0, 0].tolist() == [[8, 9], [14, 15], [20, 21], [0, 0]]


def test_fills_up_an_image_smaller_than_a_window():
    (pair, *_) = cut_check_windows(torch.ones(2, 1, 2, 1), (2, 2, 2), nn.Identity())
    assert tuple(pair.shape) == (2, 2, 2, 2, 2)
    assert pair[0, 0].tolist() == [[[1, 0], [1, 0]], [[0, 0], [0, 0]]]


def test_leaves_out_what_a_network_does_not_take():
    windows = cut_check_windows(torch.ones(1, 9, 9), (2, 3), OfOneSize())
    assert [tuple(window.shape) for window in windows] == [(2, 1, 2, 3)]
