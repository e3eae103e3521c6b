from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.spatial.distance import cdist

from medkd.metrics import surface_distances

SPACING = (0.7, 1.3, 2.9)
SHAPE = (14, 12, 9)


def surface_of(structure):
    """Voxels with a neighbor outside, by a loop over voxels; beyond the border all is outside."""
    padded = np.pad(structure, 1)
    steps = [step * sign for step in np.eye(structure.ndim, dtype=int) for sign in (1, -1)]
    return [
        place
        for place in np.argwhere(structure)
        if not all(padded[tuple(place + 1 + step)] for step in steps)
    ]


def brute_force(is_pred, is_label, spacing):
    """95 % Hausdorff and average symmetric surface distance from all pairs of voxels."""
    found, true = (np.array(surface_of(one)) * spacing for one in (is_pred, is_label))
    pairs = cdist(found, true)
    outward, inward = pairs.min(axis=1), pairs.min(axis=0)
    highest = max(np.percentile(outward, 95), np.percentile(inward, 95))
    return highest, np.concatenate([outward, inward]).mean()


def ball(center, radius, shape=SHAPE, spacing=SPACING):
    axes = (size * np.arange(n) for n, size in zip(shape, spacing, strict=True))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    place = np.reshape(center, (-1, *([1] * len(shape))))
    return np.sqrt(((grid - place) ** 2).sum(axis=0)) <= radius


def batch(*maps):
    return torch.stack([torch.as_tensor(np.asarray(one)).long() for one in maps]).unsqueeze(1)


def onehot(label, num_classes):
    return torch.nn.functional.one_hot(label[:, 0], num_classes).movedim(-1, 1)


@pytest.fixture
def maps():
    """Prediction and label of two cases and three classes, which touch the border of the volume."""
    label = [ball((4, 6, 12), 5.0).astype(int), ball((0, 8, 9), 6.0).astype(int)]
    pred = [ball((5, 6, 12), 4.5).astype(int), ball((1, 7, 11), 6.0).astype(int)]
    for one, radius in zip((*label, *pred), (2.5, 3.0, 2.0, 3.5), strict=True):
        one[ball((7, 10, 18), radius)] = 2
    pred[0][13, 0, 0] = 1  # far away: the percentile leaves it out, the average does not
    return batch(*pred), batch(*label)


def test_matches_all_pairs_of_surface_voxels(maps):
    pred_label, label = maps
    found = surface_distances(pred_label, label, num_classes=3, spacing=SPACING)
    assert found.hausdorff_95.shape == found.average.shape == (2, 2)
    assert found.hausdorff_95.dtype == found.average.dtype == torch.float64
    for case in range(2):
        for index in (1, 2):
            structures = ((one[case, 0] == index).numpy() for one in maps)
            highest, average = brute_force(*structures, SPACING)
            assert found.hausdorff_95[case, index - 1].item() == pytest.approx(highest, rel=1e-6)
            assert found.average[case, index - 1].item() == pytest.approx(average, rel=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # MONAI's own, of what it calls itself
def test_is_what_monai_computes(maps):
    pred, label = (onehot(one, 3) for one in maps)
    found = surface_distances(*maps, num_classes=3, spacing=SPACING)
    highest = compute_hausdorff_distance(pred, label, percentile=95, spacing=SPACING)
    average = compute_average_surface_distance(pred, label, symmetric=True, spacing=SPACING)
    torch.testing.assert_close(found.hausdorff_95.float(), highest)
    torch.testing.assert_close(found.average.float(), average)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_slab_moved_by_some_voxels_is_so_many_millimeters_away(axis, steps):
    label = np.zeros(SHAPE, dtype=int)
    window = [slice(None)] * 3
    window[axis] = slice(2, 3)  # a sheet through the whole volume: all of it is surface
    label[tuple(window)] = 1
    found = surface_distances(
        batch(np.roll(label, steps, axis)), batch(label), num_classes=2, spacing=SPACING
    )
    assert found.hausdorff_95.item() == pytest.approx(steps * SPACING[axis], rel=1e-6)
    assert found.average.item() == pytest.approx(steps * SPACING[axis], rel=1e-6)


def test_of_two_spheres_is_the_difference_of_their_radii():
    shape, spacing = (40, 40, 40), (0.5, 0.5, 0.5)
    inner, outer = (ball((9.75, 9.75, 9.75), r, shape, spacing) for r in (5.0, 8.0))
    found = surface_distances(batch(inner), batch(outer), num_classes=2, spacing=spacing)
    assert found.average.item() == pytest.approx(3.0, abs=0.1)
    assert found.hausdorff_95.item() == pytest.approx(3.0, abs=0.35)  # most of a voxel's diagonal


def test_is_the_same_in_both_directions(maps):
    there = surface_distances(*maps, num_classes=3, spacing=SPACING)
    back = surface_distances(*reversed(maps), num_classes=3, spacing=SPACING)
    torch.testing.assert_close(there.hausdorff_95, back.hausdorff_95)
    torch.testing.assert_close(there.average, back.average)
    # A prediction that is right in every voxel is not at distance 0 if it misses half.
    label = ball((5, 6, 12), 6.0).astype(int)
    part = label * (np.arange(SHAPE[2]) < 4)
    assert surface_distances(batch(part), batch(label), num_classes=2, spacing=SPACING).average > 1


def test_perfect_is_zero_and_scales_with_the_voxels(maps):
    _, label = maps
    found = surface_distances(label, label, num_classes=3, spacing=SPACING)
    assert not found.hausdorff_95.any()
    assert not found.average.any()
    single = surface_distances(*maps, num_classes=3, spacing=SPACING)
    double = surface_distances(*maps, num_classes=3, spacing=[2 * size for size in SPACING])
    torch.testing.assert_close(2 * single.hausdorff_95, double.hausdorff_95)


def test_what_is_far_from_both_structures_changes_nothing(maps):
    wide = [torch.nn.functional.pad(one, (3, 2, 5, 1, 0, 4)) for one in maps]
    # Not so at the border: what ends there has a surface there, in either size of volume.
    small = surface_distances(*maps, num_classes=3, spacing=SPACING)
    large = surface_distances(*wide, num_classes=3, spacing=SPACING)
    torch.testing.assert_close(small.hausdorff_95, large.hausdorff_95)
    torch.testing.assert_close(small.average, large.average)


def test_a_structure_that_fills_the_volume_ends_at_its_border():
    full = np.ones((3, 3, 3), dtype=int)
    hollow = full.copy()
    hollow[1, 1, 1] = 0  # inside: one voxel of label surface fewer than voxels
    found = surface_distances(batch(full), batch(hollow), num_classes=2, spacing=(1, 1, 1))
    assert found.average.item() == 0.0


def test_nothing_found_costs_the_diagonal_of_the_volume(maps):
    _, label = maps
    found = surface_distances(torch.zeros_like(label), label, num_classes=3, spacing=SPACING)
    diagonal = math.sqrt(sum((n * s) ** 2 for n, s in zip(SHAPE, SPACING, strict=True)))
    assert found.hausdorff_95.flatten().tolist() == pytest.approx([diagonal] * 4)
    assert found.average.flatten().tolist() == pytest.approx([diagonal] * 4)


def test_monai_has_no_number_there():
    """Its mean would be over the organs that were found; so it is not used for them."""
    label = onehot(batch(ball((4, 6, 12), 5.0)), 2)
    nothing = onehot(torch.zeros(1, 1, *SHAPE, dtype=torch.long), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = compute_hausdorff_distance(nothing, label, percentile=95, spacing=SPACING)
    assert theirs.isnan().all()


def test_what_the_label_does_not_have_is_left_out(maps):
    pred_label, label = maps
    without = torch.where(label == 2, 0, label)
    found = surface_distances(pred_label, without, num_classes=3, spacing=SPACING)
    assert found.hausdorff_95[:, 1].isnan().all()
    assert found.average[:, 1].isnan().all()
    assert found.average[:, 0].isfinite().all()


def test_outside_the_mask_all_is_background(maps):
    pred_label, label = maps
    mask = torch.ones_like(label, dtype=torch.bool)
    mask[..., 5:] = False
    found = surface_distances(pred_label, label, num_classes=3, spacing=SPACING, mask=mask)
    cut = [one * mask for one in maps]
    expected = surface_distances(*cut, num_classes=3, spacing=SPACING)
    torch.testing.assert_close(found.average, expected.average, equal_nan=True)
    whole = surface_distances(*maps, num_classes=3, spacing=SPACING)
    assert not torch.equal(found.average[:, 0], whole.average[:, 0])


def test_one_and_two_axes_and_metatensors():
    label = torch.tensor([0, 1, 1, 1, 0, 0])
    for shape, spacing in (((1, 1, 6), (2.0,)), ((1, 1, 6, 1), (2.0, 5.0))):
        one = MetaTensor(label.view(shape))
        found = surface_distances(one.roll(1, 2), one, num_classes=2, spacing=spacing)
        assert found.average.item() == pytest.approx(2.0 if len(spacing) == 1 else 4 / 6)


def test_leaves_the_maps_untouched(maps):
    before = [one.clone() for one in maps]
    surface_distances(*maps, num_classes=3, spacing=SPACING)
    assert all(torch.equal(one, other) for one, other in zip(maps, before, strict=True))


def test_rejects_a_spacing_of_other_axes(maps):
    with pytest.raises(ValueError, match=r"`spacing` of one number for each of 3 .* \(1.0, 2.0\)"):
        surface_distances(*maps, num_classes=3, spacing=(1.0, 2.0))


def test_rejects_a_spacing_of_zero(maps):
    with pytest.raises(ValueError, match=r"`spacing` to be finite and above zero, but got 0\.0"):
        surface_distances(*maps, num_classes=3, spacing=(1.0, 0.0, 1.0))


def test_rejects_maps_of_two_shapes(maps):
    with pytest.raises(ValueError, match="`pred_label` of the shape of `label`"):
        surface_distances(maps[0][:1], maps[1], num_classes=3, spacing=SPACING)
