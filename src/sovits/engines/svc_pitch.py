"""F0 for the nets of a so-vits-svc voice: the numbers they were trained on, whichever tracker gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np

from sovits.audio.audio import Samples
from sovits.core.device import Compute
from sovits.core.rng import FloatArray
from sovits.features.pitch.postprocess import interpolate_unvoiced
from sovits.features.pitch.svc import Method, svc_f0
from sovits.options.pitch import PitchOptions
from sovits.options.svc import Compatibility
from sovits.zoo.tables import pitch_predictor


class SvcPitch:
    """A tracker, loaded once.

    Args:
        models: folder of official files. ``compute``: where a neural tracker runs.
    """

    def __init__(self, options: PitchOptions, models: Path | None, compute: Compute) -> None:
        self._options = options
        self._tracker: Any = None
        if options.method not in get_args(Method):
            checked: Any = pitch_predictor(options, models=models, compute=compute)
            inner = getattr(checked, "inner", None)
            self._tracker = inner if hasattr(inner, "svc_f0") else checked

    @property
    def net(self) -> Any:
        """The net of a neural tracker, for those who watch its layers; ``None`` for the others."""
        return getattr(self._tracker, "_net", None)

    def __call__(
        self, samples: Samples, sample_rate: int, hop: int, compat: Compatibility
    ) -> tuple[FloatArray, FloatArray]:
        """F0 in Hz with filled gaps and voiced flags 0 or 1, both float32 [len(samples) // hop]."""
        if self._tracker is None:
            method: Any = self._options.method
            f0, voiced = svc_f0(
                samples,
                sample_rate,
                hop,
                method,
                low=self._options.f0_min,
                high=self._options.f0_max,
                compat=compat,
            )
        elif hasattr(self._tracker, "svc_f0"):
            f0, voiced = self._tracker.svc_f0(samples, sample_rate, hop)
        else:
            f0, voiced = interpolate_unvoiced(self._tracker.track(samples, sample_rate, hop).hz)
        return np.asarray(f0, np.float32), np.asarray(voiced, np.float32)
