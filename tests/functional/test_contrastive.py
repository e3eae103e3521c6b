from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medkd.functional import contrastive_representation, supervised_info_nce

D = 5


def embeddings(number, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, D, generator=generator, dtype=torch.float64).to(dtype)


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def loop_info_nce(anchors, keys, anchor_classes, key_classes, temperature):
    terms = []
    for anchor, own in zip(anchors, anchor_classes, strict=True):
        scores = [math.exp(cosine(anchor, key) / temperature) for key in keys]
        positives = [s for s, c in zip(scores, key_classes, strict=True) if c == own]
        if positives:
            terms.append(-np.mean([math.log(s / sum(scores)) for s in positives]))
    return np.mean(terms) if terms else 0.0


def loop_crd(anchors, positives, negatives, bank_size, temperature, *, z=1.0, excluded=None):
    total = 0.0
    noise = z * max(len(negatives), 1) / bank_size
    for i, (anchor, positive) in enumerate(zip(anchors, positives, strict=True)):
        score = math.exp(cosine(anchor, positive) / temperature)
        total -= math.log(score / (score + noise))
        for j, negative in enumerate(negatives):
            if excluded is None or not excluded[i, j]:
                score = math.exp(cosine(anchor, negative) / temperature)
                total -= math.log(1 - score / (score + noise))
    return total / len(anchors)


class TestSupervisedInfoNCE:
    def settings(self, num_anchors=7, num_keys=9):
        generator = torch.Generator().manual_seed(3)
        return {
            "anchor_classes": torch.randint(0, 3, (num_anchors,), generator=generator),
            "key_classes": torch.randint(0, 3, (num_keys,), generator=generator),
        }

    @pytest.mark.parametrize("temperature", [0.07, 0.4, 3.0])
    def test_equals_a_loop_over_positions(self, temperature):
        anchors, keys, classes = embeddings(7), embeddings(9, 1), self.settings()
        found = supervised_info_nce(anchors, keys, **classes, temperature=temperature)
        expected = loop_info_nce(
            anchors.numpy(), keys.numpy(), *(c.tolist() for c in classes.values()), temperature
        )
        assert found.item() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize(
        ("cosines", "classes", "expected"),
        [
            # Identical features: nothing tells the keys apart.
            ((1.0, 1.0, 1.0, 1.0), (0, 0, 1, 1), math.log(4)),
            # Orthogonal negatives, one positive alike: log(1 + 3 / e).
            ((1.0, 0.0, 0.0, 0.0), (0, 1, 1, 1), math.log(1 + 3 / math.e)),
            # One negative, opposite: log(1 + e^-2).
            ((1.0, -1.0), (0, 1), math.log(1 + math.exp(-2))),
            ((1.0,), (0,), 0.0),
        ],
    )
    def test_closed_forms(self, cosines, classes, expected):
        keys = torch.tensor([[c, math.sqrt(1 - c * c)] for c in cosines])
        loss = supervised_info_nce(
            torch.tensor([[2.0, 0.0]]),  # the length does not matter
            keys,
            anchor_classes=torch.tensor([0]),
            key_classes=torch.tensor(classes),
            temperature=1.0,
        )
        assert loss.item() == pytest.approx(expected, abs=1e-6)

    def test_classes_matter(self):
        """The fault of the released code: it took the same position for the only positive."""
        anchors, keys = embeddings(6), embeddings(6, 1)
        supervised = torch.tensor([0, 0, 0, 1, 1, 1])
        by_position = torch.arange(6)
        found = [
            supervised_info_nce(anchors, keys, anchor_classes=c, key_classes=c, temperature=0.4)
            for c in (supervised, by_position)
        ]
        assert abs(found[0] - found[1]) > 0.1

    def test_anchors_without_a_positive_do_not_count(self):
        anchors, keys, classes = embeddings(7), embeddings(9, 1), self.settings()
        found = supervised_info_nce(anchors, keys, **classes, temperature=0.4)
        more = {
            **classes,
            "anchor_classes": torch.cat([classes["anchor_classes"], torch.tensor([8])]),
        }
        again = supervised_info_nce(torch.cat([anchors, keys[:1]]), keys, **more, temperature=0.4)
        torch.testing.assert_close(again, found)

    def test_without_any_positive_it_is_zero_with_zero_gradient(self):
        anchors = embeddings(2).requires_grad_()
        classes = {"anchor_classes": torch.tensor([0, 0]), "key_classes": torch.tensor([1, 1])}
        loss = supervised_info_nce(anchors, embeddings(2, 1), **classes, temperature=0.4)
        loss.backward()
        assert loss.item() == 0.0
        assert torch.equal(anchors.grad, torch.zeros_like(anchors))

    def test_gradients_are_those_of_the_loop(self):
        anchors, keys = embeddings(4).requires_grad_(), embeddings(5, 1).requires_grad_()
        classes = self.settings(4, 5)

        def loss(anchors, keys):
            return supervised_info_nce(anchors, keys, **classes, temperature=0.4)

        assert torch.autograd.gradcheck(loss, (anchors, keys))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_autocast_computes_in_float32(self, dtype):
        anchors, keys, classes = embeddings(7), embeddings(9, 1), self.settings()
        exact = supervised_info_nce(anchors, keys, **classes, temperature=0.07)
        half = anchors.to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = supervised_info_nce(half, keys.to(dtype), **classes, temperature=0.07)
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact.item(), rel=0.05)
        assert half.grad.isfinite().all()

    def test_extreme_temperatures_stay_finite(self):
        anchors, classes = embeddings(7, dtype=torch.float32).requires_grad_(), self.settings()
        loss = supervised_info_nce(
            anchors, anchors[:9].repeat(2, 1)[:9], **classes, temperature=1e-3
        )
        loss.backward()
        assert loss.isfinite()
        assert anchors.grad.isfinite().all()

    def test_inputs_are_not_modified(self):
        anchors, keys = embeddings(7), embeddings(9, 1)
        supervised_info_nce(anchors, keys, **self.settings(), temperature=0.4)
        assert torch.equal(anchors, embeddings(7))
        assert torch.equal(keys, embeddings(9, 1))

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"keys": torch.zeros(9, D + 1)}, r"of shapes \(number, D\) with one D"),
            ({"anchor_classes": torch.zeros(3, dtype=torch.long)}, "`anchor_classes` of whole"),
            ({"key_classes": torch.zeros(9)}, r"`key_classes` of whole .* got torch.float32"),
            ({"temperature": 0.0}, "`temperature` to be finite and above zero"),
        ],
    )
    def test_rejects(self, change, match):
        settings = {"anchors": embeddings(7, dtype=torch.float32), "keys": torch.zeros(9, D)}
        settings |= {"temperature": 0.4, **self.settings(), **change}
        with pytest.raises(ValueError, match=match):
            supervised_info_nce(settings.pop("anchors"), settings.pop("keys"), **settings)


class TestContrastiveRepresentation:
    @pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
    @pytest.mark.parametrize("num_negatives", [0, 1, 6])
    @pytest.mark.parametrize("with_excluded", [False, True])
    @pytest.mark.parametrize("z", [1.0, 55.0])
    def test_equals_a_loop_over_positions(self, temperature, num_negatives, with_excluded, z):
        anchors, positives, negatives = (
            embeddings(4),
            embeddings(4, 1),
            embeddings(num_negatives, 2),
        )
        excluded = (
            embeddings(4, 3)[:, :1] * torch.ones(num_negatives) > 0 if with_excluded else None
        )
        found = contrastive_representation(
            anchors, positives, negatives,
            bank_size=40, temperature=temperature, excluded=excluded, log_normalizer=math.log(z),
        )  # fmt: skip
        inputs = [each.numpy() for each in (anchors, positives, negatives)]
        expected = loop_crd(*inputs, 40, temperature, z=z, excluded=excluded)
        assert found.item() == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize(
        ("angle", "expected"),
        [
            (0.0, math.log(1 + 1 / math.e) + math.log(1 + math.e)),  # the negative is identical
            (math.pi / 2, math.log(1 + 1 / math.e) + math.log(2)),  # orthogonal
            (math.pi, math.log(1 + 1 / math.e) + math.log(1 + 1 / math.e)),  # opposite
        ],
    )
    def test_closed_forms_of_one_negative(self, angle, expected):
        anchor = torch.tensor([[1.0, 0.0]])
        negative = torch.tensor([[math.cos(angle), math.sin(angle)]])
        loss = contrastive_representation(
            anchor, 3 * anchor, negative, bank_size=1, temperature=1.0
        )
        assert loss.item() == pytest.approx(expected, abs=1e-6)

    def test_gradients_are_those_of_the_loop(self):
        inputs = [embeddings(3, seed).requires_grad_() for seed in range(3)]

        def loss(*inputs):
            return contrastive_representation(*inputs, bank_size=20, temperature=0.5)

        assert torch.autograd.gradcheck(loss, inputs)

    def test_small_temperatures_stay_exact(self):
        """With the quotient written out, 1 - h is zero and its logarithm infinite."""
        anchors = embeddings(3, dtype=torch.float32).requires_grad_()
        loss = contrastive_representation(
            anchors, anchors, anchors, bank_size=16384, temperature=0.01
        )
        loss.backward()
        exact = contrastive_representation(
            *[anchors.detach().double()] * 3, bank_size=16384, temperature=0.01
        )
        assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
        assert anchors.grad.isfinite().all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_autocast_computes_in_float32(self, dtype):
        inputs = [embeddings(4, seed) for seed in range(3)]
        exact = contrastive_representation(*inputs, bank_size=40, temperature=0.07)
        halves = [each.to(dtype).requires_grad_() for each in inputs]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = contrastive_representation(*halves, bank_size=40, temperature=0.07)
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact.item(), rel=0.05)
        assert all(each.grad.isfinite().all() for each in halves)

    def test_without_anchors_it_is_zero(self):
        loss = contrastive_representation(
            *[embeddings(0)] * 2, embeddings(3), bank_size=3, temperature=0.1
        )
        assert loss.item() == 0.0

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"positives": torch.zeros(3, D)}, "`positives` of the shape of `anchors`"),
            ({"negatives": torch.zeros(3, D + 1)}, "`anchors` and `negatives` of shapes"),
            ({"bank_size": 0}, "`bank_size` to be at least 1"),
            ({"temperature": -1.0}, "`temperature` to be finite and above zero"),
        ],
    )
    def test_rejects(self, change, match):
        settings = {"anchors": torch.ones(4, D), "positives": torch.ones(4, D)}
        settings |= {"negatives": torch.ones(2, D), "bank_size": 9, "temperature": 1.0, **change}
        with pytest.raises(ValueError, match=match):
            contrastive_representation(**settings)
