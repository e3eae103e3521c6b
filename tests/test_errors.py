from __future__ import annotations

import subprocess
import sys

import pytest

from medkd.errors import sentence_of
from medkd.files import atomic_write
from medkd.networks import load_weights
from medkd.runs.error_reporting import report_errors_in_one_sentence
from medkd.teachers import SoftLabelStore, TeacherEnsemble, add_soft_labels

SENTENCE = "Expected `members` to hold at least one network, but got none."


def error_of(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    return pytest.fail("nothing was raised")


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

        config = {"teacher": {"_target_": "medkd.teachers.TeacherEnsemble", "members": []}}
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
        assert (
            sentence == f"Expected a file of weights at {tmp_path / 'model.pt'}, but there is none."
        )


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


class TestHook:
    @pytest.fixture(autouse=True)
    def _keep_the_hook(self, monkeypatch):
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def show(self, error, log_file):
        report_errors_in_one_sentence(log_file)
        sys.excepthook(type(error), error, error.__traceback__)

    def test_shows_one_sentence_and_keeps_the_traceback_in_the_log(self, tmp_path, capsys):
        log_file = tmp_path / "run" / "log.txt"
        self.show(wrapped(error_of(TeacherEnsemble, [])), log_file)
        out, err = capsys.readouterr()
        assert out == ""
        assert err == f"\nmedkd: error: {SENTENCE}\nThe traceback is in {log_file}.\n"
        log = log_file.read_text()
        assert log.startswith("Traceback (most recent call last):")
        assert f"ValueError: {SENTENCE}" in log
        assert "RuntimeError: Failed to instantiate" in log

    def test_keeps_no_traceback_where_there_is_no_place_for_it(self, capsys):
        self.show(error_of(TeacherEnsemble, []), None)
        assert capsys.readouterr().err == f"\nmedkd: error: {SENTENCE}\n"

    def test_appends_to_the_log(self, tmp_path):
        (tmp_path / "log.txt").write_text("before\n")
        self.show(error_of(TeacherEnsemble, []), tmp_path / "log.txt")
        assert (tmp_path / "log.txt").read_text().startswith("before\nTraceback")

    def test_shows_the_sentence_alone_where_the_log_cannot_be_written(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        self.show(error_of(TeacherEnsemble, []), tmp_path / "file" / "log.txt")
        assert capsys.readouterr().err == f"\nmedkd: error: {SENTENCE}\n"

    def test_shows_a_fault_in_full(self, tmp_path, capsys):
        self.show(error_of(int, "x"), tmp_path / "log.txt")
        err = capsys.readouterr().err
        assert err.startswith("Traceback (most recent call last):")
        assert "ValueError: invalid literal for int()" in err
        assert not (tmp_path / "log.txt").exists()

    def test_says_of_an_interrupt_how_to_go_on(self, tmp_path, capsys):
        self.show(KeyboardInterrupt(), tmp_path / "log.txt")
        message = "\nmedkd: stopped; the same command goes on from here.\n"
        assert capsys.readouterr().err == message

    @pytest.mark.parametrize("fault", [False, True], ids=["sentence", "fault"])
    def test_the_process_ends_with_status_one(self, tmp_path, fault):
        # The module alone, without its package: importing torch would take seconds.
        script = f"""
from medkd.runs.error_reporting import report_errors_in_one_sentence
from medkd.files import atomic_write

report_errors_in_one_sentence(r"{tmp_path / "log.txt"}")
with atomic_write(r"{tmp_path / "file" / "a.txt"}") as file:
    {{}}["missing"] if {fault} else None
"""
        (tmp_path / "file").write_text("")
        if fault:
            (tmp_path / "file").unlink()
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 1
        assert ("Traceback" in ended.stderr) == fault
        assert ("medkd: error: Expected to write" in ended.stderr) == (not fault)
