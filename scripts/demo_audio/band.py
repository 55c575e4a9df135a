"""The accompaniment: plucked guitar and bass, a soft pad, a shaker and a drum, all computed."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from demo_audio.score import BARS, BEAT, CHORDS, LENGTH, RATE, hertz, seconds
from demo_audio.speech import Array


def play() -> Array:
    """The accompaniment, stereo float64 [2, LENGTH * 44100], peak 0.45."""
    rng = np.random.default_rng(71)
    dry, wet = np.zeros((2, round(LENGTH * RATE))), np.zeros((2, round(LENGTH * RATE)))
    _guitar(dry, wet, rng)
    _bass(dry)
    _pad(wet)
    _drums(dry, wet, rng)
    mixed = dry + 0.9 * wet + _room(wet, rng)
    fade = np.ones(mixed.shape[1])
    tail = round(1.1 * RATE)
    fade[-tail:] = np.cos(np.linspace(0.0, np.pi / 2, tail)) ** 2
    mixed = sosfilt(butter(4, 14000.0, fs=RATE, output="sos"), mixed * fade, axis=1)
    return np.asarray(0.45 * mixed / np.abs(mixed).max())


def _place(track: Array, sound: Array, time: float, pan: float, gain: float) -> None:
    """Add a sound at ``time`` seconds; ``pan`` from -1 (left) to 1 (right) with equal power."""
    start = round(time * RATE)
    stop = min(track.shape[1], start + len(sound))
    if start >= stop:
        return
    angle = (pan + 1.0) * np.pi / 4.0
    track[0, start:stop] += gain * np.cos(angle) * sound[: stop - start]
    track[1, start:stop] += gain * np.sin(angle) * sound[: stop - start]


def _pluck(frequency: float, length: float, bright: float, decay: float, rng: np.random.Generator) -> Array:
    """A plucked string (Karplus and Strong 1983): a burst of noise in a loop that loses its highs first."""
    count = round(length * RATE)
    # The loop delays by whole + share (a linear fraction) + damp (a mean of neighbours that loses the highs).
    damp = 0.3
    whole = int(RATE / frequency - damp)
    share = RATE / frequency - damp - whole
    burst = np.zeros(count)
    noise = np.asarray(lfilter([bright], [1.0, bright - 1.0], rng.uniform(-1.0, 1.0, whole)))
    burst[:whole] = noise - noise.mean()
    keep = 10.0 ** (-3.0 / (decay * frequency))
    loop = np.zeros(whole + 3)
    loop[0] = 1.0
    loop[whole:] = -keep * np.convolve([1.0 - share, share], [1.0 - damp, damp])
    ringing = np.asarray(lfilter([1.0], loop, burst))
    damped = np.asarray(lfilter([0.55, 0.45], [1.0], ringing))
    damped[-2000:] *= np.linspace(1.0, 0.0, 2000)
    return np.asarray(damped / (np.abs(damped).max() + 1e-9))


def _guitar(dry: Array, wet: Array, rng: np.random.Generator) -> None:
    for bar, (_, chord) in enumerate(CHORDS):
        last = bar == BARS - 1
        strokes = ((0.0, 1.0), (0.5, 0.6), (1.0, 0.8), (1.5, 0.55), (2.0, 0.8), (2.5, 0.5))
        for step, (beat, strength) in enumerate(strokes[:4] if last else strokes):
            note = chord[(0, 2, 1, 3, 2, 1)[step]]
            when = seconds(3 * bar + beat) + rng.normal(0.0, 0.004)
            string = _pluck(hertz(note), 2.6 if last else 1.4, 0.45, 2.2, rng)
            pan = -0.35 + 0.12 * (step % 3)
            _place(dry, string, when, pan, 0.30 * strength)
            _place(wet, string, when, pan, 0.16 * strength)
    for offset, note in ((-1.0, 55), (-0.5, 60)):  # the up-beat before the voice
        _place(dry, _pluck(hertz(note), 1.2, 0.45, 2.0, rng), seconds(offset), -0.3, 0.2)


def _bass(dry: Array) -> None:
    for bar, (root, chord) in enumerate(CHORDS):
        fifth = root + 7 if (root + 7) % 12 in {note % 12 for note in chord} else root + 12
        for beat, note, length in ((0.0, root, 2.0), (2.0, fifth, 1.0)):
            if bar == BARS - 1 and beat > 0.0:
                continue
            time = np.arange(round((4.0 if bar == BARS - 1 else length) * BEAT * RATE)) / RATE
            tone = sum(
                np.sin(2 * np.pi * k * hertz(note) * time) / k**1.6 * np.exp(-time * 1.1 * k) for k in range(1, 9)
            )
            tone = np.asarray(tone) * np.minimum(time / 0.008, 1.0)
            tone[-1500:] *= np.linspace(1.0, 0.0, 1500)
            _place(dry, tone, seconds(3 * bar + beat), 0.0, 0.34)


def _pad(wet: Array) -> None:
    for bar, (_, chord) in enumerate(CHORDS):
        last = bar == BARS - 1
        length = (4.5 if last else 3.25) * BEAT
        time = np.arange(round(length * RATE)) / RATE
        swell = np.minimum(time / 0.35, 1.0) * np.minimum((length - time) / 0.4, 1.0)
        for note in chord:
            for detune, pan in ((-0.06, -0.7), (0.06, 0.7)):
                base = hertz(note + 12 + detune) if note < 50 else hertz(note + detune)
                voice = sum(
                    np.sin(2 * np.pi * k * base * time + k * note)
                    / k**1.8
                    * (0.7 + 0.3 * np.sin(2 * np.pi * 0.4 * time))
                    for k in range(1, 7)
                )
                _place(wet, np.asarray(voice) * swell, seconds(3 * bar), pan, 0.030)


def _drums(dry: Array, wet: Array, rng: np.random.Generator) -> None:
    time = np.arange(round(0.28 * RATE)) / RATE
    drum = np.sin(2 * np.pi * (48.0 * time + 5.0 * (1 - np.exp(-time * 30.0)))) * np.exp(-time * 13.0)
    for bar in range(BARS):
        _place(dry, drum, seconds(3 * bar), 0.0, 0.45)
        for half in range(6):
            if bar == BARS - 1 and half > 2:
                break
            short = np.arange(round(0.09 * RATE)) / RATE
            hiss = rng.standard_normal(len(short)) * np.minimum(short / 0.012, 1.0) * np.exp(-short * 55.0)
            shake = sosfilt(butter(2, [4500.0, 11000.0], "bandpass", fs=RATE, output="sos"), hiss)
            strength = 0.11 if half in (2, 4) else 0.05
            _place(dry, np.asarray(shake), seconds(3 * bar + half / 2), 0.45, strength)
            _place(wet, np.asarray(shake), seconds(3 * bar + half / 2), 0.45, 0.4 * strength)


def _room(sent: Array, rng: np.random.Generator) -> Array:
    """A small hall: decaying noise, different on each side, that loses its highs."""
    time = np.arange(round(0.9 * RATE)) / RATE
    sides = []
    for channel in range(2):
        answer = rng.standard_normal(len(time)) * np.exp(-time * 6.0)
        answer[: round(0.012 * RATE)] = 0.0
        answer = np.asarray(lfilter([0.25], [1.0, -0.75], answer))
        answer *= 0.35 / np.sqrt(np.sum(answer**2))
        sides.append(fftconvolve(sent[channel], answer)[: sent.shape[1]])
    return np.stack(sides)
