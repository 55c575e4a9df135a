"""What a file is, told by its first bytes and never by its name; the complete list of containers that are opened.

Every container has exactly one line here, and the demuxer that it names is given to the decoder explicitly. So nothing
is ever probed by trial: playlists and the like (HLS, DASH, concat, image sequences), which can point at other files or
at the network, have no line and cannot be reached, whatever a file says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

HEAD = 4096
"""Bytes that are looked at first."""

_SEARCH = 1 << 16
"""How far into a file without any known head an MPEG audio frame is looked for."""


@dataclass(frozen=True)
class Container:
    """How one kind of file is read.

    Attributes:
        name: for people ("wav", "mp4").
        soundfile: whether libsndfile is asked first.
        demuxer: FFmpeg's name of the demuxer; empty if FFmpeg is not to be asked.
        exact: whether the length that FFmpeg's demuxer states is exact to the sample.
        timed: whether the head states a duration, in milliseconds or so.
        offset: where in the file the sound starts, for files with foreign bytes in front.
    """

    name: str
    soundfile: bool = False
    demuxer: str = ""
    exact: bool = False
    timed: bool = False
    offset: int = 0


_MP3 = Container("mp3", soundfile=True)  # FFmpeg searches gigabytes of zeros for the next frame; libsndfile gives up
_OPUS = Container("opus", demuxer="ogg")
_ADTS = Container("aac", demuxer="aac")

_MAGIC: tuple[tuple[int, bytes, Container], ...] = (
    (0, b".snd", Container("au", soundfile=True)),
    (0, b"caff", Container("caf", soundfile=True, demuxer="caf", exact=True)),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", Container("w64", soundfile=True)),
    (4, b"ftyp", Container("mp4", demuxer="mov", exact=True)),
    (4, b"moov", Container("mov", demuxer="mov", exact=True)),
    (4, b"mdat", Container("mov", demuxer="mov", exact=True)),
    (4, b"wide", Container("mov", demuxer="mov", exact=True)),
    (4, b"skip", Container("mov", demuxer="mov", exact=True)),
    (4, b"free", Container("mov", demuxer="mov", exact=True)),
    (0, b"\x1a\x45\xdf\xa3", Container("matroska", demuxer="matroska", timed=True)),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Container("asf", demuxer="asf", timed=True)),
    (0, b"FLV\x01", Container("flv", demuxer="flv", timed=True)),
    (0, b"\x00\x00\x01\xba", Container("mpeg", demuxer="mpeg")),
    (0, b"#!AMR", Container("amr", demuxer="amr")),
    (0, b"MAC ", Container("ape", demuxer="ape")),
    (0, b"wvpk", Container("wavpack", demuxer="wv")),
    (0, b"TTA1", Container("tta", demuxer="tta")),
    (0, b"\x0b\x77", Container("ac3", demuxer="ac3")),
)

_NOT_SOUND: tuple[tuple[bytes, str], ...] = (
    (b"MThd", "a MIDI file (notes, not sound)"),
    (b"#EXTM3U", "a playlist"),
    (b"[playlist]", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x80\x02", "a pickle file"),
)


def recognise(handle: BinaryIO) -> Container | None:
    """The container of an open file, or ``None`` if it is none that we read. Leaves the position at the start."""
    handle.seek(0)
    head = handle.read(HEAD)
    found = _by_head(head) or _mpeg_audio(handle, head)
    handle.seek(0)
    return found


def describe(head: bytes) -> str:
    """In words, what the first bytes of a refused file look like."""
    for magic, words in _NOT_SOUND:
        if head.startswith(magic):
            return words
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < HEAD else "ignore")
    except UnicodeDecodeError:
        return "no sound or video format that is known here"
    return "a text file" if all(c.isprintable() or c.isspace() for c in text) else "no known sound or video format"


def _by_head(head: bytes) -> Container | None:
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        if head[8:12] == b"WAVE":
            return Container("wav", soundfile=True, demuxer="wav" if head[:4] == b"RIFF" else "", exact=True)
        return Container("avi", demuxer="avi", timed=True) if head[8:11] == b"AVI" else None
    if head[:4] == b"FORM":
        return Container("aiff", soundfile=True, demuxer="aiff", exact=True) if head[8:11] == b"AIF" else None
    if head[:4] == b"fLaC":
        return _flac(head, 0)
    if head[:4] == b"OggS":
        # Opus always decodes at 48 kHz with its channels in our order: FFmpeg does that.
        return _OPUS if b"OpusHead" in head[:128] else Container("ogg", soundfile=True, demuxer="ogg")
    for at, magic, container in _MAGIC:
        if head[at : at + len(magic)] == magic:
            fragmented = container.demuxer == "mov" and (b"mvex" in head or b"moof" in head)
            return replace(container, exact=False) if fragmented else container
    for packet, first in ((188, 0), (192, 4)):
        marks = range(first, min(len(head), first + 5 * packet), packet)
        if len(marks) >= 3 and all(head[at] == 0x47 for at in marks):
            return Container("mpegts", demuxer="mpegts")
    return None


def _flac(head: bytes, offset: int) -> Container:
    """libsndfile loses the end of a stream whose length was left open (36 bits of zero in STREAMINFO)."""
    states_length = bool(int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF)
    return Container("flac", soundfile=states_length, demuxer="flac", exact=states_length, offset=offset)


def _mpeg_audio(handle: BinaryIO, head: bytes) -> Container | None:
    """MPEG audio and ADTS have no head: two frames in sequence must be found, behind an ID3 tag or a little junk."""
    start = 0
    while head[:3] == b"ID3" and len(head) >= 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        start += 10 + size + (10 if head[5] & 0x10 else 0)
        handle.seek(start)
        head = handle.read(HEAD)
        if head[:4] == b"fLaC":
            return _flac(head, start)
    handle.seek(start)
    window = handle.read(_SEARCH)
    at = window.find(b"\xff")
    while 0 <= at < len(window) - 4:
        for kind, size_of in ((_ADTS, _adts_frame), (_MP3, _mp3_frame)):
            size = size_of(window, at)
            follows = at + size
            alone = at == 0 and follows + 7 > len(window)  # a file of a single frame
            if size and (alone or size_of(window, follows)):
                return replace(kind, offset=start + at)
        at = window.find(b"\xff", at + 1)
    return None


def _adts_frame(data: bytes, at: int) -> int:
    """Length in bytes of the ADTS frame at ``at``, or 0 (ISO/IEC 13818-7, 6.2)."""
    if at + 7 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0 or (data[at + 2] >> 2) & 15 > 12:
        return 0
    size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return size if size > 7 else 0


_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mp3_frame(data: bytes, at: int) -> int:
    """Length in bytes of the MPEG-1, 2 or 2.5 audio frame at ``at``, or 0 (ISO/IEC 11172-3, 2.4.1.3)."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = (data[at + 1] >> 3) & 3, 4 - ((data[at + 1] >> 1) & 3)
    rate_index, kbps_index = (data[at + 2] >> 2) & 3, data[at + 2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or kbps_index in (0, 15):
        return 0
    rate = (44100, 48000, 32000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    kbps = _KBPS[(1, layer) if version == 3 else (2, min(layer, 2))][kbps_index - 1]
    padding = (data[at + 2] >> 1) & 1
    if layer == 1:
        return (12000 * kbps // rate + padding) * 4
    per_frame = 72000 if layer == 3 and version != 3 else 144000
    return per_frame * kbps // rate + padding


def last_ogg_page(handle: BinaryIO) -> tuple[int | None, bool]:
    """Granule position on the last whole page of the first stream (``None`` if not found), and whether it ends there.

    RFC 3533, section 6. Looks at the last 128 KiB, a page has at most 64. Moves the position.
    """
    handle.seek(0)
    serial = handle.read(18)[14:]
    size = handle.seek(0, 2)
    handle.seek(max(0, size - (1 << 17)))
    tail = handle.read(1 << 17)
    page = tail.rfind(b"OggS")
    while page >= 0:
        lacing = tail[page + 27 : page + 27 + tail[page + 26]] if page + 27 <= len(tail) else b""
        complete = page + 27 + len(lacing) + sum(lacing) <= len(tail) and lacing
        granule = int.from_bytes(tail[page + 6 : page + 14], "little", signed=True)
        if tail[page + 14 : page + 18] == serial and granule > 0 and complete:
            return granule, bool(tail[page + 5] & 4)
        page = tail.rfind(b"OggS", 0, page)
    return None, False
