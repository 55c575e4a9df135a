"""Writing sound: ``writing`` streams into a file, ``write`` stores what is in memory, ``stream_encode`` gives bytes.

The format follows the suffix (table in :mod:`sovits.audio.formats`). Rates that a format does not take are resampled on
the way. All but 32-bit float WAV is kept within full scale: samples beyond it saturate, they never wrap, and they are
counted so that the caller can say so. Integers are rounded without dither: the error stays below half a step.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sovits.audio.audio import Audio, Samples
from sovits.audio.encoders import Encoder, GrowingPipe, Pipe, Sink, make_encoder
from sovits.audio.formats import FORMATS, Format, by_name, by_suffix, require_channels
from sovits.core.atomic import replacing
from sovits.core.errors import AudioError, OptionError, OutputError

if TYPE_CHECKING:
    from sovits.audio.resample import StreamResampler

__all__ = ["FORMATS", "AudioWriter", "Format", "stream_encode", "write", "writing"]


class AudioWriter:
    """Takes sound piece by piece.

    Attributes:
        format: the row of :data:`~sovits.audio.formats.FORMATS`.
        stored_rate: the sample rate in Hz of what is written; differs from the input's where the format cannot take it.
        length: samples in each channel given so far, at the input's rate.
        over_full_scale: samples (all channels) beyond full scale so far; they saturate, except in 32-bit float WAV.
    """

    def __init__(
        self, row: Format, sink: Sink | Pipe, sample_rate: int, channels: int, bits: int | None, kbps: int | None
    ) -> None:
        require_channels(row, channels)
        if sample_rate <= 0:
            raise OptionError(f"a sample rate of {sample_rate} Hz cannot be written", hint="give a positive rate")
        self.format = row
        self.stored_rate = row.rate_for(sample_rate)
        self.length = 0
        self.over_full_scale = 0
        self._sample_rate, self._channels = sample_rate, channels
        self._sink = sink
        width, total = row.bits_for(bits), row.kbps_for(kbps, channels)
        self._saturates = width != 32
        self._resampler = _resampler(sample_rate, self.stored_rate, channels)
        self._encoder: Encoder = make_encoder(row, sink, self.stored_rate, channels, width, total)

    def write(self, audio: Audio) -> None:
        """Append ``audio``.

        Raises:
            AudioError: another rate or count of channels than announced, or samples that are not finite.
            OSError: the operating system refuses (:func:`writing` makes it an ``OutputError``).
        """
        if (audio.sample_rate, audio.channels) != (self._sample_rate, self._channels):
            raise AudioError(
                f"{audio.channels} channels at {audio.sample_rate} Hz do not fit a file of {self._channels} channels"
                f" at {self._sample_rate} Hz"
            )
        finite = np.isfinite(audio.samples)
        if not finite.all():
            at = self.length + int(np.argwhere(~finite.T)[0][0])
            raise AudioError(f"sample {at} of the sound to be written is not a finite number")
        self.length += audio.length
        self._encode(audio.samples if self._resampler is None else self._resampler.push(audio.samples))

    def finish(self) -> None:
        """Complete the file.

        Raises:
            AudioError: nothing was written.
        """
        if self.length == 0:
            raise AudioError("there is no sound to write: its length is zero")
        if self._resampler is not None:
            self._encode(self._resampler.finish())
        self._encoder.finish()
        self._check()

    def abandon(self) -> None:
        """Free the encoder after a failure."""
        self._encoder.abandon()

    def _encode(self, samples: Samples) -> None:
        over = int(np.count_nonzero(np.abs(samples) > 1.0))
        self.over_full_scale += over
        self._encoder.write(np.clip(samples, -1.0, 1.0) if over and self._saturates else samples)
        self._check()

    def _check(self) -> None:
        if isinstance(self._sink, Sink):
            self._sink.check()


def _resampler(source: int, target: int, channels: int) -> StreamResampler | None:
    if source == target:
        return None
    from sovits.audio.resample import StreamResampler

    return StreamResampler(source, target, channels)


@contextlib.contextmanager
def writing(
    path: Path, sample_rate: int, channels: int, *, bits: int | None = None, kbps: int | None = None
) -> Iterator[AudioWriter]:
    """Open a sound file for writing; it appears under its name when the block ends well, and not at all otherwise.

    Args:
        path: the suffix chooses the format.
        sample_rate, channels: of the sound that will come.
        bits: 16 or 24, in WAV also 32 (floating point); 16 if not given. Lossless formats only.
        kbps: total bit rate in kbit/s; the format's default if not given. Lossy formats only.

    Raises:
        OptionError: unknown suffix, or a channel count, width or bit rate that the format does not take.
        OutputError: a folder or device is in the way, no permission, or the disk is full.
        AudioError: nothing was written, or unfit sound.
    """
    row = by_suffix(path.suffix)
    _require_free(path)
    with replacing(path) as beside, beside.open("w+b") as handle:
        sink = Sink(handle)
        writer = AudioWriter(row, sink, sample_rate, channels, bits, kbps)
        try:
            yield writer
            writer.finish()
        except BaseException:
            writer.abandon()
            sink.check()  # a full disk is the cause of whatever the encoder said about it
            raise


def _require_free(path: Path) -> None:
    """Refuse before the work what would be refused after it; a rename would even replace a device."""
    try:
        mode = path.stat().st_mode
    except ValueError as error:
        raise OutputError(f"cannot write {str(path)!a}: {error}", hint="choose another output path") from error
    except OSError:
        return  # nothing there, or nothing that may be looked at: the attempt will tell
    if not stat.S_ISREG(mode):
        raise OutputError(f"cannot write {path}: a folder or device is in the way", hint="choose another output path")


def write(path: Path, audio: Audio, *, bits: int | None = None, kbps: int | None = None) -> int:
    """Store ``audio``; returns the count of samples beyond full scale. Raises what :func:`writing` raises."""
    with writing(path, audio.sample_rate, audio.channels, bits=bits, kbps=kbps) as writer:
        for start in range(0, audio.length, _PORTION):
            writer.write(audio.cut(start, start + _PORTION))
    return writer.over_full_scale


_PORTION = 1 << 18
"""Samples that :func:`write` hands on at a time, so that conversions never need a second copy of the whole."""


def stream_encode(
    pieces: Iterable[Audio], container: str, *, bits: int | None = None, kbps: int | None = None
) -> Iterator[bytes]:
    """Encode while the sound is being made: bytes come as soon as the format allows.

    What needs the end is left open: the length in the WAV head, and the length tag of MP3 (so its 1105 samples of delay
    are not taken off by players). M4A is fragmented MP4.

    Raises:
        OptionError, AudioError: as :func:`writing`; also for no piece at all.
    """
    row = by_name(container)
    pipe = GrowingPipe() if row.name in ("flac", "ogg") else Pipe()
    writer: AudioWriter | None = None
    try:
        for piece in pieces:
            if writer is None:
                writer = AudioWriter(row, pipe, piece.sample_rate, piece.channels, bits, kbps)
            for start in range(0, piece.length, _PORTION):
                writer.write(piece.cut(start, start + _PORTION))
                if data := pipe.take():
                    yield data
        if writer is None:
            raise AudioError("there is no sound to write: no piece came")
        writer.finish()
    except BaseException:
        if writer is not None:
            writer.abandon()
        raise
    if data := pipe.take():
        yield data
