"""The formats that sound is written in: one row each, with all that is fixed about them."""

from __future__ import annotations

from dataclasses import dataclass

from sovits.core.errors import OptionError

ANY_COUNT = (1, 2, 3, 4, 5, 6, 7, 8)
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


VORBIS_ORDER = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
"""Index in WAV order of each channel of an Ogg Vorbis stream, by count (Vorbis I specification, 4.3.9)."""


@dataclass(frozen=True)
class Format:
    """How one kind of file is written.

    Attributes:
        name: also the main suffix.
        suffixes: all suffixes that choose it, with the dot.
        mime: for HTTP.
        channels: counts of channels that it takes.
        rates: sample rates in Hz that it takes, ascending; empty for any. Other rates are resampled.
        bits: widths of a sample that it takes, the default first; 32 is floating point. Empty for lossy formats.
        kbps: lowest bit rate in kbit/s, and default and highest for one channel; lossy formats only.
        most_kbps: highest total bit rate.
    """

    name: str
    suffixes: tuple[str, ...]
    mime: str
    channels: tuple[int, ...] = ANY_COUNT
    rates: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()
    kbps: tuple[int, int, int] = (0, 0, 0)
    most_kbps: int = 0

    @property
    def lossy(self) -> bool:
        """Whether it loses something."""
        return not self.bits

    def rate_for(self, sample_rate: int) -> int:
        """The rate that is written for sound of ``sample_rate``: the same, else the next higher, else the highest."""
        if not self.rates or sample_rate in self.rates:
            return sample_rate
        return next((rate for rate in self.rates if rate > sample_rate), self.rates[-1])

    def bits_for(self, wanted: int | None) -> int:
        """Width of a sample, 0 for lossy formats.

        Raises:
            OptionError: a width that the format does not take.
        """
        if wanted is None:
            return self.bits[0] if self.bits else 0
        if wanted not in self.bits:
            choices = " or ".join(map(str, self.bits))
            hint = f"{self.name} takes {choices}" if choices else "leave the width out"
            raise OptionError(f"{self.name} is not written with {wanted} bits per sample", hint=hint)
        return wanted

    def kbps_for(self, wanted: int | None, channels: int) -> int:
        """Total bit rate in kbit/s, 0 for lossless formats.

        Raises:
            OptionError: out of range, or for a format without a bit rate.
        """
        if wanted is None:
            return min(self.most_kbps, self.kbps[1] * channels)
        if not self.lossy:
            raise OptionError(
                f"{self.name} is lossless and has no bit rate", hint="leave it out, or choose mp3 or opus"
            )
        low, high = self.kbps[0], min(self.most_kbps, self.kbps[2] * channels)
        if not low <= wanted <= high:
            raise OptionError(
                f"{wanted} kbit/s is out of range for {self.name} with {channels} channels",
                hint=f"choose {low} to {high}",
            )
        return wanted


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("wav", (".wav", ".wave"), "audio/wav", bits=(16, 24, 32)),
        Format("flac", (".flac",), "audio/flac", bits=(16, 24)),
        # Constant rates only: LAME's variable rates lose clicks in silence. Below 256 kbit/s it turns the level down,
        # by 0.45 dB at 160 and less; from 24 kHz down the format allows no more than 160, below 16 kHz 64. Frames of
        # less than 64 kbit/s have no room for the tag that says where the sound starts and ends.
        Format("mp3", (".mp3",), "audio/mpeg", (1, 2), _MP3_RATES, kbps=(64, 256, 320), most_kbps=320),
        Format("ogg", (".ogg", ".oga"), "audio/ogg", kbps=(32, 112, 250), most_kbps=2000),
        # FFmpeg's libopus writes five and seven channels in a wrong order.
        Format("opus", (".opus",), "audio/ogg", (1, 2, 3, 4, 6, 8), (48000,), kbps=(6, 96, 256), most_kbps=2048),
        Format("m4a", (".m4a", ".mp4"), "audio/mp4", rates=_AAC_RATES, kbps=(16, 128, 288), most_kbps=2304),
    )
}
"""All formats by name."""


def by_name(name: str) -> Format:
    """The row called ``name``.

    Raises:
        OptionError: no such format.
    """
    if name not in FORMATS:
        raise OptionError(f"sound is not written as '{name}'", hint=f"choose {', '.join(FORMATS)}")
    return FORMATS[name]


def by_suffix(suffix: str) -> Format:
    """The row that a file suffix such as ``".mp3"`` chooses, whatever its case.

    Raises:
        OptionError: no such format.
    """
    for row in FORMATS.values():
        if suffix.lower() in row.suffixes:
            return row
    what = f"the suffix '{suffix}'" if suffix else "a name without a suffix"
    endings = ", ".join(row.suffixes[0] for row in FORMATS.values())
    raise OptionError(f"{what} does not say how to write sound", hint=f"end the name in {endings}")


def require_channels(row: Format, channels: int) -> None:
    """Refuse a count of channels that a format does not take.

    Raises:
        OptionError: and the hint names the formats that do.
    """
    if channels not in row.channels:
        able = [other.name for other in FORMATS.values() if channels in other.channels]
        hint = f"write it as {', '.join(able)}, or mix it to stereo" if able else "mix it down to at most 8 channels"
        raise OptionError(f"{row.name} does not take {channels} channels", hint=hint)
