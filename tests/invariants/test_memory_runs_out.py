"""A device that runs out of memory: the conversion goes on in smaller pieces and gives the sound of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sovits.audio.audio import Samples  # noqa: E402
from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import ResourceError  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.engines.svc_draws import Phases  # noqa: E402
from sovits.engines.svc_pitch import SvcPitch  # noqa: E402
from sovits.engines.svc_render import Renderer  # noqa: E402
from sovits.zoo.svc_voice import SvcVoice  # noqa: E402
from sovits.zoo.tiny import tiny_voice  # noqa: E402
from tests.tiny import PITCH, RATE, convert, deaf, options, sung  # noqa: E402


def short_of_memory(net: nn.Module, times: int) -> list[int]:
    """Let a net run out of memory the first times it is called; gives the frames of all its calls."""
    seen: list[int] = []

    def ask(module: nn.Module, given: tuple[Any, ...]) -> None:
        seen.append(given[0].shape[-1])
        if len(seen) <= times:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    net.register_forward_pre_hook(ask)
    return seen


def made(voice: SvcVoice, seconds: float, **values: Any) -> Samples:
    out = SvcEngine(voice).convert(sung(seconds), None, options(**values), SeededNoise(0))
    assert out.length == round(seconds * RATE)
    return out.samples[0]


def assert_same_away_from_joins(got: Samples, want: Samples, joins: float) -> None:
    """All but a tenth of a second per join, and half a second around it, is equal."""
    level = np.sqrt(np.mean(want**2))
    difference = np.abs(got - want)
    assert np.mean(difference > 2e-3 * level) < joins * 0.4 * RATE / len(want)
    assert difference.max() < level


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2, 3])
def test_halves_give_the_sound_of_the_whole_away_from_joins(times: int) -> None:
    """With nets that hear no further than their convolutions reach, nothing else may change."""
    voice = deaf(tiny_voice())
    assert voice.generator is not None
    seen = short_of_memory(voice.generator.dec.conv_pre, times)
    got = made(voice, 4.0)
    frames = seen[0]
    assert len(seen) > times + 1 and max(seen[times:]) < 0.75 * frames
    assert_same_away_from_joins(got, made(deaf(tiny_voice()), 4.0), times)
    smaller = made(deaf(tiny_voice()), 4.0, window=2.0)
    assert_same_away_from_joins(got, smaller, times + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "part", "values"),
    [
        ("tiny", lambda voice: voice.encoder.net.encoder.layers[1], {}),
        ("tiny", lambda voice: voice.generator.enc_p.proj, {}),
        ("tiny", lambda voice: voice.generator.dec.conv_post, {}),
        ("tiny", lambda voice: voice.vocoder().net.conv_post, {"enhance": True}),
        ("tiny-diffusion", lambda voice: voice.diffusion.net.unit_embed, {"diffusion": "shallow", "k_step": 20}),
        ("tiny-diffusion", lambda voice: voice.vocoder().net.conv_pre, {"diffusion": "shallow", "k_step": 20}),
    ],
    ids=["encoder", "prior", "decoder", "enhancer", "diffusion", "vocoder"],
)
def test_whichever_net_runs_out(kind: str, part: Callable[[Any], nn.Module], values: dict[str, Any]) -> None:
    voice = tiny_voice(kind)
    seen = short_of_memory(part(voice), 1)
    got, want = made(voice, 3.0, **values), convert(sung(3.0), kind, **values).samples[0]
    assert len(seen) > 2
    # The enhancer starts its sines anew in every piece.
    assert np.corrcoef(got, want)[0, 1] > 0.8 or values.get("enhance")
    levels = [
        np.sqrt(np.mean(got[start : start + RATE // 2] ** 2)) for start in range(0, len(got) - RATE // 2, RATE // 2)
    ]
    assert min(levels) > 0.3 * max(levels)


def test_same_seed_same_bytes_after_it() -> None:
    results = []
    for _ in range(2):
        voice = tiny_voice()
        assert voice.generator is not None
        short_of_memory(voice.generator.dec.conv_post, 1)
        results.append(made(voice, 1.2).tobytes())
    assert results[0] == results[1]


@pytest.mark.slow
def test_later_windows_do_not_try_again_what_failed() -> None:
    voice = deaf(tiny_voice())
    assert voice.generator is not None
    seen = short_of_memory(voice.generator.dec.conv_pre, 1)
    made(voice, 8.0, window=2.0)
    assert max(seen[1:]) < 0.75 * seen[0]
    assert len(seen) == 1 + 2 * 4 + 1  # four windows in halves, and what is left at the end


def test_the_tracker_gets_halves_too() -> None:
    lengths: list[int] = []

    class Short(SvcPitch):
        """Has memory for 2.1 seconds."""

        def __call__(self, samples: Samples, *rest: Any) -> Any:
            lengths.append(len(samples))
            if len(samples) > 2.1 * RATE:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(samples, *rest)

    sound, voice = sung(3.0).samples[0], tiny_voice()
    found = Renderer(voice, options(), Short(PITCH, None, Compute()), SeededNoise(0)).follow(sound)
    assert [length > 2.1 * RATE for length in lengths] == [True, False, False]
    f0, voiced = SvcPitch(PITCH, None, Compute())(sound, RATE, voice.hop, "fixed")
    assert np.array_equal(found.voiced, voiced)
    assert np.abs(1200 * np.log2(found.f0 / f0)).max() < 5


def test_what_is_no_lack_of_memory_is_not_tried_again() -> None:
    voice = tiny_voice()
    assert voice.generator is not None
    calls = []

    def fail(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    voice.generator.dec.conv_pre.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        made(voice, 2.0)
    assert len(calls) == 1


def test_a_device_that_never_has_enough_is_named() -> None:
    voice = tiny_voice()
    assert voice.generator is not None
    short_of_memory(voice.generator.dec.conv_pre, 1000)
    with pytest.raises(ResourceError, match="'cpu' has too little memory"):
        made(voice, 2.0)


def test_phases_before_the_last_part_are_known() -> None:
    """A window made in three parts leaves what the next one needs, wherever it starts."""
    f0 = np.linspace(200, 300, 90).astype(np.float32)
    whole, parts = Phases(SeededNoise(0), RATE, 512), Phases(SeededNoise(0), RATE, 512)
    whole.passed(-10, f0)
    for start, stop in ((0, 50), (30, 70), (60, 90)):
        parts.passed(start - 10, f0[start:stop])
    for frame in (-10, 0, 20, 45, 55, 79):
        turns = (whole.at(frame) - parts.at(frame) + 0.5) % 1 - 0.5
        assert np.abs(turns).max() < 1e-5
