"""``sovits convert`` with the real engine, on short recordings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.audio.io import probe, read
from sovits.cli.convert import app
from tests import sounds
from tests.unit.cli.conftest import Cli, store


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_file()}


def test_a_file_keeps_rate_and_length_and_moves_to_the_target(cli: Cli, vowel: Path, target: Path) -> None:
    code, out, err = cli("convert", vowel, "out.wav", "--reference", target)
    assert (code, out) == (0, ""), err
    assert "out.wav" in err
    result = read(Path("out.wav"))
    assert (result.sample_rate, result.channels, result.length) == (16000, 1, 12800)
    assert np.abs(result.samples).max() <= 1.0
    table = cli("f0", "out.wav", "--method", "dio").out.splitlines()[1:]
    voiced = [float(row.split(",")[1]) for row in table if row.split(",")[2] == "1"]
    assert 200.0 <= np.median(voiced) <= 290.0


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_the_suffix_chooses_the_format(cli: Cli, vowel: Path, target: Path, suffix: str) -> None:
    assert cli("convert", vowel, f"out.{suffix}", "--reference", target, "--transpose", "0").code == 0
    assert probe(Path(f"out.{suffix}")).duration == pytest.approx(0.8, abs=0.1)


def test_the_same_seed_gives_the_same_bytes_in_any_process(cli: Cli, vowel: Path, target: Path) -> None:
    assert cli("convert", vowel, "a.wav", "--reference", target).code == 0
    source = Path("in")
    source.mkdir()
    for name in ("a.wav", "b.wav"):
        shutil.copy(vowel, source / name)
    assert cli("convert", source, "out/", "--jobs", "2", "--reference", target).code == 0
    assert Path("out/a.wav").read_bytes() == Path("out/b.wav").read_bytes() == Path("a.wav").read_bytes()


@pytest.fixture
def batch(vowel: Path) -> Path:
    folder = vowel.parent / "in"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.wav", "deep/b.wav"):
        shutil.copy(vowel, folder / name)
    write(folder / "a.flac", Audio.from_mono(sounds.vowel(180.0, 0.6, 16000).samples, 16000))
    return folder


@pytest.mark.slow
def test_a_batch_is_taken_up_where_it_stopped(cli: Cli, batch: Path, target: Path) -> None:
    arguments = ("convert", batch, "out", "--reference", target, "--jobs", "1")
    code, _, err = cli(*arguments)
    out = Path("out")
    assert code == 0, err
    assert "3 converted, 0 up to date, 0 failed" in err
    assert sorted(times(out)) == ["a.flac.wav", "a.wav.wav"]
    first = times(out)

    assert "0 converted, 3 up to date" in cli(*arguments).err
    assert times(out) == first
    # Other spellings of the same voice and options are the same work.
    shutil.copy(target, "same voice.wav")
    assert "3 up to date" in cli("convert", batch, "out/", "--reference", "same voice.wav", "--timbre", "1").err

    (out / "deep" / "b.wav").unlink()
    assert "1 converted, 2 up to date" in cli(*arguments).err
    with (out / "a.wav.wav").open("ab") as handle:
        handle.write(b"x")
    assert "1 converted, 2 up to date" in cli(*arguments).err
    store(batch / "a.wav", sounds.vowel(200.0, 0.6, 16000))
    assert "1 converted, 2 up to date" in cli(*arguments).err
    assert "3 converted" in cli(*arguments, "--transpose", "1").err
    assert "3 converted" in cli(*arguments, "--transpose", "1", "--force").err
    assert "3 up to date" in cli(*arguments, "--transpose", "1").err


def test_a_broken_file_does_not_stop_the_others(cli: Cli, batch: Path, target: Path) -> None:
    (batch / "0.wav").write_text("no sound")
    (batch / "z.wav").write_bytes(b"")
    for jobs in ("1", "2"):
        code, _, err = cli("convert", batch, f"out{jobs}", "--reference", target, "--jobs", jobs)
        assert code == 9
        assert "3 converted, 0 up to date, 2 failed" in err.splitlines()[-1]
        assert err.count("failed: ") == 2
        assert "0.wav" in err
        assert len(list(Path(f"out{jobs}").rglob("*.wav"))) == 3


def test_patterns_lists_and_results_inside_the_input(cli: Cli, batch: Path, target: Path) -> None:
    voice = ("--reference", target, "--jobs", "1")
    assert "2 converted" in cli("convert", f"{batch}/**/*.wav", "out", *voice).err
    assert Path("out/deep/b.wav").is_file()
    assert "3 converted" in cli("convert", batch, batch / "out", *voice).err
    assert "3 up to date" in cli("convert", batch, batch / "out", *voice).err
    code, _, err = cli("convert", batch / "a.wav", batch / "deep" / "b.wav", "list", "--format", "mp3", *voice)
    assert code == 0, err
    assert sorted(times(Path("list"))) == ["a.mp3", "b.mp3"]


def test_a_voice_by_name(cli: Cli, vowel: Path, target: Path) -> None:
    folder = Path("sovits-home/voices/anna")
    folder.mkdir(parents=True)
    shutil.copy(target, folder)
    for name in ("anna", str(folder)):
        assert cli("convert", vowel, "out.wav", "--voice", name).code == 0
    code, _, err = cli("convert", vowel, "out.wav", "--voice", "ana")
    assert code == 4
    assert "anna" in err


def test_options_come_from_flags_and_files(cli: Cli, vowel: Path, target: Path) -> None:
    Path("options.yaml").write_text("transpose: 12\nsample_rate: 22050\npitch: {method: dio}\n")
    voice = ("--reference", target)
    assert cli("convert", vowel, "a.wav", "--config", "options.yaml", *voice).code == 0
    assert probe(Path("a.wav")).sample_rate == 22050
    assert cli("convert", vowel, "b.wav", "--config", "options.yaml", "--sample-rate", "16000", *voice).code == 0
    assert probe(Path("b.wav")).sample_rate == 16000
    assert cli("convert", vowel, "c.wav", "--config", "none.yaml", *voice).code == 3
    Path("options.yaml").write_text("transpos: 12\n")
    code, _, err = cli("convert", vowel, "c.wav", "--config", "options.yaml", *voice)
    assert code == 2
    assert "did you mean 'transpose'" in err


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is a shopping list, not a recording.\n" * 20)


def folder(path: Path) -> None:
    path.mkdir()


def headless(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def only_a_head(path: Path) -> None:
    sound(sounds.vowel(150.0, 1.0, 16000).samples)(path)
    path.write_bytes(path.read_bytes()[:30])


def sound(samples: object, rate: int = 16000) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        array = np.asarray(samples, np.float32)
        write(path, Audio(np.atleast_2d(array), rate), bits=32)

    return make


def without_samples(path: Path) -> None:
    sound(np.zeros(1))(path)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\0\0\0\0"
    path.write_bytes(data[:44])


def not_a_number(path: Path) -> None:
    sound(np.zeros(16000))(path)
    data = bytearray(path.read_bytes())
    data[-400:-396] = np.float32(np.nan).tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize("make", [empty, text, headless, only_a_head, without_samples, not_a_number])
def test_what_is_no_sound_is_refused(cli: Cli, target: Path, make: Callable[[Path], None]) -> None:
    make(Path("bad.wav"))
    code, out, err = cli("convert", "bad.wav", "out.wav", "--reference", target)
    assert (code, out) == (3, "")
    first, second = err.splitlines()
    assert "bad.wav" in first
    assert second.startswith("  hint: ")
    assert not Path("out.wav").exists()
    # The same file as the target voice.
    store(Path("good.wav"), sounds.vowel(150.0, 1.0, 16000))
    code, _, err = cli("convert", "good.wav", "out.wav", "--reference", "bad.wav")
    assert code in (3, 4)
    assert "bad.wav" in err


def test_a_missing_file_and_an_empty_folder(cli: Cli, target: Path) -> None:
    Path("folder").mkdir()
    for source in ("none.wav", "folder", "*.mp3"):
        code, _, err = cli("convert", source, "out/", "--reference", target)
        assert code == 3
        assert source in err
        assert len(err.splitlines()) == 2
    code, _, err = cli("convert", target, "out.wav", "--reference", "none.wav")
    assert code == 3
    assert cli("convert", target, "out.wav", "--reference", "folder").code == 4


voiced = sounds.vowel(150.0, 1.0, 16000).samples


@pytest.mark.parametrize(
    ("make", "seconds"),
    [
        (sound(np.full(16000, 0.3)), 1.0),
        (sound(np.zeros(16000)), 1.0),
        (sound([0.5]), 1 / 16000),
        (sound(voiced[:800]), 0.05),
        (sound(np.tile(voiced, (8, 1))), 1.0),
        (sound(sounds.vowel(150.0, 1.0, 192000).samples, 192000), 1.0),
        (sound(sounds.vowel(150.0, 1.0, 8000).samples, 8000), 1.0),
    ],
    ids=["DC", "silence", "1 sample", "0.05 s", "8 channels", "192 kHz", "8 kHz"],
)
def test_odd_recordings_are_converted(cli: Cli, target: Path, make: Callable[[Path], None], seconds: float) -> None:
    make(Path("odd.wav"))
    code, _, err = cli("convert", "odd.wav", "out.wav", "--reference", target)
    assert code == 0, err
    result = read(Path("out.wav"))
    assert result.duration == pytest.approx(seconds)
    assert np.isfinite(result.samples).all()
    assert np.abs(result.samples).max() <= 1.0


def test_the_content_counts_and_not_the_suffix(cli: Cli, vowel: Path, target: Path) -> None:
    write(Path("a.flac"), read(vowel))
    Path("a.flac").rename("wrong.mp3")
    assert cli("convert", "wrong.mp3", "out.wav", "--reference", target).code == 0


def test_a_file_that_is_cut_off_gives_what_is_there(cli: Cli, vowel: Path, target: Path) -> None:
    Path("cut.wav").write_bytes(vowel.read_bytes()[:-5600])  # 12800 samples of two bytes behind the head
    code, _, err = cli("convert", "cut.wav", "out.wav", "--reference", target)
    assert code == 0, err
    assert read(Path("out.wav")).length == 10000
    assert "cut.wav" in err.splitlines()[0]


def test_outputs_that_are_in_the_way(cli: Cli, vowel: Path, target: Path) -> None:
    original = vowel.read_bytes()
    voice = ("--reference", target)
    assert cli("convert", vowel, vowel, *voice).code == 2
    assert cli("convert", vowel, target, *voice).code == 2
    assert cli("convert", vowel, "out.xyz", *voice).code == 2
    assert cli("convert", vowel, target, "out.wav", *voice).code == 2
    assert vowel.read_bytes() == original
    Path("file").write_bytes(b"x")
    for out in ("file/out.wav", "file/"):
        code, _, err = cli("convert", vowel, out, *voice)
        assert code == 7, err
    Path("link.wav").symlink_to(vowel)
    assert cli("convert", vowel, "link.wav", *voice).code == 2
    assert vowel.read_bytes() == original


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk(cli: Cli, vowel: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * 2 * count)
    Path(".out.000000000000.part.wav").symlink_to("/dev/full")
    code, _, err = cli("convert", vowel, "out.wav", "--reference", target)
    assert code == 7
    assert "disk is full" in err.splitlines()[0]
    assert not [path for path in Path().iterdir() if "out" in path.name]


def test_batches_that_cannot_work_say_so_before_they_start(cli: Cli, batch: Path, target: Path) -> None:
    for flags, code in (
        (["--f0-method", "nonsense"], 2),
        (["--format", "xyz"], 2),
        (["--bits", "20"], 2),
        (["--timbre", "2"], 2),
        (["--window", "1"], 2),
    ):
        for jobs in ("1", "2"):
            outcome = cli("convert", batch, "out", "--reference", target, "--jobs", jobs, *flags)
            assert outcome.code == code, outcome.err
            assert len(outcome.err.splitlines()) <= 2
            assert not list(Path().glob("out/*.wav"))


def test_the_command_is_the_one_that_help_shows() -> None:
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == ["convert"]
