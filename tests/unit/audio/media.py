"""Files for the tests of sound input: made with PyAV where the product has no writer of its own."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Audio

LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


_INNER = {"wavpack": "s16p", "tta": "s16"}  # their encoders would else take the first format they know, eight bits


def tones(sample_rate: int, channels: int, length: int, amplitude: float = 0.2) -> Audio:
    """One tone of a known phase in each channel: 300, 400, 500 ... Hz; 50 Hz in a low-frequency channel."""
    time = np.arange(length) / sample_rate
    rows = [np.sin(2 * np.pi * hertz(channels, k) * time + k) for k in range(channels)]
    return Audio((amplitude * np.stack(rows)).astype(np.float32), sample_rate)


def hertz(channels: int, channel: int) -> float:
    """The tone of a channel."""
    return 50.0 if channels >= 6 and channel == 3 else 300.0 + 100.0 * channel


def with_click(audio: Audio, at: int, height: float = 0.7) -> Audio:
    """The same with one sample raised in every channel."""
    samples = audio.samples.copy()
    samples[:, at] += height
    return Audio(samples, audio.sample_rate)


def snr(samples: npt.NDArray[np.float32], truth: npt.NDArray[np.float32], edge: int = 2000) -> npt.NDArray[np.float64]:
    """Signal to noise ratio in dB of each channel, without the edges."""
    length = min(samples.shape[1], truth.shape[1])
    inner = slice(edge, length - edge)
    error = samples[:, inner].astype(np.float64) - truth[:, inner]
    return 10 * np.log10(np.mean(truth[:, inner].astype(np.float64) ** 2, axis=1) / (np.mean(error**2, axis=1) + 1e-30))


def encode(
    path: Path,
    audio: Audio,
    codec: str,
    container: str,
    *,
    sample_format: str = "flt",
    picture: bool = False,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write any codec in any container that FFmpeg has; with a video track if ``picture``."""
    layout = LAYOUTS[audio.channels - 1]
    packed = np.ascontiguousarray(audio.samples.T).reshape(1, -1)
    if sample_format == "s16":
        packed = np.rint(packed * 32768).astype(np.int16)
    with path.open("w+b") as handle, av.open(handle, "w", format=container, options=options or {}) as out:
        out.metadata.update(metadata or {})
        video = out.add_stream("mpeg4", rate=25) if picture else None
        if video is not None:
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        stream = out.add_stream(codec, rate=audio.sample_rate)
        stream.layout = layout
        if codec in _INNER:
            stream.codec_context.format = _INNER[codec]
        if sample_format == "flt":
            stream.bit_rate = 128_000 * audio.channels
        if video is not None:
            for _ in range(max(1, round(25 * audio.duration))):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                out.mux(video.encode(image))
            out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(packed, format=sample_format, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = audio.sample_rate, 0, Fraction(1, audio.sample_rate)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def silent_film(path: Path, container: str = "mp4") -> Path:
    """A video without a sound track."""
    with path.open("w+b") as handle, av.open(handle, "w", format=container) as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        for _ in range(10):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(video.encode(None))
    return path


def wav_head(rate: int, channels: int, bits: int, data: int, kind: int = 1) -> bytes:
    """The first 44 bytes of a WAV file, with whatever is claimed."""
    frame = channels * bits // 8
    fields = (16, kind, channels, rate & 0xFFFFFFFF, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    head = b"RIFF" + struct.pack("<I", data + 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", *fields)
    return head + b"data" + struct.pack("<I", data)
