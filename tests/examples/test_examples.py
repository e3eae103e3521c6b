"""Every example runs, as its reader runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path):
    result = subprocess.run(
        [sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_sharpening_costs_calibration_and_not_dice():
    path = next(path for path in EXAMPLES if path.stem == "measure_calibration")
    result = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    rows = {
        line.split()[0]: [float(v) for v in line.split()[1:]]
        for line in result.stdout.splitlines()[1:]
    }
    (dice, ece, brier, nll), sharpened = rows["ideal"], rows["sharpened"]
    assert sharpened[0] == dice
    assert ece < sharpened[1] / 5
    assert brier < sharpened[2]
    assert nll < sharpened[3]
