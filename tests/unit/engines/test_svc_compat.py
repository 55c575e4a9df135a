"""What ``compat="upstream"`` switches in the singing engine, item by item (numbers of the spec, section 12)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.audio.audio import Audio, MemorySource  # noqa: E402
from sovits.core.errors import VoiceError  # noqa: E402
from sovits.core.rng import ZeroNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.engines.svc_enhancer import enhance  # noqa: E402
from sovits.engines.svc_plan import Model, Piece, Plan  # noqa: E402
from sovits.engines.svc_render import Renderer  # noqa: E402
from tests.tiny import RATE, engine, options, sung  # noqa: E402


def pieces(sound: Audio, target: int = RATE, **values: Any) -> tuple[np.ndarray, list[Piece]]:
    """Convert with a net that changes nothing but the rate; the result, and what it was given."""
    given: list[Piece] = []

    def render(piece: Piece) -> tuple[np.ndarray, int]:
        given.append(piece)
        length = len(piece.samples) * target // piece.rate
        return piece.samples[np.arange(length) * piece.rate // target], length // 512

    plan = Plan(MemorySource(sound), Model(target, 512), options(**values))
    return np.concatenate(list(plan.run(render))), given


def test_f5_one_voiced_frame() -> None:
    from sovits.features.pitch.postprocess import interpolate_unvoiced

    track = [0.0, 0.0, 220.0, 0.0]
    assert interpolate_unvoiced(track)[0].tolist() == [220.0] * 4
    assert interpolate_unvoiced(track, compat="upstream")[0].tolist() == [0.0] * 4


def test_f8_the_enhancer_leaves_the_callers_f0_alone() -> None:
    f0 = np.full(40, 200, np.float32)
    enhance(engine().loaded.vocoder(), sung(0.5).samples[0], RATE, f0, 512, ZeroNoise(), key=3)
    assert (f0 == 200).all()


def test_f9_pieces_pass_through_sixteen_bits() -> None:
    heard: dict[str, np.ndarray] = {}
    loaded = engine().loaded
    whisper = sung(0.5).samples[0] * np.float32(1e-5) + np.float32(2e-5)  # below one step of 16 bits
    for compat in ("fixed", "upstream"):
        settings = options(compat=compat)
        renderer = Renderer(loaded, settings, lambda sound, *rest: _kept(heard, compat, sound), ZeroNoise())  # type: ignore[arg-type] # noqa: B023
        renderer(Piece(whisper, RATE))
    assert not heard["upstream"].any()
    np.testing.assert_array_equal(heard["fixed"], whisper)


def _kept(heard: dict[str, np.ndarray], name: str, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heard[name] = sound
    frames = len(sound) // 512
    return np.full(frames, 200, np.float32), np.ones(frames, np.float32)


def test_f11_overlaps_count_at_the_rate_of_the_model() -> None:
    sound = sung(4.0, 22050)
    values = {"clip_seconds": 1.0, "clip_overlap": 0.2}
    fixed, _ = pieces(sound, **values)
    upstream, _ = pieces(sound, **values, compat="upstream")
    assert len(fixed) == 4 * RATE
    assert len(upstream) > 4 * RATE


def test_f34_nothing_longer_than_the_window_goes_through_the_nets() -> None:
    sound = sung(9.0)
    _, fixed = pieces(sound, window=3.0)
    _, upstream = pieces(sound, window=3.0, compat="upstream")
    assert max(len(piece.samples) for piece in fixed) <= (3.0 + 2 * 0.5 + 0.2) * RATE
    assert [len(piece.samples) for piece in upstream] == [sound.length + 2 * (RATE // 2)]


def test_inner_edges_hear_their_neighbours() -> None:
    sound = sung(4.0)
    _, fixed = pieces(sound, clip_seconds=2.0)
    _, upstream = pieces(sound, clip_seconds=2.0, compat="upstream")
    assert np.abs(fixed[0].samples[-1000:]).max() > 0.1
    assert not upstream[0].samples[-1000:].any()


def test_the_speaker_number_one_beyond_the_last() -> None:
    loaded = engine().loaded
    assert loaded.speaker_id(3, compat="upstream") == 3
    with pytest.raises(VoiceError):
        loaded.speaker_id(3)
    assert loaded.speaker_id("2") == 2
    with pytest.raises(VoiceError):
        loaded.speaker_id("2", compat="upstream")


def test_f16_a_speaker_mix_goes_with_diffusion() -> None:
    made: SvcEngine = engine("tiny-diffusion")
    out = made.convert(
        sung(0.6),
        None,
        options(diffusion="shallow", speedup=50, speaker_tracks={"one": [(0, 1, 1, 0)], "two": [(0, 1, 0, 1)]}),
        ZeroNoise(),
    )
    assert np.isfinite(out.samples).all()


def test_f20_the_enhancer_goes_with_diffusion_alone() -> None:
    out = engine("tiny-diffusion").convert(
        sung(0.6), None, options(diffusion="alone", speedup=100, enhance=True), ZeroNoise()
    )
    assert out.length == sung(0.6).length
