"""Speech quality: DNSMOS (Reddy et al. 2021 and 2022), the two published networks run with our own feature code.

Scores are the networks' own outputs, averaged over windows of 9.01 s that start every second; the later polynomial
calibration of the P.835 scores is left out (its slope is below one here, so differences would look smaller with it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import soxr
from judges.ge2e import mel_bank

RATE = 16000
WINDOW = 144160


@dataclass(frozen=True)
class Score:
    """Mean opinion scores from 1 to 5: signal, background, overall (P.835) and overall (P.808)."""

    signal: float
    background: float
    overall: float
    p808: float


class QualityJudge:
    """Scores recordings; ``folder`` holds ``sig_bak_ovr.onnx`` and ``model_v8.onnx``."""

    def __init__(self, folder: Path) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        self._p835 = onnxruntime.InferenceSession(str(folder / "sig_bak_ovr.onnx"), settings)
        self._p808 = onnxruntime.InferenceSession(str(folder / "model_v8.onnx"), settings)
        self._bank = mel_bank(120, 320, RATE, RATE / 2)

    def score(self, samples: npt.NDArray[np.float32], rate: int) -> Score:
        """Score a mono recording of any length (a short one is repeated to fill the window)."""
        audio = soxr.resample(samples.astype(np.float32), rate, RATE) if rate != RATE else samples
        audio = np.tile(audio, -(-WINDOW // max(1, len(audio)))) if len(audio) < WINDOW else audio
        starts = range(0, len(audio) - WINDOW + 1, RATE)
        windows = np.stack([audio[start : start + WINDOW] for start in starts]).astype(np.float32)
        signal, background, overall = self._p835.run(None, {"input_1": windows})[0].mean(axis=0)
        features = np.stack([self._features(window) for window in windows])
        p808 = self._p808.run(None, {"input_1": features})[0].mean()
        return Score(float(signal), float(background), float(overall), float(p808))

    def _features(self, window: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Log mel power [900, 120]: 20 ms frames every 10 ms, dB below the maximum, scaled to about -1..1."""
        padded = np.pad(window[:-160].astype(np.float64), 160)
        frames = np.lib.stride_tricks.sliding_window_view(padded, 320)[::160][:900]
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(320) / 320)
        power = (np.abs(np.fft.rfft(frames * hann)) ** 2) @ self._bank.T
        db = 10.0 * np.log10(np.maximum(power, 1e-10))
        return np.asarray((np.maximum(db - db.max(), -80.0) + 40.0) / 40.0, np.float32)
