from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Orientation, Spacing
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from nibabel.processing import resample_from_to

from medkd.data import resample_map

SHAPE = (11, 9, 7)


def rotation(degrees=(20, -15, 30)):
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def grid(axcodes="RAS", spacing=(1.1, 0.9, 2.7), turned=None, shear=0.0):
    """Affine of a grid of ``SHAPE`` in the order of ``axcodes``, and its shape."""
    matrix = np.eye(4)
    matrix[0, 1] = shear
    matrix[:3, :3] = (np.eye(3) if turned is None else turned) @ matrix[:3, :3] @ np.diag(spacing)
    matrix[:3, 3] = (-30.0, 12.5, 7.0)
    ornt = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(axcodes))
    shape = tuple(np.asarray(SHAPE)[np.argsort(ornt[:, 0])])
    return matrix @ inv_ornt_aff(ornt, SHAPE), tuple(int(size) for size in shape)


def smooth(shape, seed=0):
    volume = torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool3d(volume, 3, stride=1, padding=1)[0, 0]


def reference(volume, affine, target_affine, target_shape, order):
    """Nibabel's, beyond whose edges there is nothing; NaN says where."""
    given = volume.double().numpy()
    image = nibabel.Nifti1Image(given, affine)
    return resample_from_to(image, (target_shape, target_affine), order, cval=np.nan).get_fdata()


GRIDS = {
    "same": {},
    "psr": {"axcodes": "PSR"},
    "lps": {"axcodes": "LPS"},
    "oblique": {"axcodes": "LIA", "turned": rotation()},
    "sheared": {"axcodes": "RPI", "shear": 0.3, "turned": rotation((3, 2, -4))},
}


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", GRIDS)
def test_equals_nibabel_on_the_grid_that_monai_makes(kind, order):
    from monai.data import MetaTensor

    target_affine, target_shape = grid(**GRIDS[kind])
    stored = MetaTensor(torch.zeros(1, *target_shape), affine=target_affine)
    to_network = Compose([Orientation("RAS", labels=None), Spacing((1.3, 1.7, 1.9))])
    seen = to_network(stored)
    affine = np.asarray(seen.affine)
    volume = smooth(seen.shape[1:])
    if order == 0:
        volume = (volume * 20).to(torch.uint8)
    resampled = resample_map(
        volume, affine=affine, target_affine=target_affine, target_shape=target_shape
    )
    assert resampled.dtype == volume.dtype
    expected = reference(volume, affine, target_affine, target_shape, order)
    inside = np.isfinite(expected)
    assert inside.mean() > 0.5
    if order == 1:
        np.testing.assert_allclose(resampled.numpy()[inside], expected[inside], atol=1e-5)
    else:
        assert np.array_equal(resampled.numpy()[inside], expected[inside])
    # Spacing may leave out up to half a voxel at the edge, which is still answered for.
    assert (resampled > 0).all() if order else True


@pytest.mark.parametrize("kind", GRIDS)
def test_a_place_in_mm_keeps_its_label(kind):
    """A ball painted on the network's grid is the ball on the file's, to within its voxels."""
    center, radius = np.array([-26.0, 16.0, 16.0]), 3.2
    affine, shape = grid(spacing=(0.4, 0.4, 0.4), turned=GRIDS[kind].get("turned"))
    shape = tuple(4 * size for size in shape)
    target_affine, target_shape = grid(**GRIDS[kind])
    center = (affine @ np.append(np.asarray(shape) / 2, 1))[:3]

    def distance(affine, shape):
        voxels = np.indices(shape).reshape(3, -1)
        places = affine[:3, :3] @ voxels + affine[:3, 3:]
        return np.linalg.norm(places - center[:, None], axis=0).reshape(shape)

    ball = torch.from_numpy(distance(affine, shape) < radius).to(torch.uint8)
    resampled = resample_map(
        ball, affine=affine, target_affine=target_affine, target_shape=target_shape
    )
    apart = distance(target_affine, target_shape)
    assert resampled[apart < radius - 0.4].all()
    assert not resampled[apart > radius + 0.4].any()
    assert resampled.any()


def test_there_and_back_on_a_finer_grid_is_the_same():
    target_affine, target_shape = grid("PSR", turned=rotation())
    label = torch.randint(0, 5, target_shape, dtype=torch.uint8)
    fine_affine, fine_shape = grid(spacing=(0.3, 0.3, 0.3), turned=rotation())
    fine_shape = tuple(9 * size for size in fine_shape)
    fine = resample_map(
        label, affine=target_affine, target_affine=fine_affine, target_shape=fine_shape
    )
    back = resample_map(
        fine, affine=fine_affine, target_affine=target_affine, target_shape=target_shape
    )
    inside = resample_map(
        torch.ones(fine_shape, dtype=torch.uint8),
        affine=fine_affine,
        target_affine=target_affine,
        target_shape=target_shape,
    ).bool()
    assert inside.float().mean() > 0.5
    assert torch.equal(back[inside], label[inside])


def test_halves_are_even_whatever_a_header_rounds():
    """Twice the voxels: each label twice, though every second place is halfway between two."""
    label = torch.arange(6).view(6, 1, 1)
    for noise in (-1e-7, 0.0, 1e-7):
        target_affine = np.diag([1.0 + noise, 1.0, 1.0, 1.0])
        resampled = resample_map(
            label,
            affine=np.diag([2.0, 1.0, 1.0, 1.0]),
            target_affine=target_affine,
            target_shape=(11, 1, 1),
        )
        assert resampled.flatten().tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("shear", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float32])
def test_far_outside_is_nothing_and_the_edge_is_the_edge(shear, dtype):
    affine = np.eye(4)
    affine[:3, 3] = (5, 5, 5)  # as a crop leaves it
    target_affine = np.eye(4)
    target_affine[0, 1] = shear
    volume = torch.full((4, 3, 2), 7, dtype=dtype)
    resampled = resample_map(
        volume, affine=affine, target_affine=target_affine, target_shape=(14, 14, 14)
    )
    assert resampled.dtype == dtype
    assert set(resampled.unique().tolist()) == {0, 7}
    where = (resampled == 7).nonzero()
    assert where[:, 2].unique().tolist() == [4, 5, 6, 7]  # one voxel more at both ends
    assert where[:, 1].unique().tolist() == [4, 5, 6, 7, 8]


def test_nothing_in_common_is_nothing():
    affine = np.eye(4)
    affine[0, 3] = 100
    volume = torch.ones(3, 3, 3, dtype=torch.uint8)
    resampled = resample_map(volume, affine=affine, target_affine=np.eye(4), target_shape=(2, 2, 2))
    assert not resampled.any()


@pytest.mark.parametrize("kind", ["oblique", "sheared"])
@pytest.mark.parametrize("labels", [True, False])
def test_slabs_are_the_whole(kind, labels, monkeypatch):
    target_affine, target_shape = grid(**GRIDS[kind])
    affine, shape = grid(spacing=(1.3, 1.7, 1.9), turned=GRIDS[kind]["turned"])
    volume = (smooth(shape) * 20).to(torch.uint8) if labels else smooth(shape)
    grids = {"affine": affine, "target_affine": target_affine, "target_shape": target_shape}
    whole = resample_map(volume, **grids)
    monkeypatch.setattr("medkd.data.transforms.grid_resampling._SLAB_VOXELS", 1)
    before = volume.clone()
    torch.testing.assert_close(resample_map(volume, **grids), whole)
    assert torch.equal(volume, before)


def test_rejects_channels():
    with pytest.raises(ValueError, match=r"`volume` of shape \(X, Y, Z\), but got \(2, 3, 4, 5\)"):
        resample_map(
            torch.zeros(2, 3, 4, 5),
            affine=np.eye(4),
            target_affine=np.eye(4),
            target_shape=(1, 1, 1),
        )
