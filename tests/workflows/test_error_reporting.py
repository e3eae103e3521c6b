from __future__ import annotations

import subprocess
import sys

import pytest

from medkd.ensembles import SoftLabelStore, TeacherEnsemble, add_soft_labels
from medkd.files import atomic_write
from medkd.networks import load_weights
from medkd.workflows.error_reporting import sentence_of

SENTENCE = "Expected `members` to hold at least one network, but got none."


def error_of(function, *args, **kwargs):
    with pytest.raises(Exception, match="") as caught:  # noqa: PT011 - any, on purpose
        function(*args, **kwargs)
    return caught.value


def wrapped(error):
    """As MONAI's parser wraps what a component's constructor raised."""
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("Failed to instantiate the component.") from cause
    except RuntimeError as outer:
        return outer


class TestSentence:
    def test_of_an_error_that_medkd_raised(self):
        assert sentence_of(error_of(TeacherEnsemble, [])) == SENTENCE

    def test_of_an_error_that_monai_wrapped(self):
        from monai.bundle import ConfigParser

        config = {"teacher": {"_target_": "medkd.ensembles.TeacherEnsemble", "members": []}}
        error = error_of(ConfigParser(config).get_parsed_content, "teacher")
        assert SENTENCE not in str(error)
        assert sentence_of(error) == SENTENCE
        assert sentence_of(wrapped(wrapped(error_of(TeacherEnsemble, [])))) == SENTENCE

    def test_of_an_error_met_while_handling_another(self):
        def both():
            try:
                TeacherEnsemble([])
            except ValueError:
                raise RuntimeError("while cleaning up")  # noqa: B904 - the context is the point

        assert sentence_of(error_of(both)) == SENTENCE

    def test_of_an_error_hidden_on_purpose_is_not_shown(self):
        def hide():
            try:
                TeacherEnsemble([])
            except ValueError:
                raise RuntimeError("something else") from None

        assert sentence_of(error_of(hide)) is None

    def test_of_a_key_error_is_not_quoted(self, tmp_path):
        error = error_of(add_soft_labels, [{"case_id": "eye"}], SoftLabelStore(tmp_path))
        assert sentence_of(error) == (
            f"Expected a soft label of eye in {tmp_path}, but there is none."
        )

    def test_of_an_os_error_is_without_its_number(self, tmp_path):
        (tmp_path / "file").write_text("")

        def write():
            with atomic_write(tmp_path / "file" / "a.txt"):
                pass

        sentence = sentence_of(error_of(write))
        assert sentence.startswith(f"Expected to write {tmp_path / 'file' / 'a.txt'}, but got: ")
        assert "Errno" not in sentence

    def test_of_a_missing_file(self, tmp_path):
        sentence = sentence_of(error_of(load_weights, None, tmp_path / "model.pt"))
        assert sentence == f"Expected a file of weights at {tmp_path / 'model.pt'}, but there is none."


class TestFaults:
    """What is no message to the user must be shown in full."""

    def test_of_a_foreign_error_is_none(self):
        assert sentence_of(error_of(int, "x")) is None
        assert sentence_of(wrapped(ValueError("foreign"))) is None
        assert sentence_of(ValueError("never raised")) is None

    @pytest.mark.parametrize(
        ("function", "args", "kind"),
        [
            (add_soft_labels, ([{}], SoftLabelStore("nowhere")), KeyError),
            (add_soft_labels, (None, None), TypeError),
            (load_weights, (None, __file__), ValueError),
            (TeacherEnsemble, (3,), TypeError),
        ],
        ids=["key", "type", "value-of-user", "len"],
    )
    def test_of_a_fault_within_medkd_is_none(self, function, args, kind):
        error = error_of(function, *args)
        assert isinstance(error, kind)
        if kind is ValueError:  # the one that is meant for the user
            assert "to hold weights only" in sentence_of(error)
        else:
            assert sentence_of(error) is None

    def test_of_an_attribute_error_is_none(self):
        import medkd

        assert sentence_of(error_of(getattr, medkd, "no_such_room")) is None

    def test_of_an_interrupt_is_none(self):
        assert sentence_of(KeyboardInterrupt()) is None


SCRIPT = """
import sys
from medkd.workflows.error_reporting import report_errors_in_one_sentence
from medkd.ensembles import TeacherEnsemble

report_errors_in_one_sentence(sys.argv[1])
{fault}
"""


def run(fault, log_file):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(fault=fault), str(log_file)],
        capture_output=True,
        text=True,
        check=False,
    )


class TestHook:
    def test_shows_one_sentence_and_keeps_the_traceback_in_the_log(self, tmp_path):
        log_file = tmp_path / "run" / "log.txt"
        ended = run("TeacherEnsemble([])", log_file)
        assert ended.returncode == 1
        assert ended.stderr == (
            f"\nmedkd: error: {SENTENCE}\nThe traceback is in {log_file}.\n"
        )
        log = log_file.read_text()
        assert log.startswith("Traceback (most recent call last):")
        assert f"ValueError: {SENTENCE}" in log

    def test_appends_to_the_log(self, tmp_path):
        (tmp_path / "log.txt").write_text("before\n")
        run("TeacherEnsemble([])", tmp_path / "log.txt")
        assert (tmp_path / "log.txt").read_text().startswith("before\nTraceback")

    def test_shows_the_sentence_alone_where_the_log_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        ended = run("TeacherEnsemble([])", tmp_path / "file" / "log.txt")
        assert ended.returncode == 1
        assert ended.stderr == f"\nmedkd: error: {SENTENCE}\n"

    def test_shows_a_fault_in_full(self, tmp_path):
        ended = run("{}['missing']", tmp_path / "log.txt")
        assert ended.returncode == 1
        assert ended.stderr.startswith("Traceback (most recent call last):")
        assert "KeyError: 'missing'" in ended.stderr
        assert not (tmp_path / "log.txt").exists()
