"""The interface of everything that turns one voice into another: the built-in converter and the neural engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sovits.audio.audio import Audio, AudioSource
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.rng import Noise
from sovits.options.convert import ConvertOptions
from sovits.zoo.voice import Voice


class Engine(Protocol):
    """A voice converter. Thread-safe: nothing of a call is kept on the instance."""

    def convert(
        self,
        audio: Audio,
        voice: Voice,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Audio:
        """Convert sound in memory; mono out, at the rate of ``options.sample_rate`` or of the input.

        Raises:
            AudioError: nothing to convert (empty, not finite).
            VoiceError: the voice lacks what this engine needs.
            CancelledError: ``cancel`` was raised.
        """

    def stream(
        self,
        source: AudioSource,
        voice: Voice,
        options: ConvertOptions,
        noise: Noise,
        *,
        progress: Progress = SILENT,
        cancel: Cancel | None = None,
    ) -> Iterator[Audio]:
        """Convert any length in bounded memory; the joined pieces equal what :meth:`convert` returns."""
