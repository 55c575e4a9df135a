"""Write beside, then rename: the old file or the new one, never a half."""

from __future__ import annotations

from pathlib import Path

import pytest

from sovits.core.atomic import replacing
from sovits.core.errors import OutputError


def test_new_content_replaces_old(tmp_path):
    target = tmp_path / "sub" / "ä b.wav"
    with replacing(target) as beside:
        assert beside.suffix == ".wav"
        assert beside.parent == target.parent
        beside.write_text("one")
        assert not target.exists()
    with replacing(target) as beside:
        beside.write_text("two")
        assert target.read_text() == "one"
    assert target.read_text() == "two"
    assert list(target.parent.iterdir()) == [target]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_in_the_way(tmp_path):
    target = tmp_path / "folder"
    (target / "inner").mkdir(parents=True)
    with pytest.raises(OutputError, match="in the way"), replacing(target) as beside:
        beside.write_text("x")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OutputError), replacing(file / "below.txt") as beside:
        beside.write_text("x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_told_and_cleaned_up(tmp_path):
    target = tmp_path / "x.bin"
    with pytest.raises(OutputError, match="disk is full"), replacing(target) as beside:
        beside.symlink_to("/dev/full")
        with beside.open("wb") as handle:
            handle.write(b"x" * 100)
    assert list(tmp_path.iterdir()) == []
