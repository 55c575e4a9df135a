"""The benchmark of long recordings finds what it is there to find."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from benchmarks import scale, sound
from benchmarks.memory import Usage
from benchmarks.scale import CASES, Case, Run

from sovits.audio.audio import Audio
from sovits.audio.encode import write

SHORT = Run(300.0, 100, 100, 0.9, 0.1, 0.95, 8, 0, 5.0, 0.2, Usage(200, 190, 250, 1, 9, 60.0, 50.0))
LONG = Run(7200.0, 900, 900, 0.8, 0.1, 0.93, 90, 0, 5.0, 0.01, Usage(250, 240, 260, 1, 9, 600.0, 500.0))
#: A bar by its place in the list -> a long run that misses it.
WORSE = {
    0: dataclasses.replace(LONG, converted=899),
    1: dataclasses.replace(LONG, loudest=0.9995),
    2: dataclasses.replace(LONG, level=0.0),
    3: dataclasses.replace(LONG, alike=0.8),
    4: dataclasses.replace(LONG, strays=1),
    5: dataclasses.replace(LONG, usage=dataclasses.replace(LONG.usage, peak=261)),
    6: dataclasses.replace(LONG, usage=dataclasses.replace(LONG.usage, late=248)),
    7: dataclasses.replace(LONG, usage=dataclasses.replace(LONG.usage, high_water=326)),
    8: dataclasses.replace(LONG, step=0.2),
}


def test_bars_compare_the_last_run_with_the_first():
    case = CASES["scale-tiny"]
    bars = scale.bars(case, [SHORT, LONG])
    assert [bar.met for bar in bars] == [True] * len(WORSE)
    assert "2 h over 5 min" in bars[5].name
    for index, run in WORSE.items():
        assert [bar.met for bar in scale.bars(case, [SHORT, run])] == [place != index for place in WORSE]
    assert LONG.real_time_factor == pytest.approx(1 / 12)


def test_a_quick_run_says_nothing_of_memory_and_each_case_has_its_own_sign_of_order():
    count = {name: len(scale.bars(case, [SHORT, LONG], hours=False)) for name, case in CASES.items()}
    assert count == {"scale": 4, "scale-tiny": 5, "scale-full": 4}


def levels(seconds: float, folder, **changes) -> np.ndarray:
    path = folder / "source.flac"
    sound.recording(path, seconds, **changes)
    return scale.listen(path).levels


def test_half_seconds_in_another_order_are_noticed(tmp_path):
    source = levels(60.0, tmp_path)
    assert scale.alike(source, 0.3 * source) == pytest.approx(1)
    for late in (1, 40):
        assert scale.alike(source, np.roll(source, late)) < scale.ALIKE
    swapped = np.concatenate([source[40:80], source[:40], source[80:]])
    assert scale.alike(source, swapped) < scale.ALIKE


def test_pauses_that_sound_and_songs_that_are_silent_are_noticed(tmp_path):
    source = levels(60.0, tmp_path, pauses=True)
    held = scale.pauses(source)
    # The first phrase is silent from 12 s on, the pause after it ends at 20 s. Of that, 5 s at the end may sound, and half
    # a second at each end is left to spare.
    assert np.flatnonzero(held).tolist() == [25, 26, 27, 28]
    good = np.where(held, 0.0, 0.1)
    assert scale.strays(source, good) == 0
    assert scale.strays(source, np.full_like(source, 0.1)) == 4
    assert scale.strays(source, np.zeros_like(source)) > 60
    assert scale.strays(source, np.roll(good, 1)) == 1


def test_a_file_is_heard_as_it_is(tmp_path):
    samples = np.concatenate([np.full(30000, 0.5, np.float32), np.full(14100, -0.25, np.float32)])
    write(tmp_path / "a.wav", Audio.from_mono(samples, 44100))
    heard = scale.listen(tmp_path / "a.wav")
    assert (heard.samples, heard.loudest) == (44100, 0.5)
    assert heard.level == pytest.approx(np.sqrt(np.square(samples, dtype=np.float64).mean()))
    assert heard.levels.tolist() == pytest.approx([0.5, np.sqrt((7950 * 0.25 + 14100 * 0.0625) / 22050)])


def test_growth_is_seen_while_a_file_is_written(tmp_path):
    growth = scale.Growth(tmp_path, "song.flac")
    growth()
    part = tmp_path / ".song.0123.part.flac"
    for size in (0, 10, 10, 30, 90):
        part.write_bytes(b"x" * size)
        growth()
    part.rename(tmp_path / "song.flac")
    growth()
    assert [size for _, size in growth.sizes] == [10, 30, 90]
    assert growth.step() == pytest.approx(60 / 90)
    assert growth.first == growth.sizes[0][0] > 0


def test_a_file_that_comes_as_a_whole_has_no_growth(tmp_path):
    growth = scale.Growth(tmp_path, "song.flac")
    (tmp_path / "song.flac").write_bytes(b"x" * 90)
    growth()
    assert growth.step() == 1
    assert np.isnan(growth.first)


def checked(case: Case, *lengths: float) -> list[Run]:
    """Runs through the real command that meet every bar but those of hours."""
    runs = scale.measure(case, lengths)
    assert all(bar.met for bar in scale.bars(case, runs, hours=False)), scale.table(runs)
    assert [run.samples for run in runs] == [round(44100 * seconds) for seconds in lengths]
    assert all(50 << 20 < run.usage.late <= run.usage.peak < 4 << 30 for run in runs)
    assert scale.table(runs).count("\n") == 1 + len(runs)
    return runs


@pytest.mark.slow
def test_the_built_in_converter_through_the_real_command():
    checked(CASES["scale"], 2.0, 6.0)


@pytest.mark.slow
def test_the_tiny_voice_through_the_real_command():
    pytest.importorskip("torch")
    case = CASES["scale-tiny"]
    # Short windows and a close look, so that a short result is seen to grow.
    case = dataclasses.replace(case, flags=(*case.flags, "--window", "2", "--f0-method", "dio"), interval=0.05)
    (run,) = checked(case, 25.0)
    assert run.paused == 4
    assert run.step < 0.6
    assert run.first < run.usage.seconds


@pytest.mark.slow
def test_a_voice_of_official_size_through_the_real_command():
    pytest.importorskip("torch")
    (run,) = checked(CASES["scale-full"], 2.0)
    # Its files are there in full: generator and encoder have 150 million numbers.
    assert run.usage.high_water > 500 << 20


def test_words():
    assert [scale.words(seconds) for seconds in (7200, 300, 30, 90)] == ["2 h", "5 min", "30 s", "90 s"]
