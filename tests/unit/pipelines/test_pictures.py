"""Pictures: PNG files of the stated size that show what is in the sound, for any length and any name."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from sovits.audio.audio import Audio
from sovits.core.errors import AudioError, OutputError
from sovits.features.pitch.contour import Contour
from sovits.pipelines.pictures import (
    CONTOUR_SIZE,
    CONVERSION_SIZE,
    contour_picture,
    conversion_picture,
    spectrogram,
)

RATE, HOP = 16000, 160


def tone(hertz: float, seconds: float = 1.0, amplitude: float = 0.5) -> Audio:
    time = np.arange(round(seconds * RATE)) / RATE
    return Audio.from_mono(amplitude * np.sin(2 * np.pi * hertz * time), RATE)


def flat(hertz: float, audio: Audio) -> Contour:
    count = audio.length // HOP
    return Contour(np.full(count, hertz), np.full(count, hertz > 0), HOP, RATE)


def size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_conversion_picture_has_its_size_and_depends_on_the_sound(tmp_path: Path) -> None:
    low, high = tone(220.0), tone(440.0)
    conversion_picture(tmp_path / "a.png", low, high, flat(220.0, low), flat(440.0, high), "one")
    conversion_picture(tmp_path / "b.png", low, low, flat(220.0, low), flat(220.0, low), "one")
    assert size(tmp_path / "a.png") == CONVERSION_SIZE == (1600, 1200)
    first, second = (matplotlib.image.imread(tmp_path / name) for name in ("a.png", "b.png"))
    assert first.shape == second.shape
    # The source's panel is the same in both; the result's panel, at the bottom, is not.
    assert np.abs(first - second)[820:1140].max() > 0.3
    assert np.count_nonzero(np.abs(first - second)[820:1140].max(axis=2) > 0.3) > 5000


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    audio = tone(330.0)
    for name in ("a.png", "b.png"):
        contour_picture(tmp_path / name, audio, flat(330.0, audio), "tone")
    assert size(tmp_path / "a.png") == CONTOUR_SIZE
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("title", ["", "$(rm -rf) $x^$ %s", "夜曲 – Nächte 'q\"", "a\nb"])
def test_any_title_is_drawn_as_it_is(tmp_path: Path, title: str, recwarn: pytest.WarningsRecorder) -> None:
    audio = tone(330.0)
    contour_picture(tmp_path / "a.png", audio, flat(0.0, audio), title)
    assert size(tmp_path / "a.png") == CONTOUR_SIZE
    assert not [str(warning.message) for warning in recwarn.list]


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.0, 1e-9, 1.0])
def test_silence_and_unvoiced_sound_can_be_drawn(tmp_path: Path, level: float) -> None:
    audio = tone(100.0, 0.02, level)
    conversion_picture(tmp_path / "a.png", audio, audio, flat(0.0, audio), flat(0.0, audio), "nothing voiced")
    assert size(tmp_path / "a.png") == CONVERSION_SIZE


@pytest.mark.parametrize("seconds", [0.3, 40.0])
def test_spectrogram_shows_a_tone_at_its_frequency_and_level(seconds: float) -> None:
    spectrum = spectrogram(tone(1000.0, seconds, 0.1))
    middle = spectrum.levels[:, 600]
    frequencies = np.geomspace(spectrum.low, spectrum.high, len(middle))
    assert frequencies[middle.argmax()] == pytest.approx(1000.0, rel=0.01)
    assert middle.max() == pytest.approx(-20.0, abs=0.3)
    assert middle[frequencies > 2000.0].max() < -70.0
    assert spectrum.high == RATE / 2
    assert spectrum.duration == seconds


def test_one_sample_and_eight_channels() -> None:
    assert spectrogram(Audio(np.ones((8, 1), np.float32), 192000)).levels.max() < 0.0
    stereo = Audio(np.concatenate([tone(500.0).samples, -tone(500.0).samples]), RATE)
    assert spectrogram(stereo).levels.max() < -100.0


def test_memory_does_not_grow_with_the_recording() -> None:
    peaks = []
    for minutes in (5, 30):
        audio = Audio.from_mono(np.zeros(minutes * 60 * RATE, np.float32), RATE)
        tracemalloc.start()
        spectrogram(audio)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 64e6


def test_empty_sound_and_unwritable_place_are_clear_errors(tmp_path: Path) -> None:
    audio = tone(200.0)
    with pytest.raises(AudioError, match="no samples"):
        contour_picture(
            tmp_path / "a.png", Audio.from_mono([], RATE), Contour(np.zeros(0), np.zeros(0, bool), HOP, RATE)
        )
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="in the way"):
        contour_picture(tmp_path / "file" / "a.png", audio, flat(200.0, audio))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
