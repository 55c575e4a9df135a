"""What has to hold for any sound: same seed same bytes, windows that do not show, cancelling, order, memory."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.audio.audio import Audio, MemorySource  # noqa: E402
from sovits.core.errors import CancelledError  # noqa: E402
from sovits.core.progress import Cancel, Stage  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.engines.svc_draws import PlacedNoise  # noqa: E402
from sovits.zoo.tiny import tiny_voice  # noqa: E402
from tests.tiny import RATE, convert, deaf, engine, options, sung  # noqa: E402


def test_same_seed_same_bytes() -> None:
    sound = sung(1.5)
    one, two, other = convert(sound), convert(sound), convert(sound, seed=1)
    assert one.samples.tobytes() == two.samples.tobytes()
    assert one.samples.tobytes() != other.samples.tobytes()


def test_a_fresh_voice_gives_the_same_bytes() -> None:
    sound = sung(0.5)
    again = SvcEngine(tiny_voice()).convert(sound, None, options(), SeededNoise(0))
    assert again.samples.tobytes() == convert(sound).samples.tobytes()


def test_stream_equals_convert() -> None:
    sound = sung(2.0, gap=(0.8, 1.2))
    pieces = list(engine().stream(MemorySource(sound), None, options(), SeededNoise(0)))
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces], axis=1), convert(sound).samples)


@pytest.mark.slow
@pytest.mark.parametrize("values", [{"window": 2.0}, {"clip_seconds": 2.5, "clip_overlap": 0.3}])
def test_windows_equal_one_shot_away_from_joins(values: dict[str, float]) -> None:
    """With nets that hear no further than their convolutions reach, windows give the very samples of one pass."""
    sound = sung(7.0)
    made = SvcEngine(deaf(tiny_voice()))
    whole, cut = (
        made.convert(sound, None, options(**given), SeededNoise(0)).samples[0] for given in ({"window": 20.0}, values)
    )
    assert len(whole) == len(cut) == sound.length
    difference = np.abs(whole - cut)
    level = np.sqrt(np.mean(whole**2))
    assert np.percentile(difference, 95) < 1e-3 * level
    assert difference.max() < level


@pytest.mark.slow
def test_windows_of_a_whole_voice_stay_in_phase() -> None:
    """Attention hears a whole window, so windows differ a little; but nothing is shifted, faded out or doubled."""
    sound = sung(7.0)
    whole, cut = convert(sound, window=20.0).samples[0], convert(sound, window=2.0).samples[0]
    assert np.corrcoef(whole, cut)[0, 1] > 0.9
    half = RATE // 2
    levels = [np.sqrt(np.mean(cut[i : i + half] ** 2)) for i in range(0, len(cut) - half, half)]
    assert min(levels) > 0.4 * max(levels)


def test_noise_belongs_to_its_place() -> None:
    base = SeededNoise(3)
    whole = PlacedNoise(base, -10, 300)
    part = PlacedNoise(base, 70, 90)
    np.testing.assert_array_equal(whole.normal("prior", (1, 4, 300))[..., 80:170], part.normal("prior", (1, 4, 90)))
    long, short = whole.normal("source noise", (1, 300 * 8, 9)), part.normal("source noise", (1, 90 * 8, 9))
    np.testing.assert_array_equal(long[:, 640:1360], short)
    assert abs(float(long.std()) - 1) < 0.05


def test_a_cancelled_call_stops_inside_a_window() -> None:
    voice = tiny_voice()
    made, cancel = SvcEngine(voice), Cancel()
    assert voice.generator is not None
    layers: list[str] = []
    for name, module in voice.generator.dec.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_hook(lambda *ignored, name=name: layers.append(name) or cancel.cancel())
    with pytest.raises(CancelledError):
        made.convert(sung(1.0), None, options(), SeededNoise(0), cancel=cancel)
    assert len(layers) <= 1


def test_cancelling_one_thread_leaves_the_other_alone() -> None:
    made, sound, cancel = engine(), sung(2.0), Cancel()
    results: list[Audio] = []
    other = threading.Thread(target=lambda: results.append(made.convert(sound, None, options(), SeededNoise(0))))
    other.start()
    cancel.cancel()
    with pytest.raises(CancelledError):
        made.convert(sound, None, options(), SeededNoise(0), cancel=cancel)
    other.join()
    assert np.array_equal(results[0].samples, convert(sound).samples)


def test_results_come_before_the_source_ends() -> None:
    class Watched(MemorySource):
        """Counts how far the second walk has come."""

        walks = 0
        passed = 0

        def blocks(self, seconds: float):  # type: ignore[no-untyped-def]
            self.walks += 1
            for block in super().blocks(seconds):
                if self.walks > 1:
                    self.passed += block.length
                yield block

    source = Watched(sung(30.0))
    stream = engine().stream(source, None, options(window=2.0), SeededNoise(0))
    begun = time.monotonic()
    next(stream)
    assert source.walks == 2
    assert source.passed < 26 * RATE
    stream.close()
    assert time.monotonic() - begun < 60


def test_progress_reaches_the_end() -> None:
    class Counting:
        done = 0.0

        def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
            outer = self

            class Here(Stage):
                def advance(self, amount: float = 1.0) -> None:
                    outer.done += amount

            return Here()

    counting = Counting()
    engine().convert(sung(1.5), None, options(), SeededNoise(0), progress=counting)
    assert counting.done == pytest.approx(1.5, abs=0.05)


def test_cancelling_while_the_silences_are_looked_for() -> None:
    cancel = Cancel()

    class Cancelling(MemorySource):
        def blocks(self, seconds: float):  # type: ignore[no-untyped-def]
            for number, block in enumerate(super().blocks(seconds)):
                assert number < 2
                cancel.cancel()
                yield block

    with pytest.raises(CancelledError):
        next(engine().stream(Cancelling(sung(30.0)), None, options(), SeededNoise(0), cancel=cancel))
