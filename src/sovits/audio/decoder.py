"""What a decoder is, whatever library does it: what it states, the error it raises, and looks at the ends of a file."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from sovits.audio.audio import Samples
from sovits.audio.containers import last_ogg_page

#: ``damage`` of a file in which the guard found nothing for too long.
DESERT = "a long stretch without any sound data follows"


@dataclass(frozen=True)
class AudioInfo:
    """What the head of a file says about its sound.

    Attributes:
        container: for example ``"wav"``, ``"mp4"``.
        codec: for example ``"pcm_24"``, ``"aac"``.
        sample_rate: in Hz, of the decoded sound.
        channels: of the decoded sound.
        length: samples in each channel where the container states it exactly, else ``None``.
        duration: in seconds, an estimate where ``length`` is ``None``; ``None`` if nothing is known.
        bits: of one stored sample, for codecs that store samples.
        lossy: whether the codec loses something.
        missing_bytes: how much shorter a WAV, AIFF or AVI file is than its head says.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    length: int | None
    duration: float | None
    bits: int | None = None
    lossy: bool = False
    missing_bytes: int = 0


class DecodeError(Exception):
    """Why a decoder gave up; :mod:`sovits.audio.io` adds the file's name and raises an ``AudioError``."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Decoder(Protocol):
    """An opened file."""

    @property
    def info(self) -> AudioInfo:
        """What the head says."""

    @property
    def damage(self) -> str:
        """After :meth:`pieces` ended: what was wrong on the way, in words; empty if nothing."""

    def pieces(self) -> Generator[Samples, None, None]:
        """The sound, once, as float32 arrays of shape [channels, time]."""

    def close(self) -> None:
        """Free the decoder; the file object stays open."""


@contextlib.contextmanager
def aside(handle: BinaryIO) -> Iterator[None]:
    """Look at a file from its start while a decoder has it open, and leave the position where it was."""
    position = handle.tell()
    handle.seek(0)
    try:
        yield
    finally:
        handle.seek(position)


def end_of_ogg(handle: BinaryIO) -> str:
    """``damage`` of an Ogg file without its last page, else an empty string."""
    with aside(handle):
        _, ends = last_ogg_page(handle)
    return "" if ends else "its end is missing"


def missing_bytes(handle: BinaryIO) -> int:
    """By how much a RIFF or FORM file is shorter than its outermost chunk says; sizes left open by streams are none."""
    with aside(handle):
        head, end = handle.read(8), handle.seek(0, 2)
    if head[:4] not in (b"RIFF", b"RIFX", b"FORM"):
        return 0
    stated = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    return max(0, stated + 8 - end) if 0 < stated < 0xFFFFFF00 else 0
