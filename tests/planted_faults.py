"""Faults at hand-overs, planted one at a time; each must be seen by the test that is named here.

What one stage hands to the next is where a run goes wrong in silence: the numbers are right, of the
wrong weights, voxels or settings. ``python tests/planted_faults.py`` plants each fault in a copy of
the repository, runs the test, and fails if the test passes::

    python tests/planted_faults.py            # all
    python tests/planted_faults.py windows    # those whose name holds this word
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
COPIED = ("medkd", "tests", "bundles", "data_manifests", "pyproject.toml", "setup.cfg", "LICENSE")
SHIPS = "tests/bundles/test_what_ships.py::test_every_way_sees_and_says_the_same"


@dataclass(frozen=True)
class Fault:
    """A line that is wrong.

    Args:
        name: what goes wrong.
        file: where.
        right: the text as it is, once in the file.
        wrong: what stands in its place.
        test: of pytest, which must fail.
    """

    name: str
    file: str
    right: str
    wrong: str
    test: str


FAULTS = (
    Fault(
        "soft labels are kept for other transforms",
        "medkd/workflows/soft_label_writing.py",
        '            "transforms": training_settings(run.parser, _TRANSFORMS),\n',
        "",
        "tests/workflows/test_soft_label_writing.py::TestKey::test_other_transforms",
    ),
    Fault(
        "soft labels are kept for another inferer",
        "medkd/workflows/soft_label_writing.py",
        '            "inferer": training_settings(run.parser, _INFERER),\n',
        "",
        "tests/workflows/test_soft_label_writing.py::TestKey::test_another_inferer",
    ),
    Fault(
        "a temperature is fitted outside of the mask, too",
        "medkd/workflows/temperature_fitting.py",
        "case.label, case.mask",
        "case.label, None",
        "tests/workflows/test_temperature_fitting.py::test_only_voxels_within_the_mask_count",
    ),
    Fault(
        "all processes draw alike",
        "medkd/handlers/epoch_seed_handler.py",
        " + idist.get_rank() * _PROCESS_STRIDE",
        "",
        "tests/handlers/test_epoch_seed_handler.py::test_processes_that_train_together_draw_apart",
    ),
    Fault(
        "weights ship without their temperature",
        "medkd/workflows/deployment_writing.py",
        "        save_weights(folded, shipped)\n",
        "        save_weights(network, shipped)\n",
        f"{SHIPS}[end_kl-[]-nothing]",
    ),
    Fault(
        "a temperature that is not folded is forgotten",
        "medkd/workflows/deployment_writing.py",
        '"calibration_temperature": 1.0 if is_folded else temperature,',
        '"calibration_temperature": 1.0,',
        f"{SHIPS}[end_kl-[]-no fold]",
    ),
    Fault(
        "an export forgets a temperature that is not folded",
        "medkd/export/plain_inference.py",
        "_BLENDED_PROBS.format(tempered=tempered)",
        '_BLENDED_PROBS.format(tempered="")',
        f"{SHIPS}[mtms_kd-[]-no fold]",
    ),
    Fault(
        "the run predicts with the weights as they were trained",
        "medkd/workflows/deployment_writing.py",
        '"model_file": f"$@run_dir + \'/{SHIPPED}\'",',
        '"model_file": "$@run_dir + \'/models/model.pt\'",',
        f"{SHIPS}[kd_uniform-[]-nothing]",
    ),
    Fault(
        "windows of the frame, not of the training",
        "medkd/planning/inference_config.py",
        "        windows = {**windows, **shown}\n",
        "        windows = {**windows, **frame[_WINDOWS]}\n",
        f"{SHIPS}[kd_uniform-[]-windows]",
    ),
    Fault(
        "a transform at the end of the list is left out",
        "medkd/planning/inference_config.py",
        "        for step in self._steps(_STEPS, self.config[_STEPS]):\n",
        "        for step in self._steps(_STEPS, self.config[_STEPS])[:-1]:\n",
        f"{SHIPS}[dmd-[]-preprocessing]",
    ),
    Fault(
        "labels are written as indices",
        "medkd/workflows/deployment_writing.py",
        '"label_values": list(run.manifest.written_label_values),',
        '"label_values": None,',
        f"{SHIPS}[kd_uniform-[]-nothing]",
    ),
    Fault(
        "logits are blended, and not probabilities",
        "medkd/predictors/probabilities_inferer.py",
        "        probs: Probs = self.windows(plain, probs_of)\n        return probs\n",
        "        return self.windows(plain, network).softmax(dim=1)\n",
        "tests/predictors/test_probabilities_inferer.py::"
        "test_are_those_of_the_predictor_that_is_judged",
    ),
    Fault(
        "temperatures of other weights are taken for these",
        "medkd/runs/run.py",
        '        if known.get("weights") != self.weights_sha256():\n            return {}\n',
        "",
        "tests/runs/test_run.py::TestTemperatures::"
        "test_are_none_of_other_weights_or_before_they_were_fitted",
    ),
    Fault(
        "a student of other members is taken for this one",
        "medkd/workflows/network_training.py",
        "run.teacher_weights_sha256() if taught else []",
        "[]",
        "tests/workflows/test_network_training.py::"
        "test_a_student_of_other_members_is_another_student",
    ),
    Fault(
        "a run is evaluated on images that it does not ship for",
        "medkd/runs/deployment_checks.py",
        "            if expected.get(name) != found.get(name):\n",
        "            if False:\n",
        "tests/runs/test_deployment_checks.py::test_rejects_an_evaluation_that_does_otherwise",
    ),
    Fault(
        "a run goes on with another manifest",
        "medkd/runs/run.py",
        "        if kept.is_file() and not is_kept and any(",
        "        if False and any(",
        "tests/runs/test_run.py::TestManifest::"
        "test_rejects_another_one_than_the_run_was_begun_with",
    ),
)


def is_seen(fault: Fault) -> bool:
    """Whether the test fails in a copy of the repository with the fault."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "repository"
        copy.mkdir()
        for entry in COPIED:
            source, target = REPOSITORY / entry, copy / entry
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        path = copy / fault.file
        text = path.read_text(encoding="utf-8")
        if text.count(fault.right) != 1:
            raise SystemExit(f"{fault.name}: its line is no longer once in {fault.file}.")
        path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", fault.test],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):  # pytest's own failure is no seen fault
        raise SystemExit(f"{fault.name}: {fault.test} did not run.\n{done.stdout[-2000:]}")
    return done.returncode == 1


def main(words: list[str]) -> int:
    """Plant them all, or those with one of the words in their names; the number not seen."""
    chosen = [fault for fault in FAULTS if all(word in fault.name for word in words)]
    missed = 0
    for fault in chosen:
        seen = is_seen(fault)
        missed += not seen
        sys.stdout.write(f"{'seen  ' if seen else 'MISSED'}  {fault.name}  ({fault.test})\n")
        sys.stdout.flush()
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
