from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medkd.files import atomic_folder, atomic_write, sha256_of

# A process that may write 4096 bytes to a file, as on a disk that is nearly full.
NEARLY_FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from medkd.files import atomic_write

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with atomic_write(sys.argv[1]) as file:
        {write}
except OSError as error:
    print(error.filename, error)
"""


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path, error):
    with atomic_write(path, "w") as file:
        file.write("half")
        file.flush()
        raise error


class TestAtomicWrite:
    def test_replaces_the_whole_content(self, tmp_path):
        path = tmp_path / "deep" / "er" / "data.bin"
        for content in (b"a longer content", b"short"):
            with atomic_write(path) as file:
                file.write(content)
            assert path.read_bytes() == content
        assert names_in(path.parent) == ["data.bin"]

    def test_readers_see_the_old_content_until_the_block_ends(self, tmp_path):
        path = tmp_path / "note.txt"
        path.write_text("old")
        with atomic_write(path, "w") as file:
            file.write("new")
            file.flush()
            assert path.read_text() == "old"
        assert path.read_text() == "new"

    def test_who_has_the_old_file_open_reads_it_to_its_end(self, tmp_path):
        path = tmp_path / "note.txt"
        path.write_text("old and long")
        with path.open("rb", buffering=0) as reader:
            first = reader.read(3)
            with atomic_write(path, "w") as file:
                file.write("new")
            assert first + reader.read() == b"old and long"

    def test_text_is_utf8_with_unix_line_ends(self, tmp_path):
        with atomic_write(tmp_path / "note.txt", "w") as file:
            file.write("Gefäß\n")
        assert (tmp_path / "note.txt").read_bytes() == b"Gef\xc3\xa4\xc3\x9f\n"

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt], ids=lambda e: e.__name__)
    def test_keeps_the_old_content_when_the_block_fails(self, tmp_path, error):
        path = tmp_path / "note.txt"
        path.write_text("old")
        with pytest.raises(error, match="stop"):
            write_half(path, error("stop"))
        assert path.read_text() == "old"
        assert names_in(tmp_path) == ["note.txt"]

    def test_leaves_nothing_when_a_new_file_fails(self, tmp_path):
        with pytest.raises(ValueError, match="stop"):
            write_half(tmp_path / "a.txt", ValueError("stop"))
        assert names_in(tmp_path) == []

    def test_has_the_permissions_of_any_new_file(self, tmp_path):
        umask = os.umask(0o027)
        try:
            (tmp_path / "plain").write_bytes(b"")
            with atomic_write(tmp_path / "atomic") as file:
                file.write(b"")
        finally:
            os.umask(umask)
        modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("plain", "atomic")]
        assert modes == [0o640, 0o640]

    @pytest.mark.parametrize(
        "write",
        ["file.write(bytes(8192))", "np.save(file, np.zeros(8192))"],
        ids=["bytes", "numpy"],
    )
    def test_full_disk_is_one_error_that_names_the_file(self, tmp_path, write):
        path = tmp_path / "data.bin"
        path.write_bytes(b"old")
        script = NEARLY_FULL.format(write=write)
        run = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        )
        assert run.stdout.startswith(f"{path} ")
        assert f"Expected to write {path}, but got: " in run.stdout
        assert path.read_bytes() == b"old"
        assert names_in(tmp_path) == ["data.bin"]

    def test_full_disk_at_the_last_moment(self, tmp_path, monkeypatch):
        def fsync(_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fsync)
        path = tmp_path / "data.bin"
        match = f"Expected to write {path}, but got: No space left on device"
        with pytest.raises(OSError, match=match) as caught, atomic_write(path) as file:
            file.write(b"new")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize("below", ["file/a.txt", "file/deep/er/a.txt"])
    def test_rejects_a_folder_that_is_a_file(self, tmp_path, below):
        (tmp_path / "file").write_text("")
        with (
            pytest.raises(OSError, match=f"Expected to write {tmp_path / below}, but got: "),
            atomic_write(tmp_path / below),
        ):
            pass

    def test_rejects_a_path_that_is_a_folder(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with (
            pytest.raises(IsADirectoryError, match=f"Expected to write {tmp_path / 'folder'}"),
            atomic_write(tmp_path / "folder"),
        ):
            pass
        assert names_in(tmp_path) == ["folder"]

    def test_rejects_a_folder_that_cannot_be_made(self, tmp_path, monkeypatch):
        def refuse(path, *_):
            if str(path) == str(tmp_path / "deep"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

        monkeypatch.setattr(os, "mkdir", refuse)
        path = tmp_path / "deep" / "er" / "a.txt"
        match = f"Expected to write {path}, but got: Permission denied"
        with pytest.raises(PermissionError, match=match), atomic_write(path):
            pass

    def test_rejects_a_folder_without_permission(self, tmp_path, monkeypatch):
        def refuse(self, *_, **__):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
        with (
            pytest.raises(PermissionError, match=f"Expected to write {tmp_path / 'a.txt'}, but"),
            atomic_write(tmp_path / "a.txt"),
        ):
            pass

    def test_an_error_about_another_file_passes_as_it_is(self, tmp_path):
        with (
            pytest.raises(FileNotFoundError, match=r"No such file.*missing\.txt"),
            atomic_write(tmp_path / "a.txt"),
        ):
            (tmp_path / "missing.txt").read_text()


@pytest.mark.parametrize("size", [0, 3, (1 << 20) + 1])
def test_sha256_of_any_size(tmp_path, size):
    content = np.random.default_rng(0).bytes(size)
    (tmp_path / "data").write_bytes(content)
    assert sha256_of(tmp_path / "data") == hashlib.sha256(content).hexdigest()


class TestSha256OfSeveral:
    @pytest.fixture
    def files(self, tmp_path):
        paths = [tmp_path / name for name in ("t1", "t2")]
        for path in paths:
            path.write_text(path.name)
        return paths

    def test_is_that_of_their_own_digests(self, files):
        texts = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
        assert sha256_of(files) == hashlib.sha256(texts.encode()).hexdigest()
        assert sha256_of([str(path) for path in files]) == sha256_of(tuple(files))

    def test_the_order_and_the_border_between_files_count(self, files):
        before = sha256_of(files)
        assert sha256_of(files[::-1]) != before
        files[0].write_text("t1t")
        files[1].write_text("2")
        assert sha256_of(files) != before


class TestAtomicFolder:
    def test_is_there_when_the_block_ends(self, tmp_path):
        with atomic_folder(tmp_path / "above" / "new") as temporary:
            (temporary / "note.txt").write_text("whole")
            assert not (tmp_path / "above" / "new").exists()
        assert names_in(tmp_path / "above") == ["new"]
        assert (tmp_path / "above" / "new" / "note.txt").read_text() == "whole"

    @pytest.mark.parametrize("error", [ValueError("faulty"), KeyboardInterrupt()])
    def test_nothing_is_left_after_an_error(self, tmp_path, error):
        def write_half_a_folder():
            with atomic_folder(tmp_path / "new") as temporary:
                (temporary / "note.txt").write_text("half")
                raise error

        with pytest.raises(type(error)):
            write_half_a_folder()
        assert names_in(tmp_path) == []

    def test_rejects_what_exists(self, tmp_path):
        with (
            pytest.raises(FileExistsError, match=r"a new folder for the output, but .* exists"),
            atomic_folder(tmp_path),
        ):
            pass
