"""Reading sound files: ``probe`` looks at the head, ``open_source`` streams, ``read`` loads.

Any container of :mod:`sovits.audio.containers`, recognised by content; mono to 8 channels; 1 to 384 kHz. What the
container declares as delay or padding is taken off. A file that is cut off or damaged in its middle gives what can be
decoded, and a warning in the log; one that gives nothing is refused. Samples that are not finite are refused.
"""

from __future__ import annotations

import contextlib
import difflib
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sovits.audio.audio import Audio, Samples
from sovits.audio.containers import HEAD, describe, recognise
from sovits.audio.decoder import AudioInfo, DecodeError, Decoder
from sovits.audio.decoding import open_decoder
from sovits.core.errors import AudioError, PathError, ResourceError
from sovits.core.logs import get_logger

__all__ = ["AudioInfo", "FileSource", "open_source", "probe", "read", "shown"]

_LOG = get_logger(__name__)
_SHORT = 0.1
"""Seconds by which a stated length may be missed without a word."""

_FIRST_BYTES = 1 << 32
"""Most memory that is asked for on the word of a head; sound that really is longer makes it grow."""


def probe(path: Path) -> AudioInfo:
    """What the head of a sound or video file says; milliseconds, whatever the length of the file.

    Raises:
        PathError: no such file, a folder, a device, or no permission.
        AudioError: empty, or not a readable sound file.
    """
    with _opened(path) as decoder:
        return decoder.info


def open_source(path: Path) -> FileSource:
    """A stream over a file; raises what :func:`probe` raises."""
    return FileSource(path, probe(path))


def read(path: Path, *, mono: bool = False, max_seconds: float | None = None) -> Audio:
    """Load a whole file; the samples are in memory once.

    Args:
        path: the file.
        mono: mix to one channel (the mean) on the way.
        max_seconds: refuse longer files, by what the head says or at the latest when that much was decoded.

    Raises:
        PathError: see :func:`probe`.
        AudioError: not readable, no samples, samples that are not finite, or longer than ``max_seconds``.
        ResourceError: it does not fit into memory.
    """
    info = probe(path)
    if max_seconds is not None and (info.duration or 0.0) > max_seconds:
        raise _too_long(path, max_seconds, info.duration)
    channels = 1 if mono else info.channels
    try:
        return Audio(_gather(path, info, channels, max_seconds), info.sample_rate)
    except MemoryError as error:
        minutes = (info.duration or 0.0) / 60
        raise ResourceError(
            f"{shown(path)} ({minutes:.0f} min, {info.channels} channels) does not fit into memory",
            hint="cut it into shorter files",
        ) from error


def _gather(path: Path, info: AudioInfo, channels: int, max_seconds: float | None) -> Samples:
    """Fill one array. Memory asked for but never written costs nothing, so an estimate, or a lie, may be generous."""
    if info.length is not None:
        capacity = info.length
    else:
        capacity = round(((info.duration or 60.0) * 1.1 + 10.0) * info.sample_rate)
    capacity = max(1, min(capacity, _FIRST_BYTES // (4 * channels)))
    gathered, count = np.empty((channels, capacity), np.float32), 0
    with contextlib.closing(_pieces(path, info)) as pieces:
        for piece in pieces:
            part = piece.mean(axis=0, keepdims=True, dtype=np.float32) if channels < info.channels else piece
            end = count + part.shape[1]
            if max_seconds is not None and end > max_seconds * info.sample_rate:
                raise _too_long(path, max_seconds, None)
            if end > gathered.shape[1]:
                larger = np.empty((channels, end + end // 2), np.float32)
                larger[:, :count] = gathered[:, :count]
                gathered = larger
            gathered[:, count:end] = part
            count = end
    return gathered[:, :count]


def _too_long(path: Path, limit: float, duration: float | None) -> AudioError:
    length = "lasts longer" if duration is None else f"lasts {duration:.0f} s"
    return AudioError(f"{shown(path)} {length}, the limit is {limit:g} s", hint="cut it into shorter files")


class FileSource:
    """A file behind the :class:`~sovits.audio.audio.AudioSource` protocol: holds its path, never its sound.

    Every walk opens the file anew and closes it when the walk ends or its generator is closed.
    """

    def __init__(self, path: Path, info: AudioInfo) -> None:
        self.path = path
        self.info = info

    @property
    def sample_rate(self) -> int:
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        return self.info.channels

    @property
    def length(self) -> int | None:
        return self.info.length

    def blocks(self, seconds: float) -> Generator[Audio, None, None]:
        """Walk from the start in blocks of ``seconds``, the last one shorter; memory for about two blocks."""
        size = max(1, round(seconds * self.sample_rate))
        block, filled = np.empty((self.channels, size), np.float32), 0
        with contextlib.closing(_pieces(self.path, self.info)) as pieces:
            for piece in pieces:
                start = 0
                while start < piece.shape[1]:
                    part = piece[:, start : start + size - filled]
                    block[:, filled : filled + part.shape[1]] = part
                    filled += part.shape[1]
                    start += part.shape[1]
                    if filled == size:
                        yield Audio(block, self.sample_rate)
                        block, filled = np.empty((self.channels, size), np.float32), 0
        if filled:
            yield Audio(block[:, :filled], self.sample_rate)


def _pieces(path: Path, expected: AudioInfo) -> Generator[Samples, None, None]:
    """Decode a file from its start, check every sample, and say in the log what was wrong at the end."""
    count = 0
    with _opened(path) as decoder:
        info = decoder.info
        if (info.sample_rate, info.channels) != (expected.sample_rate, expected.channels):
            raise AudioError(f"{shown(path)} was replaced by another file while it was read")
        try:
            for piece in decoder.pieces():
                _require_finite(path, piece, count, info.sample_rate)
                count += piece.shape[1]
                if piece.shape[1]:
                    yield piece
        except DecodeError as error:
            raise AudioError(f"cannot read {shown(path)}: {error}", hint=error.hint) from error
        if count == 0:
            raise _nothing(path, decoder)
        _warn_of_damage(path, decoder, count)


def _nothing(path: Path, decoder: Decoder) -> AudioError:
    if decoder.damage or decoder.info.missing_bytes or decoder.info.length:
        return AudioError(
            f"{shown(path)} is cut off or damaged: no sound can be decoded from it", hint="fetch or export it again"
        )
    return AudioError(f"{shown(path)} holds no sound: its length is zero", hint="choose a file that has sound in it")


def _warn_of_damage(path: Path, decoder: Decoder, count: int) -> None:
    info, seconds = decoder.info, count / decoder.info.sample_rate
    if info.missing_bytes:
        _LOG.warning("%s is cut off: %d bytes are missing, read %.2f s", shown(path), info.missing_bytes, seconds)
    elif info.length is not None and count < info.length - _SHORT * info.sample_rate:
        stated = info.length / info.sample_rate
        _LOG.warning("%s is cut off or damaged: read %.2f s of the stated %.2f s", shown(path), seconds, stated)
    elif decoder.damage:
        _LOG.warning("%s: %s, read %.2f s", shown(path), decoder.damage, seconds)


def _require_finite(path: Path, piece: Samples, start: int, rate: int) -> None:
    finite = np.isfinite(piece)
    if finite.all():
        return
    time, channel = np.argwhere(~finite.T)[0]
    value, position = float(piece[channel, time]), start + int(time)
    raise AudioError(
        f"{shown(path)}: sample {position} ({position / rate:.3f} s) of channel {channel + 1} is {value}, not a number"
        " that can be played",
        hint="export the file again as 16 or 24 bit WAV or FLAC",
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Decoder]:
    """Open file and decoder; both are closed in the end, whatever happens."""
    with _open_regular(path) as handle:
        container = recognise(handle)
        if container is None:
            looks = describe(handle.read(HEAD))
            raise AudioError(
                f"{shown(path)} is not a sound file: it looks like {looks}",
                hint="give a sound file (wav, flac, mp3, ogg, opus, m4a, wma, aiff) or a video with sound",
            )
        try:
            decoder = open_decoder(handle, container)
        except DecodeError as error:
            raise AudioError(f"cannot read {shown(path)} ({container.name}): {error}", hint=error.hint) from error
        try:
            yield decoder
        finally:
            decoder.close()


def _open_regular(path: Path) -> BinaryIO:
    """Open a plain file; what is no plain file (a folder, a device, a pipe) is refused before it is opened."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise PathError(f"{shown(path)} is a folder", hint="give the sound file itself")
        if not stat.S_ISREG(found.st_mode):
            raise PathError(f"{shown(path)} is a device or a pipe", hint="give a sound file")
        handle = path.open("rb")
    except FileNotFoundError as error:
        raise PathError(f"no such file: {shown(path)}", hint=_alike(path)) from error
    except PermissionError as error:
        raise PathError(f"no permission to read {shown(path)}", hint="change its permissions or copy it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise PathError(f"cannot open {shown(path)}: {error}") from error
    if found.st_size == 0:
        handle.close()
        raise AudioError(f"{shown(path)} is empty (0 bytes)", hint="fetch or export it again")
    return handle


def _alike(path: Path) -> str:
    """A hint that names files of nearly the same name in the same folder."""
    try:
        names = [item.name for item in path.parent.iterdir()]
    except OSError:
        return f"the folder {shown(path.parent)} does not exist or cannot be read"
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.7)
    return f"did you mean {', '.join(shown(Path(name)) for name in close)}?" if close else "check the spelling"


def shown(path: Path) -> str:
    """A path for messages: as it is, or quoted if it holds line breaks or other characters that cannot be printed."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
