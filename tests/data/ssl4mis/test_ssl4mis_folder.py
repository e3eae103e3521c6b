from __future__ import annotations

import pytest

from medkd.data.ssl4mis.ssl4mis_folder import read_ssl4mis_folder


@pytest.fixture
def touch(tmp_path):
    """Empty h5 files, and lists of their ids."""

    def touch(*files, **lists):
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, ids in lists.items():
            (tmp_path / f"{name}.list").write_text("\n".join(ids))
        return tmp_path

    return touch


def test_slices_and_volumes_of_ssl4mis(hearts):
    folder, _ = hearts
    found = read_ssl4mis_folder(folder)
    assert found.data_set == "ACDC"
    assert [case.patient for case in found.cases] == [f"patient00{i}" for i in (7, 3, 9, 5, 1)]
    assert [path.name for path in found.cases[0].files] == [
        f"patient007_frame01_slice_{number}.h5" for number in (1, 2, 3)
    ]
    assert [path.name for path in found.cases[4].files] == ["patient001_frame01.h5"]
    assert found.splits == {
        "train": ("patient007_frame01", "patient003_frame01"),
        "validation": ("patient009_frame01", "patient005_frame01"),
        "test": ("patient001_frame01",),
    }
    assert "last 2 patients (patient009, patient005), which are validation" in found.decided
    assert "test is val.list" in found.decided


def test_scans_of_uamt(touch):
    scans = ["0RZ", "ZZ9", "1D7", "38C", "A4R"]
    folder = touch(
        *(f"2018LA_Seg_Training Set/{scan}/mri_norm2.h5" for scan in scans),
        train=scans[:4],
        test=["A4R", ""],
    )
    found = read_ssl4mis_folder(folder)
    assert found.data_set == "LA"
    assert [case.case_id for case in found.cases] == scans
    assert found.splits == {"train": ("0RZ", "ZZ9"), "validation": ("1D7", "38C"), "test": ("A4R",)}
    assert found.decided.startswith("Every volume counts as its own patient. Splits: train is")


def test_all_frames_of_a_patient_are_held_out(touch):
    ids = [f"patient00{i}_frame0{j}" for i in (4, 2, 3) for j in (1, 2)]
    files = [f"data/{i}.h5" for i in (*ids, "patient001_frame01")]
    found = read_ssl4mis_folder(touch(*files, train=ids, val=["patient001_frame01"]))
    assert found.splits["train"] == ("patient004_frame01", "patient004_frame02")
    assert len(found.splits["validation"]) == 4


def test_three_lists_are_three_splits(touch):
    folder = touch("a.h5", "b.h5", "c.h5", train=["b"], val=["c"], test=["a"])
    found = read_ssl4mis_folder(folder)
    assert found.splits == {"train": ("b",), "validation": ("c",), "test": ("a",)}
    assert found.data_set == ""
    assert found.decided.endswith("Splits are those of train.list, val.list and test.list.")


def test_lists_may_hold_paths_and_slices_may_count_from_0(touch):
    files = [f"x/a_slice_{i}.h5" for i in range(12)]
    folder = touch(
        *files,
        *("b/mri_norm2.h5", "c.h5", "._c.h5"),
        train_slices=files,
        train=["not", "read"],
        val=["b/mri_norm2.h5"],
        test=["c.h5"],
    )
    cases = read_ssl4mis_folder(folder).cases
    assert [case.case_id for case in cases] == ["a", "b", "c"]
    assert [path.name for path in cases[0].files] == [f"a_slice_{i}.h5" for i in range(12)]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["a", "b", "a"], "val": ["c"]}, r"train\.list to name ids, each once, .* 'a'"),
        ({"train": [], "val": ["c"]}, r"train\.list to name ids, .* 'none'"),
        (
            {"train": ["a", "b"], "val": ["c"]},
            r"train\.list to have more than 2 patients, .* got 2",
        ),
        ({"train": ["a"], "val": ["b"], "test": ["a"]}, r"of `splits` once, but got 'a' 2 times"),
        (
            {"train": ["p1_x"], "val": ["p1_y"], "test": ["c"]},
            r"every patient in one split, but got patient 'patient1'",
        ),
        ({"train": ["s_slice_1", "s_slice_3"], "val": ["c"]}, r"'s' in .* gaps, but got 1, 3"),
        ({"train": ["s_slice_3"], "val": ["c"]}, r"from 0 or 1 without gaps, but got 3"),
        ({"train": ["s", "s_slice_1"], "val": ["c"]}, r"gaps, but got the whole, 1"),
        ({"train": ["d"], "val": ["c"]}, r"one file of each id, but got .*d\.h5 and .*d\.h5"),
    ],
)
def test_rejects(touch, lists, message):
    lists = {name: [i.replace("p1", "patient1") for i in ids] for name, ids in lists.items()}
    files = ["a", "b", "c", "s", "s_slice_1", "s_slice_3", "patient1_x", "patient1_y"]
    folder = touch(*(f"{name}.h5" for name in files), **lists)
    if "d" in lists["train"]:
        touch("d.h5", "more/d.h5")
    with pytest.raises(ValueError, match=message):
        read_ssl4mis_folder(folder)


@pytest.mark.parametrize(
    ("files", "lists", "message"),
    [
        ([], {}, r"train_slices\.list or train\.list, and val\.list or test\.list, .* lists: none"),
        ([], {"train": ["a"]}, r"but got the lists: train\.list"),
        (["a.h5"], {"train": ["a", "b"], "val": ["c"]}, r"of the 2 ids .* 1 have none, .* 'b'"),
    ],
)
def test_rejects_what_is_not_there(touch, files, lists, message):
    with pytest.raises(FileNotFoundError, match=message):
        read_ssl4mis_folder(touch(*files, **lists))


def test_rejects_a_missing_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"there is no folder .*none"):
        read_ssl4mis_folder(tmp_path / "none")
