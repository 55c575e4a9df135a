"""What killed processes leave in the voices folder goes away, and nothing that somebody still works on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sovits.zoo import library, workshop
from sovits.zoo.importing import add
from sovits.zoo.voice import find
from tests import sounds
from tests.unit.cli.conftest import store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders there")

#: ``add``, stopped where files are about to be converted.
PROGRAM = """
import sys
from pathlib import Path
from sovits.core.progress import Progress
from sovits.zoo.importing import add

class Stopping(Progress):
    def stage(self, label, total=None, unit=""):
        print("ready", flush=True)
        sys.stdin.read()

add([Path(sys.argv[1])], Path(sys.argv[2]), name="new", progress=Stopping())
"""


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    return tmp_path / "voices"


def hidden(voices: Path) -> list[str]:
    return sorted(item.name.partition("-")[0] for item in voices.iterdir() if item.name.startswith("."))


def test_a_killed_import_is_swept_up_and_a_running_one_is_not(tmp_path: Path, voices: Path) -> None:
    from tests.unit.zoo import fakes

    source = fakes.model(tmp_path / "logs")
    command = [sys.executable, "-c", PROGRAM, str(source), str(voices)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert hidden(voices) == [".adding"]
        assert library.listing(voices) == []
        add([store(tmp_path / "clip.wav", sounds.vowel(150.0, 0.2, 16000))], voices, name="other")
        library.remove("other", voices)
        assert hidden(voices) == [".adding"]
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert hidden(voices) == [".adding"]
    assert library.listing(voices) == []
    assert hidden(voices) == []


def test_the_next_import_sweeps_too(tmp_path: Path, voices: Path) -> None:
    left = workshop.beside(voices)
    (left / "clips").mkdir(parents=True)
    (left / "clips" / "001.wav").touch()
    add([store(tmp_path / "clip.wav", sounds.vowel(150.0, 0.2, 16000))], voices, name="ann")
    assert [item.name for item in voices.iterdir()] == ["ann"]


def test_a_voice_that_was_about_to_be_replaced_comes_back(tmp_path: Path, voices: Path) -> None:
    """Killed between the two renames: the old voice is out of the way and the new one is not in place."""
    clip = store(tmp_path / "clip.wav", sounds.vowel(150.0, 0.2, 16000))
    kept = add([clip], voices, name="ann-marie")
    assert kept.folder is not None
    workshop.beside(voices).mkdir()
    kept.folder.rename(workshop.aside(kept.folder))
    assert [row.name for row in library.listing(voices)] == ["ann-marie"]
    assert find("ann-marie", voices) == kept
    assert hidden(voices) == []


def test_old_and_removed_voices_that_were_not_deleted_to_the_end(tmp_path: Path, voices: Path) -> None:
    clip = store(tmp_path / "clip.wav", sounds.vowel(150.0, 0.2, 16000))
    new = add([clip], voices, name="ann")
    assert new.folder is not None
    workshop.aside(new.folder).mkdir()
    workshop.aside(new.folder, deleted=True).mkdir()
    workshop.aside(new.folder, deleted=True).symlink_to(tmp_path)
    workshop.tidy(voices)
    assert [item.name for item in voices.iterdir()] == ["ann"]
    assert clip.is_file()
    assert find("ann", voices) == new


def test_other_hidden_folders_and_missing_ones_are_left_alone(voices: Path) -> None:
    workshop.tidy(voices)
    assert not voices.exists()
    (voices / ".git").mkdir(parents=True)
    workshop.tidy(voices)
    assert hidden(voices) == [".git"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_listed_all_the_same(voices: Path) -> None:
    workshop.beside(voices).mkdir(parents=True)
    voices.chmod(0o500)
    try:
        assert library.listing(voices) == []
    finally:
        voices.chmod(0o700)
