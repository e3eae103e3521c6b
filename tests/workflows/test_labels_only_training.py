from __future__ import annotations

from medkd.workflows import train_labels_only


def test_is_one_member_in_a_folder_of_its_own(monkeypatch, tmp_path):
    asked = []
    name = "medkd.workflows.labels_only_training.train_members"
    monkeypatch.setattr(name, lambda **given: asked.append(given))
    folders = {"bundle_root": "bundles/dmd", "labels_only_dir": tmp_path}
    train_labels_only(**folders, labels_only=True)
    (given,) = asked
    assert (given["members_dir"], given["num_members"]) == (tmp_path, 1)


def test_may_be_left_out(tmp_path):
    train_labels_only(bundle_root="none", labels_only_dir=tmp_path, labels_only=False)
    assert not list(tmp_path.iterdir())
