"""Options of cutting recordings at silence."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from sovits.core.strict import Strict
from sovits.options.knobs import knob


class SliceOptions(Strict):
    """Where a recording is cut into pieces, and what counts as silence."""

    threshold: float = knob(-40.0, "level below which sound counts as silent", unit="dB", low=-120.0, high=0.0)
    min_length: float = knob(4.0, "a piece is not cut before it is this long", unit="s", low=0.1, high=3600.0)
    min_interval: float = knob(0.3, "silence shorter than this is left inside a piece", unit="s", low=0.02, high=60.0)
    max_silence: float = knob(
        0.5,
        "silence kept at the edges of pieces; what is longer becomes a silent segment",
        unit="s",
        low=0.02,
        high=60.0,
    )
    max_length: float | None = knob(
        15.0, "longer pieces are cut at their quietest places; no limit if not given", unit="s", low=0.5, high=3600.0
    )
    hop: float = knob(0.01, "resolution of the search", unit="s", low=0.001, high=0.1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.hop <= self.min_interval <= self.min_length:
            raise ValueError(
                f"hop ({self.hop} s), min_interval ({self.min_interval} s) and min_length ({self.min_length} s) "
                "must rise in this order"
            )
        if self.max_silence < self.hop:
            raise ValueError(f"max_silence ({self.max_silence} s) must not lie below hop ({self.hop} s)")
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError(f"max_length ({self.max_length} s) must not lie below min_length ({self.min_length} s)")
        return self
