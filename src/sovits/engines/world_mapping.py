"""The map from a source's spectra to a target's: vocal-tract warp, long-term statistics, and nearest neighbours.

1. Both voices are described by mel-cepstra of their voiced frames (cosine transform of the log spectrum on a mel axis).
2. The frequency axis is stretched by one factor, the ratio of vocal-tract lengths: the one under which the two voices'
   frames, each normalised to its own mean and variance, look most alike.
3. A source frame, normalised by the source's statistics, is compared with the target's frames, normalised by theirs:
   equal places in the two vowel spaces are taken for equal sounds. The spectra of the nearest ones, averaged and given
   the target's mean and variance, are where the envelope moves to; low orders, which tell sounds apart, follow the
   source's own movement in part.
4. The difference of the two is a smooth gain that is put on the source's full envelope, so its detail and its loudness
   from frame to frame stay. What one frame's gain differs from the usual one is bounded, and no upper resonance may
   outshine the first formant; the usual gain is corrected until the long-term mean arrives all the same.

Non-parallel conversion by neighbours in a normalised space: after Sundermann et al. (2006), "text-independent voice
conversion based on unit selection", and Toda et al. (2007) for the variance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from sovits.engines.world_analysis import Floats
from sovits.engines.world_target import GRID_HIGH, GRID_LOW, GRID_POINTS, Profile, grid, mel, on_grid

#: Frames of context that smoothing over time needs on both sides.
CONTEXT = 8
#: Least source frames that statistics are taken from; below, only the mean is moved.
_LEAST_FRAMES = 40
_NEIGHBOURS = 8
_SMOOTHING = 1.0  # standard deviation in frames of the smoothing of target spectra over time
_MOST_GAIN = 6.0  # bound of the gain, natural log of power (26 dB)
_MOST_OWN_GAIN = 2.0  # the same for what one frame's gain differs from the long-term one (9 dB)
_MOST_UNVOICED_GAIN = 4.0  # the same for consonants and breath (17 dB)
_VARIANCE_STRETCH = 1.25
_LOW_ORDERS, _LOW_SHARE = 8, 0.75
_WARPS = np.exp(np.linspace(-0.16, 0.16, 17))
_WARP_PRICE = 3.0
_CORRECTIONS = 2
_UPPER_HZ = 1500.0
_LEAST_LEAD = 3.2  # by which the first formant stays above what lies there, natural log of power (14 dB)
_MATCHED = 12  # orders that tell sounds apart, for an axis of 80 points
_BATCH = 512


class Mapping:
    """Gains that move a source's envelope towards a target's.

    Args:
        source: statistics of the recording; may be empty (nothing voiced), then every gain is 0.
        target: statistics of the voice.
        amount: 0 for no change, 1 for the whole way.
        rate: of the spectra that will be mapped, in Hz.
    """

    def __init__(self, source: Profile, target: Profile, amount: float, rate: int) -> None:
        self._rate = rate
        self._amount = amount
        self.active = amount > 0 and len(source.spectra) > 0
        self.warp = 1.0
        if not self.active:
            return
        top = min(source.bandwidth, target.bandwidth)
        self._points = max(16, int(np.searchsorted(grid(), top)))
        self._orders = self._points // 2
        self._matched = max(6, self._points * _MATCHED // 80)
        self._basis = _cosines(self._points, self._orders)
        theirs = target.spectra[:, : self._points] @ self._basis
        self._there = theirs
        self._mean_there, self._spread_there = _moments(theirs)
        self._inventory = (theirs - self._mean_there)[:, 1 : self._matched] / self._spread_there[1 : self._matched]
        self.warp = vocal_tract_ratio(source.spectra, target.spectra, self._points) ** amount
        ours = warped(source.spectra, self.warp)[:, : self._points] @ self._basis
        self._mean_here, self._spread_here = _moments(ours)
        self._few = len(ours) < _LEAST_FRAMES
        near = self._neighbours(ours[:: max(1, len(ours) // 2000)])
        self._mean_near, spread = near.mean(axis=0), near.std(axis=0)
        self._stretch = np.clip(self._spread_there / np.maximum(spread, 1e-3), 1.0, _VARIANCE_STRETCH)
        self._usual = self._on_axis((self._mean_there - self._mean_here)[None])[0]
        # Bounds and neighbours leave the long-term mean a little off: what is missing is added to the usual gain.
        rows = ours[:: max(1, len(ours) // 2000)]
        aim, moved = self._on_axis(self._mean_there[None])[0], self._moved(rows)
        for _ in range(_CORRECTIONS):
            self._usual = self._usual + aim - (self._on_axis(rows) + self._gain(rows, moved)).mean(axis=0)

    def apply(self, log_power: Floats, voiced: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Map consecutive frames; the first and last :data:`CONTEXT` frames serve as context for the others.

        Args:
            log_power: the source's envelopes, natural log of power [frames, bins].
            voiced: [frames].

        Returns:
            the mapped envelopes [frames, bins], of the same power as before frame by frame, and the gain for unvoiced
            sound [frames, bins], natural log of power.
        """
        if not self.active:
            return log_power, np.zeros_like(log_power)
        here = on_grid(log_power, self._rate, self.warp)[:, : self._points] @ self._basis
        share = _smooth(voiced.astype(np.float64)[:, None], 2.0)
        for_voiced = self._gain(here, _smooth(self._moved(here), _SMOOTHING))
        for_unvoiced = np.clip(self._usual, -_MOST_UNVOICED_GAIN, _MOST_UNVOICED_GAIN)[None]
        between = share * for_voiced + (1.0 - share) * for_unvoiced
        mapped = stretched(log_power, self.warp) + self._on_bins(between * self._amount, log_power.shape[1])
        mapped += _power(log_power) - _power(mapped)
        passing = log_power + self._on_bins(for_unvoiced * self._amount, log_power.shape[1])
        return mapped, passing - log_power + _power(log_power) - _power(passing)

    def _gain(self, here: Floats, moved: Floats) -> Floats:
        """Gains on the mel axis from cepstra before and after the move, [frames, points].

        A frame's own part of the gain, beside the usual one, is bent towards a bound: a few neighbours must not carve
        whistles.
        """
        own = self._on_axis(moved - here - (self._mean_there - self._mean_here))
        if self._few:
            own = np.zeros_like(own)
        gain = np.clip(self._usual + _MOST_OWN_GAIN * np.tanh(own / _MOST_OWN_GAIN), -_MOST_GAIN, _MOST_GAIN)
        return self._without_whistles(self._on_axis(here), gain)

    def _without_whistles(self, spectra: Floats, gain: Floats) -> Floats:
        """Turn the upper gains down where a resonance above :data:`_UPPER_HZ` would outshine the first formant.

        In a vowel the first formant leads. If it does not, a harmonic under a sharp upper resonance is heard as a tone.
        """
        upper = grid()[: self._points] > _UPPER_HZ
        if upper.all() or not upper.any():
            return gain

        def lead(rows: Floats) -> Floats:
            return np.asarray(rows[:, upper].max(axis=1) - rows[:, ~upper].max(axis=1))

        over = np.maximum(lead(spectra + gain) - np.maximum(lead(spectra), -_LEAST_LEAD), 0.0)
        low, high = mel(_UPPER_HZ * 2 / 3), mel(_UPPER_HZ)
        ramp = np.clip((mel(grid()[: self._points]) - low) / (high - low), 0.0, 1.0)
        return np.asarray(gain - over[:, None] * ramp)

    def _moved(self, here: Floats) -> Floats:
        """Where the cepstra of source frames move to, [frames, orders]."""
        near = (self._neighbours(here) - self._mean_near) * self._stretch + self._mean_there
        share = np.ones(self._orders)
        share[:_LOW_ORDERS] = _LOW_SHARE
        return np.asarray(share * near + (1.0 - share) * (here - self._mean_here + self._mean_there))

    def _neighbours(self, here: Floats) -> Floats:
        """Weighted means of the target frames most like the given source frames, [frames, orders]."""
        place = ((here - self._mean_here) / self._spread_here)[:, 1 : self._matched]
        count = min(_NEIGHBOURS, len(self._inventory))
        result = np.empty((len(here), self._orders))
        for start in range(0, len(here), _BATCH):
            distance = _distances(place[start : start + _BATCH], self._inventory)
            index = np.argpartition(distance, count - 1, axis=1)[:, :count]
            nearest = np.take_along_axis(distance, index, axis=1)
            scale = np.median(nearest, axis=1, keepdims=True) + 1e-9
            weight = np.exp(-(nearest - nearest.min(axis=1, keepdims=True)) / scale)
            weight /= weight.sum(axis=1, keepdims=True)
            result[start : start + _BATCH] = np.einsum("fk,fko->fo", weight, self._there[index])
        return result

    def _on_axis(self, cepstra: Floats) -> Floats:
        """Gains on the mel axis [frames, points] from cepstra; order 0, the level, is left out."""
        return np.asarray(cepstra[:, 1:] @ self._basis[:, 1:].T)

    def _on_bins(self, gain: Floats, bins: int) -> Floats:
        """Read gains on the mel axis at the bins of a spectrum; held beyond both ends."""
        hertz = np.clip(np.linspace(0.0, self._rate / 2, bins), GRID_LOW, GRID_HIGH)
        step = (mel(GRID_HIGH) - mel(GRID_LOW)) / (GRID_POINTS - 1)
        place = np.minimum((mel(hertz) - mel(GRID_LOW)) / step, self._points - 1)
        left = np.minimum(place.astype(np.int64), self._points - 2)
        part = place - left
        return np.asarray(gain[:, left] * (1 - part) + gain[:, left + 1] * part)


def stretched(log_power: Floats, warp: float) -> Floats:
    """Spectra with their frequency axis stretched by ``warp``, [frames, bins]; held beyond the end."""
    if warp == 1.0:
        return log_power
    bins = log_power.shape[1]
    place = np.minimum(np.arange(bins) / warp, bins - 1)
    left = np.minimum(place.astype(np.int64), bins - 2)
    part = place - left
    return np.asarray(log_power[:, left] * (1 - part) + log_power[:, left + 1] * part)


def warped(rows: Floats, warp: float) -> Floats:
    """:func:`stretched` for spectra on the mel axis, [frames, GRID_POINTS]."""
    if warp == 1.0:
        return rows
    step = (mel(GRID_HIGH) - mel(GRID_LOW)) / (GRID_POINTS - 1)
    place = np.clip((mel(grid() / warp) - mel(GRID_LOW)) / step, 0, GRID_POINTS - 1)
    left = np.minimum(place.astype(np.int64), GRID_POINTS - 2)
    part = place - left
    return np.asarray(rows[:, left] * (1 - part) + rows[:, left + 1] * part)


def vocal_tract_ratio(source: Floats, target: Floats, points: int) -> float:
    """The stretch of the source's frequency axis that makes the two voices' sounds most alike.

    Every stretch is judged by the mean distance from source frames to their nearest target frames, both normalised to
    their own mean and variance so that loudness, microphone and vocal effort do not count; a stretch has to earn its
    distance from 1.

    Args:
        source, target: log power on the mel axis, [frames, GRID_POINTS].
        points: usable points of the axis.
    """
    basis = _cosines(points, max(6, points * _MATCHED // 80))
    theirs = _normalised(target[:: max(1, len(target) // 600), :points] @ basis)
    rows = source[:: max(1, len(source) // 600)]
    costs = []
    for warp in _WARPS:
        ours = _normalised(warped(rows, float(warp))[:, :points] @ basis)
        distance = np.maximum(_distances(ours[:, 1:], theirs[:, 1:]), 0.0)
        costs.append(np.sqrt(distance.min(axis=1)).mean() + np.sqrt(distance.min(axis=0)).mean())
    cost = np.array(costs) / np.mean(costs) + _WARP_PRICE * np.log(_WARPS) ** 2
    return float(_WARPS[cost.argmin()])


def _normalised(cepstra: Floats) -> Floats:
    mean, spread = _moments(cepstra)
    return np.asarray((cepstra - mean) / spread)


def _cosines(points: int, orders: int) -> Floats:
    """The orthonormal cosine transform, [points, orders]: cepstra are ``spectra @ cosines``."""
    basis = np.cos(np.pi / points * (np.arange(points)[:, None] + 0.5) * np.arange(orders)) * np.sqrt(2.0 / points)
    basis[:, 0] /= np.sqrt(2.0)
    return np.asarray(basis)


def _moments(cepstra: Floats) -> tuple[Floats, Floats]:
    return cepstra.mean(axis=0), np.maximum(cepstra.std(axis=0), 1e-2)


def _distances(rows: Floats, others: Floats) -> Floats:
    """Squared distances [rows, others]."""
    return np.asarray(np.square(rows).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2.0 * rows @ others.T)


def _smooth(rows: Floats, deviation: float) -> Floats:
    """Gaussian smoothing over time [frames, width], held at both ends."""
    reach = min(CONTEXT, int(np.ceil(3 * deviation)))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    padded = np.pad(rows, ((reach, reach), (0, 0)), mode="edge")
    return np.asarray(sliding_window_view(padded, 2 * reach + 1, axis=0) @ (kernel / kernel.sum()))


def _power(log_power: Floats) -> Floats:
    """Natural log of the power of each spectrum, [frames, 1]."""
    return np.asarray(np.log(np.exp(log_power).sum(axis=1, keepdims=True)))
