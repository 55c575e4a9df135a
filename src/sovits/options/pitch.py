"""Options of pitch tracking."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from sovits.core.strict import Strict
from sovits.options.knobs import knob


class PitchOptions(Strict):
    """How fundamental frequency (F0) is tracked."""

    method: str = knob("swift", "pitch tracker: swift, dio, harvest, pm, crepe, rmvpe, fcpe or a plug-in's name")
    f0_min: float = knob(50.0, "lowest F0 looked for", unit="Hz", low=20.0, high=1000.0)
    f0_max: float = knob(1100.0, "highest F0 looked for", unit="Hz", low=100.0, high=4000.0)
    threshold: float | None = knob(
        None,
        "confidence below which a frame counts as unvoiced; each tracker's own value if not given",
        low=0.0,
        high=1.0,
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.f0_min >= self.f0_max:
            raise ValueError(f"f0_min ({self.f0_min} Hz) must lie below f0_max ({self.f0_max} Hz)")
        return self
