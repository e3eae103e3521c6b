from __future__ import annotations

import errno

import h5py
import numpy as np
import pytest
import torch

from medkd.functional import encode_probs
from medkd.teachers.soft_label_file import read_codes, write_codes

CLASSES = 3
# More than a chunk along each axis, and no multiple of one.
LARGE = {1: (70_000,), 2: (300, 270), 3: (40, 35, 33)}


@pytest.fixture(params=LARGE, ids="{}d".format)
def probs(request, generator):
    logits = 3 * torch.randn(CLASSES, *LARGE[request.param], generator=generator)
    return logits.softmax(dim=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "eye.h5"


def test_reads_what_was_written_over_many_chunks(probs, path):
    before = probs.clone()
    write_codes(path, probs)
    assert torch.equal(read_codes(path), encode_probs(probs.unsqueeze(0))[0])
    assert torch.equal(probs, before)


def test_a_crop_across_chunks(probs, path):
    write_codes(path, probs)
    region = tuple(slice(size // 3, size - 1) for size in probs.shape[1:])
    assert torch.equal(read_codes(path, region), read_codes(path)[(slice(None), *region)])


def test_a_crop_reads_few_chunks(path):
    write_codes(path, torch.full((CLASSES, *LARGE[3]), 1 / CLASSES))
    with h5py.File(path) as file:
        assert file["codes"].chunks == (CLASSES - 1, 32, 32, 32)


def test_the_same_label_is_the_same_file(probs, path, tmp_path):
    write_codes(path, probs)
    write_codes(tmp_path / "again.h5", probs)
    assert path.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_is_not_encoded_as_a_whole(path, monkeypatch):
    sizes = []

    def spy(slab):
        sizes.append(slab.shape[2])
        return encode_probs(slab)

    monkeypatch.setattr("medkd.teachers.soft_label_file.encode_probs", spy)
    write_codes(path, torch.full((CLASSES, 70, 3, 2), 1 / CLASSES))
    assert sizes == [32, 32, 6]


def test_is_written_whole_or_not_at_all(probs, path, monkeypatch):
    write_codes(path, probs)
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("medkd.files.os.fsync", full)
    with pytest.raises(OSError, match=f"Expected to write {path}, but got: No space left"):
        write_codes(path, 1 - probs)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["eye.h5"]


class TestDamage:
    @pytest.fixture
    def match(self, path):
        return f"Expected {path} to hold a soft label, but it cannot be read as such: it is damaged"

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
    def test_rejects_a_truncated_file(self, probs, path, match, share):
        write_codes(path, probs)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    def test_rejects_a_flipped_byte(self, probs, path, match):
        write_codes(path, probs)
        content = bytearray(path.read_bytes())
        with h5py.File(path) as file:
            chunk = file["codes"].id.get_chunk_info(0)
        content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    def test_rejects_a_file_of_the_first_format(self, path, match):
        with path.open("wb") as file:
            np.save(file, np.zeros((1, 4, 3), dtype=np.uint8))
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    def test_rejects_another_hdf5_file(self, path, match):
        with h5py.File(path, "w") as file:
            file["image"] = np.zeros((4, 3))
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    @pytest.mark.parametrize("kind", ["external link", "soft link", "virtual", "external", "group"])
    def test_rejects_codes_of_another_file(self, probs, path, tmp_path, match, kind):
        other = tmp_path / "other.h5"
        write_codes(other, probs)
        shape = read_codes(other).shape
        (tmp_path / "raw").write_bytes(bytes(shape.numel()))
        with h5py.File(path, "w") as file:
            if kind == "external link":
                file["codes"] = h5py.ExternalLink(str(other), "codes")
            elif kind == "soft link":
                file["there"] = read_codes(other).numpy()
                file["codes"] = h5py.SoftLink("/there")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(shape=tuple(shape), dtype="uint8")
                layout[:] = h5py.VirtualSource(str(other), "codes", shape=tuple(shape))
                file.create_virtual_dataset("codes", layout)
            elif kind == "external":
                raw = [(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)]
                file.create_dataset("codes", shape=tuple(shape), dtype="uint8", external=raw)
            else:
                file.create_group("codes")
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    def test_rejects_codes_that_were_never_written(self, path, match):
        """A kilobyte that HDF5 would make a gigabyte of zeros from."""
        with h5py.File(path, "w") as file:
            file.create_dataset("codes", (1, 1024, 1024, 1024), "uint8", chunks=(1, 32, 32, 32))
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    @pytest.mark.parametrize("dtype", ["float32", "int16", "S3"])
    def test_rejects_codes_of_another_type(self, path, match, dtype):
        with h5py.File(path, "w") as file:
            file["codes"] = np.zeros((2, 5, 4, 3), dtype=dtype)
        with pytest.raises(ValueError, match=match):
            read_codes(path)

    def test_rejects_a_file_that_is_not_there(self, path):
        with pytest.raises(FileNotFoundError, match=r"eye\.h5"):
            read_codes(path)
