"""Decoding with FFmpeg's libraries (PyAV): MP4, Matroska, AVI, ASF, Opus and whatever else libsndfile does not know."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.audio.containers import Container, last_ogg_page
from sovits.audio.decoder import DESERT, AudioInfo, DecodeError, aside, end_of_ogg, missing_bytes
from sovits.audio.guard import GuardedFile

if TYPE_CHECKING:
    import av.container
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler

_SLACK = 4096
"""Samples by which a codec with frames may overshoot the stated length; less than two of its longest frames."""

_LOSSLESS = ("pcm_", "flac", "alac", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp", "dsd")
_PROTECTED = ("drms", "enca", "drmi")


class AvDecoder:
    """The first sound track of a file opened with FFmpeg's libraries."""

    def __init__(self, handle: BinaryIO, container: Container) -> None:
        import av

        self._guard = GuardedFile(handle, container.offset)
        self._broken: tuple[type[Exception], ...] = (av.FFmpegError, ValueError, OSError, EOFError, RuntimeError)
        self._timed = container.timed
        self.damage = end_of_ogg(handle) if container.demuxer == "ogg" else ""
        # Tags in any encoding may not stop us; and should a demuxer ask for another file, no protocol would open it.
        # (As container options: general ones crash older PyAV in formats whose streams show up late.)
        options = {"protocol_whitelist": "none"}
        try:
            self._container: av.container.InputContainer = av.open(
                self._guard, "r", format=container.demuxer, container_options=options, metadata_errors="ignore"
            )
        except self._broken as error:
            hint = "the file may be damaged or cut off; fetch or export it again"
            raise DecodeError("the data cannot be decoded", hint) from error
        try:
            self._stream = self._choose_stream()
            self.info = self._describe(handle, container)
        except DecodeError:
            self.close()
            raise

    def _choose_stream(self) -> Any:
        if not self._container.streams.audio:
            if self._container.streams.video:
                raise DecodeError("it is a video without a sound track", "choose a file that has sound")
            raise DecodeError("it holds no sound track", "the file may be damaged or cut off")
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise DecodeError("its codec is unknown", "convert it to WAV or FLAC with the program that made it")
        if str(getattr(stream.codec_context, "codec_tag", "")) in _PROTECTED:
            raise DecodeError("it is protected against copying (DRM)", "use a file without protection")
        for other in self._container.streams:
            if other is not stream and hasattr(other, "discard"):
                other.discard = type(other.discard)["all"]
        return stream

    def _describe(self, handle: BinaryIO, container: Container) -> AudioInfo:
        context = self._stream.codec_context
        name, rate, channels = str(context.name), int(context.sample_rate or 0), int(context.layout.nb_channels)
        if not rate or not channels:
            raise DecodeError("the data cannot be decoded", "the file may be damaged or cut off")
        length, duration = None, None
        if container.name == "opus":
            length = _opus_length(handle)
        elif container.exact and self._stream.duration is not None and self._stream.time_base:
            length = round(self._stream.duration * self._stream.time_base * rate)
        if length is not None:
            duration = length / rate
        elif self._container.duration is not None:
            duration = self._container.duration / 1_000_000
        lossy = not name.startswith(_LOSSLESS)
        bits = 8 * int(context.format.bytes) if name.startswith("pcm_") and context.format else None
        missing = missing_bytes(handle)
        return AudioInfo(
            container.name, name.removesuffix("float"), rate, channels, length, duration, bits, lossy, missing
        )

    def pieces(self) -> Generator[Samples, None, None]:
        frames = self._frames()
        if self.info.length is None or self.info.length <= 0:
            yield from frames
            return
        yield from _trimmed(frames, self.info.length)

    def _frames(self) -> Generator[Samples, None, None]:
        converter = _Floats(self.info.channels)
        skipped = count = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except self._broken:
                self.damage = "the container is damaged"
                break
            if packet is None:
                break
            try:
                frames = packet.decode()
            except self._broken:
                skipped += 1
                continue
            for frame in frames:
                self._guard.delivered()
                if frame.sample_rate != self.info.sample_rate or frame.layout.nb_channels != self.info.channels:
                    raise DecodeError(
                        f"it changes from {self.info.sample_rate} Hz, {self.info.channels} channels to "
                        f"{frame.sample_rate} Hz, {frame.layout.nb_channels} channels on its way",
                        "split it where it changes",
                    )
                piece = converter(cast("AudioFrame", frame))
                count += piece.shape[1]
                yield piece
        stated = self.info.duration or 0.0
        if self._timed and count / self.info.sample_rate < 0.95 * stated - 0.1:
            self.damage = f"its end is missing, it should last {stated:.2f} s"
        if skipped:
            self.damage = f"{skipped} damaged packets were left out"
        if self._guard.exhausted:
            self.damage = DESERT

    def close(self) -> None:
        with contextlib.suppress(*self._broken):
            self._container.close()


def _opus_length(handle: BinaryIO) -> int | None:
    """Samples at 48 kHz: the granule position of the last Ogg page less the pre-skip (RFC 7845, 4)."""
    with aside(handle):
        head = handle.read(128)
        granule, _ = last_ogg_page(handle)
    at = head.find(b"OpusHead")
    return None if granule is None else max(0, granule - int.from_bytes(head[at + 10 : at + 12], "little"))


def _trimmed(pieces: Iterator[Samples], length: int) -> Iterator[Samples]:
    """Cut the padding of a codec's last frame off at the stated length.

    A surplus of more than a frame or two means that the statement is wrong: then nothing is cut.
    """
    given, surplus = 0, list[Samples]()
    for piece in pieces:
        if surplus or given + piece.shape[1] > length:
            fits = max(0, length - given) if not surplus else 0
            if fits:
                yield piece[:, :fits]
                given += fits
            surplus.append(piece[:, fits:])
            if sum(part.shape[1] for part in surplus) > _SLACK:
                yield from surplus
                yield from pieces
                return
        else:
            given += piece.shape[1]
            yield piece


class _Floats:
    """Frames of any sample format to float32 [channels, time] with full scale at +-1."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._packer: AudioResampler | None = None

    def __call__(self, frame: AudioFrame) -> Samples:
        if frame.format.is_planar and self._channels >= 8:
            return np.concatenate([self._scale(self._split(packed)) for packed in self._pack(frame)], axis=1)
        return self._scale(self._split(frame))

    def _pack(self, frame: AudioFrame) -> list[AudioFrame]:
        # PyAV looks for the end of the list of planes by a null pointer; FFmpeg's list of eight has none behind it.
        from av.audio.resampler import AudioResampler

        if self._packer is None:
            self._packer = AudioResampler(format=frame.format.packed.name, layout=frame.layout)
        return self._packer.resample(frame)

    def _split(self, frame: AudioFrame) -> npt.NDArray[Any]:
        array = frame.to_ndarray()
        return array if frame.format.is_planar else array.reshape(-1, self._channels).T

    @staticmethod
    def _scale(array: npt.NDArray[Any]) -> Samples:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # float64 beyond float32 becomes infinite, refused later
            if array.dtype == np.uint8:
                return (array.astype(np.float32) - 128.0) / 128.0
            if array.dtype.kind == "i":
                scale = 2.0 ** (1 - 8 * array.dtype.itemsize)
                return np.ascontiguousarray(array.astype(np.float32) * np.float32(scale))
            return np.ascontiguousarray(array, dtype=np.float32)
