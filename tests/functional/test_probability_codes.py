from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medkd.functional import decode_probs, encode_probs

CLASSES = 4
# The largest loss is where code 0 begins, at a quarter of the smallest share s above zero:
# KL = s (log 4 - 3/4), a little more than half a step inside, 2 (pi / 1020)^2.
BOUND = (math.pi / 510) ** 2 * (math.log(4) - 0.75) * 1.01


def kl(probs, other):
    probs, other = probs.double(), other.double()
    return (torch.special.xlogy(probs, probs) - torch.special.xlogy(probs, other)).sum(dim=1)


def binary(foreground):
    return torch.stack([1 - foreground, foreground]).unsqueeze(0)


class TestCodes:
    def test_matches_the_formula_for_two_classes(self):
        foreground = np.linspace(0, 1, 5000)  # not 0.5, which lies between two codes
        expected = np.rint(255 * 2 / np.pi * np.arcsin(np.sqrt(foreground)))
        codes = encode_probs(binary(torch.from_numpy(foreground)))
        np.testing.assert_array_equal(codes.numpy().ravel(), expected)

    def test_layout_is_a_byte_per_class_but_one(self, spatial):
        codes = encode_probs(torch.full((2, CLASSES, *spatial), 1 / CLASSES))
        assert codes.dtype == torch.uint8
        assert codes.shape == (2, CLASSES - 1, *spatial)
        assert decode_probs(codes).shape == (2, CLASSES, *spatial)
        assert decode_probs(codes).dtype == torch.float32

    def test_every_code_survives(self):
        codes = torch.arange(256, dtype=torch.uint8).view(1, 1, 256)
        assert torch.equal(encode_probs(decode_probs(codes)), codes)

    @pytest.mark.parametrize("index", range(CLASSES))
    def test_certainty_is_exact(self, index):
        certain = torch.zeros(1, CLASSES, 2)
        certain[:, index] = 1.0
        assert torch.equal(decode_probs(encode_probs(certain)), certain)

    def test_smallest_probability(self):
        foreground = decode_probs(torch.ones(1, 1, 1, dtype=torch.uint8))[0, 1].item()
        assert foreground == pytest.approx((math.pi / 510) ** 2, rel=1e-4)

    def test_divergence_of_two_classes_is_bounded(self):
        foreground = torch.cat(
            [
                torch.linspace(0, 1, 100_001, dtype=torch.float64),
                torch.logspace(-12, -2, 20_001, dtype=torch.float64),
                1 - torch.logspace(-12, -2, 20_001, dtype=torch.float64),
            ]
        )
        loss = kl(decode_probs(encode_probs(binary(foreground))), binary(foreground))
        assert loss.max().item() < BOUND < 2.5e-5

    @pytest.mark.parametrize("sharpness", [1.0, 5.0, 20.0])
    def test_divergence_of_many_classes_is_bounded(self, spatial, generator, sharpness):
        logits = torch.randn(64, CLASSES, *spatial, generator=generator) * sharpness
        probs = torch.softmax(logits.double(), dim=1)
        assert kl(decode_probs(encode_probs(probs)), probs).max().item() < (CLASSES - 1) * BOUND

    def test_small_background_between_two_organs_is_kept(self):
        # Coding p_c itself and leaving the rest to class 0 would lose its 0.001 altogether.
        probs = torch.tensor([0.001, 0.4995, 0.4995]).view(1, 3, 1)
        assert decode_probs(encode_probs(probs))[0, 0].item() == pytest.approx(0.001, rel=0.1)

    def test_slabs_change_nothing(self, spatial, generator, monkeypatch):
        probs = torch.softmax(3 * torch.randn(2, CLASSES, *spatial, generator=generator), dim=1)
        whole = encode_probs(probs)
        monkeypatch.setattr("medkd.functional.probability_codes._SLAB_VALUES", 1)
        assert torch.equal(encode_probs(probs), whole)

    def test_decoded_sums_to_one(self, generator):
        codes = torch.randint(0, 256, (3, CLASSES - 1, 50), generator=generator, dtype=torch.uint8)
        probs = decode_probs(codes)
        torch.testing.assert_close(probs.sum(dim=1), torch.ones(3, 50), rtol=0, atol=1e-6)
        assert probs.min().item() >= 0.0

    def test_probability_error_is_at_most_half_a_step(self):
        foreground = torch.linspace(0, 1, 10_001)
        error = (decode_probs(encode_probs(binary(foreground)))[0, 1] - foreground).abs()
        assert error.max().item() < math.pi / 1020 + 1e-6

    def test_flips_move_codes_like_probabilities(self, spatial, generator):
        probs = torch.softmax(torch.randn(1, CLASSES, *spatial, generator=generator), dim=1)
        torch.testing.assert_close(
            decode_probs(encode_probs(probs).flip(-1)), decode_probs(encode_probs(probs.flip(-1)))
        )

    def test_leaves_inputs_untouched(self, generator):
        probs = torch.softmax(torch.randn(1, 3, 5, generator=generator), dim=1)
        codes = encode_probs(probs)
        before = probs.clone(), codes.clone()
        decode_probs(encode_probs(probs))
        decode_probs(codes)
        assert torch.equal(probs, before[0])
        assert torch.equal(codes, before[1])

    def test_rejects_labels(self):
        with pytest.raises(TypeError, match="`probs` of a floating-point dtype"):
            encode_probs(torch.zeros(1, 2, 3, dtype=torch.long))

    def test_rejects_codes_of_other_dtype(self):
        with pytest.raises(TypeError, match=r"`codes` of dtype torch\.uint8, but got torch\.int64"):
            decode_probs(torch.zeros(1, 1, 3, dtype=torch.long))

    def test_rejects_codes_without_spatial_axis(self):
        with pytest.raises(ValueError, match=r"`codes` of shape \(B, C - 1, \*spatial\)"):
            decode_probs(torch.zeros(1, 3, dtype=torch.uint8))
