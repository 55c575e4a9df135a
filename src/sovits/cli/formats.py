"""``--format``, ``--bits`` and ``--kbps``: how results are written, checked before any work starts."""

from __future__ import annotations

from pathlib import Path

from sovits.audio.formats import FORMATS, Format, by_name, by_suffix
from sovits.core.errors import OptionError

FORMAT_HELP = f"format of the files: {', '.join(FORMATS)}"
BITS_HELP = "width of a sample in lossless files: 16, 24 or, in WAV, 32 (floating point) [default: 16]"
KBPS_HELP = "bit rate of lossy files in kbit/s [default: that of the format]"


def suffixes() -> frozenset[str]:
    """All suffixes of files that can be written, with the dot."""
    return frozenset(suffix for row in FORMATS.values() for suffix in row.suffixes)


def chosen(name: str | None, output: Path | None, bits: int | None, kbps: int | None) -> Format:
    """The format that a user asked for by name or by the suffix of an output file; WAV if by neither.

    Raises:
        OptionError: no such format, name and suffix differ, or a width or bit rate that the format does not take.
    """
    row = by_name("wav") if name is None and output is None else None
    if name is not None:
        row = by_name(name.lower().lstrip("."))
    if output is not None:
        by_output = by_suffix(output.suffix)
        if row is not None and row != by_output:
            raise OptionError(f"--format {name} does not go with the output {output}", hint="leave --format out")
        row = by_output
    assert row is not None
    row.bits_for(bits)
    row.kbps_for(kbps, 1)
    return row
