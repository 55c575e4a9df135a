"""A recording into pieces at its silences: file to folder, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sovits.audio.audio import Audio, AudioSource
from sovits.core.errors import AudioError
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.options.slicing import SliceOptions

if TYPE_CHECKING:
    from sovits.audio.slicing import Segment

_BLOCK = 5.0  # seconds


@dataclass(frozen=True)
class Piece:
    """One written piece.

    Attributes:
        path: its file; the name holds start and end in seconds.
        start, end: in seconds from the start of the recording.
    """

    path: Path
    start: float
    end: float


def slice_file(
    source: Path,
    folder: Path,
    options: SliceOptions,
    *,
    suffix: str = "wav",
    bits: int | None = None,
    kbps: int | None = None,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
) -> list[Piece]:
    """Cut a recording at its silences and write what is not silent, channels and rate unchanged.

    Args:
        folder: made if it is not there. Pieces are called ``<stem>_<start>-<end>.<suffix>``, in seconds.
        suffix, bits, kbps: the format of the pieces, as :func:`sovits.audio.encode.writing` takes it.

    Raises:
        PathError, AudioError: the source cannot be used, or all of it is silent.
        OutputError: a piece cannot be written; finished pieces stay, no half one does.
        CancelledError: ``cancel`` was raised.
    """
    from sovits.audio.encode import write
    from sovits.audio.io import open_source
    from sovits.audio.slicing import slice_audio

    sound = open_source(source)
    with progress.stage(f"silences of {source.name}"):
        segments = [segment for segment in slice_audio(sound, options) if not segment.silent]
    if not segments:
        raise AudioError(
            f"{source} holds nothing above {options.threshold:g} dB", hint="choose a lower --threshold, for example -60"
        )
    pieces = []
    with progress.stage("pieces", len(segments)) as stage:
        for segment, audio in cut(sound, segments):
            if cancel is not None:
                cancel.check()
            start, end = segment.start / sound.sample_rate, segment.stop / sound.sample_rate
            # Leading zeros keep the files in order up to 27 hours.
            path = folder / f"{source.stem}_{start:09.3f}-{end:09.3f}.{suffix}"
            write(path, audio, bits=bits, kbps=kbps)
            pieces.append(Piece(path, start, end))
            stage.advance()
    return pieces


def cut(source: AudioSource, segments: Sequence[Segment]) -> Iterator[tuple[Segment, Audio]]:
    """Walk through a source once and give the sound of each segment; segments rise and do not overlap.

    Memory holds one segment and one block.
    """
    import numpy as np

    waiting = list(reversed(segments))
    parts: list[Audio] = []
    place = 0
    with contextlib.closing(_blocks(source)) as blocks:
        for block in blocks:
            end = place + block.length
            while waiting and waiting[-1].start < end:
                segment = waiting[-1]
                parts.append(block.cut(max(0, segment.start - place), segment.stop - place))
                if segment.stop > end:
                    break
                waiting.pop()
                yield segment, Audio(np.concatenate([part.samples for part in parts], axis=1), source.sample_rate)
                parts = []
            place = end
            if not waiting:
                return


def _blocks(source: AudioSource) -> Generator[Audio, None, None]:
    yield from source.blocks(_BLOCK)
