"""The command line in this process, and small recordings for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.cli.main import run
from tests import sounds


class Outcome(NamedTuple):
    """What one run of the command line gave."""

    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli("info", path)`` with a home of its own, in an empty folder."""
    monkeypatch.setenv("SOVITS_HOME", str(tmp_path / "sovits-home"))
    monkeypatch.delenv("SOVITS_MODELS", raising=False)
    monkeypatch.delenv("SOVITS_VOICES", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Outcome(code, said.out, said.err)

    return call


@pytest.fixture
def vowel(tmp_path: Path) -> Path:
    """A sung "ah" at 150 Hz, 0.8 s, 16 kHz."""
    return store(tmp_path / "vowel.wav", sounds.vowel(150.0, 0.8, 16000))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A target voice: 2 s of a glide around 240 Hz, 16 kHz."""
    return store(tmp_path / "target.wav", sounds.glide(200.0, 290.0, 2.0, 16000))


def store(path: Path, sound: sounds.Sound) -> Path:
    """A sound of the tests as a file."""
    write(path, Audio.from_mono(sound.samples, sound.sample_rate))
    return path
