"""WORLD parameters back to sound, as one endless stream: pulses with minimum phase, shaped noise, and the source's own
unvoiced sound passed through a filter, so that consonants and breath stay what they were.

The stream keeps the phase of the pulses and the overlap of the last frames between calls. There is no seam between
pieces of work, hence nothing to cross-fade. Periodic part after Morise, Yokomori and Ozawa (2016): one response per
pulse, amplitude sqrt(period), spectrum ``envelope * (1 - aperiodicity^2)``; noise ``envelope * aperiodicity^2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.core.rng import Noise
from sovits.engines.world_analysis import FLOOR, FRAMES, Floats

_BATCH = 256
_LEAST_PERIODIC = 1e-6
#: Corner of the low cut of the pulses, as a share of F0.
_LOW_CUT = 0.45


@dataclass(frozen=True)
class Plan:
    """What to synthesise between the first of these frames and the last but one; the last one is their neighbour.

    Attributes:
        f0: Hz [frames], 0 where unvoiced.
        envelope: natural log of power of voiced sound [frames, bins].
        aperiodicity: amplitude share of noise [frames, bins].
        gain: natural log of the power gain [frames, bins] that the source's unvoiced sound passes.
    """

    f0: Floats
    envelope: Floats
    aperiodicity: Floats
    gain: Floats


class Canvas:
    """Adds overlapping blocks at absolute positions and gives what is finished."""

    def __init__(self) -> None:
        self._held = np.zeros(0)
        self.start = 0

    def reach(self, stop: int) -> None:
        """Make room up to ``stop``."""
        missing = stop - self.start - len(self._held)
        if missing > 0:
            self._held = np.concatenate([self._held, np.zeros(missing)])

    def add(self, place: int, block: Floats) -> None:
        """Add a block [time] at ``place``; what lies before the start is dropped (there is no sound before 0)."""
        skip = max(0, self.start - place)
        self.reach(place + len(block))
        begin = place + skip - self.start
        self._held[begin : begin + len(block) - skip] += block[skip:]

    def take(self, stop: int) -> Floats:
        """Everything before ``stop``."""
        self.reach(stop)
        count = max(0, stop - self.start)
        done, self._held = self._held[:count], self._held[count:].copy()
        self.start += count
        return done


class Synthesiser:
    """One stream of sound.

    Args:
        rate: samples per second.
        noise: where breath comes from; drawn per second of sound, so that it does not depend on the pieces of work.
    """

    def __init__(self, rate: int, noise: Noise) -> None:
        self._rate = rate
        self._noise = noise
        self._hop = rate / FRAMES
        self._phase = 0.0
        self._running = False
        self._canvas = Canvas()

    def push(self, plan: Plan, first: int, source: Samples, origin: int) -> Floats:
        """Take the next frames and give the samples that are finished.

        Args:
            plan: frames ``first .. first + len - 1`` of the stream, at least 3; the last two are the first of the next
                call. Pulses are placed from the first frame to the last but one.
            source: the mono source, covering the frames and one hop more on both sides where there is any.
            origin: position in the stream of ``source[0]``; may be negative.
        """
        bins = plan.envelope.shape[1]
        size = 2 * (bins - 1)
        start, stop = round(first * self._hop), round((first + len(plan.f0) - 2) * self._hop)
        self._pulses(plan, first, start, stop, size)
        self._filtered(plan, first, source, origin, size)
        return self._canvas.take(max(0, stop - size // 2 - int(self._hop) - 1))

    def finish(self, length: int) -> Floats:
        """The rest, up to ``length`` samples in all."""
        return self._canvas.take(length)

    def _pulses(self, plan: Plan, first: int, start: int, stop: int, size: int) -> None:
        """Place one response per period on the canvas."""
        times, hertz, weight = self._pulse_times(plan, first, start, stop)
        if not len(times):
            return
        log_power = plan.envelope + np.log(np.maximum(1.0 - plan.aperiodicity**2, _LEAST_PERIODIC))
        used = _beside(plan.f0 > 0)
        # There is nothing below the first harmonic, but the envelope goes on to 0 Hz: a train of pulses would rumble.
        corner = _LOW_CUT * _nearest_f0(plan.f0)[:, None]
        bins_hz = np.maximum(np.arange(size // 2 + 1), 0.25) * (self._rate / size)
        log_power = log_power - np.log1p((corner / bins_hz) ** 4)
        spectra = np.zeros((len(plan.f0), size // 2 + 1), np.complex128)
        spectra[used] = minimum_phase(log_power[used])
        omega = 2.0 * np.pi * np.arange(size // 2 + 1) / size
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
        window /= window.sum()
        before = size // 8
        for begin in range(0, len(times), _BATCH):
            batch = slice(begin, begin + _BATCH)
            place = times[batch] / self._hop - first
            left = np.clip(place.astype(np.int64), 0, len(plan.f0) - 2)
            part = (place - left)[:, None]
            whole = np.floor(times[batch]).astype(np.int64)
            # Room for what rings before a pulse that lies between two samples; it would come out at the end instead.
            delay = (times[batch] - whole)[:, None] + before
            logs = spectra[left] * (1 - part) + spectra[left + 1] * part
            amplitude = weight[batch] * np.sqrt(self._rate / hertz[batch])
            waves = np.fft.irfft(np.exp(logs - 1j * delay * omega), size) * amplitude[:, None]
            waves -= waves.sum(axis=1, keepdims=True) * window  # a train of pulses must not shift the zero line
            for position, wave in zip(whole, waves, strict=True):
                self._canvas.add(int(position) - before, wave)

    def _pulse_times(self, plan: Plan, first: int, start: int, stop: int) -> tuple[Floats, Floats, Floats]:
        """Positions (samples, fractional), F0 and voiced share of the pulses in ``start .. stop - 1``."""
        hertz, weight = self._per_sample(plan, first, start, stop)
        samples = []
        on = np.flatnonzero(np.diff(np.concatenate([[False], hertz > 0, [False]]).astype(np.int8)))
        times = []
        for begin, end in zip(on[::2], on[1::2], strict=True):
            step = hertz[begin:end] / self._rate
            # A voice that sets in does so with a pulse; one that was running goes on with its phase.
            before = self._phase if begin == 0 and self._running else 1.0 - step[0]
            phase = before + np.cumsum(step)
            cycles = np.floor(phase + 1e-9)
            new = np.flatnonzero(np.diff(cycles, prepend=np.floor(before + 1e-9)) > 0)
            samples.append(begin + new)
            times.append(start + begin + new - np.maximum(phase[new] - cycles[new], 0.0) / step[new])
            self._phase = float(phase[-1] % 1.0)
        self._running = bool(len(hertz)) and bool(hertz[-1] > 0)
        if not times:
            return np.zeros(0), np.zeros(0), np.zeros(0)
        index = np.concatenate(samples)
        return np.concatenate(times), hertz[index], weight[index]

    def _per_sample(self, plan: Plan, first: int, start: int, stop: int) -> tuple[Floats, Floats]:
        """F0 in Hz (0 where there is none) and the voiced share 0..1 of the samples ``start .. stop - 1``."""
        place = np.clip(np.arange(start, stop) / self._hop - first, 0, len(plan.f0) - 1)
        left = np.minimum(place.astype(np.int64), max(0, len(plan.f0) - 2))
        right = np.minimum(left + 1, len(plan.f0) - 1)
        part = place - left
        voiced = plan.f0 > 0
        logs = np.log(np.where(voiced, plan.f0, 1.0))
        between = np.exp(logs[left] * (1 - part) + logs[right] * part)
        hertz = np.where(voiced[left] & voiced[right], between, np.maximum(plan.f0[left], plan.f0[right]))
        return hertz, voiced[left] * (1 - part) + voiced[right] * part

    def _filtered(self, plan: Plan, first: int, source: Samples, origin: int, size: int) -> None:
        """Noise of the voiced frames and the source's sound of the unvoiced ones, both filtered frame by frame.

        The first frame was done by the call before, the last one is left to the next.
        """
        rows = np.arange(0 if first == 0 else 1, len(plan.f0) - 1)
        reach = int(np.ceil(self._hop)) + 1
        begin = round((first + int(rows[0])) * self._hop) - reach
        end = round((first + int(rows[-1])) * self._hop) + reach + 1
        voiced = plan.f0 > 0
        place = np.clip(np.arange(begin, end) / self._hop - first, 0, len(plan.f0) - 1)
        left = np.minimum(place.astype(np.int64), len(plan.f0) - 2)
        part = place - left
        share = voiced[left] * (1 - part) + voiced[left + 1] * part
        breath = self._white(begin, end) * share
        passed = _cut(source, begin - origin, end - origin) * (1.0 - share)
        noisy, open_ = _beside(voiced), _beside(~voiced)
        centres = np.round((first + np.arange(len(plan.f0))) * self._hop).astype(np.int64)
        offsets = np.arange(-reach, reach + 1)
        for low in range(0, len(rows), _BATCH):
            batch = rows[low : low + _BATCH]
            index = centres[batch, None] + offsets
            # The Hann windows of neighbouring frames add up to one at every sample, whatever the hop.
            distance = index / self._hop - (first + batch)[:, None]
            window = np.where(np.abs(distance) < 1.0, 0.5 + 0.5 * np.cos(np.pi * distance), 0.0)
            spectra = np.zeros((len(batch), size // 2 + 1), np.complex128)
            some = noisy[batch]
            if some.any():
                shape = np.exp(0.5 * plan.envelope[batch[some]]) * plan.aperiodicity[batch[some]]
                spectra[some] += np.fft.rfft(breath[index[some] - begin] * window[some], size) * shape
            some = open_[batch]
            if some.any():
                gain = np.exp(0.5 * plan.gain[batch[some]])
                spectra[some] += np.fft.rfft(passed[index[some] - begin] * window[some], size) * gain
            waves = np.roll(np.fft.irfft(spectra, size), size // 2 - reach, axis=1)
            for centre, wave in zip(centres[batch], waves, strict=True):
                self._canvas.add(int(centre) - size // 2, wave)

    def _white(self, begin: int, end: int) -> Floats:
        """White noise of the samples ``begin .. end - 1``; before 0 there is none."""
        seconds = range(max(0, begin) // self._rate, max(0, end - 1) // self._rate + 1)
        blocks = [self._noise.child(f"breath {second}").normal("white", (self._rate,)) for second in seconds]
        return _cut(np.concatenate(blocks), begin - seconds[0] * self._rate, end - seconds[0] * self._rate)


def minimum_phase(log_power: Floats) -> npt.NDArray[np.complex128]:
    """The logarithm of the minimum-phase spectrum with this log power, [..., bins], through the folded cepstrum."""
    size = 2 * (log_power.shape[-1] - 1)
    cepstrum = np.fft.irfft(0.5 * np.maximum(log_power, np.log(FLOOR)), size)
    cepstrum[..., 1 : size // 2] *= 2.0
    cepstrum[..., size // 2 + 1 :] = 0.0
    return np.asarray(np.fft.rfft(cepstrum), np.complex128)


def _nearest_f0(f0: Floats) -> Floats:
    """F0 with the unvoiced frames beside voiced ones filled from these, Hz; 100 Hz elsewhere."""
    filled = f0.copy()
    filled[1:] = np.where(filled[1:] > 0, filled[1:], f0[:-1])
    filled[:-1] = np.where(filled[:-1] > 0, filled[:-1], f0[1:])
    return np.where(filled > 0, filled, 100.0)


def _beside(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The flagged frames and their neighbours."""
    wide = flags.copy()
    wide[1:] |= flags[:-1]
    wide[:-1] |= flags[1:]
    return wide


def _cut(samples: npt.NDArray[np.floating], start: int, stop: int) -> Floats:
    """``samples[start:stop]`` with silence where they do not reach."""
    inside = samples[max(0, start) : max(0, stop)].astype(np.float64)
    before = max(0, min(-start, stop - start))
    return np.pad(inside, (before, stop - start - before - len(inside)))
