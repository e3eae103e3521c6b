from __future__ import annotations

import json

import pytest

from medkd.data.manifests.dataset_json import DatasetFacts, read_dataset_json


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "dataset.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_dataset_json(path)

    return read


def test_decathlon(read):
    facts = read(
        {
            "name": "Heart",
            "description": "Left atrium",
            "reference": "King's College",
            "licence": "CC-BY-SA 4.0",
            "modality": {"0": "MRI"},
            "labels": {"0": "background", "1": "left atrium"},
            "numTraining": 20,
        }
    )
    assert facts == DatasetFacts(
        texts={
            "name": "Heart",
            "description": "Left atrium",
            "source": "King's College",
            "license": "CC-BY-SA 4.0",
        },
        channel_names=("MRI",),
        class_names={0: "background", 1: "left atrium"},
    )


def test_nnunet(read):
    facts = read(
        {
            "channel_names": {"0": "T2", "1": "ADC"},
            "labels": {"background": 0, "PZ": 1, "TZ": 2},
            "file_ending": ".nii.gz",
        }
    )
    assert facts.channel_names == ("T2", "ADC")
    assert facts.class_names == {0: "background", 1: "PZ", 2: "TZ"}


def test_channels_as_a_list_and_a_byte_order_mark(read):
    assert read('\ufeff{"channel_names": ["CT"]}').channel_names == ("CT",)


def test_says_nothing_of_what_is_not_stated(read):
    assert read({}) == DatasetFacts()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "dataset.json to be JSON"),
        ([1], "to be a JSON object, but got list"),
        ({"labels": ["a"]}, r"`labels` of .* to be a JSON object"),
        ({"labels": {"whole": [1, 2], "core": 2}}, r"but got the region 'whole' of the values"),
        ({"labels": {"background": 0, "ignore": 3}}, r"but got an ignore label \(3\)"),
        ({"labels": {"background": "none"}}, r"whole numbers, but got 'background': 'none'"),
        ({"modality": {"1": "CT"}}, r"numbered from '0' without gaps"),
    ],
)
def test_rejects(read, content, message):
    with pytest.raises(ValueError, match=message):
        read(content)
