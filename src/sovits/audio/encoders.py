"""The two encoders behind :mod:`sovits.audio.encode`, and what they write into.

FLAC, Ogg Vorbis and MP3 files are written by libsndfile, the rest by FFmpeg's libraries. Both write into a
:class:`Sink` of ours, so a full disk is seen where it happens: C code that gets an error from a callback cannot say
which.
"""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.audio.formats import VORBIS_ORDER, Format
from sovits.core.errors import OutputError

if TYPE_CHECKING:
    import av.container
    import soundfile
    from av.audio.stream import AudioStream

_STEP = 4096
"""Samples given to an encoder at once. libvorbis takes its work space from the stack: a large block crashes it."""

# Nominal kbit/s of stereo at 44.1 kHz for libvorbis qualities 0.0, 0.1 ... 1.0.
_VORBIS_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)


class Sink:
    """A seekable binary file that never raises into C code; the first error is kept for :meth:`check`."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of ``data``; after an error nothing is written any more."""
        if self._error is None:
            try:
                self._handle.write(data)
            except OSError as error:
                self._error = error
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Encoders do not read; libsndfile wants the method."""
        return b""

    def seek(self, target: int, whence: int = io.SEEK_SET) -> int:
        """Move."""
        try:
            return self._handle.seek(target, whence)
        except OSError as error:
            self._error = self._error or error
            return -1

    def tell(self) -> int:
        """The position."""
        return self._handle.tell()

    def check(self) -> None:
        """Raise the operating-system error that was met, if any."""
        if self._error is not None:
            raise self._error


class Pipe:
    """A sink that only moves forward; :meth:`take` hands over what has come so far. Has no ``seek`` on purpose."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: Any) -> int:
        """Keep ``data`` until it is taken."""
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        """All bytes since the last call."""
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


class GrowingPipe(Pipe):
    """A pipe for libsndfile, which needs to seek: what it would change in bytes already taken is let go."""

    def __init__(self) -> None:
        super().__init__()
        self._position = self._end = 0

    def write(self, data: Any) -> int:
        fresh = bytes(data)[max(0, self._end - self._position) :]
        self._position += len(data)
        self._end = max(self._end, self._position)
        super().write(fresh)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Nothing; libsndfile wants the method."""
        return b""

    def seek(self, target: int, whence: int = io.SEEK_SET) -> int:
        """Move; only bytes written at the end are kept."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = base + target
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position


class Encoder(Protocol):
    """Takes float32 [channels, time] at the rate and width it was made for, already within full scale."""

    def write(self, samples: Samples) -> None:
        """Encode the next samples."""

    def finish(self) -> None:
        """Write what is held back and complete the file."""

    def abandon(self) -> None:
        """Free the encoder after a failure; never raises."""


def make_encoder(row: Format, sink: Sink | Pipe, rate: int, channels: int, bits: int, kbps: int) -> Encoder:
    """The encoder for a format.

    Raises:
        OutputError: the library refuses the combination of rate and channels.
    """
    # FFmpeg's MP3 writer states a wrong padding now and then; libsndfile's needs to come back to its first frame.
    if row.name in ("flac", "ogg") or (row.name == "mp3" and isinstance(sink, Sink)):
        return SoundFileEncoder(row, sink, rate, channels, bits, kbps)
    return AvEncoder(row, sink, rate, channels, bits, kbps)


def quantised(samples: Samples, bits: int) -> npt.NDArray[np.int16 | np.int32]:
    """Integers in the top ``bits`` of int16 (16) or int32 (24): plain rounding, no dither, saturating at full scale."""
    top = 1 << (bits - 1)
    levels: Samples = np.clip(np.rint(samples * np.float32(top)), -top, top - 1)
    if bits == 16:
        return levels.astype(np.int16)
    return np.left_shift(levels.astype(np.int32), 32 - bits)


class SoundFileEncoder:
    """libsndfile: FLAC, Ogg Vorbis, MP3 (LAME). The same sound gives the same file, however it was cut into pieces."""

    def __init__(self, row: Format, sink: Sink | Pipe, rate: int, channels: int, bits: int, kbps: int) -> None:
        import soundfile

        self._bits = bits
        self._order = VORBIS_ORDER.get(channels) if row.name == "ogg" else None
        self._broken: type[Exception] = soundfile.SoundFileError
        subtype = f"PCM_{bits}" if bits else {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}[row.name]
        mode = "CONSTANT" if row.name == "mp3" else None
        level = {"ogg": _vorbis_level, "mp3": _mp3_level}[row.name](kbps, rate, channels) if kbps else None
        self._rest: Samples = np.zeros((channels, 0), np.float32)
        try:
            self._file: soundfile.SoundFile = soundfile.SoundFile(
                sink, "w", rate, channels, subtype, format=row.name.upper(), compression_level=level, bitrate_mode=mode
            )
        except (soundfile.SoundFileError, ValueError) as error:
            raise _refused(row, rate, channels) from error

    def write(self, samples: Samples) -> None:
        joined = np.concatenate([self._rest, samples], axis=1)
        whole = joined.shape[1] - joined.shape[1] % _STEP
        for start in range(0, whole, _STEP):
            self._give(joined[:, start : start + _STEP])
        self._rest = joined[:, whole:].copy()

    def _give(self, samples: Samples) -> None:
        ordered = samples if self._order is None else samples[list(self._order)]
        self._file.write(np.ascontiguousarray((quantised(ordered, self._bits) if self._bits else ordered).T))

    def finish(self) -> None:
        if self._rest.shape[1]:
            self._give(self._rest)
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(self._broken):
            self._file.close()


def _vorbis_level(kbps: int, rate: int, channels: int) -> float:
    """libsndfile's compression level (1 less the quality) for a nominal total bit rate."""
    return 1.0 - float(np.interp(2 * kbps / channels, _VORBIS_KBPS, np.linspace(0.0, 1.0, 11)))


def _mp3_level(kbps: int, rate: int, channels: int) -> float:
    """libsndfile's compression level for a total bit rate: from the highest (0) to the lowest (1) of its rate."""
    low, high = (32, 320) if rate >= 32000 else (8, 160) if rate >= 16000 else (8, 64)
    return float(np.clip((high - kbps) / (high - low), 0.0, 1.0))


_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_CODECS = {
    "wav": ("wav", {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"}),
    "mp3": ("mp3", {0: "libmp3lame"}),
    "opus": ("opus", {0: "libopus"}),
    "m4a": ("ipod", {0: "aac"}),
}


class AvEncoder:
    """FFmpeg's libraries: WAV (RF64 above 4 GiB), MP3 (LAME), Opus, AAC in MP4."""

    def __init__(self, row: Format, sink: Sink | Pipe, rate: int, channels: int, bits: int, kbps: int) -> None:
        import av

        container, codecs = _CODECS[row.name]
        self._bits, self._rate, self._layout, self._count = bits, rate, _LAYOUTS[channels - 1], 0
        self._sample_format = {16: "s16", 24: "s32"}.get(bits, "flt")
        self._broken: tuple[type[Exception], ...] = (av.FFmpegError, ValueError, RuntimeError)
        options = _muxer_options(row.name, rate, streamed=not isinstance(sink, Sink))
        try:
            self._container: av.container.OutputContainer = av.open(sink, "w", format=container, options=options)
            self._stream = cast("AudioStream", self._container.add_stream(codecs[bits], rate=rate))
            self._stream.codec_context.layout = self._layout
            self._stream.codec_context.time_base = Fraction(1, rate)
            if kbps:
                self._stream.codec_context.bit_rate = 1000 * kbps
            self._stream.codec_context.open()
        except self._broken as error:
            raise _refused(row, rate, channels) from error

    def write(self, samples: Samples) -> None:
        import av

        for start in range(0, samples.shape[1], _STEP):
            part = samples[:, start : start + _STEP]
            values: npt.NDArray[Any] = quantised(part, self._bits) if self._bits in (16, 24) else part
            packed = np.ascontiguousarray(values.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format=self._sample_format, layout=self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._count  # without it the muxers do not learn the encoder's delay
            self._count += part.shape[1]
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        with contextlib.suppress(*self._broken, OSError):
            self._container.close()


def _muxer_options(name: str, rate: int, *, streamed: bool) -> dict[str, str]:
    """No dates and no versions in the file, so the same sound gives the same bytes; and what streams need."""
    options = {"fflags": "+bitexact"}
    if name == "wav" and not streamed:
        options["rf64"] = "auto"
    if name == "mp3" and streamed:
        options["write_xing"] = "0"  # its numbers are known at the end only
    if name == "m4a":
        options["movie_timescale"] = str(rate)  # else the stated length is rounded to a millisecond
        if streamed:
            options["movflags"] = "+frag_keyframe+delay_moov+default_base_moof"
            options["frag_duration"] = "1000000"
    return options


def _refused(row: Format, rate: int, channels: int) -> OutputError:
    return OutputError(
        f"the {row.name} encoder refuses {channels} channels at {rate} Hz", hint="write it as wav or flac instead"
    )
