"""The singing engine on tiny voices: lengths, rates, options, bad input, memory that runs out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.audio.audio import Audio  # noqa: E402
from sovits.core.errors import AudioError, OptionError, ResourceError, VoiceError, WrongModelError  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.engines.svc_plan import Model, Piece, Plan  # noqa: E402
from sovits.features.retrieval import Clusters, Neighbours, RetrievalIndex  # noqa: E402
from sovits.options.convert import ConvertOptions  # noqa: E402
from sovits.zoo.tiny import KINDS, NOTICE, tiny_voice  # noqa: E402
from tests.tiny import PITCH, RATE, convert, engine, options, sung  # noqa: E402


def level(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.samples**2)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tiny_voice_sings(kind: str) -> None:
    sound = sung(1.0)
    out = convert(sound, kind)
    assert (out.length, out.sample_rate, out.channels) == (sound.length, RATE, 1)
    assert 1e-3 < level(out) < 1.0
    assert NOTICE in engine(kind).loaded.name


@pytest.mark.parametrize("diffusion", ["shallow", "alone"])
def test_diffusion(diffusion: str) -> None:
    sound = sung(1.0)
    out = convert(sound, "tiny-diffusion", diffusion=diffusion, speedup=50 if diffusion == "alone" else 20)
    assert out.length == sound.length
    assert np.isfinite(out.samples).all()
    assert not np.array_equal(out.samples, convert(sound, "tiny-diffusion").samples)


@pytest.mark.parametrize(
    "change",
    [
        {"transpose": 3},
        {"speaker": "two"},
        {"noise_scale": 0.0},
        {"automatic_f0": True},
        {"enhance": True},
        {"loudness_envelope": 0.0},
        {"speaker_mix": {"one": 1, "two": 1}},
        {"speaker_tracks": {"one": [(0, 1, 1, 0)], "three": [(0, 0.5, 0, 0), (0.5, 1, 0, 1)]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_option_changes_the_sound(change: dict[str, Any]) -> None:
    sound = sung(1.0)
    changed = convert(sound, **change)
    assert changed.length == sound.length
    assert np.abs(changed.samples - convert(sound).samples).max() > 1e-4


@pytest.mark.parametrize(("rate", "channels"), [(32000, 1), (44100, 2), (48000, 1), (8000, 2)])
def test_any_rate_and_channels(rate: int, channels: int) -> None:
    sound = sung(1.0, rate)
    sound = Audio(np.repeat(sound.samples, channels, axis=0), rate)
    out = convert(sound)
    assert (out.sample_rate, out.channels, out.length) == (RATE, 1, -(-sound.length * RATE // rate))
    again = engine().convert(sound, None, ConvertOptions(pitch=PITCH), SeededNoise(0))
    assert (again.sample_rate, again.length) == (rate, sound.length)  # general options: the rate of the source


@pytest.mark.parametrize("seconds", [0.001, 0.011, 0.05, 0.3])
def test_very_short_sounds(seconds: float) -> None:
    sound = sung(seconds)
    for pad in (0.5, 0.0):
        assert convert(sound, pad_seconds=pad).length == sound.length


def test_without_padding_there_is_sound_not_silence() -> None:
    assert level(convert(sung(1.0), pad_seconds=0.0)) > 1e-3


def test_silence_is_skipped() -> None:
    sound = sung(14.0, gap=(1.0, 13.0))
    heard: list[int] = []

    def render(piece: Piece) -> tuple[np.ndarray, int]:
        heard.append(len(piece.samples))
        return np.ones(len(piece.samples), np.float32), len(piece.samples) // 512

    from sovits.audio.audio import MemorySource

    out = np.concatenate(list(Plan(MemorySource(sound), Model(RATE, 512), options()).run(render)))
    assert len(out) == sound.length
    assert len(heard) == 2
    silent = out[round(6.2 * RATE) : round(7.8 * RATE)]
    assert not silent.any()
    assert out[: RATE // 2].all()


def test_time_varying_weights_follow_the_recording() -> None:
    from sovits.engines.svc_mix import Tracks

    tracks = Tracks(
        engine().loaded, {"one": ((0.0, 1.0, 1.0, 0.0),), "2": ((0.0, 0.5, 0.0, 1.0), (0.5, 1.0, 1.0, 1.0))}
    )
    found = tracks.at(np.asarray([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0], np.float32))
    want = [[1, 0, 0], [1, 0, 0], [0.6, 0, 0.4], [1 / 3, 0, 2 / 3], [0, 0, 1], [0, 0, 1]]
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_frames_without_any_weight_sound_like_all() -> None:
    from sovits.engines.svc_mix import Tracks

    tracks = Tracks(engine().loaded, {"one": ((0.0, 1.0, 0.0, 0.0),), "two": ((0.0, 1.0, 0.0, 1.0),)})
    np.testing.assert_allclose(tracks.at(np.zeros(1, np.float32)), [[0.5, 0.5, 0]])


@pytest.mark.parametrize(
    ("values", "kind", "error", "text"),
    [
        ({"speaker": "nobody"}, "tiny", VoiceError, "no speaker 'nobody'.*one"),
        ({"speaker": 3}, "tiny", VoiceError, "no speaker '3'"),
        ({"speaker_mix": {"nobody": 1.0}}, "tiny", VoiceError, "no speaker 'nobody'"),
        ({"diffusion": "shallow"}, "tiny", VoiceError, "no diffusion model"),
        ({"diffusion": "shallow", "k_step": 1000, "sampler": "dpm"}, "tiny-diffusion", OptionError, "unknown.*dpm"),
        ({"diffusion": "shallow", "k_step": 10}, "tiny-diffusion", OptionError, "too few"),
        ({"retrieval_ratio": 0.5}, "tiny", VoiceError, "no k-means centres"),
        ({"retrieval_ratio": 0.5, "retrieval": "index"}, "tiny", VoiceError, "no retrieval index"),
    ],
)
def test_what_is_not_there_is_said(values: dict[str, Any], kind: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        convert(sung(0.2), kind, **values)


def test_steps_beyond_the_trained_range() -> None:
    voice = tiny_voice("tiny-diffusion")
    assert voice.diffusion is not None
    object.__setattr__(voice.diffusion.net.config, "k_step_max", 100)
    with pytest.raises(OptionError, match=r"k_step 200 is beyond the trained range.*at most 100"):
        SvcEngine(voice).convert(sung(0.2), None, options(diffusion="shallow", k_step=200), SeededNoise(0))
    with pytest.raises(OptionError, match="trained for 100 of 1000 steps only"):
        SvcEngine(voice).convert(sung(0.2), None, options(diffusion="alone"), SeededNoise(0))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"speaker_tracks": {"one": [(0, 0.4, 1, 1), (0.5, 1, 1, 1)]}}, "gap or an overlap.*0.5.*0.4"),
        ({"speaker_tracks": {"one": [(0, 0.4, 1, 1)]}}, "ends at 0.4"),
        ({"speaker_mix": {"one": 0.0}}, "add up to nothing"),
        ({"speaker_mix": {"one": -1.0}}, "speaker_mix"),
        ({"k_step": 0}, "k_step"),
        ({"clip_seconds": 1.0, "clip_overlap": 1.5}, "clip_overlap"),
        ({"speaker_mix": {"one": 1.0}, "speaker_tracks": {"one": [(0, 1, 1, 1)]}}, "not both"),
    ],
)
def test_options_that_make_no_sense(values: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        options(**values)


def test_nothing_to_convert() -> None:
    with pytest.raises(AudioError, match="no sample"):
        convert(Audio.from_mono([], RATE))
    broken = sung(0.5)
    broken.samples[0, RATE // 4] = np.nan
    with pytest.raises(AudioError, match=r"not a finite number at 0\.250 s"):
        convert(broken)


def _index(width: int) -> Neighbours:
    vectors = np.random.default_rng(1).normal(size=(50, width)).astype(np.float32)
    flat = RetrievalIndex(vectors, np.zeros((0, width), np.float32), np.zeros(0, np.int64), 1, "squared distance")
    return Neighbours(flat, "made.index")


def test_retrieval_pulls_content() -> None:
    voice = tiny_voice()
    voice.indexes = {0: _index(32)}
    voice.clusters = Clusters({"one": np.random.default_rng(2).normal(size=(9, 32)).astype(np.float32)}, "made.pt")
    made = SvcEngine(voice)
    sound = sung(0.6)
    plain, pulled, clustered = (
        made.convert(sound, None, options(**values), SeededNoise(0)).samples
        for values in ({}, {"retrieval": "index", "retrieval_ratio": 0.7}, {"retrieval_ratio": 0.7})
    )
    assert np.abs(plain - pulled).max() > 1e-4
    assert np.abs(plain - clustered).max() > 1e-4
    assert np.abs(pulled - clustered).max() > 1e-4


def test_an_index_of_another_width() -> None:
    voice = tiny_voice()
    voice.indexes = {0: _index(16)}
    with pytest.raises(VoiceError, match=r"made\.index holds content of width 16.*gives 32"):
        SvcEngine(voice).convert(sung(0.3), None, options(retrieval="index", retrieval_ratio=0.5), SeededNoise(0))


def test_an_exact_hit_takes_all_the_weight() -> None:
    index = _index(8)
    hit = index.vectors[[7, 3]]
    np.testing.assert_array_equal(index.mix(hit, 1.0), hit)
    with np.errstate(all="ignore"):
        assert np.isnan(index.mix(hit, 1.0, compat="upstream")).all()


def _small_memory(voice: Any, frames: int) -> list[int]:
    """Make the generator run out of memory above a number of frames; gives the lengths that went through."""
    original, seen = voice.generator.infer, []

    def infer(units: Any, *rest: Any, **named: Any) -> Any:
        if units.shape[2] > frames:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append(units.shape[2])
        return original(units, *rest, **named)

    voice.generator.infer = infer
    return seen


@pytest.mark.slow
def test_a_device_without_memory_gets_halves() -> None:
    voice, sound = tiny_voice(), sung(6.0)
    seen = _small_memory(voice, 250)
    out = SvcEngine(voice).convert(sound, None, options(), SeededNoise(0))
    assert out.length == sound.length
    assert len(seen) > 2
    whole = convert(sound)
    assert np.corrcoef(out.samples[0], whole.samples[0])[0, 1] > 0.8


def test_a_device_with_too_little_memory_is_named() -> None:
    voice = tiny_voice()
    _small_memory(voice, 10)
    with pytest.raises(ResourceError, match="too little memory"):
        SvcEngine(voice).convert(sung(3.0), None, options(), SeededNoise(0))


def test_an_unknown_tiny_voice() -> None:
    with pytest.raises(OptionError, match="tiny-snake"):
        tiny_voice("tinny")


def test_wrong_model_error_is_an_input_error() -> None:
    with pytest.raises(WrongModelError, match="metric"):
        index = _index(4)
        Neighbours(RetrievalIndex(index.vectors, index.centroids, np.zeros(0, np.int64), 1, "inner product"), "x")
