from __future__ import annotations

import pytest

from medkd.runs.training_settings import training_settings, write_settings
from medkd.workflows import (
    member_training,
    train_dropout_network,
    train_labels_only,
    train_members,
)


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """The configurations of the networks that would be trained, in their order."""
    for name in ("member.json", "labels_only.json", "other.json"):
        (tmp_path / name).write_text(f'{{"description": "{name}"}}')
    configs = []

    def run(config_file, **_):
        configs.append(member_training.ConfigParser.load_config_file(config_file))

    monkeypatch.setattr(member_training, "_run", run)
    return configs


CONFIG = {
    "description": "",
    "member": 0,
    "member_def": {"dropout": 0.0},
    "train": {"trainer": 0},
    "training_dir": "nowhere",
    "model_file": "$@training_dir + '/model.pt'",
}


def test_each_member_is_a_run_with_its_overlays_and_its_number(make_run, trained, tmp_path):
    overlays = ["other.json", "labels_only.json", "none.json"]
    run = make_run(
        **CONFIG, members_dir=str(tmp_path / "m"), num_members=2, member_overlays=overlays
    )
    train_members(run)
    assert [(one["member"], one["description"]) for one in trained] == [
        (0, "other.json"),
        (1, "labels_only.json"),
    ]
    assert (tmp_path / "m" / "member_1" / "config.json").is_file()


def test_a_finished_member_is_not_opened(make_run, trained, tmp_path):
    """Else two runs that share finished members would keep one another out of their folders."""
    folder = tmp_path / "m"
    (folder / "member_0").mkdir(parents=True)
    config = {**CONFIG, "training_dir": f"$'{folder}/member_' + str(@member)"}
    run = make_run(**config, members_dir=str(folder), num_members=2)
    write_settings(folder / "member_0" / "settings.json", training_settings(run.parser))
    for name in ("model.pt", "checkpoint.pt"):
        (folder / "member_0" / name).write_bytes(b"")
    train_members(run)
    assert [one["member"] for one in trained] == [1]
    assert {path.name for path in (folder / "member_0").iterdir()} == {"model.pt", "settings.json"}


def test_rejects_more_members_than_overlays(make_run, trained, tmp_path):
    run = make_run(
        **CONFIG, members_dir=str(tmp_path), num_members=2, member_overlays=["other.json"]
    )
    with pytest.raises(ValueError, match="at most the 1 files of `member_overlays`, but got 2"):
        train_members(run)
    assert trained == []


def test_the_dropout_network_is_member_0_with_dropout(make_run, trained, tmp_path):
    folder = str(tmp_path / "dropout")
    ids = {**CONFIG, "members_dir": "members", "dropout_dir": folder}
    train_dropout_network(make_run(**ids, dropout=0))
    assert trained == []
    train_dropout_network(make_run(**ids, dropout=0.2))
    (one,) = trained
    assert (one["member"], one["member_def"], one["members_dir"]) == (0, {"dropout": 0.2}, folder)


def test_the_network_on_labels_alone_is_one_in_a_folder_of_its_own(make_run, trained, tmp_path):
    ids = {**CONFIG, "labels_only_dir": str(tmp_path / "labels_only")}
    train_labels_only(make_run(**ids, labels_only=False))
    assert trained == []
    train_labels_only(make_run(**ids, labels_only=True), overlay="labels_only.json")
    assert [one["description"] for one in trained] == ["labels_only.json"]
    assert (tmp_path / "labels_only" / "member_0" / "config.json").is_file()
