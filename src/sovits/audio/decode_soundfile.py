"""Decoding with libsndfile (soundfile): WAV in all widths, AIFF, AU, CAF, W64, RF64, FLAC, Ogg Vorbis, MP3."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sovits.audio.audio import Samples
from sovits.audio.containers import HEAD, Container
from sovits.audio.decoder import DESERT, AudioInfo, DecodeError, aside, end_of_ogg, missing_bytes
from sovits.audio.formats import VORBIS_ORDER
from sovits.audio.guard import GuardedFile

if TYPE_CHECKING:
    import soundfile

_PIECE = 4096
"""Samples that libsndfile is asked for at a time; at a damaged spot this much is lost before it."""

_UNKNOWN = 1 << 40
"""Samples: libsndfile gives a number far above this for a FLAC stream whose length was left open."""

_BITS = {
    "PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64, "ULAW": 8, "ALAW": 8,
    "ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24, "ALAC_32": 32,
}  # fmt: skip


class SoundFileDecoder:
    """A file opened with libsndfile."""

    def __init__(self, handle: BinaryIO, container: Container) -> None:
        import soundfile

        self._guard = GuardedFile(handle, container.offset)
        self._broken: type[Exception] = soundfile.SoundFileError
        try:
            self._file: soundfile.SoundFile = soundfile.SoundFile(self._guard, "r")
        except (soundfile.SoundFileError, TypeError, ValueError, OverflowError) as error:
            raise DecodeError("the data cannot be decoded", "the file may be damaged; export it again") from error
        self.damage = end_of_ogg(handle) if container.name == "ogg" else ""
        self.info = self._describe(handle, container)
        order = VORBIS_ORDER.get(self.info.channels) if self.info.codec == "vorbis" else None
        self._order = None if order is None else np.argsort(order)

    def _describe(self, handle: BinaryIO, container: Container) -> AudioInfo:
        kind, rate, frames = str(self._file.subtype), int(self._file.samplerate), int(self._file.frames)
        known = 0 <= frames < _UNKNOWN
        exact = known and (container.name != "mp3" or _has_length_tag(handle, container.offset))
        missing = missing_bytes(handle)
        return AudioInfo(
            container=container.name,
            codec=container.name if container.name in ("mp3", "flac") else kind.lower(),
            sample_rate=rate,
            channels=int(self._file.channels),
            length=frames if exact else None,
            duration=frames / rate if known and rate > 0 else None,
            bits=_BITS.get(kind),
            lossy=not kind.startswith(("PCM", "FLOAT", "DOUBLE", "ALAC")),
            missing_bytes=missing,
        )

    def pieces(self) -> Generator[Samples, None, None]:
        while True:
            try:
                with np.errstate(over="ignore"):
                    piece = self._file.read(_PIECE, dtype="float32", always_2d=True)
            except self._broken:
                self.damage = "the data are damaged"
                return
            if not len(piece):
                if self._guard.exhausted:
                    self.damage = DESERT
                return
            self._guard.delivered()
            yield np.ascontiguousarray(piece.T if self._order is None else piece.T[self._order])

    def close(self) -> None:
        with contextlib.suppress(self._broken):
            self._file.close()


def _has_length_tag(handle: BinaryIO, offset: int) -> bool:
    """Whether the first MP3 frame is a Xing, Info or VBRI tag; without one the length is an estimate."""
    with aside(handle):
        handle.seek(offset)
        head = handle.read(HEAD)[:256]
    return any(tag in head for tag in (b"Xing", b"Info", b"VBRI"))
