"""The sung phrase: each syllable is spoken alone, its vowel found and stretched, and all are put on the melody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from demo_audio.score import LENGTH, MELODY, RATE, Sung, hertz, seconds
from demo_audio.speech import FREQUENCIES, PERIOD, Array, Frames, analyse, speak, synthesise
from demo_audio.timbre import DB, Throat, shape

VOICE = "en-us+adam"
FRAME = PERIOD / 1000.0
JOIN = 9  # frames over which one syllable passes into the next
SINGER = Throat(warp=1.03, ring=5.0, breath=(-27.0, -7.0))


@dataclass(frozen=True)
class Syllable:
    """A spoken syllable cut to its sound, with the frames where its vowel begins, may be held, and ends."""

    frames: Frames
    begin: int
    hold: int
    end: int


def sing() -> Array:
    """The phrase, mono float64 [LENGTH * 44100], peak 0.7."""
    frames = _phrase([_spoken(sung) for sung in MELODY])
    samples = synthesise(shape(frames, SINGER, seed=11))
    samples += 0.9 * _breaths()[: len(samples)]
    wanted = round(LENGTH * RATE)
    samples = np.pad(samples, (0, max(0, wanted - len(samples))))[:wanted]
    return np.asarray(0.7 * samples / np.abs(samples).max())


def _spoken(sung: Sung) -> Syllable:
    """Speak one syllable, cut its silence off, bring its vowel to a common level and find where it can be held."""
    frames = analyse(speak(f"[[{sung.sounds}]]", VOICE, speed=120, pitch=40), 60.0, 300.0)
    power = np.exp(frames.envelope)
    loudness = 10.0 * np.log10(power[:, FREQUENCIES < 10000.0].mean(axis=1))
    sounding = np.flatnonzero(loudness > loudness.max() - 42.0)
    cut = slice(int(sounding[0]), int(sounding[-1]) + 1)
    frames = Frames(frames.f0[cut], frames.envelope[cut], frames.aperiodicity[cut])
    # Vowels are loud between 300 Hz and 3.5 kHz, where nasals, hums and hisses are not.
    band = (FREQUENCIES > 300.0) & (FREQUENCIES < 3500.0)
    sonority = 10.0 * np.log10(np.exp(frames.envelope)[:, band].mean(axis=1))
    sonority = np.where(frames.f0 > 0, gaussian_filter1d(sonority, 2.0), -200.0)
    peak = int(np.argmax(sonority))
    open_mouth = sonority > sonority[peak] - 6.0
    begin, end = peak, peak
    while begin > 0 and open_mouth[begin - 1]:
        begin -= 1
    while end + 1 < len(frames) and open_mouth[end + 1]:
        end += 1
    change = np.abs(np.diff(frames.envelope[:, band], axis=0)).mean(axis=1)
    change = gaussian_filter1d(np.append(change, change[-1]), 2.0)
    # A diphthong is held in its first half; any other vowel where it changes least, away from its neighbours.
    share = (0.15, 0.40) if sung.glide else (0.30, 0.75)
    first, last = (begin + round(part * (end - begin)) for part in share)
    hold = first + int(np.argmin(change[first : last + 1]))
    level = np.log(np.exp(frames.envelope[hold, band]).mean())
    # A singer closes less than a speaker: voiced consonants come half of the way up to the vowel.
    below = np.log(np.exp(frames.envelope)[:, FREQUENCIES < 10000.0].mean(axis=1))
    below -= below[hold]
    lift = np.where(frames.f0 > 0, np.clip(-0.5 * (below + 8.0 * DB), 0.0, 8.0 * DB), 0.0)
    envelope = frames.envelope - level + gaussian_filter1d(lift, 2.0)[:, None]
    return Syllable(Frames(frames.f0, envelope, frames.aperiodicity), begin, hold, end)


def _phrase(syllables: list[Syllable]) -> Frames:
    """All syllables on one time line: vowels begin on their notes, consonants come before them."""
    count = round((LENGTH + 0.1) / FRAME)
    bins = len(FREQUENCIES)
    envelope, aperiodicity, weight = np.zeros((count, bins)), np.zeros((count, bins)), np.zeros(count)
    gain, voiced = np.full(count, -90.0), np.zeros(count)
    starts = [seconds(s.beat) / FRAME - syllable.begin for s, syllable in zip(MELODY, syllables, strict=True)]
    for index, (sung, syllable) in enumerate(zip(MELODY, syllables, strict=True)):
        start = round(starts[index])
        stop = round(starts[index + 1]) + JOIN if sung.legato else round(seconds(sung.beat + sung.beats) / FRAME)
        places = _places(syllable, stop - start, np.random.default_rng(100 + index))
        part = _at(syllable.frames, places)
        fade = np.ones(stop - start)
        fade[:JOIN] = np.linspace(0.05, 1.0, JOIN)
        if sung.legato:
            fade[-JOIN:] = np.linspace(1.0, 0.05, JOIN)
        span = slice(start, stop)
        envelope[span] += fade[:, None] * part.envelope
        aperiodicity[span] += fade[:, None] * part.aperiodicity
        weight[span] += fade
        voiced[span] += fade * (part.f0 > 0)
        gain[span] = np.maximum(gain[span], sung.level + _swell(sung, stop - start, syllable.begin))
    known = weight > 0
    envelope[known] /= weight[known, None]
    aperiodicity[known] /= weight[known, None]
    envelope[~known] = -25.0
    level = gaussian_filter1d(gain, 3.0)
    shimmer = 0.35 * np.random.default_rng(5).standard_normal(count)
    envelope += DB * (level + shimmer)[:, None] + _effort(level)
    is_voiced = known & (voiced > 0.5 * np.maximum(weight, 1e-9)) & (level > -60.0)
    return Frames(np.where(is_voiced, _melody(count), 0.0), envelope, np.clip(aperiodicity, 0.0, 1.0))


def _places(syllable: Syllable, count: int, rng: np.random.Generator) -> Array:
    """Which frame of the syllable sounds in each frame of the song: consonants at their own pace, the vowel held."""
    length = len(syllable.frames)
    held = count - length
    if held < 0:
        # Too short a note: the vowel gives way, the consonants before it stay.
        tail = np.linspace(syllable.begin, length - 1, count - syllable.begin)
        return np.concatenate([np.arange(syllable.begin, dtype=float), tail])
    # The tongue is never still: the held frame wanders a little.
    wander = gaussian_filter1d(rng.standard_normal(held + 1), 10.0)
    room = 0.25 * min(syllable.hold - syllable.begin, syllable.end - syllable.hold)
    wander *= min(3.0, room) / max(np.abs(wander).max(), 1e-9)
    wander *= np.hanning(held + 3)[1:-1]
    before, after = np.arange(syllable.hold), np.arange(syllable.hold + 1, length)
    return np.concatenate([before, syllable.hold + wander, after])


def _at(frames: Frames, places: Array) -> Frames:
    """Frames at fractional places."""
    left = np.clip(places.astype(int), 0, len(frames) - 2)
    share = (places - left)[:, None]
    envelope = frames.envelope[left] * (1.0 - share) + frames.envelope[left + 1] * share
    aperiodicity = frames.aperiodicity[left] * (1.0 - share) + frames.aperiodicity[left + 1] * share
    return Frames(frames.f0[np.round(places).astype(int)], envelope, aperiodicity)


def _swell(sung: Sung, count: int, begin: int) -> Array:
    """Dynamics within one note in dB: soft attack, a swell on long notes, a release where the voice lets go."""
    time = (np.arange(count) - begin) * FRAME
    length = max(count - begin, 1) * FRAME
    curve = -3.0 * np.exp(-np.maximum(time, 0.0) / 0.07)
    curve[:begin] = -1.0
    if sung.beats >= 1.4:
        curve += 2.0 * np.sin(np.pi * np.clip(time / length, 0.0, 1.0))
    if not sung.legato:
        release = 0.16 if sung.beats < 2 else 0.45
        late = np.clip((time - (length - release)) / release, 0.0, 1.0)
        curve -= 3.0 * late + 30.0 * late**4
    return np.asarray(curve)


def _effort(level: Array) -> Array:
    """Louder singing is brighter, softer singing duller: half a decibel for each octave above 500 Hz and each dB."""
    octaves = np.clip(np.log2(np.maximum(FREQUENCIES, 1.0) / 500.0), 0.0, 4.0)
    softness = np.clip(level + 3.0, -6.0, 4.0)
    return np.asarray(DB * 0.5 * softness[:, None] * octaves[None, :] * 0.6)


def _melody(count: int) -> Array:
    """F0 in Hz [count]: written notes joined by portamento, scooped into after a breath, with vibrato and unrest."""
    rng = np.random.default_rng(23)
    time = np.arange(count) * FRAME
    notes = np.full(count, float(MELODY[0].notes[0][0]))
    vibrato = np.zeros(count)
    onset = np.zeros(count)
    fresh = True
    for sung in MELODY:
        start = seconds(sung.beat)
        for note, beats in sung.notes:
            stop = start + beats * (seconds(1) - seconds(0))
            notes[time >= start - 0.035] = note  # a singer arrives on the beat, so she leaves before it
            length = stop - start
            if length > 0.5:
                since = time - start
                rise = np.clip((since - 0.22) / 0.35, 0.0, 1.0)
                inside = (since > 0.0) & (since < length)
                depth = 0.22 if length < 0.7 else 0.42
                vibrato[inside] = (depth * rise * np.clip((length - since) / 0.10, 0.0, 1.0))[inside]
            start = stop
        if fresh:
            since = time - seconds(sung.beat) + 0.03
            onset -= np.where(since > -0.25, 0.9 * np.exp(-np.maximum(since, 0.0) / 0.06), 0.0)
        fresh = not sung.legato
    glide = gaussian_filter1d(notes, 0.022 / FRAME)
    # The larynx overshoots a step slightly before it settles.
    overshoot = 0.10 * (glide - gaussian_filter1d(np.roll(glide, 12), 10.0))
    rate = 5.5 + 0.25 * gaussian_filter1d(rng.standard_normal(count), 60.0) * 12.0
    wave = np.sin(2.0 * np.pi * np.cumsum(rate) * FRAME)
    drift = 0.035 * gaussian_filter1d(rng.standard_normal(count), 40.0) * 12.0
    jitter = 0.022 * gaussian_filter1d(rng.standard_normal(count), 1.0) * 1.9
    cents = glide + overshoot + onset + vibrato * wave + drift + jitter
    return np.asarray([hertz(value) for value in cents])


def _breaths() -> Array:
    """Breaths taken before each phrase: noise through an open, voiceless throat."""
    count = round((LENGTH + 0.2) / FRAME)
    level = np.full(count, -120.0)
    times = np.arange(count) * FRAME
    for end, length in ((seconds(0) - 0.10, 0.36), (seconds(6) - 0.10, 0.20), (seconds(12) - 0.13, 0.16)):
        along = (times - (end - length)) / length
        inside = (along > 0) & (along < 1)
        level[inside] = -34.0 + 20.0 * np.log10(np.maximum(np.sin(np.pi * along[inside] ** 0.7), 1e-3))
    peaks = ((700.0, 0.0), (1500.0, 3.0), (2600.0, 1.0), (3900.0, -4.0), (5600.0, -9.0), (8000.0, -14.0))
    shape_db = np.full(len(FREQUENCIES), -26.0) - FREQUENCIES / 1500.0
    for at, height in peaks:
        shape_db = np.maximum(shape_db, height - 18.0 * np.abs(np.log2((FREQUENCIES + 1.0) / at)) ** 1.2)
    envelope = DB * (level[:, None] + shape_db[None, :]) + np.log(1.0)
    return synthesise(Frames(np.zeros(count), envelope, np.ones((count, len(FREQUENCIES)))))
