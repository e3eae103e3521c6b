from __future__ import annotations

import h5py
import numpy as np
import pytest

from medkd.data.ssl4mis.ssl4mis_volume import read_ssl4mis_volume

SHAPE = (3, 5, 4)  # slices, rows, columns


@pytest.fixture
def arrays():
    generator = np.random.default_rng(1)
    return generator.random(SHAPE), generator.integers(0, 4, SHAPE)


def test_slices_are_stacked_in_the_order_given(tmp_path, save_h5, arrays):
    image, label = arrays
    paths = [
        save_h5(tmp_path / f"{z}.h5", image=image[z], label=label[z].astype(np.float64))
        for z in range(len(image))
    ]
    got_image, got_label = read_ssl4mis_volume(paths)
    assert got_image.shape == got_label.shape == SHAPE[::-1]
    assert (got_image.dtype, got_label.dtype) == (np.float32, np.uint8)
    for x, y, z in np.ndindex(SHAPE[::-1]):
        assert got_image[x, y, z] == np.float32(image[z, y, x])
        assert got_label[x, y, z] == label[z, y, x]


def test_a_volume_has_its_slices_first(tmp_path, save_h5, arrays):
    image, label = arrays
    got = read_ssl4mis_volume([save_h5(tmp_path / "a.h5", image=image, label=label)])
    assert np.array_equal(got[0], image.T.astype(np.float32))
    assert np.array_equal(got[1], label.T)


def test_a_left_atrium_has_its_slices_last(tmp_path, save_h5, arrays):
    image, label = arrays
    got = read_ssl4mis_volume([save_h5(tmp_path / "mri_norm2.h5", image=image, label=label)])
    assert np.array_equal(got[0], image.astype(np.float32))
    assert np.array_equal(got[1], label)


def test_a_single_slice_is_a_volume(tmp_path, save_h5, arrays):
    image, label = arrays
    got, _ = read_ssl4mis_volume([save_h5(tmp_path / "a.h5", image=image[0], label=label[0])])
    assert got.shape == (4, 5, 1)


def test_large_labels_need_more_than_a_byte(tmp_path, save_h5, arrays):
    image, label = arrays
    _, got = read_ssl4mis_volume([save_h5(tmp_path / "a.h5", image=image, label=label * 200)])
    assert got.dtype == np.int32
    assert np.array_equal(got, label.T * 200)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, k: {"image": i, "mask": k}, r"a\.h5 to hold image and label, .* image, mask"),
        (lambda *_: {}, r"hold image and label, but got none"),
        (lambda i, k: {"image": i, "label": k[1:]}, r"of one size, .* \(3, 5, 4\) and \(2, 5, 4\)"),
        (lambda i, k: {"image": i[0, 0], "label": k[0, 0]}, r"a volume or a slice, .* \(4,\)"),
        (lambda i, k: {"image": i, "label": k + 0.5}, r"numbers of 0 or more, but got \d\.5"),
        (lambda i, k: {"image": i, "label": k - 9}, r"numbers of 0 or more, but got -\d"),
        (lambda i, k: {"image": i, "label": k * np.nan}, r"numbers of 0 or more, but got nan"),
        (lambda i, k: {"image": i, "label": k + np.inf}, r"numbers of 0 or more, but got inf"),
    ],
)
def test_rejects(tmp_path, save_h5, arrays, change, message):
    with pytest.raises(ValueError, match=message):
        read_ssl4mis_volume([save_h5(tmp_path / "a.h5", **change(*arrays))])


def test_rejects_an_image_in_another_file(tmp_path, save_h5, arrays):
    image, label = arrays
    save_h5(tmp_path / "other.h5", image=image)
    path = save_h5(tmp_path / "a.h5", label=label)
    with h5py.File(path, "a") as file:
        file["image"] = h5py.ExternalLink("other.h5", "image")
    with pytest.raises(ValueError, match=r"'image' of .*a\.h5 to be an array of the file itself"):
        read_ssl4mis_volume([path])


def test_rejects_slices_of_two_sizes(tmp_path, save_h5, arrays):
    image, label = arrays
    first = save_h5(tmp_path / "a.h5", image=image[0], label=label[0])
    second = save_h5(tmp_path / "b.h5", image=image[0, 1:], label=label[0, 1:])
    with pytest.raises(ValueError, match=r"b\.h5 .* of a\.h5, \(5, 4\), .* shape \(4, 4\)"):
        read_ssl4mis_volume([first, second])
    volume = save_h5(tmp_path / "c.h5", image=image, label=label)
    with pytest.raises(ValueError, match=r"c\.h5 to hold a slice .* got shape \(3, 5, 4\)"):
        read_ssl4mis_volume([first, volume])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "but got an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n cut", r"a\.h5 to be a whole h5 file, but got"),
        (b"nothing of the kind", r"a\.h5 to be a whole h5 file, but got"),
    ],
)
def test_rejects_what_is_no_h5_file(tmp_path, content, message):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_ssl4mis_volume([path])


def test_rejects_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"an image file at .*none\.h5"):
        read_ssl4mis_volume([tmp_path / "none.h5"])
