"""Choosing a decoder: libsndfile first, FFmpeg's libraries for the rest.

Both are opened on a file object of ours, state what they found as :class:`~sovits.audio.decoder.AudioInfo`, and then
give the sound once, in pieces of their own choosing. Delay and padding that the container declares (LAME tag, edit
list, pre-skip, codec delay) are taken off, so that the first sample given is the first sample of the source.
"""

from __future__ import annotations

from typing import BinaryIO

from sovits.audio.containers import Container
from sovits.audio.decode_av import AvDecoder
from sovits.audio.decode_soundfile import SoundFileDecoder
from sovits.audio.decoder import DecodeError, Decoder

MAX_CHANNELS = 8
MIN_RATE, MAX_RATE = 1000, 384_000
"""Rates in Hz outside these bounds are a damaged header or an attack: a 1 Hz file would be 44100 times its size."""


def open_decoder(handle: BinaryIO, container: Container) -> Decoder:
    """Open the right decoder on ``handle``; libsndfile first, FFmpeg for what libsndfile cannot.

    Raises:
        DecodeError: neither can read it, or rate or channels are out of bounds.
    """
    decoder: Decoder
    try:
        if not container.soundfile:
            raise DecodeError("")
        decoder = SoundFileDecoder(handle, container)
    except DecodeError:
        if not container.demuxer:
            raise
        decoder = AvDecoder(handle, container)
    try:
        _check_bounds(decoder.info.sample_rate, decoder.info.channels)
    except DecodeError:
        decoder.close()
        raise
    return decoder


def _check_bounds(rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise DecodeError(f"a sample rate of {rate} Hz", f"rates from {MIN_RATE} to {MAX_RATE} Hz are read")
    if not 1 <= channels <= MAX_CHANNELS:
        raise DecodeError(f"{channels} channels", f"1 to {MAX_CHANNELS} channels are read; mix it down first")
