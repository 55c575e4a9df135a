"""What must hold of the built-in converter for any input: repeatable, streamed as whole, stoppable, shareable."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sovits.audio.audio import Audio, MemorySource, concatenate
from sovits.core.errors import CancelledError
from sovits.core.progress import Cancel, Stage
from sovits.core.rng import SeededNoise
from sovits.engines.world import WorldEngine
from sovits.options.convert import ConvertOptions
from sovits.zoo.voice import Voice
from tests.unit.engines.voices import phrase, target


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return target(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="module")
def engine() -> WorldEngine:
    return WorldEngine()


@pytest.fixture(scope="module")
def song() -> Audio:
    """7.3 s at a rate whose 5 ms are no whole number of samples, with the noise of a quiet room.

    Beside digital silence the tracker's logarithms see the resampler's rounding, which depends on where a piece starts.
    """
    parts = [phrase(hertz, 22050, 2.5).samples for hertz in (150.0, 200.0, 170.0)]
    room = 3e-4 * np.random.default_rng(0).standard_normal(int(7.3 * 22050))
    return Audio.from_mono(np.concatenate(parts)[: len(room)] + room, 22050)


def test_same_input_same_bytes(engine: WorldEngine, voice: Voice, song: Audio) -> None:
    once = engine.convert(song, voice, ConvertOptions(), SeededNoise(3))
    again = WorldEngine().convert(song, voice, ConvertOptions(), SeededNoise(3))
    assert once.samples.tobytes() == again.samples.tobytes()
    other = engine.convert(song, voice, ConvertOptions(), SeededNoise(4))
    assert once.samples.tobytes() != other.samples.tobytes()


def test_the_stream_joined_is_the_conversion(engine: WorldEngine, voice: Voice, song: Audio) -> None:
    options = ConvertOptions(window=2.0, sample_rate=16000)
    pieces = list(engine.stream(MemorySource(song), voice, options, SeededNoise(0)))
    assert len(pieces) > 3
    whole = engine.convert(song, voice, options, SeededNoise(0))
    np.testing.assert_array_equal(concatenate(pieces).samples, whole.samples)


@pytest.mark.slow
@pytest.mark.parametrize("window", [2.0, 4.0])
def test_pieces_of_work_do_not_show(engine: WorldEngine, voice: Voice, song: Audio, window: float) -> None:
    whole = engine.convert(song, voice, ConvertOptions(window=60.0), SeededNoise(0)).samples
    pieces = engine.convert(song, voice, ConvertOptions(window=window), SeededNoise(0)).samples
    assert np.sqrt(np.mean((whole - pieces) ** 2)) < 0.01 * np.sqrt(np.mean(whole**2))  # WORLD dithers
    assert np.abs(whole - pieces).max() < 0.02


@pytest.mark.slow
def test_blocks_of_the_source_do_not_matter(engine: WorldEngine, voice: Voice, song: Audio) -> None:
    class Odd(MemorySource):
        def blocks(self, seconds: float) -> Iterator[Audio]:
            return super().blocks(0.137)

    options = ConvertOptions()
    odd = concatenate(list(engine.stream(Odd(song), voice, options, SeededNoise(0))))
    np.testing.assert_allclose(odd.samples, engine.convert(song, voice, options, SeededNoise(0)).samples, atol=1e-6)


@pytest.mark.slow
def test_threads_share_an_engine(voice: Voice, song: Audio) -> None:
    shared, short = WorldEngine(), song.cut(0, 40000)
    alone = shared.convert(short, voice, ConvertOptions(), SeededNoise(0)).samples

    def work(_: int) -> bytes:
        return shared.convert(short, voice, ConvertOptions(), SeededNoise(0)).samples.tobytes()

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(work, range(6))) == {alone.tobytes()}


@pytest.mark.parametrize("stop_in", ["voice", "analysis", "conversion"])
def test_cancel_stops_in_every_stage(voice: Voice, song: Audio, stop_in: str) -> None:
    cancel = Cancel()
    opened: list[str] = []

    class Stopping:
        def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
            opened.append(name)
            if name == stop_in:
                cancel.cancel()
            return Stage()

    with pytest.raises(CancelledError):
        WorldEngine().convert(song, voice, ConvertOptions(), SeededNoise(0), progress=Stopping(), cancel=cancel)
    assert opened[-1] == stop_in


def test_progress_adds_up_to_the_length(engine: WorldEngine, voice: Voice, song: Audio) -> None:
    totals: dict[str, tuple[float | None, list[float]]] = {}

    class Counting:
        def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
            done: list[float] = []
            totals[name] = (total, done)

            class Counter(Stage):
                def advance(self, amount: float = 1.0) -> None:
                    done.append(amount)

            return Counter()

    engine.convert(song, voice, ConvertOptions(window=2.0), SeededNoise(0), progress=Counting())
    assert list(totals) == ["voice", "analysis", "conversion"]
    for total, done in totals.values():
        assert sum(done) == pytest.approx(total, rel=1e-3)
