from __future__ import annotations

import json

import pytest
from monai.bundle import ConfigWorkflow

from medkd.runs.configuration import running_parser

CONFIG = {
    "imports": ["$import medkd.runs.configuration as rc"],
    "seed": 3,
    "initialize": [],
    "found": "$rc.running_parser()",
    "run": ["$@found['seed']"],
    "finalize": [],
}


def test_is_the_parser_of_the_workflow_that_runs(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps(CONFIG))
    workflow = ConfigWorkflow(
        str(tmp_path / "train.json"), workflow_type="train", logging_file=False, seed=7
    )
    workflow.initialize()
    assert workflow.run() == [7]
    assert workflow.parser.get_parsed_content("seed") == 7


def test_rejects_a_caller_without_a_workflow():
    match = "Expected to be called by an expression of a bundle, .* but there is no workflow"
    with pytest.raises(RuntimeError, match=match):
        running_parser()
