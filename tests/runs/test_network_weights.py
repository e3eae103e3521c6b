from __future__ import annotations

import pytest

from medkd.files import sha256_of
from medkd.runs.network_weights import network_weights


@pytest.fixture
def run_dir(tmp_path):
    names = ["members/member_0/model.pt", "members/member_1/model.pt", "model.pt"]
    names += ["labels_only/member_0/model.pt", "peers/peer_2.pt", "peers/peer_3.pt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def digests(run_dir, *names):
    return [sha256_of(run_dir / name) for name in names]


def test_a_run_with_an_ensemble_has_its_members_and_the_student(run_dir):
    found = network_weights(
        model_file=run_dir / "model.pt", members_dir=run_dir / "members", num_members=2
    )
    names = ("members/member_0/model.pt", "members/member_1/model.pt", "model.pt")
    assert found == digests(run_dir, *names)


def test_a_semi_supervised_run_has_its_baseline_the_student_and_the_peers(run_dir):
    folders = {"labels_only_dir": run_dir / "labels_only", "peers_dir": run_dir / "peers"}
    found = network_weights(model_file=run_dir / "model.pt", **folders)
    names = ("labels_only/member_0/model.pt", "model.pt", "peers/peer_2.pt", "peers/peer_3.pt")
    assert found == digests(run_dir, *names)
    (run_dir / "labels_only" / "member_0" / "model.pt").unlink()  # it may have been left out
    found = network_weights(model_file=run_dir / "model.pt", **folders)
    assert found == digests(run_dir, *names[1:])


def test_rejects_a_student_that_is_not_there(run_dir):
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        network_weights(model_file=run_dir / "none.pt")
