"""``sovits convert --voice`` with a trained voice: its flags, its files, and the records of a batch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sovits.audio.io import probe, read
from sovits.cli.convert import app
from sovits.cli.flags import Given, flags_of
from sovits.core.errors import OptionError, VoiceError
from sovits.options.convert import ConvertOptions
from sovits.options.svc import SvcOptions
from sovits.pipelines import engines
from sovits.pipelines.convert import voice_hash
from sovits.zoo.voice import ModelFiles, Voice
from tests.unit.cli.conftest import Cli
from tests.unit.zoo import fakes


def test_flags_of_both_kinds_are_there() -> None:
    from typer.main import get_command

    names = {name for item in get_command(app).params for name in item.opts}
    wanted = {f"--{flag.name}" for kind in (ConvertOptions, SvcOptions) for flag in flags_of(kind)}
    assert wanted | {"--voice", "--device", "--config"} <= names


def test_flags_become_the_options_of_the_voice() -> None:
    given = Given(
        {
            "transpose": "-3",
            "speaker": "two",
            "noise_scale": "0.2",
            "automatic_f0": True,
            "f0_min": "80",
            "speaker_mix": None,
            "speaker_tracks": None,
            "diffusion": "shallow",
        }
    )
    made = given.build(SvcOptions, "x")
    assert (made.transpose, made.speaker, made.noise_scale, made.automatic_f0) == (-3.0, "two", 0.2, True)
    assert (made.pitch.method, made.pitch.f0_min, made.diffusion) == ("pm", 80.0, "shallow")
    with pytest.raises(OptionError, match="--speaker does not apply to x"):
        given.build(ConvertOptions, "x")


def test_speakers_and_their_weights() -> None:
    made = Given({"speaker_mix": ["one=70", "two=30.5"]}).build(SvcOptions, "x")
    assert made.speaker_mix == {"one": 70.0, "two": 30.5}
    tracks = Given({"speaker_tracks": ["one=[[0, 1, 1, 0]]", "two=[[0,1,0,1]]"]}).build(SvcOptions, "x")
    assert tracks.speaker_tracks == {"one": ((0, 1, 1, 0),), "two": ((0, 1, 0, 1),)}
    for value in ("one", "=3", "one=[[0,1", "one=much", "one=-1"):
        with pytest.raises(OptionError):
            Given({"speaker_mix": [value]}).build(SvcOptions, "x")


def test_the_speaker_of_the_card_sings_where_none_is_named() -> None:
    voice = Voice("x", model=ModelFiles(Path("m"), Path("c")), speaker="two")
    assert engines.settled(voice, SvcOptions()).speaker == "two"
    assert engines.settled(voice, SvcOptions(speaker="one")).speaker == "one"
    assert engines.settled(voice, SvcOptions(speaker_mix={"one": 1.0})).speaker is None
    assert engines.settled(Voice("x"), ConvertOptions()) == ConvertOptions()


def test_the_identity_of_a_trained_voice_is_the_content_of_its_files(tmp_path: Path) -> None:
    names = ("weights", "config", "clusters")
    for name in names:
        (tmp_path / name).write_text(name)
    voice = Voice("x", model=ModelFiles(*(tmp_path / name for name in names[:2])))
    first = voice_hash(voice)
    assert voice_hash(Voice("y", model=voice.model)) == first
    with_clusters = ModelFiles(tmp_path / "weights", tmp_path / "config", clusters=tmp_path / "clusters")
    assert voice_hash(Voice("x", model=with_clusters)) != first
    (tmp_path / "weights").write_text("other")
    assert voice_hash(voice) != first
    (tmp_path / "weights").unlink()
    with pytest.raises(VoiceError, match="weights"):
        voice_hash(voice)


@pytest.mark.slow
def test_several_processes_make_the_same(cli: Cli, vowel: Path) -> None:
    pytest.importorskip("torch")
    shutil.copy(vowel, "second.wav")
    arguments = ("convert", vowel, "second.wav", "--voice", "tiny", "--device", "cpu", "--precision", "float32")
    assert cli(*arguments, "one/").code == 0
    assert cli(*arguments, "two/", "--jobs", "2").code == 0
    one, two = (
        [read(Path(folder) / name).samples for name in ("vowel.wav", "second.wav")] for folder in ("one", "two")
    )
    np.testing.assert_array_equal(*one)
    np.testing.assert_array_equal(*two)
    # With other numbers of threads sums are added up in another order: the last of 16 bits may differ.
    np.testing.assert_allclose(one[0], two[0], atol=1.01 / 32768)


def test_the_tiny_voice(cli: Cli, vowel: Path) -> None:
    pytest.importorskip("torch")
    code, out, err = cli("convert", vowel, "a.wav", "--voice", "tiny", "--device", "cpu")
    assert (code, out) == (0, ""), err
    assert "random weights" in err
    assert (probe(Path("a.wav")).sample_rate, probe(Path("a.wav")).channels) == (44100, 1)
    assert cli("convert", vowel, "b.wav", "--voice", "tiny", "--device", "cpu", "--speaker", "two").code == 0
    assert not np.array_equal(read(Path("a.wav")).samples, read(Path("b.wav")).samples)
    assert cli("convert", vowel, "c.wav", "--voice", "tiny", "--device", "cpu").code == 0
    assert Path("a.wav").read_bytes() == Path("c.wav").read_bytes()


def test_a_batch_knows_which_voice_it_was_made_with(cli: Cli, vowel: Path) -> None:
    pytest.importorskip("torch")
    arguments = ("convert", vowel, "out/", "--device", "cpu", "--voice")
    assert "vowel.wav" in cli(*arguments, "tiny").err
    assert "up to date" in cli(*arguments, "tiny").err
    assert "up to date" not in cli(*arguments, "tiny-vol").err
    assert "up to date" not in cli(*arguments, "tiny-vol", "--seed", "2").err
    assert "up to date" not in cli(*arguments, "tiny-vol", "--seed", "2", "--precision", "float32").err


def test_flags_that_do_not_apply(cli: Cli, vowel: Path, target: Path) -> None:
    code, _, err = cli("convert", vowel, "out.wav", "--reference", target, "--noise-scale", "0.2")
    assert code == 2
    assert "--noise-scale does not apply to the voice 'target', which has recordings only" in err
    code, _, err = cli("convert", vowel, "out.wav", "--voice", "tiny", "--noise-scale", "9")
    assert code == 2
    assert "noise_scale" in err
    code, _, err = cli("convert", vowel, "out.wav", "--voice", "tiny", "--speaker", "nobody", "--device", "cpu")
    assert code == 4
    assert "one (0), two (1), three (2)" in err
    assert not Path("out.wav").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert", "vowel.wav", "out.wav", "--voice", "tiny"),
        ("convert", "vowel.wav", "out.wav", "--voice", "model"),
        ("svc", "compress", "-i", "model/G_1000.pth", "-c", "model/config.json"),
    ],
    ids=lambda arguments: " ".join(arguments[:2] + arguments[-1:]),
)
def test_without_torch_the_package_is_named(vowel: Path, arguments: tuple[str, ...]) -> None:
    fakes.model(vowel.parent / "model")
    code = f"import sys\nsys.modules['torch'] = None\nfrom sovits.cli.main import run\nsys.exit(run({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=vowel.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert 'pip install "sovits[neural]"' in done.stderr
