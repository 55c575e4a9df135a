"""``info``, ``f0``, ``slice``, ``models inspect`` and ``doctor`` on real files."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sovits.audio.io import probe, read
from sovits.core.checkpoint import write as write_checkpoint
from sovits.pipelines.slices import cut
from tests import sounds
from tests.unit.cli.conftest import Cli, store


def test_info_measures_a_sine(cli: Cli, tmp_path: Path) -> None:
    path = store(tmp_path / "é.flac", sounds.sine(440.0, 12.0, 48000))
    code, out, _ = cli("info", path, "--json")
    (facts,) = json.loads(out)
    assert code == 0
    assert (facts["sample_rate"], facts["channels"], facts["length"]) == (48000, 1, 576000)
    assert facts["duration"] == 12.0
    assert facts["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)
    assert facts["true_peak_dbtp"] == pytest.approx(-6.02, abs=0.05)
    # A sine of amplitude 0.5: 0.125 of power, K-weighting near 0 dB at 440 Hz.
    assert facts["loudness_lufs"] == pytest.approx(-9.7, abs=0.5)
    assert facts["f0_low_hz"] == pytest.approx(440.0, rel=0.01)
    assert facts["f0_high_hz"] == pytest.approx(440.0, rel=0.01)
    shown = cli("info", path).out
    assert f"{facts['f0_low_hz']:.0f} to {facts['f0_high_hz']:.0f} Hz" in shown
    assert "0:12.000" in shown


def test_info_of_silence_and_of_a_bad_file(cli: Cli, tmp_path: Path) -> None:
    silent = store(tmp_path / "silent.wav", sounds.silence(1.0, 16000))
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    code, out, err = cli("info", silent, text, "--json")
    (facts,) = json.loads(out)
    assert code == 9
    assert "text.wav" in err
    assert facts["loudness_lufs"] is facts["peak_dbfs"] is facts["f0_low_hz"] is None
    assert cli("info", text).code == 3


def test_f0_as_a_table(cli: Cli, vowel: Path, tmp_path: Path) -> None:
    code, out, err = cli("f0", vowel, "--method", "dio", "--hop", "160")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 80
    assert float(rows[7]["time_s"]) == pytest.approx(0.07)
    voiced = [float(row["f0_hz"]) for row in rows if row["voiced"] == "1"]
    assert np.median(voiced) == pytest.approx(150.0, rel=0.005)
    assert all(float(row["f0_hz"]) == 0.0 for row in rows if row["voiced"] == "0")
    table = tmp_path / "deep" / "f0.csv"
    assert cli("f0", vowel, "--method", "dio", "--hop", "160", "--csv", table)[:2] == (0, "")
    assert table.read_text() == out


def test_f0_with_confidence_and_picture(cli: Cli, vowel: Path, tmp_path: Path) -> None:
    picture, table = tmp_path / "数 f0.png", tmp_path / "f0.csv"
    assert cli("f0", vowel, "--png", picture, "--csv", table).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert table.read_text().startswith("time_s,f0_hz,voiced,confidence\n")


def test_slices_cover_what_is_loud(cli: Cli, tmp_path: Path) -> None:
    gap = sounds.silence(1.5, 16000)
    song = sounds.joined(sounds.vowel(150, 2.0, 16000), gap, sounds.vowel(200, 3.0, 16000), gap)
    source = store(tmp_path / "a song.wav", song)
    folder, listing = tmp_path / "pieces", tmp_path / "list.json"
    code, _, err = cli("slice", source, folder, "--min-length", "1", "--format", "flac", "--list", listing)
    assert code == 0, err
    pieces = json.loads(listing.read_text())
    assert sorted(path.name for path in folder.iterdir()) == [piece["file"] for piece in pieces]
    assert len(pieces) == 2
    whole = read(source)
    for piece, (start, end) in zip(pieces, [(0.0, 2.0), (3.5, 6.5)], strict=True):
        assert piece["start_s"] <= start + 0.05
        assert piece["end_s"] >= end - 0.05
        audio = read(folder / piece["file"])
        expected = whole.cut(round(piece["start_s"] * 16000), round(piece["end_s"] * 16000))
        np.testing.assert_array_equal(audio.samples, expected.samples)
    code, _, err = cli("slice", source, folder, "--min-length", "1", "--list", tmp_path / "list.csv")
    rows = list(csv.DictReader((tmp_path / "list.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [Path(piece["file"]).stem + ".wav" for piece in pieces]


def test_cutting_walks_over_block_borders() -> None:
    from sovits.audio.audio import Audio, MemorySource
    from sovits.audio.slicing import Segment

    audio = Audio(np.arange(2 * 2000, dtype=np.float32).reshape(2, 2000), 100)
    edges = [(0, 10), (10, 700), (700, 1000), (1003, 1999)]
    pieces = list(cut(MemorySource(audio), [Segment(*edge, silent=False) for edge in edges]))
    assert [(segment.start, segment.stop) for segment, _ in pieces] == edges
    for segment, piece in pieces:
        np.testing.assert_array_equal(piece.samples, audio.samples[:, segment.start : segment.stop])


def test_slicing_silence_and_wrong_lists_are_refused(cli: Cli, tmp_path: Path) -> None:
    silent = store(tmp_path / "silent.wav", sounds.silence(6.0, 16000))
    outcome = cli("slice", silent, tmp_path / "pieces")
    assert outcome.code == 3
    assert "--threshold" in outcome.err
    assert cli("slice", silent, tmp_path / "pieces", "--list", "pieces.txt").code == 2
    assert cli("slice", silent, tmp_path / "pieces", "--format", "xyz").code == 2
    assert not (tmp_path / "pieces").exists()


def test_inspect_a_weight_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_checkpoint(path, {"layer.weight": np.zeros((3, 4), np.float32)})
    code, out, _ = cli("models", "inspect", path, "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["tensors"], facts["parameters"]) == (1, 12)
    assert "weights.safetensors" in cli("models", "inspect", path).out


def test_inspect_refuses_what_is_no_weight_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(b"no weights")
    assert cli("models", "inspect", path).code == 5
    assert cli("models", "inspect", tmp_path / "none.pth").code == 3


def test_doctor_finds_this_installation_sound(cli: Cli) -> None:
    code, out, _ = cli("doctor", "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (0, True)
    states = {(finding["topic"], finding["name"]): finding for finding in report["findings"]}
    assert states["packages", "numpy"]["detail"] == np.__version__
    assert states["pitch trackers", "swift"]["state"] == "ok"
    assert all(finding["remedy"] for finding in report["findings"] if finding["state"] != "ok")
    assert "numpy" in cli("doctor").out


def test_doctor_names_what_is_missing_and_what_mends_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sovits.cli import doctor

    monkeypatch.setattr(doctor, "_ESSENTIAL", {"no-such-package": "no_such_package"})
    monkeypatch.setattr(doctor, "_EXTRAS", {"neural": {"no-such-extra": "no_such_extra"}})
    (tmp_path / "sovits-home").write_text("a file in the way")
    code, out, _ = cli("doctor", "--json")
    states = {finding["name"]: finding for finding in json.loads(out)["findings"]}
    assert code == 1
    assert (states["no-such-package"]["state"], states["no-such-package"]["remedy"]) == (
        "broken",
        "pip install no-such-package",
    )
    assert (states["no-such-extra"]["state"], states["no-such-extra"]["remedy"]) == (
        "missing",
        'pip install "sovits[neural]"',
    )
    assert (states["home"]["state"], states["rmvpe"]["state"]) == ("missing", "missing")


def test_doctor_is_content_without_torch(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from sovits.cli.main import run; sys.exit(run(['doctor', '--json']))"
    )
    environment = {**os.environ, "SOVITS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    code, out = done.returncode, done.stdout
    states = {finding["name"]: finding for finding in json.loads(out)["findings"]}
    assert code == 0
    for name in ("torch", "crepe", "fcpe"):
        assert (states[name]["state"], "sovits[neural]" in states[name]["remedy"]) == ("missing", True), states[name]
    assert states["swift"]["state"] == "ok"
    assert states["device"]["detail"].startswith("cpu")


def test_options_page_is_current(repository: Path) -> None:
    from sovits.cli.reference import markdown

    assert (repository / "docs" / "options.md").read_text(encoding="utf-8") == markdown()


def test_formats_of_results(cli: Cli, tmp_path: Path) -> None:
    source = store(tmp_path / "a.wav", sounds.vowel(150, 2.0, 16000))
    assert cli("slice", source, tmp_path / "pieces", "--bits", "24").code == 0
    (piece,) = (tmp_path / "pieces").iterdir()
    assert probe(piece).bits == 24
    assert cli("slice", source, tmp_path / "pieces", "--bits", "20").code == 2
    assert cli("slice", source, tmp_path / "pieces", "--format", "mp3", "--kbps", "9999").code == 2
