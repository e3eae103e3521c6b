from __future__ import annotations

import pytest

from medkd.data import FilePatterns
from medkd.data.manifests.file_pairing import find_cases, find_patient


@pytest.fixture
def touch(tmp_path):
    def touch(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return touch


def test_pairs_by_what_the_star_stands_for(touch):
    folder = touch("i/a10.jpg", "i/a2.jpg", "l/a10_x.png", "l/a2_x.png", "m/a2.gif")
    cases = find_cases(folder, FilePatterns("i/*.jpg", "l/*_x.png", mask="m/*.gif"))
    assert cases == [
        {
            "case_id": "a2",
            "image": "i/a2.jpg",
            "label": "l/a2_x.png",
            "mask": "m/a2.gif",
        },
        {"case_id": "a10", "image": "i/a10.jpg", "label": "l/a10_x.png"},
    ]


@pytest.mark.parametrize(
    ("image", "label", "case_id"),
    [
        ("*/Original/*.png", "*/Ground truth/*.png", "train_1_A"),
        ("**/Original/*.png", "**/Ground truth/*.png", "train_1_A"),
        ("train/Original/?_A.png", "train/Ground truth/?_A.png", "1"),
        ("train/Original/[0-9]*.[pP][nN][gG]", "train/Ground truth/[!a-z]*.png", "_A"),
    ],
)
def test_understands_glob_patterns(touch, image, label, case_id):
    folder = touch("train/Original/1_A.png", "train/Ground truth/1_A.png")
    (case,) = find_cases(folder, FilePatterns(image, label))
    assert case["case_id"] == case_id


def test_an_image_may_have_no_label_where_it_is_asked_for(touch):
    folder = touch("i/1.jpg", "i/2.jpg", "l/2.png")
    patterns = FilePatterns("i/*.jpg", "l/*.png")
    assert find_cases(folder, patterns, unlabeled=True) == [
        {"case_id": "1", "image": "i/1.jpg"},
        {"case_id": "2", "image": "i/2.jpg", "label": "l/2.png"},
    ]
    touch("l/3.png")
    with pytest.raises(ValueError, match=r"a image for every label, .* l/3\.png"):
        find_cases(folder, patterns, unlabeled=True)


def test_a_pairing_finds_the_id_where_names_differ(touch):
    folder = touch("photo_7.jpg", "drawn/vessels-7-final.png")
    patterns = FilePatterns("*.jpg", "drawn/*.png", pairing=r"[_-](?P<id>\d+)")
    assert find_cases(folder, patterns)[0]["case_id"] == "7"


@pytest.mark.parametrize("expression", [r"(\d+)[LR]", r"(i/)?(?P<patient>\d+)[LR]"])
def test_finds_the_patient(expression):
    assert [find_patient(image, expression) for image in ("i/01L.jpg", "i/01R.jpg")] == ["01", "01"]


def test_a_pattern_for_each_channel(touch):
    folder = touch("a_T1.nii.gz", "a_T2.nii.gz", "a_seg.nii.gz", "._a_T1.nii.gz")
    patterns = FilePatterns(["*_T1.nii.gz", "*_T2.nii.gz"], "*_seg.nii.gz")
    assert find_cases(folder, patterns) == [
        {"case_id": "a", "image": ["a_T1.nii.gz", "a_T2.nii.gz"], "label": "a_seg.nii.gz"}
    ]


def test_rejects_a_case_without_one_of_its_channels(touch):
    folder = touch("a_T1.nii", "b_T1.nii", "a_T2.nii", "a_seg.nii", "b_seg.nii")
    patterns = FilePatterns(["*_T1.nii", "*_T2.nii"], "*_seg.nii")
    with pytest.raises(ValueError, match=r"a channel 1 of the image for every image, but 1 of 2"):
        find_cases(folder, patterns)


@pytest.mark.parametrize(
    ("patterns", "missing"),
    [({"image": "*"}, "label"), ({"label": "*"}, "image"), ({"pairing": "(.)"}, "image")],
)
def test_rejects_a_pattern_alone(patterns, missing):
    with pytest.raises(ValueError, match=f"but got none for the {missing}"):
        FilePatterns(**patterns)


@pytest.mark.parametrize(
    ("names", "patterns", "message"),
    [
        (["a.png"], {"image": "*.jpg"}, r"files for the image pattern '\*\.jpg' in .*, got none"),
        (["a.jpg"], {}, r"files for the label pattern '\*\.png'"),
        (["a.jpg", "b.jpg", "b.png"], {}, r"a label for every image, but 1 of 2 .* a\.jpg"),
        (["a.jpg", "a.png", "b.png"], {}, r"an? image for every label, but 1 of 2 .* b\.png"),
        (["a.jpg", "a.png", "b.gif"], {"mask": "*.gif"}, r"image for every mask, .* b\.gif"),
        (
            ["a1.jpg", "b1.jpg"],
            {"pairing": r"(\d)"},
            r"one image a case, but got a1.jpg and b1.jpg",
        ),
        (
            ["a.jpg", "a.png"],
            {"pairing": r"(\d)"},
            r"pairing .* to match every image, but got a.jpg",
        ),
    ],
)
def test_rejects(touch, names, patterns, message):
    with pytest.raises(ValueError, match=message):
        find_cases(touch(*names), FilePatterns(**{"image": "*.jpg", "label": "*.png", **patterns}))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (r"(\d)", r"expression .* to match every image, .* a.jpg"),
        ("(", r"a regular expression, but got '\('"),
        ("a", r"with a group in parentheses, but got 'a'"),
    ],
)
def test_rejects_a_patient_expression(expression, message):
    with pytest.raises(ValueError, match=message):
        find_patient("a.jpg", expression)
