"""T2 and T2b of the known attacks: hostile weight files into every loader.

Each has to be refused with a typed error; no code runs, nothing is written, nothing but the file is opened, no socket,
no process but our own child; within 2 s of processor time and 64 MB of memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.security import hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory through /proc")

SECONDS, MEGABYTES = 2.0, 64.0
READERS = ["torch zip", "torch legacy", "torch tar", "safetensors", "npy", "npz", "faiss", "onnx structure"]
TRACE = Path("/tmp/sovits-was-here")


def write(folder: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    folder.mkdir()
    for title, data in files:
        with (folder / title).open("xb") as handle:  # every title is its own
            handle.write(data)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole corpus in one folder."""
    return write(tmp_path_factory.mktemp("hostile") / "files", hostile.corpus())


def run(folder: Path, loaders: list[str], repository: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.security.runner", str(folder), *loaders]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == sum(item.is_file() for item in folder.iterdir()) * len(loaders) + 1
    return rows


def problems(rows: list[dict[str, Any]]) -> list[str]:
    bad = []
    for row in rows[:-1]:
        wrong = []
        if not row["outcome"].startswith("refused"):
            wrong.append(row["outcome"])
        if row["events"]:
            wrong.append(f"events {row['events']}")
        if row["seconds"] > SECONDS:
            wrong.append(f"{row['seconds']} s")
        if row["megabytes"] > MEGABYTES:
            wrong.append(f"{row['megabytes']} MB")
        if wrong:
            bad.append(f"{row['file']} through {row['loader']}: {'; '.join(wrong)}")
    return bad


@pytest.fixture(autouse=True)
def no_trace():
    TRACE.unlink(missing_ok=True)
    yield
    assert not TRACE.exists(), "a hostile file had its command run"


def test_the_corpus_is_large(files):
    assert sum(item.is_file() for item in files.iterdir()) >= 300


def test_every_hostile_file_is_refused_by_the_doors(files, repository):
    assert problems(run(files, ["read", "inspect", "read_indexes"], repository)) == []


@pytest.mark.slow
def test_every_hostile_file_is_refused_by_every_reader_behind_them(files, repository):
    assert problems(run(files, READERS, repository)) == []


def test_native_parsers_refuse_in_their_child(tmp_path, repository):
    rows = run(write(tmp_path / "onnx", hostile.onnx_for_the_native_parser()), ["inspect"], repository)
    assert problems(rows) == []
    assert rows[-1]["children_megabytes"] < MEGABYTES + 32  # the interpreter, numpy and onnxruntime included


@pytest.mark.slow
def test_native_parsers_are_contained_even_when_nothing_was_checked_before(tmp_path, repository):
    rows = run(write(tmp_path / "onnx", hostile.onnx_models()), ["onnx child"], repository)
    for row in rows:
        if "outcome" in row:
            assert not row["outcome"].startswith("broke"), row
            assert row["events"] == [], row
            assert row["megabytes"] < MEGABYTES, row
