from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from medkd.data import read_manifest
from medkd.planning import take_fingerprint
from medkd.planning.case_measures import SAMPLE_SIZE

_LPS = np.diag([-0.5, -0.5, 3.0, 1.0])
# The file's axes run up, left, back: its numbers must come out as right-left, back-front, up.
_TURNED = np.array([[0, -2.0, 0, 0], [0, 0, -3.0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])


def noise(shape, seed, *, dtype=np.int16):
    return np.random.default_rng(seed).integers(-900, 300, shape).astype(dtype)


def halves(shape):
    label = np.zeros(shape, dtype=np.uint8)
    label[: shape[0] // 2] = 1
    return label


def take(volumes, cases, **settings):
    ids = [str(index) for index in range(len(cases))]
    return take_fingerprint(*volumes(cases, splits={"train": ids}, **settings))


def test_shape_and_spacing_are_along_the_axes_of_the_body(volumes):
    shape = (4, 6, 8)
    cases = [(noise(shape, 0), halves(shape), _TURNED), (noise(shape, 1), halves(shape), _LPS)]
    fingerprint = take(volumes, cases)
    assert fingerprint.shapes == ((6, 8, 4), (4, 6, 8))
    assert fingerprint.spacings == ((2.0, 3.0, 5.0), (0.5, 0.5, 3.0))
    assert fingerprint.orientations == {"LPS": 1, "SLP": 1}


def test_intensities_are_those_of_numpy_inside_the_structures(volumes):
    shapes = [(6, 5, 4), (8, 5, 3)]
    cases = [([noise(s, i), noise(s, 10 + i)], halves(s), np.eye(4)) for i, s in enumerate(shapes)]
    fingerprint = take(volumes, cases, channel_names=("a", "b"))
    for channel in range(2):
        values = np.concatenate([images[channel][label > 0] for images, label, _ in cases])
        measured = fingerprint.channels[channel]
        expected = [values.mean(), values.std(), *np.percentile(values, [0.5, 99.5])]
        found = [measured.mean, measured.std, measured.low, measured.high]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert measured.minimum == min(images[channel].min() for images, _, _ in cases)
        assert measured.whole_numbers


def test_percentiles_of_a_sample_are_near_those_of_all(volumes):
    shape = (60, 60, 40)
    image = noise(shape, 3)
    label = np.ones(shape, dtype=np.uint8)
    assert label.size > 2 * SAMPLE_SIZE
    channel = take(volumes, [(image, label, np.eye(4))]).channels[0]
    np.testing.assert_allclose(
        [channel.low, channel.high], np.percentile(image, [0.5, 99.5]), atol=6
    )
    assert channel.mean == pytest.approx(image.mean(), rel=1e-5)


def test_classes_background_and_body(volumes):
    shape = (10, 10, 10)
    image = np.zeros(shape, dtype=np.float32)
    image[2:8, :, :5] = 1.5
    label = np.zeros(shape, dtype=np.uint8)
    label[3:5, 0, 0] = 207
    spacing = np.diag([2.0, 1.0, 1.0, 1.0])
    cases = [(image, label, spacing), (image, np.zeros(shape, dtype=np.uint8), spacing)]
    fingerprint = take(volumes, cases, label_values={0: 0, 4: 1, 207: 2})
    first, second = fingerprint.classes
    assert (first.cases, first.voxel_share, first.volume) == (0, 0.0, 0.0)
    assert (second.cases, second.voxel_share, second.volume) == (1, 0.001, 0.004)
    assert fingerprint.body == (12.0, 10.0, 5.0)
    assert fingerprint.channels[0].zero_share == pytest.approx(0.7)
    assert not fingerprint.channels[0].whole_numbers


@pytest.mark.parametrize(
    ("names", "modality", "lowest", "expected"),
    [
        (["CT"], "", 0, "CT"),
        (["T1", "FLAIR"], "", -900, "MR"),
        (["image"], "contrast-enhanced CT", 0, "CT"),
        (["image"], "cine MRI", 0, "MR"),
        (["PET", "CT"], "", 0, "other"),
        (["PET", "CT"], "PET/CT", 0, "other"),
        (["FLAIR", "CT"], "MR and CT", 0, "other"),
        (["image"], "", -900, "CT"),
        (["image"], "", 0, "other"),
        (["contrast"], "direct view", 0, "other"),
    ],
)
def test_recognizes_the_modality(volumes, names, modality, lowest, expected):
    shape = (4, 4, 4)
    image = noise(shape, 0)
    image[:] = np.clip(image, lowest, None)
    cases = [([image] * len(names), halves(shape), np.eye(4))]
    assert take(volumes, cases, channel_names=names, modality=modality).modality == expected


def test_only_the_training_split_counts(two_balls):
    manifest, folder = two_balls
    fingerprint = take_fingerprint(manifest, folder)
    assert fingerprint.case_ids == ("0", "1", "2", "3")
    for case_id in ("4", "5"):
        (folder / "images" / f"{case_id}_0000.nii.gz").unlink()
    assert take_fingerprint(manifest, folder) == fingerprint


def test_cases_without_a_label_count_for_sizes_alone(two_balls):
    manifest, folder = two_balls
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    for number in (1, 2):  # the second is the larger one
        del content["cases"][number]["label"]
        (folder / f"labels/{number}.nii.gz").unlink()
    path.write_text(json.dumps(content))
    whole, partly = (
        take_fingerprint(one, folder)
        for one in (replace(manifest, splits={"train": ("0", "3")}), read_manifest(path))
    )
    assert (partly.num_cases, partly.num_labeled, partly.num_unlabeled) == (4, 2, 2)
    assert partly.shapes[2] == (13, 11, 10)
    assert partly.classes == whole.classes
    ours, theirs = (
        {k: v for k, v in asdict(f.channels[0]).items() if k != "minimum"} for f in (partly, whole)
    )
    assert ours == theirs


def test_rejects_labels_without_structures(volumes):
    nothing = np.zeros((4, 4, 4), dtype=np.uint8)
    with pytest.raises(ValueError, match="to show a structure, but got background alone in all 1"):
        take(volumes, [(noise((4, 4, 4), 0), nothing, np.eye(4))])


def test_rejects_a_label_of_another_shape(volumes):
    cases = [(noise((4, 4, 4), 0), halves((4, 4, 5)), np.eye(4))]
    with pytest.raises(ValueError, match=r"case '0' to be of the shape of its image, \(4, 4, 4\)"):
        take(volumes, cases)


def test_rejects_not_a_number(volumes):
    image = noise((4, 4, 4), 0, dtype=np.float32)
    image[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="case '0' to hold numbers, but got NaN"):
        take(volumes, [(image, halves((4, 4, 4)), np.eye(4))])


def test_rejects_a_truncated_file(two_balls):
    manifest, folder = two_balls
    path = folder / "images" / "1_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"1_0000\.nii\.gz to be a whole NIfTI file"):
        take_fingerprint(manifest, folder)
