"""A bundle run as its user runs it, small enough for a test."""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medkd.data import fundus_phantom

REPOSITORY = Path(__file__).parents[2]

SMALL = {
    "num_members": 2,
    "member_num_epochs": 3,
    "num_epochs": 4,
    "steps_per_epoch": 2,
    "val_interval": 2,
    "batch_size": 2,
    "patch_size": [32, 32],
    "device": "cpu",
    "member_def::features": [4] * 6,
    "network_def::features": [4] * 6,
}


VOLUME_SHAPE = (22, 20, 14)
VOLUME_AFFINE = np.array([[-1.5, 0, 0, 9], [0, 1.5, 0.2, -3], [0, -0.2, 2.0, 5], [0, 0, 0, 1]])

SMALL_VOLUMES = {
    "member_num_epochs": 2,
    "num_epochs": 3,
    "steps_per_epoch": 2,
    "val_interval": 1,
    "batch_size": 2,
    "device": "cpu",
    "num_classes": 3,
    "spacing": [1.5, 1.5, 2.0],
    "patch_size": [16, 16, 8],
    "channels": [4, 8, 8],
    "strides": [[2, 2, 1], [2, 2, 2]],
    "normalization": [{"_target_": "NormalizeIntensityd", "keys": "image"}],
}


def write_volumes(folder):
    """Eight cases of six patients, and their manifest; returns its path."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*map(np.arange, VOLUME_SHAPE), indexing="ij"))
    cases = []
    for number in range(8):
        center = np.array(VOLUME_SHAPE)[:, None, None, None] / 2 + generator.uniform(
            -2, 2, (3, 1, 1, 1)
        )
        distance = np.sqrt((((grid - center) * [[[[1]]], [[[1]]], [[[1.3]]]]) ** 2).sum(0))
        label = (distance < 7).astype(np.uint8) + (distance < 4)
        image = (100 * label + generator.normal(0, 30, VOLUME_SHAPE)).astype(np.int16)
        case = {"case_id": f"scan_{number}", "patient": str(min(number, 5))}
        for role, array in (("image", image), ("label", label)):
            case[role] = f"{role}s/{case['case_id']}.nii.gz"
            path = folder / case[role]
            path.parent.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, VOLUME_AFFINE), path)
        cases.append(case)
    ids = [case["case_id"] for case in cases]
    content = {
        "name": "balls",
        "spatial_dims": 3,
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "shell": 1, "core": 2},
        "label_values": {"0": 0, "1": 1, "2": 2},
        "cases": cases,
        "splits": {"train": ids[:4], "validation": ids[4:5], "test": ids[5:]},
    }
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="session")
def phantom_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    fundus_phantom(folder, image_size=64, num_train=1, num_validation=1, num_test=2)
    return folder


@pytest.fixture(scope="session")
def small(phantom_dir):
    """Overrides that make a run small, without the folder it writes to."""
    return {
        **SMALL,
        "dataset_dir": str(phantom_dir),
        "manifest": str(phantom_dir / "manifest.json"),
    }


@pytest.fixture(scope="session")
def volumes_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    write_volumes(folder)
    return folder


@pytest.fixture(scope="session")
def small_volumes(volumes_dir):
    """Overrides that make a run on volumes small, without the folder it writes to."""
    return {
        **SMALL_VOLUMES,
        "dataset_dir": str(volumes_dir),
        "manifest": str(volumes_dir / "manifest.json"),
    }


@pytest.fixture(scope="session")
def volume_grid():
    """Shape and affine of every tiny volume."""
    return VOLUME_SHAPE, VOLUME_AFFINE


@pytest.fixture
def run_bundle(monkeypatch):
    """``run_bundle(run_id, files, **overrides)`` in this process, as the command does."""
    monkeypatch.chdir(REPOSITORY)
    hook, handlers, level = sys.excepthook, list(logging.root.handlers), logging.root.level

    def run(run_id="training", files=("train.json",), bundle="end_kl", **overrides):
        from monai.bundle import run

        config_file = [f"bundles/{bundle}/{name}" for name in files]
        run(run_id=run_id, config_file=config_file, **overrides)

    yield run
    sys.excepthook = hook
    for handler in logging.root.handlers[:]:
        if handler not in handlers:
            logging.root.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if handler not in logging.root.handlers:
            logging.root.addHandler(handler)
    logging.root.setLevel(level)


def command(run_id="training", files=("train.json",), bundle="end_kl", **overrides):
    """The same as a command line."""
    config_file = str([str(Path("bundles", bundle, name)) for name in files])
    pairs = [text for name, value in overrides.items() for text in (f"--{name}", str(value))]
    return [
        sys.executable,
        "-m",
        "monai.bundle",
        "run",
        run_id,
        "--config_file",
        config_file,
        *pairs,
    ]


@pytest.fixture(scope="session")
def run_command():
    def run(*args, **overrides):
        return subprocess.run(
            command(*args, **overrides), cwd=REPOSITORY, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def run_two_processes():
    """The command under ``torchrun``: its status, and what both processes wrote."""

    def run(*args, **overrides):
        gc.collect()  # a run that broke off in this process lets go of its folder
        python, *rest = command(*args, **overrides)
        torchrun = [python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
        with subprocess.Popen(
            [*torchrun, *rest],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                written, _ = process.communicate(timeout=300)
            finally:
                if process.poll() is None:  # with the processes that it started
                    os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, written

    return run


@pytest.fixture
def start_command():
    """Starts the command in the background; whatever still runs at the end is killed."""
    started = []

    def start(*args, **overrides):
        process = subprocess.Popen(
            command(*args, **overrides),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()
