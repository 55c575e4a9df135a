"""Archives that mean harm (T10): names that lead outside, links, bombs, lies about sizes."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sovits.core.errors import (
    CancelledError,
    CorruptFileError,
    InputError,
    LimitExceededError,
    OptionError,
    UnsafeFileError,
)
from sovits.core.progress import Cancel
from sovits.zoo.archives import ArchiveLimits, is_archive, unpack
from sovits.zoo.importing import add
from tests.unit.zoo import fakes


def zipped(path: Path, *names: str, data: bytes = b"x", link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if link else 0o100644) << 16
            archive.writestr(info, data)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if member.isreg():
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def everything(folder: Path) -> set[str]:
    return {str(item.relative_to(folder)) for item in folder.rglob("*")}


EVIL = ["../evil.pth", "/tmp/evil.pth", "a/../../evil.pth", "C:\\evil.pth", "..\\evil.pth", "C:/evil.pth", "a\nb.pth"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_lead_outside(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "box" / "evil"
    path.parent.mkdir()
    made = zipped(path, name) if kind == "zip" else tarred(path, member(name))
    before = everything(tmp_path)
    with pytest.raises(UnsafeFileError, match="outside the archive"):
        unpack(made, tmp_path / "box" / "into")
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "../evil"),
        (tarfile.CHRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices(tmp_path: Path, kind: bytes, link: str) -> None:
    with pytest.raises(UnsafeFileError, match="link or device"):
        unpack(tarred(tmp_path / "evil.tar.gz", member("a.pth", kind, link)), tmp_path / "into")


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="link or device"):
        unpack(zipped(tmp_path / "evil.zip", "a.pth", data=b"/etc/passwd", link=True), tmp_path / "into")


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    limits = ArchiveLimits(free_bytes=1 << 20)
    made = zipped(tmp_path / "bomb.zip", "a.pth", data=bytes(32 << 20))
    assert made.stat().st_size < 1 << 16
    with pytest.raises(LimitExceededError, match="come out of it"):
        unpack(made, tmp_path / "zip", limits=limits)
    assert sum(file.stat().st_size for file in (tmp_path / "zip").rglob("*") if file.is_file()) <= 4 << 20
    made = tarred(tmp_path / "bomb.tar.gz", member("a.pth"), data=bytes(32 << 20))
    with pytest.raises(LimitExceededError, match="come out of it"):
        unpack(made, tmp_path / "tar", limits=limits)


def test_a_bomb_among_members_that_nobody_wants(tmp_path: Path) -> None:
    """A packed tar has to be unpacked to skip a member."""
    made = tarred(tmp_path / "bomb.tar.gz", member("a.exe"), member("b.pth"), data=bytes(32 << 20))
    with pytest.raises(LimitExceededError):
        unpack(made, tmp_path / "into", wanted=frozenset({".pth"}), limits=ArchiveLimits(free_bytes=1 << 20))


def test_archives_inside_are_not_unpacked(tmp_path: Path) -> None:
    """42.zip is a zip of zips of zips."""
    inner = zipped(tmp_path / "inner.zip", "a.pth", data=bytes(1 << 20)).read_bytes()
    made = zipped(tmp_path / "outer.zip", *(f"{number}.zip" for number in range(16)), data=inner)
    assert unpack(made, tmp_path / "into", wanted=frozenset({".pth"})) == {}
    assert not (tmp_path / "into").exists()


def test_many_members(tmp_path: Path) -> None:
    made = zipped(tmp_path / "many.zip", *(f"{number}.txt" for number in range(20)))
    with pytest.raises(LimitExceededError, match="more than 10 members"):
        unpack(made, tmp_path / "into", limits=ArchiveLimits(members=10))


def test_a_size_that_is_a_lie(tmp_path: Path) -> None:
    made = zipped(tmp_path / "lie.zip", "a.pth", data=b"y" * 1000)
    raw = bytearray(made.read_bytes())
    at = raw.rfind(b"PK\x01\x02")
    raw[at + 24 : at + 28] = struct.pack("<I", 10)
    made.write_bytes(bytes(raw))
    with pytest.raises(CorruptFileError):
        unpack(made, tmp_path / "into")


def test_a_header_larger_than_any_name(tmp_path: Path) -> None:
    """A pax header is read in one piece: its size is bounded."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 64 << 20
    made = tmp_path / "pax.tar.gz"
    made.write_bytes(gzip.compress(info.tobuf() + bytes(64 << 20), 1))
    with pytest.raises(LimitExceededError, match="header"):
        unpack(made, tmp_path / "into")


@pytest.mark.parametrize("make", [zipped, lambda path, name: tarred(path, member(name))])
def test_a_half_archive(tmp_path: Path, make: Callable[[Path, str], Path]) -> None:
    made = make(tmp_path / "half.zip", "a.pth")
    made.write_bytes(made.read_bytes()[:-30])
    with pytest.raises(CorruptFileError, match=r"half\.zip"):
        unpack(made, tmp_path / "into")


def test_two_members_of_one_name(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        made = zipped(tmp_path / "twice.zip", "a/G.pth", "a/G.pth")
    with pytest.raises(UnsafeFileError, match="two members"):
        unpack(made, tmp_path / "into")


def test_equal_names_in_two_folders_stay_apart(tmp_path: Path) -> None:
    made = zipped(tmp_path / "two.zip", "a/config.json", "b/config.json", "c/.hidden.json")
    names = unpack(made, tmp_path / "into")
    assert sorted(names.values()) == ["a/config.json", "b/config.json"]
    assert {file.name for file in names} == {"config.json"}
    assert all(file.is_file() for file in names)


def test_other_archives_and_cancellation(tmp_path: Path) -> None:
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    assert is_archive(tmp_path / "a.7z")
    with pytest.raises(OptionError, match="7z or RAR"):
        unpack(tmp_path / "a.7z", tmp_path / "into")
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledError):
        unpack(zipped(tmp_path / "a.zip", "a.pth"), tmp_path / "into", cancel=cancel)


def test_a_weight_file_is_no_archive(tmp_path: Path) -> None:
    assert not is_archive(fakes.generator(tmp_path / "G_0.pth"))
    assert not is_archive(tmp_path)
    assert is_archive(zipped(tmp_path / "a.bin", "a.pth"))


def test_a_hostile_archive_leaves_no_trace_in_the_voices_folder(tmp_path: Path) -> None:
    voices = tmp_path / "voices"
    for name in EVIL:
        with pytest.raises(InputError):
            add([zipped(tmp_path / "evil.zip", "G_0.pth", name)], voices, name="ann")
    assert list(voices.iterdir()) == []
