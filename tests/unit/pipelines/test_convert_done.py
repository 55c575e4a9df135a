"""A result counts as done only while it is what it was made as."""

from __future__ import annotations

from pathlib import Path

import pytest

from sovits.pipelines.done import FOLDER, DoneRecords


@pytest.fixture
def made(tmp_path: Path) -> tuple[DoneRecords, Path]:
    output = tmp_path / "deep" / "数 a.wav"
    output.parent.mkdir()
    output.write_bytes(b"sound")
    records = DoneRecords(tmp_path)
    records.add(output, "key")
    return records, output


def test_a_recorded_result_is_done(made: tuple[DoneRecords, Path]) -> None:
    records, output = made
    assert records.holds(output, "key")
    assert not records.holds(output, "other key")
    assert not records.holds(output.with_name("b.wav"), "key")


def test_a_deleted_or_changed_result_is_not(made: tuple[DoneRecords, Path]) -> None:
    records, output = made
    output.write_bytes(b"sOund")
    assert not records.holds(output, "key")
    output.unlink()
    assert not records.holds(output, "key")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"key": "key"}', b"\xff\xfe", b"null"])
def test_a_broken_record_is_no_record(made: tuple[DoneRecords, Path], tmp_path: Path, content: bytes) -> None:
    records, output = made
    (record,) = (tmp_path / FOLDER).iterdir()
    record.write_bytes(content)
    assert not records.holds(output, "key")
    records.add(output, "key")
    assert records.holds(output, "key")


def test_a_folder_that_cannot_hold_records_is_no_error(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_bytes(b"a file is in the way")
    output = tmp_path / "a.wav"
    output.write_bytes(b"sound")
    records = DoneRecords(tmp_path)
    records.add(output, "key")
    assert not records.holds(output, "key")
