"""What makes a formant synthesiser sound less like a machine: a top end, breath in the tone, and slow unrest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from demo_audio.speech import FREQUENCIES, Array, Frames

DB = np.log(10.0) / 10.0  # one decibel in the natural logarithm of power


@dataclass(frozen=True)
class Throat:
    """A vocal tract and a way of using it.

    Attributes:
        warp: factor on formant frequencies; above 1 is a shorter tract.
        ring: height in dB of a broad peak about ``ring_at`` Hz (in singers, the singer's formant).
        breath: aperiodicity in dB at 1 kHz and at 8 kHz; higher is breathier.
        tops: (Hz, dB below the level at 2 to 3.5 kHz) the least that the voiced spectrum keeps up high.
    """

    warp: float = 1.0
    ring: float = 0.0
    ring_at: float = 2800.0
    breath: tuple[float, float] = (-26.0, -6.0)
    tops: tuple[tuple[float, float], ...] = ((4500, -12), (7000, -24), (11000, -36), (16000, -52), (22050, -66))


def shape(frames: Frames, throat: Throat, seed: int) -> Frames:
    """Frames as this throat would make them (F0 untouched)."""
    rng = np.random.default_rng(seed)
    voiced = gaussian_filter1d((frames.f0 > 0).astype(float), 1.5)[:, None]
    envelope = _raise_tops(_even(_warp(frames.envelope, throat.warp), voiced), throat, voiced)
    envelope += voiced * throat.ring * DB * np.exp(-0.5 * (np.log2(FREQUENCIES / throat.ring_at + 1e-9) / 0.28) ** 2)
    envelope += voiced * _unrest(rng, len(frames))
    low, high = throat.breath
    octave = np.log2(np.maximum(FREQUENCIES, 60.0) / 1000.0)
    breath = np.clip(low + (high - low) * octave / 3.0, low - 14.0, -0.3)
    sway = 2.0 * gaussian_filter1d(rng.standard_normal(len(frames)), 6.0)[:, None] * 3.0
    floor = 10.0 ** (np.minimum(breath + sway, -0.1) / 20.0)
    aperiodicity = np.where(frames.f0[:, None] > 0, np.maximum(np.minimum(frames.aperiodicity, 0.8), floor), 1.0)
    return Frames(frames.f0, envelope, aperiodicity)


def _warp(envelope: Array, factor: float) -> Array:
    """Move every formant by ``factor``, less and less above 6 kHz so that the top end stays."""
    if factor == 1.0:
        return envelope.copy()
    taken = FREQUENCIES / factor
    knee, top = 6000.0, FREQUENCIES[-1]
    above = knee < FREQUENCIES
    taken[above] = knee / factor + (FREQUENCIES[above] - knee) * (top - knee / factor) / (top - knee)
    places = taken / FREQUENCIES[1]
    left = np.minimum(places.astype(int), len(FREQUENCIES) - 2)
    share = places - left
    return np.asarray(envelope[:, left] * (1.0 - share) + envelope[:, left + 1] * share)


def _even(envelope: Array, voiced: Array) -> Array:
    """Bring dull and shrill vowels half way to a common balance of 2 to 4 kHz against what lies below 1 kHz."""
    balance = (_mean(envelope, 2000.0, 4000.0) - _mean(envelope, 150.0, 1000.0)) / DB
    shelf = np.clip(np.log2((FREQUENCIES + 1.0) / 900.0), 0.0, 1.0)
    return np.asarray(envelope - voiced * DB * np.clip(0.5 * (balance + 19.0), -8.0, 8.0) * shelf)


def _raise_tops(envelope: Array, throat: Throat, voiced: Array) -> Array:
    """Fill what espeak-ng leaves empty: above its formants in vowels, above its 11 kHz in consonants."""
    heights = np.array([(2000.0, 0.0), (3500.0, -3.0), *throat.tops])
    slope = np.interp(FREQUENCIES, heights[:, 0], heights[:, 1]) * DB
    # Resonances of the upper tract, about one to the kilohertz, keep the filling from being a ruler line.
    slope += 2.5 * DB * np.cos(2 * np.pi * (FREQUENCIES / throat.warp - 4600.0) / 1050.0) * (FREQUENCIES > 4000.0)
    anchor = _mean(envelope, 2000.0, 3500.0)
    filled = np.where(FREQUENCIES > 3600.0, np.logaddexp(envelope, anchor + slope), envelope)
    edge = _mean(envelope, 8500.0, 9800.0)
    beyond = np.maximum(FREQUENCIES - 9800.0, 0.0) / 1000.0
    hiss = np.where(FREQUENCIES > 9800.0, np.maximum(envelope, edge - 2.2 * DB * beyond), envelope)
    return np.asarray(np.maximum(voiced * filled + (1.0 - voiced) * hiss, hiss))


def _unrest(rng: np.random.Generator, frames: int) -> Array:
    """Slow wandering of the spectrum by a decibel or so, as of a tongue and a larynx that are never quite still."""
    knots = rng.standard_normal((frames, 24))
    slow = gaussian_filter1d(knots, 14.0, axis=0) * np.sqrt(14.0 * 2.0 * np.sqrt(np.pi))
    where = np.linspace(0.0, 23.0, 24)
    mel = 23.0 * np.log1p(FREQUENCIES / 700.0) / np.log1p(FREQUENCIES[-1] / 700.0)
    weights = np.maximum(0.0, 1.0 - np.abs(mel[None, :] - where[:, None]))
    return np.asarray(0.9 * DB * slow @ weights)


def _mean(envelope: Array, low: float, high: float) -> Array:
    chosen = (low <= FREQUENCIES) & (high > FREQUENCIES)
    return np.asarray(envelope[:, chosen].mean(axis=1, keepdims=True))
