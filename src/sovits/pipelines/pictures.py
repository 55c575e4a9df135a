"""PNG pictures that let a person see what happened: F0 over time and spectrograms.

Matplotlib is used through its objects only (no pyplot, no global state, no display), so threads may draw.
The memory of a picture does not grow with the recording: contours are thinned and spectra taken block by block.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Audio
from sovits.core.atomic import replacing
from sovits.core.errors import AudioError
from sovits.features.pitch.contour import Contour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width and height of :func:`conversion_picture` and of :func:`contour_picture` in pixels.
CONVERSION_SIZE, CONTOUR_SIZE = (1600, 1200), (1600, 900)

_DPI = 100
# Two hues of Okabe and Ito's palette (2008) that colour-blind readers tell apart; line styles differ as well.
_SOURCE, _RESULT = "#0072B2", "#D55E00"
_COLUMNS, _ROWS, _POINTS = 1280, 320, 4000
_LOWEST, _HIGHEST = 60.0, 16000.0  # Hz shown in spectrograms
_DEPTH = 75.0  # dB shown below the loudest
_WINDOW = 0.05  # s: harmonics of a low voice stay apart, vibrato still shows
_FRAMES = 4  # spectra averaged in one column of a long recording
_FLOOR = -140.0
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class Spectrogram(NamedTuple):
    """Levels in dB (a full-scale sine is 0), float32 [rows, columns], rows spaced evenly in octaves."""

    levels: npt.NDArray[np.float32]
    low: float
    high: float
    duration: float


def conversion_picture(
    path: Path, source: Audio, result: Audio, source_contour: Contour, result_contour: Contour, title: str
) -> None:
    """Draw F0 of source and result over time, and the two spectrograms below; 1600 x 1200 pixels.

    Raises:
        AudioError: a recording without samples.
        OutputError: the file cannot be written.
    """
    spectra = (spectrogram(source), spectrogram(result))
    duration = max(source.duration, result.duration)
    figure = _figure(CONVERSION_SIZE)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(1.15, 1.0, 1.0))
    figure.suptitle(_drawable(title), fontsize=18, parse_math=False)
    _draw_contours(panels[0], [("source", source_contour, _SOURCE, "-"), ("result", result_contour, _RESULT, "--")])
    loudest = _loudest(spectra)
    for panel, spectrum, name in zip(panels[1:], spectra, ("Source", "Result"), strict=True):
        _draw_spectrogram(figure, panel, spectrum, loudest, f"{name}: spectrogram")
    panels[0].set_xlim(0.0, duration)
    panels[-1].set_xlabel("time (s)")
    _save(figure, path)


def contour_picture(path: Path, audio: Audio, contour: Contour, title: str = "") -> None:
    """Draw F0 over time and the spectrogram with the same track laid over it; 1600 x 900 pixels.

    Raises:
        AudioError: a recording without samples.
        OutputError: the file cannot be written.
    """
    spectrum = spectrogram(audio)
    figure = _figure(CONTOUR_SIZE)
    panels = figure.subplots(2, 1, sharex=True)
    if title:
        figure.suptitle(_drawable(title), fontsize=18, parse_math=False)
    _draw_contours(panels[0], [("F0", contour, _SOURCE, "-")])
    _draw_spectrogram(figure, panels[1], spectrum, _loudest((spectrum,)), "Spectrogram with F0")
    times, hz = _thinned(contour)
    inside = np.where((hz >= spectrum.low) & (hz <= spectrum.high), hz, np.nan)
    # White under cyan: seen on dark and on light ground.
    for colour, width in (("white", 3.2), ("#009E73", 1.6)):
        panels[1].plot(times, np.log2(inside), color=colour, linewidth=width)
    panels[0].set_xlim(0.0, audio.duration)
    panels[-1].set_xlabel("time (s)")
    _save(figure, path)


def spectrogram(audio: Audio, columns: int = _COLUMNS, rows: int = _ROWS) -> Spectrogram:
    """Levels over time and log frequency, of any length in bounded memory.

    Each column is the mean power of up to four Hann-windowed spectra of 50 ms spread over its time. Rows lie evenly in
    octaves from 60 Hz to 16 kHz, or to half the sample rate, and show the strongest bin that falls to them.

    Raises:
        AudioError: a recording without samples.
    """
    if audio.length == 0:
        raise AudioError("nothing to draw: the recording holds no samples")
    size = max(16, round(_WINDOW * audio.sample_rate))
    points = 2 ** math.ceil(math.log2(2 * size))
    window = np.hanning(size).astype(np.float32)
    scale = (2.0 / float(window.sum())) ** 2
    high = min(_HIGHEST, audio.sample_rate / 2)
    places = np.geomspace(_LOWEST, high, rows) * points / audio.sample_rate
    frames = min(_FRAMES, max(1, math.ceil(2 * audio.length / (columns * size))))
    centres = (np.arange(columns * frames) + 0.5) * (audio.length / (columns * frames))
    levels = np.empty((rows, columns), np.float32)
    block = 32
    for first in range(0, columns, block):
        last = min(columns, first + block)
        starts = np.round(centres[first * frames : last * frames]).astype(np.int64) - size // 2
        power = np.abs(np.fft.rfft(_cut(audio, starts, size) * window, points)) ** 2 * scale
        power = power.reshape(last - first, frames, -1).mean(axis=1)
        decibels = 10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR / 10.0)))
        levels[:, first:last] = _at_rows(decibels, places).T
    return Spectrogram(levels, _LOWEST, high, audio.duration)


def _at_rows(spectra: npt.NDArray[np.float32], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Spectra [columns, bins] at fractional bins [rows]: interpolated, or the highest of the bins nearest to a row."""
    left = np.minimum(places.astype(np.int64), spectra.shape[1] - 2)
    share = (places - left).astype(np.float32)
    between = spectra[:, left] * (1.0 - share) + spectra[:, left + 1] * share
    edges = np.sqrt(places[1:] * places[:-1])
    first = np.ceil(np.concatenate([places[:1], edges])).astype(np.int64)
    last = np.ceil(np.concatenate([edges, places[-1:]])).astype(np.int64)
    highest = np.maximum.reduceat(spectra, np.minimum(first, spectra.shape[1] - 1), axis=1)
    return np.asarray(np.where(last > first, np.maximum(highest, between), between), np.float32)


def _cut(audio: Audio, starts: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.float32]:
    """Pieces of ``size`` samples from ``starts`` on, the mean of the channels, silence outside; [pieces, size]."""
    pieces = np.zeros((len(starts), size), np.float32)
    for row, start in zip(pieces, starts.tolist(), strict=True):
        begin, end = max(0, start), min(audio.length, start + size)
        if begin < end:
            row[begin - start : end - start] = audio.samples[:, begin:end].mean(axis=0)
    return np.nan_to_num(pieces, copy=False)


def _figure(size: tuple[int, int]) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=_DPI)


def _draw_contours(panel: Axes, tracks: list[tuple[str, Contour, str, str]]) -> None:
    """F0 tracks on one logarithmic axis: Hz at the left, a light line and a name for each C and G at the right."""
    heard = [track.hz[track.voiced & (track.hz > 0)] for _, track, _, _ in tracks]
    everything = np.concatenate(heard)
    # A few stray values must not squeeze the melody: they may leave the panel.
    low, high = np.percentile(everything, (0.3, 99.7)) if len(everything) else (100.0, 400.0)
    low, high = low * 2 ** (-3 / 12), high * 2 ** (3 / 12)
    for (name, track, colour, style), hz in zip(tracks, heard, strict=True):
        times, values = _thinned(track)
        label = f"{name}, median {np.median(hz):.0f} Hz" if len(hz) else f"{name}: no voiced frames"
        panel.plot(times, np.log2(values), style, color=colour, linewidth=2.0, label=label)
    panel.set_ylim(math.log2(low), math.log2(high))
    _hertz_axis(panel, low, high)
    _note_axis(panel, low, high)
    panel.set_ylabel("F0 (Hz)")
    panel.set_title("Fundamental frequency", loc="left", fontsize=13)
    panel.grid(axis="x", color="0.88")
    panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(tracks), frameon=False, fontsize=12)


def _draw_spectrogram(figure: Figure, panel: Axes, spectrum: Spectrogram, loudest: float, title: str) -> None:
    extent = (0.0, spectrum.duration, math.log2(spectrum.low), math.log2(spectrum.high))
    image = panel.imshow(
        spectrum.levels,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="magma",
        vmin=loudest - _DEPTH,
        vmax=loudest,
        interpolation="nearest",
    )
    panel.set_facecolor("black")
    panel.set_ylim(extent[2], extent[3])
    _hertz_axis(panel, spectrum.low, spectrum.high)
    panel.set_ylabel("frequency (Hz)")
    panel.set_title(title, loc="left", fontsize=13)
    figure.colorbar(image, ax=panel, pad=0.01, aspect=14).set_label("level (dB, sine at full scale = 0)")


def _hertz_axis(panel: Axes, low: float, high: float) -> None:
    """Ticks in Hz on an axis that is drawn in octaves: 1, 2, 5 in each decade, more where the range is narrow."""
    steps = (1, 2, 5) if high / low > 12 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    marks = [step * 10.0**decade for decade in range(1, 5) for step in steps if low <= step * 10.0**decade <= high]
    panel.set_yticks([math.log2(mark) for mark in marks], [f"{mark:g}" for mark in marks])


def _note_axis(panel: Axes, low: float, high: float) -> None:
    """Names of notes at the right with a light line across the panel for each; every octave where the range is wide."""
    lowest, highest = (69 + 12 * math.log2(value / 440.0) for value in (low, high))
    shown = (0,) if highest - lowest > 40 else (0, 4, 7) if highest - lowest > 14 else tuple(range(12))
    notes = [note for note in range(math.ceil(lowest), math.floor(highest) + 1) if note % 12 in shown]
    places = [math.log2(440.0) + (note - 69) / 12 for note in notes]
    right = panel.secondary_yaxis("right")
    right.set_yticks(places, [f"{_NAMES[note % 12]}{note // 12 - 1}" for note in notes])
    right.set_ylabel("note")
    for note, place in zip(notes, places, strict=True):
        panel.axhline(place, color="0.75" if note % 12 == 0 else "0.9", linewidth=1.0, zorder=0)


def _thinned(contour: Contour) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Times and Hz with gaps (NaN) where unvoiced, at most a few thousand points."""
    step = max(1, len(contour) // _POINTS)
    hz = np.where(contour.voiced & (contour.hz > 0), contour.hz, np.nan)
    return contour.times[::step], hz[::step]


def _loudest(spectra: tuple[Spectrogram, ...]) -> float:
    """The top of the colour scale: the loudest level of all, up to the next 5 dB."""
    return 5.0 * math.ceil(max(float(spectrum.levels.max()) for spectrum in spectra) / 5.0)


def _drawable(text: str) -> str:
    """The text with a box for each character that the picture's font lacks, instead of a warning for each."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return "".join(letter if font.get_char_index(ord(letter)) else "□" for letter in text)
