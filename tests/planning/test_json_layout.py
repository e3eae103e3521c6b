from __future__ import annotations

import json

import pytest

from medkd.planning import find_template, format_json


def test_flat_lists_and_listed_objects_are_on_one_line():
    content = {"a": {"b": [1.0, 2.5], "c": "d"}, "e": [{"f": [1, 2]}, {"g": {"h": 1}}], "i": []}
    expected = """{
    "a": {
        "b": [1.0, 2.5],
        "c": "d"
    },
    "e": [
        {"f": [1, 2]},
        {
            "g": {"h": 1}
        }
    ],
    "i": []
}
"""
    assert format_json(content) == expected


def test_what_does_not_fit_is_one_entry_a_line():
    names = [f"structure {index}" for index in range(20)]
    lines = format_json({"names": names}).splitlines()
    assert lines[1:3] == ['    "names": [', '        "structure 0",']
    assert len(lines) == 24


@pytest.mark.parametrize("name", ["end_kl", "kd_uniform", "kd_diverse"])
def test_templates_keep_their_content_order_and_width(name):
    for config in find_template(name).configs.values():
        text = format_json(config)
        assert json.dumps(json.loads(text)) == json.dumps(config)
        long = [line for line in text.splitlines() if len(line) > 100]
        assert all(line.lstrip().startswith('"') and "[" not in line[:30] for line in long)
