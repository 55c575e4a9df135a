"""The singing engine on a GPU: its gate, the same bytes again, stopping, and too little memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sovits.audio.audio import Audio, Samples  # noqa: E402
from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import CancelledError  # noqa: E402
from sovits.core.progress import Cancel  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.features.mel import VOCODER, log_mel  # noqa: E402
from sovits.nets.serving import serving  # noqa: E402
from sovits.zoo.svc_voice import SvcVoice, VocoderPart  # noqa: E402
from sovits.zoo.tiny import tiny_voice  # noqa: E402
from tests.tiny import RATE, deaf, options, sung  # noqa: E402

#: Mean absolute difference of the log-mel: that of float16 on a GPU. A CPU, which only tries out the tests, has
#: bfloat16, and its decoder alone computes in it.
GATE = {"cuda": 0.02, "cpu": 0.1}
#: What is tried in half precision: kinds of tiny voices, and options.
HALF: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("tiny", {}),
    "volume": ("tiny-vol", {}),
    "snake": ("tiny-snake", {}),
    "transformer flow": ("tiny-transformer", {}),
    "its own pitch": ("tiny", {"automatic_f0": True}),
    "two speakers": ("tiny", {"speaker_mix": {"one": 0.3, "two": 0.7}}),
    "enhancer": ("tiny", {"enhance": True}),
    "diffusion": ("tiny-diffusion", {"diffusion": "shallow", "k_step": 20}),
}


def served(kind: str, compute: Compute) -> SvcVoice:
    """A tiny voice with its nets as a loaded voice has them."""
    voice = tiny_voice(kind, compute)
    assert voice.generator is not None and voice.vocoder_part is not None
    voice.generator = serving(voice.generator, compute)
    voice.vocoder_part = VocoderPart(serving(voice.vocoder_part.net, compute), voice.vocoder_part.mel)
    return voice


def half(device: str) -> Compute:
    return Compute(device, "float16" if device == "cuda" else "bfloat16")


def made(voice: SvcVoice, sound: Audio, **values: Any) -> Samples:
    return SvcEngine(voice).convert(sound, None, options(**values), SeededNoise(0)).samples[0]


def distance(got: Samples, want: Samples) -> float:
    """Mean absolute difference of the log-mel."""
    first, second = (log_mel(torch.from_numpy(samples.copy())[None], VOCODER) for samples in (got, want))
    return float((first - second).abs().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", HALF)
def test_half_precision_passes_the_gate(device: str, name: str) -> None:
    kind, values = HALF[name]
    sound = sung(2.0)
    want = made(tiny_voice(kind), sound, **values)
    got = made(served(kind, half(device)), sound, **values)
    assert np.isfinite(got).all() and np.abs(got).max() > 0.01
    assert distance(got, want) <= GATE[device]


@pytest.mark.slow
def test_float32_is_that_of_a_cpu(device: str) -> None:
    sound = sung(2.0)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        got = made(served("tiny", Compute(device)), sound)
    assert distance(got, made(tiny_voice(), sound)) <= 1e-3


@pytest.mark.slow
def test_same_seed_same_bytes(device: str) -> None:
    """Within an engine, where the first conversion records the graphs, and from a fresh one."""
    engine, sound = SvcEngine(served("tiny", half(device))), sung(2.0)
    one, two = (engine.convert(sound, None, options(), SeededNoise(0)).samples.tobytes() for _ in range(2))
    assert one == two
    assert made(served("tiny", half(device)), sound).tobytes() == one


@pytest.mark.slow
def test_threads_share_a_voice(device: str) -> None:
    engine = SvcEngine(served("tiny", half(device)))
    sounds = [sung(seconds) for seconds in (0.5, 1.0, 1.5)]
    alone = [engine.convert(sound, None, options(), SeededNoise(0)).samples[0] for sound in sounds]
    together: dict[int, Samples] = {}

    def run(number: int) -> None:
        together[number] = engine.convert(sounds[number], None, options(), SeededNoise(0)).samples[0]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(sounds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, want in enumerate(alone):
        assert np.abs(together[number] - want).max() <= 1e-2


@pytest.mark.slow
def test_cancelling_stops_within_two_seconds(device: str) -> None:
    voice, cancel, asked = served("tiny", half(device)), Cancel(), []
    engine, sound = SvcEngine(voice), sung(10.0)
    engine.convert(sung(1.0), None, options(), SeededNoise(0))  # loads and records what is to be
    assert voice.generator is not None

    def stop(*_: object) -> None:
        asked.append(time.monotonic())
        cancel.cancel()

    watch = voice.generator.enc_p.proj.register_forward_hook(stop)
    with pytest.raises(CancelledError):
        engine.convert(sound, None, options(), SeededNoise(0), cancel=cancel)
    assert time.monotonic() - asked[0] < 2
    assert len(asked) == 1
    watch.remove()
    assert engine.convert(sung(0.5), None, options(), SeededNoise(0)).length == RATE // 2


@contextlib.contextmanager
def little_memory(device: str, net: nn.Module, work: Callable[[], object]) -> Iterator[None]:
    """Seven tenths of the memory that ``work`` takes beside what is held already. On a CPU, an error in its place when
    ``net`` is called with more than seven tenths of the frames."""
    if device == "cpu":
        frames: list[int] = []
        watch = net.register_forward_pre_hook(lambda module, given: frames.append(given[0].shape[-1]))
        work()
        watch.remove()

        def refuse(module: nn.Module, given: tuple[Any, ...]) -> None:
            if given[0].shape[-1] > 0.7 * max(frames):
                raise torch.OutOfMemoryError("CUDA out of memory")

        limit = net.register_forward_pre_hook(refuse)
        try:
            yield
        finally:
            limit.remove()
        return
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    work()
    allowed = held + 0.7 * (torch.cuda.max_memory_allocated() - held)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.slow
def test_too_little_memory_gets_halves(device: str) -> None:
    """Nets that hear no further than their convolutions reach: away from joins it is the sound of one pass."""
    voice, sound = deaf(tiny_voice("tiny", Compute(device))), sung(6.0)
    assert voice.generator is not None
    frames: list[int] = []
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        want = made(voice, sound)
        with little_memory(device, voice.generator.dec, lambda: made(voice, sound)):
            voice.generator.dec.register_forward_pre_hook(lambda module, given: frames.append(given[0].shape[-1]))
            got = made(voice, sound)
    assert len(got) == len(want) == sound.length
    assert len(frames) > 1 and max(frames[-2:]) < 0.7 * (len(sound.samples[0]) / voice.hop)
    level = np.sqrt(np.mean(want**2))
    assert np.percentile(np.abs(got - want), 80) < 1e-2 * level
    assert np.abs(got - want).max() < level
