"""The real MONAI Label server on an exported student, over its REST API.

MONAI Label needs older packages than medkd's own tests, so it has an environment of its own:
`make test-monailabel` builds it and runs this with `MEDKD_MONAILABEL_PYTHON` set to its Python.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medkd.export import StudentUncertainty, export_monailabel
from medkd.export.export_proof import _segment_by_run
from medkd.export.trained_run import read_run

PYTHON = os.environ.get("MEDKD_MONAILABEL_PYTHON", "")
pytestmark = [
    pytest.mark.monailabel,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="needs its environment: make test-monailabel"),
]
STUBS = Path(__file__).parent / "monailabel_stubs"
STARTING, TRAINING = 300, 600  # seconds
NAME = "student"


def _free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Server:
    """A server of its own on a free port, and its requests."""

    def __init__(self, app_dir, studies, log_file):
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}"
        self.log_file = log_file
        command = ["start_server", "--app", str(app_dir), "--studies", str(studies)]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        with log_file.open("w") as log:
            self.process = subprocess.Popen(
                [PYTHON, "-m", "monailabel.main", *command],
                cwd=log_file.parent,
                env={**os.environ, "PYTHONPATH": str(STUBS), "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def request(self, path, data=None, method=None, content_type="application/json"):
        url = f"{self.address}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=TRAINING) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read()!r}\n{self.log()}") from error

    def post(self, path, **parameters):
        return json.loads(self.request(path, json.dumps(parameters).encode(), "POST"))

    def wait_until_ready(self):
        for _ in range(STARTING):
            assert self.process.poll() is None, self.log()
            try:
                return json.loads(self.request("/info/"))
            except (OSError, AssertionError):
                time.sleep(1)
        raise AssertionError(self.log())

    def infer(self, image):
        """The label map of an image of the studies, as the server sends it."""
        body = b"--x\r\nContent-Disposition: form-data; name=params\r\n\r\n{}\r\n--x--\r\n"
        kind = "multipart/form-data; boundary=x"
        path = f"/infer/{NAME}?image={image}&output=image"
        packed = self.request(path, body, "POST", kind)
        file = self.log_file.with_name("answer.nii.gz")
        file.write_bytes(packed)
        image = nibabel.load(file)  # read now, for the next answer takes its place
        return nibabel.Nifti1Image(np.asarray(image.dataobj).copy(), image.affine)

    def save_label(self, image, label_file):
        parts = [
            b"--x\r\nContent-Disposition: form-data; name=params\r\n\r\n{}\r\n",
            b"--x\r\nContent-Disposition: form-data; name=label; filename=label.nii.gz\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n",
            label_file.read_bytes(),
            b"\r\n--x--\r\n",
        ]
        kind = "multipart/form-data; boundary=x"
        self.request(f"/datastore/label?image={image}", b"".join(parts), "PUT", kind)

    def log(self):
        return self.log_file.read_text(errors="replace")[-6000:]

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@pytest.fixture(scope="module")
def studies(tmp_path_factory, real_data):
    """Three real hippocampi; without them, what the run was made with."""
    folder = tmp_path_factory.mktemp("studies")
    for path in sorted((real_data("hippocampus") / "imagesTr").glob("*.nii.gz"))[:3]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def app(volume_run, tmp_path_factory):
    return export_monailabel(volume_run, tmp_path_factory.mktemp("app") / "app", name=NAME)


@pytest.fixture(scope="module")
def server(app, studies, tmp_path_factory):
    started = Server(app.app_dir, studies, tmp_path_factory.mktemp("server") / "log.txt")
    yield started
    started.stop()


def _segment(run_dir, image, output):
    return nibabel.load(_segment_by_run(read_run(run_dir), image, output))


def _wait_for_scores(studies, count):
    path = studies / "datastore_v2.json"
    for _ in range(STARTING):
        objects = json.loads(path.read_text())["objects"] if path.is_file() else {}
        information = {name: value["image"]["info"] for name, value in objects.items()}
        scores = {
            name: info["student_uncertainty"]
            for name, info in information.items()
            if "student_uncertainty" in info
        }
        if len(scores) == count:
            return scores
        time.sleep(1)
    raise AssertionError(f"{len(scores)} of {count} images are scored")


def test_a_viewer_can_do_what_it_does(server, app, studies, volume_run, real_data, tmp_path):
    """Information, inference, the next case, training, inference: in the order of a session."""
    info = server.wait_until_ready()
    assert info["models"][NAME]["labels"] == {"shell": 1, "core": 2}
    assert info["labels"] == ["shell", "core"]
    assert info["models"][NAME]["dimension"] == 3
    assert info["trainers"].keys() == {NAME}
    assert {"most_uncertain", "first", "random"} == info["strategies"].keys()
    assert info["scoring"].keys() == {"student_uncertainty"}

    names = sorted(path.name.removesuffix(".nii.gz") for path in studies.glob("*.nii.gz"))
    first = studies / f"{names[0]}.nii.gz"
    before = server.infer(names[0])
    expected = _segment(volume_run, first, tmp_path / "run")
    np.testing.assert_array_equal(np.asarray(before.dataobj), np.asarray(expected.dataobj))
    np.testing.assert_allclose(before.affine, nibabel.load(first).affine, atol=1e-4)

    scores = _wait_for_scores(studies, count=3)  # made when the server starts
    sample = server.post("/activelearning/most_uncertain")
    assert sample["id"] == max(scores, key=scores.__getitem__)
    for name, score in scores.items():
        found = StudentUncertainty(app.app_dir / "model" / NAME)(studies / f"{name}.nii.gz")
        assert score == pytest.approx(found, rel=1e-3)

    labels = real_data("hippocampus") / "labelsTr"
    for name in names[:2]:
        server.save_label(name, labels / f"{name}.nii.gz")
    remaining = server.post("/activelearning/most_uncertain")["id"]
    assert remaining == names[2]

    model = app.app_dir / "model" / NAME / "models" / "model.pt"
    weights = model.read_bytes()
    server.post(f"/train/{NAME}?run_sync=true", max_epochs=1, device="cpu")
    assert model.read_bytes() != weights, server.log()
    after = server.infer(names[0])
    assert after.shape == before.shape
    assert not np.array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
