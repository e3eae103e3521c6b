"""Each file of a data set is decoded once a run, whoever asks for its case."""

from __future__ import annotations

from collections import Counter

import pytest

from medkd.data import ImageFileReader, VolumeFileReader, load_cases


@pytest.fixture
def decoded(monkeypatch):
    """How often each file was decoded in this process."""
    counts = Counter()

    def counting(get_data):
        def count(self, img):
            counts.update(map(str, img if isinstance(img, (list, tuple)) else [img]))
            return get_data(self, img)

        return count

    for reader in (ImageFileReader, VolumeFileReader):
        monkeypatch.setattr(reader, "get_data", counting(reader.get_data))
    return counts


def files_of(settings, *splits):
    cases = [
        case
        for split in splits
        for case in load_cases(settings["manifest"], settings["dataset_dir"], split=split)
    ]
    return {case[role] for case in cases for role in case.keys() - {"case_id", "patient"}}


def test_of_photographs(run_bundle, small, decoded, tmp_path):
    """Members, dropout network, soft labels, student, temperatures, evaluation and pictures."""
    run_bundle(**small, output_dir=str(tmp_path))
    known = files_of(small, "train", "validation")
    assert len(known) > 10
    # A second observer is asked of the cases that are judged alone.
    assert all(decoded[file] == ("2nd" not in file) for file in known)
    # A test image with a field of view that somebody has drawn is also judged as it is shipped
    # for: from its own file alone.
    tested = files_of(small, "test")
    assert {decoded[file] for file in tested} == {1, 2}
    assert all(decoded[file] == 1 for file in tested if "/images/" not in file)

    decoded.clear()
    run_bundle(**small, output_dir=str(tmp_path), num_workers=0)
    assert all(count == 1 for count in decoded.values())  # the test images as shipped, no other
    assert decoded.keys() <= tested


def test_of_volumes(run_bundle, small_volumes, decoded, tmp_path):
    settings = {**small_volumes, "num_members": 2, "output_dir": str(tmp_path)}
    run_bundle(bundle="kd_uniform", **settings)
    files = files_of(settings, "train", "validation", "test")
    assert {file: decoded[file] for file in files} == dict.fromkeys(files, 1)
