"""One suite over every pitch tracker in the registry: a new one joins by a line in :data:`LIMITS`.

The main sounds are sung vowels and ``1 / k`` tones with a noise floor 60 dB below, as every recording has: trackers
are made for voices, and some (swift, harvest) do not take a lone sine or a mathematically empty spectrum for one. pm
and dio are held to sines as well. A tracker whose package or weights are absent is skipped with that reason. RMVPE's
official weights cannot be shipped: with fake ones only its shapes, determinism and refusals are tested.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from sovits.core.device import Compute
from sovits.core.errors import AudioError, MissingDependencyError, MissingWeightsError
from sovits.features.pitch.contour import Contour, PitchPredictor
from sovits.features.pitch.sampling import Checked
from sovits.options.pitch import PitchOptions
from sovits.zoo.tables import PITCH, pitch_predictor
from tests import sounds
from tests.sounds import Sound

RATE = 44100
LADDER = (60, 80, 110, 165, 220, 330, 440, 660, 880, 1000)
RATES = (8000, 16000, 22050, 44100, 48000, 96000)


@dataclass(frozen=True)
class Limits:
    """What a tracker is held to.

    Attributes:
        tone: median error on a steady tone, in cents; nine values in ten lie within twice that.
        moving: median error on glides and vibrato, in cents.
        lag: largest systematic lead or lag, in ms.
        noise: largest part of white noise that it may call voiced.
        sines: whether it takes a pure sine for a pitch.
        depth: part of a vibrato's depth that it may lose to smoothing.
        hop_change: how far a value may move when it is asked for at another hop, in cents.
        step: ms between the values that most tests ask for.
        slow: seconds of work for a second of sound.
    """

    tone: float
    moving: float
    lag: float
    noise: float
    sines: bool = False
    depth: float = 0.1
    hop_change: float = 1.0
    step: int = 10
    slow: bool = False


LIMITS = {
    "swift": Limits(tone=10.0, moving=4.0, lag=0.5, noise=0.02),
    "dio": Limits(tone=1.0, moving=1.0, lag=0.1, noise=0.15, sines=True),
    "harvest": Limits(tone=1.0, moving=1.0, lag=0.1, noise=0.1, slow=True),
    "pm": Limits(tone=0.2, moving=4.0, lag=0.1, noise=0.01, sines=True),
    # It decides at the hop that is asked, among bins of 20 cents, and means over three values.
    "crepe": Limits(tone=10.0, moving=12.0, lag=2.0, noise=0.3, depth=0.2, hop_change=20.0, step=20, slow=True),
    "fcpe": Limits(tone=8.0, moving=4.0, lag=0.5, noise=0.05, slow=True),
}
#: Trackers whose answers cannot be tested, because no real weights are to be had here.
SHAPES_ONLY = {"rmvpe"}


@cache
def loaded(name: str, low: float = 50.0, high: float = 1100.0) -> PitchPredictor | str:
    """The tracker, or why there is none."""
    options = PitchOptions(method=name, f0_min=low, f0_max=high)
    if name in SHAPES_ONLY:
        return fake_rmvpe(options)
    try:
        return pitch_predictor(options)
    except (MissingDependencyError, MissingWeightsError) as reason:
        return str(reason)


def fake_rmvpe(options: PitchOptions) -> PitchPredictor | str:
    """RMVPE with weights by rule."""
    try:
        import torch
    except ModuleNotFoundError:
        return "torch is not installed"
    from sovits.features.pitch import rmvpe
    from tests.parity.fill import fill_svc

    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in rmvpe.Rmvpe().state_dict().items()}
    tensors = {
        key: torch.from_numpy(np.asarray(fill_svc("contract", key, shape)).astype(np.float32))
        for key, shape in shapes.items()
        if not key.endswith("num_batches_tracked")
    }
    return Checked(rmvpe.RmvpePredictor(rmvpe.Rmvpe.from_tensors(tensors), options, Compute()), "rmvpe")


def tracker(name: str, low: float = 50.0, high: float = 1100.0) -> PitchPredictor:
    """The tracker; skips the test if it cannot be had."""
    found = loaded(name, low, high)
    if isinstance(found, str):
        pytest.skip(f"{name}: {found}")
    return found


def marked(name: str) -> object:
    """The name as a test parameter; of slow trackers only the shapes are tested every time."""
    slow = name in LIMITS and LIMITS[name].slow
    return pytest.param(name, marks=pytest.mark.slow) if slow else name


every = pytest.mark.parametrize("name", PITCH.names())
runs = pytest.mark.parametrize("name", [marked(name) for name in PITCH.names()])
measured = pytest.mark.parametrize("name", [marked(name) for name in PITCH.names() if name not in SHAPES_ONLY])


def errors(contour: Contour, sound: Sound, start: float = 0.1, stop: float | None = None) -> tuple[np.ndarray, float]:
    """Errors in cents of the voiced values between two times in seconds, and the part that is voiced."""
    last = len(sound.samples) / sound.sample_rate - 0.1 if stop is None else stop
    here = (contour.times >= start) & (contour.times < last)
    voiced = here & contour.voiced
    return sounds.cents(contour.hz[voiced], sound.truth(contour.hop)[voiced]), float(voiced.sum() / here.sum())


def hop_of(name: str, rate: int) -> int:
    """The tracker's step in samples."""
    return rate * LIMITS[name].step // 1000


def check_ladder(name: str, steps: list[Sound]) -> None:
    """Every tone of a row of half-second tones is found, its ends left aside."""
    sound = sounds.with_noise(sounds.joined(*steps), 60)
    hop = hop_of(name, sound.sample_rate)
    contour = tracker(name).track(sound.samples, sound.sample_rate, hop)
    assert len(contour) == len(sound.samples) // hop
    for index, step in enumerate(steps):
        off, voiced = errors(contour, sound, 0.5 * index + 0.12, 0.5 * index + 0.38)
        label = f"{name} at {step.f0[0]:.0f} Hz, {sound.sample_rate} Hz"
        assert voiced >= 0.95, f"{label}: {voiced:.0%} voiced"
        assert np.median(np.abs(off)) <= LIMITS[name].tone, f"{label}: {np.median(off):.2f} cents off"
        assert np.percentile(np.abs(off), 90) <= 2 * LIMITS[name].tone, f"{label}: {np.sort(off)}"


def test_every_tracker_has_its_limits() -> None:
    assert {*LIMITS, *SHAPES_ONLY} == set(PITCH.names())
    for name in LIMITS:
        assert PITCH.facts(name)["low"] <= 60 < 1000 <= PITCH.facts(name)["high"]


@measured
def test_tones_from_60_to_1000_hz(name: str) -> None:
    check_ladder(name, [sounds.vowel(hz, 0.5, RATE) for hz in LADDER])


@measured
def test_tones_of_falling_harmonics(name: str) -> None:
    check_ladder(name, [sounds.tone(hz, 0.5, RATE) for hz in LADDER])


@pytest.mark.parametrize("name", [name for name, limits in LIMITS.items() if limits.sines])
def test_pure_sines(name: str) -> None:
    sound = sounds.with_noise(sounds.joined(*(sounds.sine(hz, 0.5, RATE) for hz in LADDER)), 60)
    contour = tracker(name).track(sound.samples, RATE, hop_of(name, RATE))
    for index, hz in enumerate(LADDER):
        off, voiced = errors(contour, sound, 0.5 * index + 0.12, 0.5 * index + 0.38)
        assert voiced == 1, f"{hz} Hz"
        assert np.median(np.abs(off)) <= 5, f"{hz} Hz"


@measured
@pytest.mark.parametrize("rate", RATES)
def test_sample_rates(name: str, rate: int) -> None:
    # Not octaves apart: DIO takes a step of an octave without a gap for a slip of its own and mends it away.
    check_ladder(name, [sounds.vowel(hz, 0.5, rate) for hz in (110, 200, 450)])


@measured
def test_glides_up_and_down_have_no_lag(name: str) -> None:
    """A tracker that is late is flat on the way up and sharp on the way down, by slope times lag."""
    medians = []
    for start, stop in ((110.0, 440.0), (440.0, 110.0)):
        sound = sounds.with_noise(sounds.glide(start, stop, 1.0, RATE), 60)
        off, voiced = errors(tracker(name).track(sound.samples, RATE, hop_of(name, RATE)), sound)
        assert voiced >= 0.98
        assert np.median(np.abs(off)) <= LIMITS[name].moving
        medians.append(np.median(off))
    lag = (medians[1] - medians[0]) / 2 / 2400.0 * 1000
    assert abs(lag) <= LIMITS[name].lag, f"{lag:.2f} ms"


@measured
def test_vibrato(name: str) -> None:
    """Rate 5.5 Hz, 50 cents to both sides: its depth, and no delay."""
    sound = sounds.with_noise(sounds.vibrato(220.0, 50.0, 5.5, 1.2, RATE), 60)
    contour = tracker(name).track(sound.samples, RATE, RATE // 100)
    off, voiced = errors(contour, sound)
    assert voiced >= 0.98
    assert np.median(np.abs(off)) <= LIMITS[name].moving
    here = contour.voiced & (contour.times >= 0.1) & (contour.times < 0.1 + 5 / 5.5)  # five whole periods
    turning = np.exp(-2j * np.pi * 5.5 * contour.times[here])
    swing = 2 * np.mean(1200 * np.log2(contour.hz[here] / 220.0) * turning) * 1j
    assert abs(abs(swing) / 50 - 1) <= LIMITS[name].depth, f"depth {abs(swing):.1f} cents"
    delay = -np.angle(swing) / (2 * np.pi * 5.5) * 1000
    assert abs(delay) <= max(LIMITS[name].lag, 0.5), f"{delay:.2f} ms"


@measured
def test_silence_is_unvoiced(name: str) -> None:
    sound = sounds.silence(0.5, RATE)
    contour = tracker(name).track(sound.samples, RATE, hop_of(name, RATE))
    assert not contour.voiced.any()
    assert not contour.hz.any()


@measured
def test_a_tone_between_silences(name: str) -> None:
    """Voiced where the tone is, unvoiced from a tenth of a second around it on."""
    gap = sounds.silence(0.4, RATE)
    sound = sounds.joined(gap, sounds.vowel(220, 0.5, RATE), gap)
    contour = tracker(name).track(sound.samples, RATE, hop_of(name, RATE))
    outside = (contour.times < 0.3) | (contour.times > 1.0)
    assert not contour.voiced[outside].any()
    assert errors(contour, sound, 0.45, 0.85)[1] == 1


@measured
def test_white_noise_is_mostly_unvoiced(name: str) -> None:
    sound = sounds.white_noise(1.5, RATE, seed=3)
    assert tracker(name).track(sound.samples, RATE, hop_of(name, RATE)).voiced.mean() <= LIMITS[name].noise


@every
@pytest.mark.parametrize(
    ("length", "rate", "hop"),
    [(0, 44100, 512), (1, 44100, 512), (511, 44100, 512), (512, 44100, 512), (1200, 8000, 80), (2205, 44100, 441),
     (4001, 16000, 160), (4001, 48000, 137), (5000, 192000, 1920)],
)  # fmt: skip
def test_one_value_per_hop(name: str, length: int, rate: int, hop: int) -> None:
    samples = sounds.vowel(220, 0.7, rate).samples[:length]
    assert len(samples) == length
    contour = tracker(name).track(samples, rate, hop)
    assert len(contour) == len(contour.voiced) == length // hop
    assert (contour.hop, contour.sample_rate) == (hop, rate)
    assert contour.hz.dtype == np.float64
    assert contour.voiced.dtype == np.bool_
    assert np.isfinite(contour.hz).all()
    assert np.array_equal(contour.hz > 0, contour.voiced)
    if contour.confidence is not None:
        assert contour.confidence.shape == contour.hz.shape
        assert ((contour.confidence >= 0) & (contour.confidence <= 1)).all()


@runs
def test_the_input_is_left_alone(name: str) -> None:
    samples = sounds.vowel(220, 0.3, 16000).samples
    samples.flags.writeable = False
    tracker(name).track(samples, 16000, 160)


@runs
def test_same_result_in_every_call_and_thread(name: str) -> None:
    """Two threads, one instance, different sounds: each gets what it gets alone."""
    shared = tracker(name)
    pair = [sounds.vowel(150, 0.4, 16000).samples, sounds.glide(300, 500, 0.3, 16000).samples]

    def run(samples: np.ndarray) -> Contour:
        return shared.track(samples, 16000, 160)

    alone = [run(samples) for samples in pair]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, pair * 2))
    for found, wanted in zip(together, alone * 2, strict=True):
        assert np.array_equal(found.hz, wanted.hz)
        assert np.array_equal(found.voiced, wanted.voiced)


@measured
def test_the_hop_does_not_change_the_values(name: str) -> None:
    sound = sounds.with_noise(sounds.glide(200, 300, 0.8, RATE), 60)
    hop = hop_of(name, RATE)
    fine = tracker(name).track(sound.samples, RATE, hop)
    coarse = tracker(name).track(sound.samples, RATE, 2 * hop)
    both = fine.voiced[::2][: len(coarse)] & coarse.voiced
    assert np.mean(fine.voiced[::2][: len(coarse)] == coarse.voiced) >= 0.95
    assert np.abs(sounds.cents(coarse.hz[both], fine.hz[::2][: len(coarse)][both])).max() <= LIMITS[name].hop_change


@measured
def test_the_range_is_kept(name: str) -> None:
    """Whatever it finds in tones outside 100 to 300 Hz lies inside that range (half a semitone beyond at most)."""
    sound = sounds.with_noise(sounds.joined(*(sounds.vowel(hz, 0.3, RATE) for hz in (70, 200, 500))), 60)
    contour = tracker(name, 100.0, 300.0).track(sound.samples, RATE, hop_of(name, RATE))
    found = contour.hz[contour.voiced]
    assert found.min() >= 100 / 1.03
    assert found.max() <= 300 * 1.03
    assert errors(contour, sound, 0.4, 0.5)[1] == 1


@every
def test_bad_input_is_refused(name: str) -> None:
    good = np.zeros(1600, np.float32)
    bad = good.copy()
    bad[100] = np.nan
    for samples, rate, hop, text in [
        (good.reshape(2, -1), 16000, 160, "mono"),
        (bad, 16000, 160, "NaN"),
        (good, 4000, 160, "4000"),
        (good, 16000, 0, "hop"),
    ]:
        with pytest.raises(AudioError, match=text):
            tracker(name).track(samples, rate, hop)
