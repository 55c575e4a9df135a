"""Options of singing voice conversion with a so-vits-svc model; the defaults are those of its command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sovits.options.convert import ConvertOptions, TransposeMode
from sovits.options.knobs import knob
from sovits.options.pitch import PitchOptions

Weight = Annotated[float, Field(ge=0)]
#: Start and end as shares of the recording, weight at the start and at the end; linear in between.
Ramp = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)], Weight, Weight]
Compatibility = Literal["fixed", "upstream"]


class SvcOptions(ConvertOptions):
    """How a so-vits-svc voice sings. ``timbre`` plays no part: the net decides."""

    transpose: float | TransposeMode = knob(
        0.0, "pitch shift; the words of other engines mean none here", unit="semitones"
    )
    pitch: PitchOptions = PitchOptions(method="pm")
    window: float = knob(
        20.0, "longest stretch of sound that goes through the nets at once", unit="s", low=2.0, high=120.0
    )
    sample_rate: int | None = knob(
        None, "rate of the result; that of the model if not given", unit="Hz", low=8000, high=192000
    )
    speaker: str | int | None = knob(None, "name or number of the speaker; the first one if not given")
    speaker_mix: dict[str, Weight] | None = knob(None, "speakers and their weights, blended into one voice")
    speaker_tracks: dict[str, tuple[Ramp, ...]] | None = knob(
        None, "speakers and the course of their weights over the recording; ramps follow each other without gaps"
    )
    noise_scale: float = knob(0.4, "randomness of articulation and tone", low=0.0, high=2.0)
    automatic_f0: bool = knob(False, "let the model write the melody; for speech, not for songs")
    slice_db: float = knob(
        -40.0, "level below which sound counts as silent and is skipped", unit="dB", low=-120, high=0
    )
    clip_seconds: float = knob(0.0, "cut pieces to this length; 0 cuts at silence only", unit="s", low=0.0, high=600.0)
    clip_overlap: float = knob(0.0, "cross-fade between cut pieces", unit="s", low=0.0, high=60.0)
    overlap_share: float = knob(0.75, "share of the overlap that is faded", above=0.0, high=1.0)
    pad_seconds: float = knob(0.5, "silence put around each piece", unit="s", low=0.0, high=30.0)
    loudness_envelope: float = knob(
        1.0, "loudness of the result: 1 keeps its own, 0 takes the course of the source's", low=0.0, high=1.0
    )
    retrieval: Literal["cluster", "index"] = knob(
        "cluster", "what content is pulled to: the nearest k-means centre, or the nearest training frames"
    )
    retrieval_ratio: float = knob(0.0, "how far content is pulled to the trained speaker", low=0.0, high=1.0)
    diffusion: Literal["off", "shallow", "alone"] = knob(
        "off", "diffusion model: not used, over the generator's result, or instead of the generator"
    )
    k_step: int = knob(100, "steps of shallow diffusion", low=1, high=1000)
    sampler: str | None = knob(None, "diffusion sampler; the one in the diffusion config if not given")
    speedup: int | None = knob(None, "diffusion steps taken at once; as in the config if not given", low=1, high=1000)
    second_encoding: bool = knob(False, "read the content again from the generator's result before shallow diffusion")
    enhance: bool = knob(False, "pass the result through the NSF enhancer; not with shallow diffusion")
    enhancer_key: float = knob(0.0, "shift of the enhancer's range for high voices", unit="semitones", low=-24, high=24)
    compat: Compatibility = knob(
        "fixed", "'upstream' repeats recorded bugs of so-vits-svc 4.1, for comparison of numbers"
    )

    @field_validator("pitch", mode="before")
    @classmethod
    def _tracker_of_the_original(cls, pitch: Any) -> Any:
        # What is said about the tracker alone (its range) does not choose another one.
        return {"method": "pm", **pitch} if isinstance(pitch, Mapping) else pitch

    @field_validator("speaker_tracks")
    @classmethod
    def _without_gaps(cls, tracks: dict[str, tuple[Ramp, ...]] | None) -> dict[str, tuple[Ramp, ...]] | None:
        for speaker, ramps in (tracks or {}).items():
            edges = [0.0, *(ramp[1] for ramp in ramps)]
            for before, ramp in zip(edges, ramps, strict=False):
                if ramp[0] != before or ramp[1] < ramp[0]:
                    raise ValueError(
                        f"the track of speaker '{speaker}' has a gap or an overlap: a ramp starts at {ramp[0]:g}, "
                        f"the one before it ends at {before:g}; let each ramp start where the one before it ends, "
                        "the first at 0"
                    )
            if edges[-1] != 1.0:
                raise ValueError(
                    f"the track of speaker '{speaker}' ends at {edges[-1]:g}, not at 1; let its last ramp end there"
                )
        return tracks

    @field_validator("speaker_mix")
    @classmethod
    def _some_weight(cls, mix: dict[str, float] | None) -> dict[str, float] | None:
        if mix is not None and not sum(mix.values()) > 0:
            raise ValueError("the weights of a speaker mix add up to nothing")
        return mix

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.speaker_mix is not None and self.speaker_tracks is not None:
            raise ValueError("give either speaker_mix or speaker_tracks, not both")
        if self.clip_seconds and self.clip_overlap >= self.clip_seconds:
            raise ValueError(
                f"clip_overlap ({self.clip_overlap} s) must lie below clip_seconds ({self.clip_seconds} s)"
            )
        return self

    @property
    def semitones(self) -> float:
        """The pitch shift as a number."""
        return 0.0 if isinstance(self.transpose, str) else float(self.transpose)

    @classmethod
    def of(cls, options: ConvertOptions, source_rate: int) -> SvcOptions:
        """These options as they are, or the general ones of another engine with the defaults of this one.

        Args:
            source_rate: Hz; the general options give the result at the rate of the source where they name none.
        """
        if isinstance(options, cls):
            return options
        return cls(
            transpose=options.transpose,
            pitch=options.pitch,
            window=options.window,
            sample_rate=options.sample_rate or source_rate,
            seed=options.seed,
        )
