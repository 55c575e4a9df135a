"""``sovits.load_voice``: voices of both kinds behind one interface."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sovits
from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.audio.io import probe
from sovits.core.errors import AudioError, CancelledError, OptionError, PathError, VoiceError
from sovits.core.progress import Cancel
from sovits.options.convert import ConvertOptions
from sovits.options.svc import SvcOptions
from tests import sounds


@pytest.fixture
def song() -> Audio:
    sound = sounds.vowel(220.0, 0.5, 22050)
    return Audio.from_mono(sound.samples, sound.sample_rate)


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    sound = sounds.glide(200.0, 290.0, 2.0, 16000)
    folder = tmp_path / "takes"
    folder.mkdir()
    write(folder / "one.wav", Audio.from_mono(sound.samples, sound.sample_rate))
    return folder


@pytest.fixture(scope="module")
def tiny() -> sovits.LoadedVoice:
    pytest.importorskip("torch")
    return sovits.load_voice("tiny", device="cpu", threads=1)


def test_a_trained_voice(tiny: sovits.LoadedVoice, song: Audio, tmp_path: Path) -> None:
    assert (tiny.name, tiny.is_trained) == ("tiny", True)
    assert isinstance(tiny.options(), SvcOptions)
    assert tiny.speakers == {"one": 0, "two": 1, "three": 2}
    sung = tiny.convert(song, transpose=-2, speaker="two")
    assert (sung.sample_rate, sung.channels) == (44100, 1)
    assert sung.duration == pytest.approx(song.duration, abs=0.02)
    write(tmp_path / "song.wav", song)
    seconds = tiny.convert_file(tmp_path / "song.wav", tmp_path / "sung.wav", transpose=-2, speaker="two")
    assert probe(tmp_path / "sung.wav").duration == pytest.approx(seconds) == pytest.approx(sung.duration)
    again = tiny.convert(str(tmp_path / "song.wav"), tiny.options(transpose=-2, speaker="two"))
    # The file holds 16 bits a sample, so its result is near, not equal.
    assert again.length == sung.length
    assert np.corrcoef(again.samples[0], sung.samples[0])[0, 1] > 0.99


def test_a_voice_of_recordings(takes: Path, song: Audio) -> None:
    voice = sovits.load_voice(takes)
    assert (voice.name, voice.is_trained) == ("takes", False)
    assert type(voice.options()) is ConvertOptions
    assert voice.speakers == {}
    sung = voice.convert(song, transpose=0)
    assert (sung.sample_rate, sung.length) == (song.sample_rate, song.length)
    other = voice.convert(song, transpose=0, pitch={"method": "dio"})
    assert not np.array_equal(sung.samples, other.samples)
    with pytest.raises(OptionError, match="noise_scale"):
        voice.convert(song, noise_scale=0.2)


def test_threads_share_a_voice(tiny: sovits.LoadedVoice, song: Audio) -> None:
    """Calls with other options at the same time do not move each other's numbers."""
    settings = [{"speaker": name, "seed": seed} for name in ("one", "two") for seed in (0, 1)] * 2
    alone = [tiny.convert(song, **row).samples for row in settings[:4]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: tiny.convert(song, **row).samples, settings))
    for index, samples in enumerate(together):
        np.testing.assert_array_equal(samples, alone[index % 4])
    assert not np.array_equal(alone[0], alone[1])


def test_wrong_calls(tiny: sovits.LoadedVoice, song: Audio, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="did you mean 'transpose'"):
        tiny.convert(song, transposed=3)
    with pytest.raises(OptionError, match="both"):
        tiny.convert(song, SvcOptions(), transpose=3)
    with pytest.raises(VoiceError, match="nobody") as caught:
        tiny.convert(song, speaker="nobody")
    assert "one (0), two (1), three (2)" in caught.value.hint
    with pytest.raises(PathError, match=r"nowhere\.wav"):
        tiny.convert(tmp_path / "nowhere.wav")
    with pytest.raises(AudioError):
        tiny.convert(Audio.from_mono(np.zeros(0, np.float32), 44100))
    with pytest.raises(OptionError, match="device"):
        sovits.load_voice("tiny", device="abacus")
    with pytest.raises(VoiceError, match="nobody"):
        sovits.load_voice("nobody", voices=tmp_path)
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledError):
        tiny.convert(song, cancel=cancel)


def test_a_voice_of_ones_own_called_tiny_comes_first(takes: Path) -> None:
    shutil.move(takes, takes.parent / "tiny")
    assert not sovits.load_voice("tiny", voices=takes.parent).is_trained


@pytest.mark.slow
def test_loading_the_tiny_voice_imports_no_transformers() -> None:
    pytest.importorskip("torch")
    code = (
        "import sys, sovits\nsovits.load_voice('tiny', device='cpu', threads=1)\n"
        "print(sorted({'transformers', 'scipy', 'matplotlib', 'onnxruntime', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
