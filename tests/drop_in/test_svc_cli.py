"""so-vits-svc's commands end to end, on small fake files of the official layout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.audio.io import probe, read
from sovits.core import checkpoint
from tests.unit.cli.conftest import Cli

svc_folder = pytest.importorskip("tests.drop_in.svc_folder", reason="needs torch", exc_type=ImportError)
from tests.unit.zoo import fakes  # noqa: E402

G, CONFIG = Path("logs/44k/G_37600.pth"), Path("logs/44k/config.json")


def results() -> list[str]:
    return sorted(path.name for path in Path("results").iterdir()) if Path("results").exists() else []


def test_infer_with_nothing_but_a_name(official: Path, cli: Cli) -> None:
    code, out, err = cli("svc", "infer", "-n", "song.wav", "-d", "cpu")
    assert (code, out) == (0, ""), err
    assert results() == ["song.wav_0key_alto_sovits_pm.flac"]
    found = probe(Path("results") / results()[0])
    assert (found.sample_rate, found.channels) == (44100, 1)
    assert found.duration == pytest.approx(0.6, abs=0.03)
    sound = read(Path("results") / results()[0]).samples
    assert np.abs(sound).max() > 1e-3


@pytest.mark.slow
def test_infer_with_much_at_once(official: Path, cli: Cli) -> None:
    """Two recordings, two voices, other keys, k-means, forced clips, another format, a tracker by name."""
    svc_folder.song(Path("raw/second.flac"), rate=48000)
    arguments = "-n song second.flac -t 2 -s alto bass -cr 0.5 -cl 0.3 -lg 0.1 -wf wav -f0p dio -lea 0.5 -ns 0.2 -d cpu"
    code, _, err = cli("svc", "infer", *arguments.split())
    assert code == 0, err
    assert results() == [
        f"{name}_2key_{speaker}_0.5_sovits_dio.wav" for name in ("second.flac", "song") for speaker in ("alto", "bass")
    ]
    alto, bass = (read(Path("results") / name).samples for name in results()[:2])
    assert not np.array_equal(alto, bass)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("-shd -ks 40", "song_0key_bass_sovdiff_pm.wav"),
        ("-shd -se -ks 40", "song_0key_bass_sovdiff_pm.wav"),
        ("-od -m nowhere.pth", "song_0key_bass_diff_pm.wav"),
        ("-eh -eak 2", "song_0key_bass_sovits_pm.wav"),
        ("-a", "song_auto_bass_sovits_pm.wav"),
        ("-fr -cr 0.25", "song_0key_bass_0.25_sovits_pm.wav"),
    ],
)
def test_infer_by_other_ways(official: Path, cli: Cli, arguments: str, name: str) -> None:
    plain = read_result(cli, "")
    changed = read_result(cli, arguments)
    assert name in results()
    assert not np.array_equal(plain, changed)


def read_result(cli: Cli, arguments: str) -> np.ndarray:
    code, _, err = cli("svc", "infer", *f"-n song -s bass -wf wav -d cpu {arguments}".split())
    assert code == 0, err
    newest = max(Path("results").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return read(newest).samples


def test_infer_with_speaker_tracks(official: Path, cli: Cli) -> None:
    Path("spkmix.py").write_text("spk_mix_map = {0: [[0., 1., 1., 0.]], 1: [[0., 1., 0., 1.]]}\n")
    code, _, err = cli("svc", "infer", "-n", "song", "-usm", "-d", "cpu")
    assert code == 0, err
    assert results() == ["song_0key_spk_mix_sovits_pm.flac"]


def test_a_flag_that_is_none_warns_once(official: Path, cli: Cli) -> None:
    code, _, err = cli("svc", "infer", "-n", "missing", "-lge")
    assert code == 3
    assert err.count("-lge") == 1


def test_bad_input_says_what_to_do(official: Path, cli: Cli) -> None:
    def refused(*arguments: object) -> str:
        code, out, err = cli("svc", "infer", "-n", "song", "-d", "cpu", *arguments)
        assert code in (2, 3, 4, 5), err
        assert out == ""
        assert err.startswith("sovits: ")
        assert "Traceback" not in err
        assert "unexpected" not in err
        assert results() == []
        return err

    assert "alto" in refused("-s", "nobody")
    assert "bass" in refused("-s", "nobody")
    assert "GPT-SoVITS" in refused("-m", fakes.gpt_sovits(Path("gpt.ckpt")))
    assert "RVC" in refused("-m", fakes.rvc(Path("rvc.pth")))
    assert "no such file: other.pth" in refused("-m", "other.pth")
    other = svc_folder.config(gin_channels=768)
    fakes.settings(Path("other.json"), other)
    said = refused("-c", "other.json")
    assert "other.json" in said
    assert "768" in said
    fakes.settings(Path("no.json"), {"learning_rate": 3})
    assert "no.json" in refused("-c", "no.json")
    Path("broken.json").write_text("{")
    assert "broken.json" in refused("-c", "broken.json")
    Path("half.pth").write_bytes(G.read_bytes()[:40000])
    assert "half.pth" in refused("-m", "half.pth")
    fakes.clusters(Path("wide.pt"), 768)
    said = refused("-cr", "0.5", "-cm", "wide.pt")
    assert "768" in said
    assert "256" in said
    assert "-cm" in refused("-cr", "0.5", "-cm", "nowhere.pt")
    svc_folder.index(Path("wide.pkl"), 768)
    assert "wide.pkl holds content of width 768" in refused("-fr", "-cr", "0.5", "-cm", "wide.pkl")
    assert "no retrieval index" in refused("-fr", "-cr", "0.5", "-cm", "logs/44k/kmeans_10000.pt")
    assert "no k-means centres" in refused("-cr", "0.5", "-cm", "logs/44k/feature_and_index.pkl")
    for values in ({"upsample_rates": "x"}, {"n_layers": "two"}):
        fakes.settings(Path("wrong.json"), svc_folder.config(**values))
        assert "wrong.json" in refused("-c", "wrong.json")
    fakes.settings(Path("wider.json"), svc_folder.config(speech_encoder="nonsense"))
    assert "nonsense" in refused("-c", "wider.json")
    fakes.settings(Path("wider.json"), svc_folder.config(speech_encoder="vec768l12"))
    assert "reads content of width 256, but the encoder 'vec768l12' gives 768" in refused("-c", "wider.json")
    assert "xyz" in refused("-wf", "xyz")
    assert "device" in refused("-d", "abacus")
    svc_folder.song(Path("raw/text.wav")).write_text("no sound")
    assert "text.wav" in cli("svc", "infer", "-n", "song", "text", "-d", "cpu").err
    assert results() == []  # all recordings are looked at before the first one is converted


def test_bad_diffusion_files_say_what_to_do(official: Path, cli: Cli) -> None:
    def refused(*arguments: object) -> str:
        code, _, err = cli("svc", "infer", "-n", "song", "-d", "cpu", *arguments)
        assert code in (2, 5), err
        assert results() == []
        return err

    Path("other.yaml").write_text("data: {x: 1}\nmodel: {y: 2}\n")
    assert "other.yaml" in refused("-shd", "-dc", "other.yaml")
    assert "no so-vits-svc diffusion model" in refused("-shd", "-dm", G)
    assert "no so-vits-svc generator" in refused("-m", "logs/44k/diffusion/model_0.pt")
    settings = {**svc_folder.DIFFUSION, "model": {**svc_folder.DIFFUSION["model"], "k_step_max": 100}}
    Path("short.yaml").write_text(json.dumps(settings))
    assert "at most 100" in refused("-shd", "-ks", "200", "-dc", "short.yaml")
    assert "100 of 1000" in refused("-od", "-dc", "short.yaml")


@pytest.mark.parametrize(("rate", "channels"), [(32000, 2), (8000, 1), (96000, 2)])
def test_sources_of_any_kind(official: Path, cli: Cli, rate: int, channels: int) -> None:
    noise = np.random.default_rng(0).standard_normal((channels, rate // 2)).astype(np.float32) / 10
    write(Path("raw/other.wav"), Audio(noise, rate))
    code, _, err = cli("svc", "infer", "-n", "other", "-wf", "wav", "-d", "cpu")
    assert code == 0, err
    made = read(Path("results/other_0key_alto_sovits_pm.wav"))
    assert (made.sample_rate, made.channels) == (44100, 1)
    assert made.duration == pytest.approx(0.5, abs=0.02)


def test_a_missing_encoder_says_which_file_goes_where(official: Path, cli: Cli) -> None:
    Path("pretrain/vec-256-layer-9.onnx").unlink()
    code, _, err = cli("svc", "infer", "-n", "song", "-d", "cpu")
    assert code == 5
    assert "vec-256-layer-9.onnx" in err
    assert "put it at pretrain/vec-256-layer-9.onnx" in err


# -- the wrapper


def wrapper(folder: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """``so-vits-infer`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "sovits.cli.svc_wrapper", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "SOVITS_HOME": str(folder / "home"), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def models(official: Path) -> Path:
    folder = official / "models" / "so-vits-svc"
    folder.mkdir(parents=True)
    (folder / "alto.pth").write_bytes(G.read_bytes())
    (folder / "alto.json").write_bytes(CONFIG.read_bytes())
    return folder


def test_the_wrapper_is_installed_under_its_name(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"]["so-vits-infer"] == "sovits.cli.svc_wrapper:main"


@pytest.mark.slow
def test_the_wrapper_converts(official: Path, models: Path) -> None:
    done = wrapper(official, "raw/song.wav", "out/sung.wav", "alto")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert probe(official / "out" / "sung.wav").duration == pytest.approx(0.6, abs=0.03)
    elsewhere = models.rename(official / "elsewhere")
    (elsewhere / "alto.json").rename(elsewhere / "named.json")
    done = wrapper(official, "raw/song.wav", "sung.flac", "alto", "named", SOVITS_SVC_MODELS=str(elsewhere))
    assert (done.returncode, done.stderr) == (0, "")
    assert (official / "sung.flac").is_file()


def test_the_wrapper_fails_in_one_line(
    official: Path, models: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sovits.cli.svc_wrapper import run

    (models / "bare.pth").touch()
    (models / "gpt.json").write_bytes(CONFIG.read_bytes())
    fakes.gpt_sovits(models / "gpt.pth")
    Path("text.wav").write_text("no sound")
    Path("empty.wav").touch()
    Path("cut.wav").write_bytes(Path("raw/song.wav").read_bytes()[:20])
    Path("cut.flac").write_bytes(Path("raw/song.wav").read_bytes()[:20])
    Path("raw/folder.wav").mkdir()
    before = sorted(Path().rglob("*"))
    for arguments, words in (
        (["raw/song.wav", "out.wav", "nobody"], "nobody.pth"),
        (["raw/song.wav", "out.wav", "bare"], "bare.json"),
        (["raw/song.wav", "out.wav", "alto", "nothing"], "nothing.json"),
        (["raw/song.wav", "out.wav", "gpt"], "GPT-SoVITS"),
        (["raw/song.wav", "out.wav", "../so-vits-svc/alto"], "no path"),
        (["nowhere.wav", "out.wav", "alto"], "nowhere.wav"),
        (["text.wav", "out.wav", "alto"], "text.wav"),
        (["empty.wav", "out.wav", "alto"], "empty.wav"),
        (["cut.wav", "out.wav", "alto"], "cut.wav"),
        (["cut.flac", "out.wav", "alto"], "cut.flac"),
        (["raw/song.wav", "out.xyz", "alto"], "xyz"),
        (["raw/song.wav", "raw/song.wav", "alto"], "overwrite"),
        (["raw/song.wav", "raw", "alto"], "suffix"),
        (["raw/song.wav", "raw/folder.wav", "alto"], "folder.wav"),
        (["raw/song.wav", "text.wav/out.wav", "alto"], "out.wav"),
        (["raw/song.wav", "out.wav"], "so-vits-infer INPUT OUTPUT MODEL"),
        ([], "so-vits-infer INPUT OUTPUT MODEL"),
    ):
        capfd.readouterr()
        code = run(arguments)
        said = capfd.readouterr()
        assert code != 0, arguments
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert said.err.endswith("\n")
        assert words in said.err
    assert sorted(Path().rglob("*")) == before


def test_the_wrapper_as_a_program_fails_in_one_line(official: Path, models: Path) -> None:
    done = wrapper(official, "raw/song.wav", "out.wav", "nobody")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert not (official / "out.wav").exists()
    assert "usage: so-vits-infer INPUT OUTPUT MODEL [CONFIG]" in wrapper(official, "--help").stdout


# -- what is done to model files


def test_mix(official: Path, cli: Cli) -> None:
    other = svc_folder.generator(Path("other.pth"), salt="two")
    for mode, weights in (("convex", np.exp([0.6, 0.4]) / np.exp([0.6, 0.4]).sum()), ("linear", np.array([0.6, 0.4]))):
        code, _, err = cli("svc", "mix", f"{G}=60", f"{other}=40", "-o", f"{mode}.pth", "--mode", mode)
        assert code == 0, err
        parts = [checkpoint.read(path).tensors for path in (G, other)]
        mixed = checkpoint.read(Path(f"{mode}.pth"))
        for name in ("pre.weight", "emb_g.weight"):
            wanted = sum(np.asarray(part[name]) * np.float32(w) for part, w in zip(parts, weights, strict=True))
            np.testing.assert_allclose(np.asarray(mixed.tensors[name]), wanted, rtol=1e-6)
        assert mixed.fields["iteration"] == 7
    code, _, err = cli("svc", "infer", "-n", "song", "-m", "convex.pth", "-d", "cpu")
    assert code == 0, err


def test_what_cannot_be_mixed(official: Path, cli: Cli) -> None:
    small = svc_folder.generator(Path("small.pth"), hidden_channels=32)
    for arguments, code, words in (
        ((f"{G}=60", "-o", "x.pth"), 2, "at least two"),
        ((f"{G}=60", f"{G}", "-o", "x.pth"), 2, "NAME=PERCENT"),
        ((f"{G}=60", f"{G}=-1", "-o", "x.pth"), 2, "NAME=PERCENT"),
        ((f"{G}=60", f"{G}=much", "-o", "x.pth"), 2, "NAME=PERCENT"),
        ((f"{G}=60", f"{G}=40", "-o", G), 2, "overwrite"),
        ((f"{G}=60", f"{G}=40", "-o", "x.pth", "--mode", "round"), 2, "round"),
        ((f"{G}=60", f"{small}=40", "-o", "x.pth"), 5, "small.pth"),
        ((f"{G}=60", "nowhere.pth=40", "-o", "x.pth"), 3, "nowhere.pth"),
        ((f"{G}=60", f"{CONFIG}=40", "-o", "x.pth"), 5, "config.json"),
        ((f"{G}=60", f"{G}=40", "-o", "raw/song.wav"), 2, "no name for a so-vits-svc model"),
        ((f"{G}=60", f"{G}=40", "-o", "x.safetensors"), 2, ".ckpt, .pt, .pth"),
    ):
        done = cli("svc", "mix", *arguments)
        assert done.code == code, done.err
        assert words in done.err
        assert not Path("x.pth").exists()


def test_compress(official: Path, cli: Cli) -> None:
    original = checkpoint.read(G).tensors
    for flags, name, kind in (
        ((), "G_37600_release.pth", "float32"),
        (("-hf",), "G_37600_release_half.pth", "float16"),
    ):
        code, _, err = cli("svc", "compress", "-c", CONFIG, "-i", G, *flags)
        assert code == 0, err
        made = checkpoint.read(G.with_name(name))
        assert set(made.tensors) == {tensor for tensor in original if "enc_q" not in tensor}
        assert made.fields["iteration"] == 0
        assert {made.tensors.entry(tensor).storage.format.name for tensor in made.tensors} == {kind}
        code, _, err = cli("svc", "infer", "-n", "song", "-m", G.with_name(name), "-d", "cpu")
        assert code == 0, err
    assert cli("svc", "compress", "-c", CONFIG, "-i", G, "-o", "own.pth").code == 0
    assert Path("own.pth").is_file()
    assert "overwrite" in cli("svc", "compress", "-c", CONFIG, "-i", G, "-o", G).err
    done = cli("svc", "compress", "-c", CONFIG, "-i", fakes.gpt_sovits(Path("gpt.ckpt")))
    assert done.code == 5
    assert "GPT-SoVITS" in done.err
    done = cli("svc", "compress", "-i", G)
    assert done.code == 3
    assert "no such file: configs/config.json" in done.err
    assert "name it with -c; there is no configs" in done.err


@pytest.mark.slow
def test_export_onnx(official: Path, cli: Cli) -> None:
    import onnxruntime

    place = Path("checkpoints/alto")
    place.mkdir(parents=True)
    (place / "model.pth").write_bytes(G.read_bytes())
    (place / "config.json").write_bytes(CONFIG.read_bytes())
    refined = Path("logs/44k/diffusion")
    code, _, err = cli(
        "svc", "export-onnx", "-n", "alto", "-dm", refined / "model_0.pt", "-dc", refined / "config.yaml"
    )
    assert code == 0, err
    assert sorted(path.name for path in place.glob("*.onnx")) == [
        "alto_SoVits.onnx",
        "alto_after.onnx",
        "alto_denoise.onnx",
        "alto_encoder.onnx",
        "alto_pred.onnx",
    ]
    card = json.loads(Path("checkpoints/alto.json").read_text())
    assert card["Characters"] == ["alto", "bass"]
    session = onnxruntime.InferenceSession(str(place / "alto_SoVits.onnx"))
    assert [item.name for item in session.get_inputs()] == ["c", "f0", "mel2ph", "uv", "noise", "sid"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-n", "nobody"), 3, "model.pth"),
        (("-n", "../x"), 2, "folder in checkpoints"),
        (("-n", "a", "-dm", "d.pt"), 2, "-dc"),
        ((), 2, "-n"),
    ],
)
def test_what_cannot_be_exported(cli: Cli, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = cli("svc", "export-onnx", *arguments)
    assert done.code == code
    assert words in done.err


# -- the same model as a voice


@pytest.mark.slow
def test_voices_from_the_same_files(official: Path, cli: Cli) -> None:
    """Imported, converted with, blended, and the blend converted with."""
    second = Path("second")
    svc_folder.generator(second / "G_1.pth", salt="two")
    (second / "config.json").write_bytes(CONFIG.read_bytes())
    first = Path("first")
    first.mkdir()
    (first / "G_1.pth").write_bytes(G.read_bytes())
    (first / "config.json").write_bytes(CONFIG.read_bytes())
    stated = ("--licence", "CC0-1.0", "--consent", "yes")
    assert cli("voices", "add", first, "--name", "A", *stated).code == 0
    assert cli("voices", "add", second, "--name", "B", *stated).code == 0
    code, out, err = cli("voices", "blend", "A=60", "B=40", "--name", "C", "--mode", "linear")
    assert code == 0, err
    folder = Path(out.strip())
    card = json.loads((folder / "card.json").read_text())
    assert (card["licence"], card["source"]) == ("CC0-1.0", "a linear blend of A 60 %, B 40 %")
    assert card["consent"]["text"] == "A: yes; B: yes"
    parts = [checkpoint.read(folder.parent / name / "model.safetensors").tensors["pre.weight"] for name in "ABC"]
    np.testing.assert_allclose(parts[2], 0.6 * parts[0] + 0.4 * parts[1], rtol=1e-5, atol=1e-7)

    models = folder.parent.parent / "models"
    models.mkdir()
    Path("pretrain").rename(models / "pretrain")
    code, _, err = cli("convert", "raw/song.wav", "blend.wav", "--voice", "C", "--speaker", "bass", "--transpose", "3")
    assert code == 0, err
    assert probe(Path("blend.wav")).sample_rate == 44100

    for arguments, words in (
        (("A=60", "--name", "D"), "at least two"),
        (("A=60", "nobody=40", "--name", "D"), "nobody"),
        (("A=60", "B=40", "--name", "A"), "already"),
        (("A=60", "B=40", "--name", "../D"), "name of a voice"),
    ):
        done = cli("voices", "blend", *arguments)
        assert done.code in (2, 4)
        assert words in done.err
    assert not (folder.parent / "D").exists()
