"""Options of voice conversion."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from sovits.core.strict import Strict
from sovits.options.knobs import knob
from sovits.options.pitch import PitchOptions

TransposeMode = Literal["range", "auto"]


class ConvertOptions(Strict):
    """How a recording is converted into another voice, whatever engine does it."""

    transpose: float | TransposeMode = knob(
        "range",
        "pitch shift: a number of semitones; 'range' moves to the target's own range; "
        "'auto' does so in whole octaves, which keeps the key of a song",
        unit="semitones",
    )
    timbre: float = knob(
        1.0, "how far formants and spectral envelope move towards the target: 0 not at all, 1 fully", low=0.0, high=1.0
    )
    pitch: PitchOptions = PitchOptions()
    window: float = knob(20.0, "length of one piece of work in long recordings", unit="s", low=2.0, high=120.0)
    sample_rate: int | None = knob(
        None, "rate of the result; that of the source if not given", unit="Hz", low=8000, high=192000
    )
    seed: int = knob(0, "seed of all random draws: the same seed gives the same bytes", low=0)

    @field_validator("transpose", mode="before")
    @classmethod
    def _number_or_mode(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("range", "auto"):
            try:
                value = float(value)
            except ValueError:
                raise ValueError("give a number of semitones, 'range' or 'auto'") from None
        if isinstance(value, (int, float)) and not -60 <= value <= 60:
            raise ValueError("semitones must lie between -60 and 60")
        return value
