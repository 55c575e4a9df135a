"""The flags of so-vits-svc 4.1: every one parses, and says what it says there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from sovits.cli.svc_flags import FLAGS, OfficialFlag, official_default, parse
from sovits.core.errors import OptionError
from sovits.options.svc import SvcOptions
from sovits.pipelines.svc_files import Request


def request(*arguments: str) -> Request:
    return parse(["-n", "song.wav", *arguments])[0]


def field(options: SvcOptions, path: str) -> Any:
    value: Any = options
    for step in path.split("."):
        value = getattr(value, step)
    return value


#: What is typed, in both spellings, and what has to arrive: (value on the command line, attribute, expected).
ARRIVES: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "-m --model_path": (("a/G_1.pth",), "model", Path("a/G_1.pth")),
    "-c --config_path": (("a/config.json",), "config", Path("a/config.json")),
    "-cl --clip": (("25",), "options.clip_seconds", 25.0),
    "-n --clean_names": (("a.wav", "b.wav"), "names", ("a.wav", "b.wav")),
    "-t --trans": (("-3", "4"), "transposes", (-3.0, 4.0)),
    "-s --spk_list": (("alto", "bass"), "speakers", ("alto", "bass")),
    "-a --auto_predict_f0": ((), "options.automatic_f0", True),
    "-cm --cluster_model_path": (("k.pt",), "cluster", Path("k.pt")),
    "-cr --cluster_infer_ratio": (("0.5",), "options.retrieval_ratio", 0.5),
    "-lg --linear_gradient": (("1",), "options.clip_overlap", 1.0),
    "-f0p --f0_predictor": (("rmvpe",), "options.pitch.method", "rmvpe"),
    "-eh --enhance": ((), "options.enhance", True),
    "-shd --shallow_diffusion": ((), "options.diffusion", "shallow"),
    "-usm --use_spk_mix": ((), "mix_tracks", True),
    "-lea --loudness_envelope_adjustment": (("0.25",), "options.loudness_envelope", 0.25),
    "-fr --feature_retrieval": ((), "options.retrieval", "index"),
    "-dm --diffusion_model_path": (("d.pt",), "diffusion", Path("d.pt")),
    "-dc --diffusion_config_path": (("d.yaml",), "diffusion_config", Path("d.yaml")),
    "-ks --k_step": (("50",), "options.k_step", 50),
    "-se --second_encoding": ((), "options.second_encoding", True),
    "-od --only_diffusion": ((), "options.diffusion", "alone"),
    "-sd --slice_db": (("-30",), "options.slice_db", -30.0),
    "-d --device": (("cpu",), "device", "cpu"),
    "-ns --noice_scale": (("0.1",), "options.noise_scale", 0.1),
    "-p --pad_seconds": (("0.25",), "options.pad_seconds", 0.25),
    "-wf --wav_format": (("wav",), "suffix", "wav"),
    "-lgr --linear_gradient_retain": (("0.5",), "options.overlap_share", 0.5),
    "-eak --enhancer_adaptive_key": (("2",), "options.enhancer_key", 2.0),
    "-ft --f0_filter_threshold": (("0.2",), "options.pitch.threshold", 0.2),
}


def test_the_table_above_is_the_table_of_the_program() -> None:
    assert set(ARRIVES) == {f"{flag.short} {flag.long}" for flag in FLAGS}
    mentioned = "m c n t s cl lg f0p a cm cr eh shd usm lea fr dm dc ks od se sd d ns p wf lgr eak ft"
    assert {f"-{name}" for name in mentioned.split()} == {flag.short for flag in FLAGS}


@pytest.mark.parametrize("names", ARRIVES)
def test_every_flag_arrives(names: str) -> None:
    values, path, expected = ARRIVES[names]
    for name in names.split():
        made = request(*(["-cl", "30"] if "clip_overlap" in path else []), name, *values)
        assert field(made, path) == expected  # type: ignore[arg-type]


def test_nothing_said_means_the_defaults_of_4_1() -> None:
    made = request()
    assert made.options == SvcOptions()
    assert (made.model, made.config) == (Path("logs/44k/G_37600.pth"), Path("logs/44k/config.json"))
    assert (made.diffusion, made.diffusion_config) == (
        Path("logs/44k/diffusion/model_0.pt"),
        Path("logs/44k/diffusion/config.yaml"),
    )
    assert (made.suffix, made.device, made.speakers, made.cluster, made.mix_tracks) == ("flac", "auto", (), None, False)
    stated = {
        "clip_seconds": 0,
        "clip_overlap": 0,
        "overlap_share": 0.75,
        "retrieval_ratio": 0,
        "loudness_envelope": 1,
        "k_step": 100,
        "slice_db": -40,
        "noise_scale": 0.4,
        "pad_seconds": 0.5,
        "enhancer_key": 0,
        "pitch.method": "pm",
        "transpose": 0,
    }
    assert {path: official_default(path) for path in stated} == stated


def test_the_tracker_stays_where_only_its_threshold_is_given() -> None:
    assert request("-ft", "0.3").options.pitch.method == "pm"


def test_several_values_end_at_the_next_flag() -> None:
    made = parse(["-n", "a", "b", "c", "-t", "1", "-2", "-s", "x", "y", "-a"])[0]
    assert (made.names, made.transposes, made.speakers) == (("a", "b", "c"), (1.0, -2.0), ("x", "y"))
    assert made.options.automatic_f0


def test_long_names_may_be_shortened_and_values_attached() -> None:
    made = request("--spk", "alto", "--cluster_infer_ratio=0.5", "--f0_pred", "dio")
    assert (made.speakers, made.options.retrieval_ratio, made.options.pitch.method) == (("alto",), 0.5, "dio")


@pytest.mark.parametrize("arguments", [("-lge",), ("-lge", "0.5")])
def test_a_flag_that_is_none_is_accepted(arguments: tuple[str, ...]) -> None:
    made, idle = parse(["-n", "song.wav", *arguments])
    assert idle
    assert made == request()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-cr", "2"), "-cr"),
        (("-cr", "much"), "-cr"),
        (("-ks", "1.5"), "-ks"),
        (("-t", "high"), "-t"),
        (("-t", "100"), r"^command line: -t \(trans\): "),
        (("-f0p", "magic"), "-f0p"),
        (("-ft", "2"), "-ft"),
        (("-s",), "-s"),
        (("--nonsense",), "--nonsense"),
        (("-cl", "3", "-lg", "5"), "clip_overlap"),
        (("stray.wav",), "stray|-n"),
    ],
)
def test_wrong_values_name_the_flag(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        parse(["-n", "song.wav", "-d", "cpu", *arguments])


def test_a_recording_has_to_be_named() -> None:
    with pytest.raises(OptionError, match="no recording"):
        parse([])


def test_help_tells_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        parse(["--help"])
    text = capsys.readouterr().out
    for flag in FLAGS:
        assert flag.short in text
        assert flag.long in text
    assert "-lge" not in text
    assert "pitch tracker: crepe, pm, dio, harvest, rmvpe, fcpe [default: pm]" in " ".join(text.split())


def test_switches_have_no_default_to_tell() -> None:
    assert OfficialFlag("-x", "--x", "", default=3).stated_default == 3
    assert next(flag for flag in FLAGS if flag.short == "-cr").stated_default == 0.0
