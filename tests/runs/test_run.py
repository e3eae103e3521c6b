"""What a run knows of itself."""

from __future__ import annotations

import json

import pytest

from medkd.files import sha256_of


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


class TestWeights:
    def test_a_run_with_an_ensemble_has_its_members_and_the_student(self, run_dir, make_run):
        run = make_run(members_dir=str(run_dir / "members"), num_members=2)
        names = ("members/member_0/model.pt", "members/member_1/model.pt", "model.pt")
        assert run.weights_sha256() == digests(run_dir, *names)
        assert run.teacher_weights_sha256() == digests(run_dir, *names[:2])

    def test_a_semi_supervised_run_has_its_baseline_the_student_and_the_peers(
        self, run_dir, make_run
    ):
        run = make_run(
            labels_only_dir=str(run_dir / "labels_only"), peers_dir=str(run_dir / "peers")
        )
        names = ("labels_only/member_0/model.pt", "model.pt", "peers/peer_2.pt", "peers/peer_3.pt")
        assert run.weights_sha256() == digests(run_dir, *names)
        (run_dir / "labels_only" / "member_0" / "model.pt").unlink()  # it may have been left out
        assert run.weights_sha256() == digests(run_dir, *names[1:])
        assert run.teacher_weights_sha256() == []

    def test_rejects_a_student_that_is_not_there(self, run_dir, make_run):
        with pytest.raises(FileNotFoundError, match=r"none\.pt"):
            make_run(model_file=str(run_dir / "none.pt")).weights_sha256()


class TestTemperatures:
    def written(self, run_dir, make_run, **content):
        run = make_run(temperatures_file=str(run_dir / "temperatures.json"))
        known = {"weights": run.weights_sha256(), "temperatures": {"student": [1.5]}}
        (run_dir / "temperatures.json").write_text(json.dumps(known | content))
        return run

    def test_are_those_that_were_fitted_for_these_weights(self, run_dir, make_run):
        assert self.written(run_dir, make_run).temperatures() == {"student": [1.5]}

    def test_are_none_of_other_weights_or_before_they_were_fitted(self, run_dir, make_run):
        assert self.written(run_dir, make_run, weights=["others"]).temperatures() == {}
        (run_dir / "temperatures.json").unlink()
        assert make_run(temperatures_file=str(run_dir / "temperatures.json")).temperatures() == {}

    def test_rejects_a_damaged_file_by_name(self, run_dir, make_run):
        run = self.written(run_dir, make_run)
        (run_dir / "temperatures.json").write_text('{"weights": [')
        with pytest.raises(
            ValueError, match=r"temperatures\.json to be JSON that medkd wrote, but"
        ):
            run.temperatures()


class TestHistories:
    def test_are_the_curves_that_are_there(self, tmp_path, make_run):
        for folder in ("members/member_1", "student", "labels_only/member_0"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "history.csv").write_text("epoch,seconds\n1.0,2.5\n")
        ids = {name: str(tmp_path / name) for name in ("student", "members", "labels_only", "none")}
        run = make_run(
            training_dir=ids["student"],
            members_dir=ids["members"],
            num_members=2,
            dropout_dir=ids["none"],
            labels_only_dir=ids["labels_only"],
        )
        row = {"epoch": 1.0, "seconds": 2.5}
        names = ("member 1", "labels-only network", "student")
        assert run.histories() == {name: [row] for name in names}
        assert next(iter(run.histories(member_name="teacher"))) == "teacher 1"

    def test_of_a_run_without_an_ensemble(self, tmp_path, make_run):
        (tmp_path / "history.csv").write_text("epoch,seconds\n1.0,2.5\n")
        assert list(make_run().histories()) == ["student"]


class TestManifest:
    def test_is_copied_and_may_change_as_long_as_nothing_is_trained(self, tmp_path, make_run):
        (tmp_path / "set.json").write_text("first")
        run = make_run(manifest=str(tmp_path / "set.json"), output_dir=str(tmp_path / "run"))
        (tmp_path / "run").mkdir()
        run.keep_manifest()
        (tmp_path / "set.json").write_text("second")
        run.keep_manifest()
        assert (tmp_path / "run" / "manifest.json").read_text() == "second"

    def test_rejects_another_one_than_the_run_was_begun_with(self, tmp_path, make_run):
        (tmp_path / "set.json").write_text("first")
        run = make_run(manifest=str(tmp_path / "set.json"), output_dir=str(tmp_path / "run"))
        (tmp_path / "run" / "student").mkdir(parents=True)
        run.keep_manifest()
        (tmp_path / "run" / "student" / "settings.json").write_text("{}")
        run.keep_manifest()  # the same
        (tmp_path / "set.json").write_text("second")
        with pytest.raises(ValueError, match=r"to be the manifest that .* was begun with"):
            run.keep_manifest()
        assert (tmp_path / "run" / "manifest.json").read_text() == "first"


def test_what_an_overlay_makes_is_apart_from_the_run(make_run):
    run = make_run(network={"_target_": "torch.nn.Identity"}, seed=1)
    other = run.with_overrides({"seed": 2}, {"seed": 3})
    assert other.get_parsed_content("seed") == 3
    assert run.value("seed") == 1
    assert other.get_parsed_content("network") is not run.value("network")
    assert run.value("nothing", 5) == 5
