from __future__ import annotations

import stat
import zipfile

import pytest

from medkd.data.dicom.archive import unpack


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "inside" / "unpacked"
    made.mkdir(parents=True)
    return made


def make(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_files_land_under_numbers(tmp_path, folder):
    members = [("Doe^John/IM1.DCM", b"one"), ("Doe^John/sub/", b""), ("Doe^John/sub/IM2", b"two")]
    unpack(make(tmp_path / "a.zip", members), folder)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"000000.dcm": b"one", "000001": b"two"}


@pytest.mark.parametrize(
    "name",
    ["../out", "a/../../out", "/out", "\\out", "..\\out", "a\\..\\..\\out", "C:\\out", "C:out"],
)
def test_rejects_a_path_that_leads_out(tmp_path, folder, name):
    before = sorted(tmp_path.rglob("*"))
    archive = make(tmp_path / "a.zip", [("IM1", b"one"), (name, b"out")])
    with pytest.raises(ValueError, match=r"a\.zip to be .*, but it holds a path that leads out"):
        unpack(archive, folder)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, archive])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_rejects_a_link_or_device(tmp_path, folder, kind):
    member = zipfile.ZipInfo("IM1")
    member.external_attr = (kind | 0o777) << 16
    with pytest.raises(ValueError, match="but it holds a link or a device"):
        unpack(make(tmp_path / "a.zip", [(member, b"/etc/passwd")]), folder)
    assert not list(folder.iterdir())


def test_rejects_a_bomb(tmp_path, folder):
    archive = make(tmp_path / "a.zip", [("IM1", bytes(100 << 20))])
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match="but it would grow out of proportion"):
        unpack(archive, folder)
    assert not list(folder.iterdir())


def test_rejects_what_is_longer_than_it_says(tmp_path, folder):
    archive = make(tmp_path / "a.zip", [("IM1", bytes(5000))])
    content = archive.read_bytes()
    length = (5000).to_bytes(4, "little")
    archive.write_bytes(content.replace(length, (7).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"a\.zip to be"):
        unpack(archive, folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 7


def test_rejects_too_many_files(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("medkd.data.dicom.archive._MOST_FILES", 2)
    archive = make(tmp_path / "a.zip", [(str(number), b"") for number in range(3)])
    with pytest.raises(ValueError, match="but it holds more than 2 files"):
        unpack(archive, folder)


def test_rejects_encryption(tmp_path, folder):
    archive = make(tmp_path / "a.zip", [("IM1", b"one")])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="but it is encrypted"):
        unpack(archive, folder)


@pytest.mark.parametrize("spoil", ["cut", "flip"])
def test_rejects_damage(tmp_path, folder, spoil):
    archive = make(tmp_path / "a.zip", [("IM1", bytes(range(256)) * 9)])
    content = bytearray(archive.read_bytes())
    if spoil == "cut":
        content = content[: len(content) // 2]
    else:
        content[60] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="to be a whole zip archive, but it cannot be unpacked"):
        unpack(archive, folder)
