"""The benchmarks measure what they say, at small sizes."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import __main__ as program
from benchmarks import pitch, report, sound

from sovits.audio.audio import concatenate
from sovits.audio.io import probe, read


def test_recordings_have_the_stated_length_and_repeat_nothing_exactly(tmp_path):
    path = tmp_path / "long.flac"
    length = sound.recording(path, 40.0)
    assert length == 40 * 44100 == probe(path).length
    phrase = read(sound.DEMO_DATA / "vocals.flac", mono=True)
    first, second = (read(path).samples[0, start : start + 44100] for start in (44100, 44100 + phrase.length))
    gain = float(first @ second) / float(first @ first)
    assert np.abs(second - gain * first).max() < 1e-3
    assert abs(gain - 1) > 0.05


def test_pauses_lie_nowhere_alike(tmp_path):
    path = tmp_path / "paused.flac"
    assert sound.recording(path, 200.0, pauses=True) == 200 * 44100
    silent = np.abs(read(path).samples[0]) == 0
    edges = np.flatnonzero(np.diff(np.pad(silent, 1).astype(np.int8)))
    lengths = [stop - start for start, stop in zip(edges[::2], edges[1::2], strict=True) if stop - start > 5 * 44100]
    assert len(lengths) == 3
    assert all(7 * 44100 <= length < 14 * 44100 for length in lengths)
    assert len(set(lengths)) == 3


def test_phrases_join_to_exactly_the_seconds_asked_for():
    assert concatenate(list(sound.phrases(0.25))).length == 11025


def test_a_stand_in_for_weights_gets_no_figures(tmp_path):
    fake = tmp_path / "pretrain" / "rmvpe.pt"
    fake.parent.mkdir()
    fake.write_bytes(b"tiny")
    row, tracker = pitch.load("rmvpe", tmp_path)
    assert tracker is None
    assert "too few" in row.missing
    assert "| rmvpe | not measured |" in pitch.table([row])


def test_missing_weights_get_no_figures(tmp_path):
    row, tracker = pitch.load("rmvpe", tmp_path)
    assert tracker is None
    assert row.missing


@pytest.mark.slow
def test_pitch_figures():
    rows = {row.name: row for row in pitch.measure(1.0, 1)}
    assert rows["dio"].relative == 1.0
    for row in rows.values():
        assert bool(row.missing) != (row.wall > 0)
        # One thread: no more processor time than wall time, but for the clocks' grain.
        assert row.cpu < 1.2 * row.wall + 0.02
    assert rows["harvest"].relative > 2


CONVERTER = """## Built-in converter: 2 singers x 2 targets

Machine: some machine; commit abc; 2026-11-21

Singers: one (`a.flac`); two (`b.flac`)

| bar | measured | required | |
| --- | --- | --- | --- |
| log-F0 correlation, median | 0.9991 | >= 0.99 | pass |
| F0 error above copy synthesis (cents) | -0.25 | <= 3 | pass |
| largest sample, all modes | 1.2000 | <= 1 | **fail** |

Conversion time: 0.2 s of processor time for a second of sound.

| mode | gain mean |
| --- | --- |
| range | 0.1 |
"""


def test_the_converter_table_is_taken_apart():
    bars, text = program.split_converter(CONVERTER)
    assert [(bar.value, bar.sign, bar.limit, bar.met) for bar in bars] == [
        (0.9991, ">=", 0.99, True),
        (-0.25, "<=", 3.0, True),
        (1.2, "<=", 1.0, False),
    ]
    assert "| log-F0 correlation, median | 0.9991 | >= 0.99 | pass |" in report.bars_table(tuple(bars))
    assert text == (
        "Singers: one (`a.flac`); two (`b.flac`)\n\n"
        "Conversion time: 0.2 s of processor time for a second of sound.\n\n"
        "| mode | gain mean |\n| --- | --- |\n| range | 0.1 |"
    )


def test_without_recordings_the_converter_says_why_and_keeps_the_last_result(tmp_path, monkeypatch, capsys):
    def forbidden(*_: object) -> None:
        raise AssertionError("a benchmark that did not run must not write")

    monkeypatch.setattr(report, "save", forbidden)
    monkeypatch.setattr(report, "write_page", forbidden)
    assert program.main(["converter", "--data", str(tmp_path)]) == 0
    assert f"not run: there are no recordings in {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "code"), [(0.5, 0), (1.5, 1)])
def test_a_missed_bar_is_an_exit_code_and_a_quick_run_is_not_kept(monkeypatch, capsys, value, code):
    monkeypatch.setitem(program.BENCHMARKS, "startup", lambda settings: ([report.Bar("x", value, "<=", 1)], ""))
    monkeypatch.setattr(report, "save", lambda *_: pytest.fail("kept"))
    assert program.main(["startup", "--quick"]) == code
    assert "| x |" in capsys.readouterr().out


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit) as refused:
        program.main(["sclae"])
    assert refused.value.code == 2
    assert "no benchmark is called sclae" in capsys.readouterr().err


def test_every_benchmark_has_a_section():
    assert list(program.BENCHMARKS) == list(report.SECTIONS)
