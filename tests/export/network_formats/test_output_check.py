from __future__ import annotations

import pytest
import torch

from medkd.export.network_formats import OUTPUT_TOLERANCE, CheckedNetwork, check_outputs

WINDOWS = [torch.tensor([1.0, -2.0]).view(1, 1, 2), torch.tensor([4.0, 0.5]).view(1, 1, 2)]


class TestCheckOutputs:
    def test_is_in_parts_of_the_largest_logit(self):
        found = check_outputs(lambda w: w, lambda w: w + 1e-4, WINDOWS, name="it")
        assert found == pytest.approx(1e-4 / 2, rel=1e-2)

    def test_is_zero_for_the_same(self):
        assert check_outputs(torch.exp, torch.exp, WINDOWS, name="it") == 0
        assert check_outputs(torch.zeros_like, torch.zeros_like, WINDOWS, name="it") == 0

    @pytest.mark.parametrize("wrong", [2 * OUTPUT_TOLERANCE, float("nan"), float("inf")])
    def test_rejects_other_logits(self, wrong):
        def converted(window):
            return window + wrong * window.abs().max()

        with pytest.raises(RuntimeError, match=r"Expected it to give PyTorch's logits within 0\.0"):
            check_outputs(lambda w: w, converted, WINDOWS[1:], name="it")

    def test_rejects_another_shape(self):
        with pytest.raises(RuntimeError, match=r"logits \(1, 1, 2\) .* but got shape \(1, 2\)"):
            check_outputs(lambda w: w, lambda w: w[0], WINDOWS, name="it")

    def test_rejects_no_windows(self):
        with pytest.raises(ValueError, match="at least one batch, but got none"):
            check_outputs(torch.exp, torch.exp, [], name="it")


class TestCheckedNetwork:
    def test_asks_pytorch_once(self):
        asked = []

        def network(window):
            asked.append(window)
            return window + 1

        checked = CheckedNetwork(network, lambda window: window + 1, name="it")
        for window in WINDOWS:
            torch.testing.assert_close(checked(window), window + 1)
        assert len(asked) == 1

    def test_rejects_a_network_that_differs(self):
        checked = CheckedNetwork(torch.exp, torch.sin, name="the backend it")
        with pytest.raises(RuntimeError, match="Expected the backend it to give PyTorch's logits"):
            checked(WINDOWS[0])
