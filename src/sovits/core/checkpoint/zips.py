"""The directory of a zip archive, read by hand so that every claim in it is checked (PKWARE APPNOTE 6.3.10).

A weight file has one plain directory: names without tricks, each once, members that do not overlap. The first two
bytes may be the digits that GPT-SoVITS writes in place of ``PK`` (spec gpt-sovits.md, section 2).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sovits.core.checkpoint.limits import Budget, Limits, check
from sovits.core.checkpoint.mapped import MappedFile, printable
from sovits.core.errors import CorruptFileError, UnsafeFileError

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_STORED, _DEFLATED = 0, 8

#: Heads that GPT-SoVITS understands in place of ``PK``, and the version they stand for.
HEADS = {
    "00": "v1",
    "01": "v2",
    "02": "v3",
    "03": "v3 LoRA",
    "04": "v4 LoRA",
    "05": "v2Pro",
    "06": "v2ProPlus",
}


@dataclass(frozen=True)
class Member:
    """One entry: ``start`` is where its bytes begin in the file, ``packed`` their number there, ``size`` unpacked."""

    name: str
    start: int
    packed: int
    size: int
    method: int
    checksum: int

    @property
    def unchecked(self) -> int:
        """The CRC-32 that whoever uses the bytes has to check; 0 if unpacking has done so."""
        return self.checksum if self.method == _STORED else 0


class Zip:
    """The members of an archive by name, in directory order."""

    def __init__(self, mapped: MappedFile, limits: Limits) -> None:
        self._mapped = mapped
        self._unpacked = Budget(limits.unpacked_bytes, "the unpacked size of its members", mapped.name)
        self.members = {member.name: member for member in _directory(mapped, limits)}
        if not self.members:
            raise CorruptFileError(f"{mapped.name} is an empty zip archive")

    def read(self, name: str) -> memoryview:
        """The bytes of a member: a view of the file when it is stored, unpacked within the limits when deflated."""
        member = self.members[name]
        data = self._mapped.data[member.start : member.start + member.packed]
        if member.method == _STORED:
            return data
        self._unpacked.spend(member.size)
        return memoryview(_inflate(data, member, self._mapped.name))


def _inflate(data: memoryview, member: Member, where: str) -> bytearray:
    # In steps, so that a member that lies about its size costs no more than one step beyond what it states.
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    try:
        pending: bytes | memoryview = data
        while len(out) <= member.size and not engine.eof:
            piece = engine.decompress(pending, 1 << 20)
            pending = engine.unconsumed_tail
            out += piece
            if not piece and not pending:
                break
    except zlib.error as error:
        raise CorruptFileError(f"{where}: the member '{member.name}' is corrupt") from error
    if len(out) != member.size or zlib.crc32(out) != member.checksum:
        raise CorruptFileError(f"{where}: the member '{member.name}' is corrupt", hint="download it again")
    return out


def _directory(mapped: MappedFile, limits: Limits) -> list[Member]:
    start, length, count = _end_record(mapped)
    check(count, limits.members, "the number of its members", mapped.name)
    data = mapped.slice(start, length, "the zip directory")
    members: list[Member] = []
    names: set[str] = set()
    position = 0
    for _ in range(count):
        if bytes(data[position : position + 4]) != _ENTRY or position + 46 > length:
            raise _corrupt(mapped, "its zip directory")
        flags, method = struct.unpack_from("<HH", data, position + 8)
        checksum, packed, size, name_length, extra_length, comment_length = struct.unpack_from(
            "<IIIHHH", data, position + 16
        )
        (offset,) = struct.unpack_from("<I", data, position + 42)
        tail = position + 46
        raw = bytes(data[tail : tail + name_length])
        extra = bytes(data[tail + name_length : tail + name_length + extra_length])
        position = tail + name_length + extra_length + comment_length
        if position > length:
            raise _corrupt(mapped, "its zip directory")
        size, packed, offset = _wide(mapped, extra, size, packed, offset)
        name = _name(mapped, raw)
        if name in names:
            raise UnsafeFileError(f"{mapped.name} holds two members called '{name}'", hint=_TAMPERED)
        names.add(name)
        if name.endswith("/") and size == 0:
            continue
        if flags & 0x2041 or method not in (_STORED, _DEFLATED):
            raise UnsafeFileError(f"{mapped.name}: the member '{name}' is encrypted or packed in an unusual way")
        if method == _STORED and size != packed:
            raise _corrupt(mapped, f"the member '{name}'")
        members.append(Member(name, _data_start(mapped, offset, raw), packed, size, method, checksum))
    if position != length:
        raise _corrupt(mapped, "its zip directory")
    _require_apart(mapped, members, start)
    return members


def _end_record(mapped: MappedFile) -> tuple[int, int, int]:
    """Start, length and number of entries of the directory, from the record that ends exactly where the file ends."""
    tail_start = max(0, mapped.size - 22 - 0xFFFF)
    tail = bytes(mapped.data[tail_start:])
    at = tail.rfind(_END)
    while at >= 0 and not (at + 22 <= len(tail) and at + 22 + struct.unpack_from("<H", tail, at + 20)[0] == len(tail)):
        at = tail.rfind(_END, 0, at)
    if at < 0:
        raise CorruptFileError(f"{mapped.name} is truncated: its zip directory is missing", hint="download it again")
    disk, first_disk, here, count, length, start = struct.unpack_from("<HHHHII", tail, at + 4)
    end = tail_start + at
    if 0xFFFF in (here, count) or 0xFFFFFFFF in (length, start) or _has_locator(mapped, end):
        end, count, length, start = _wide_end(mapped, end)
    elif disk or first_disk or here != count:
        raise _corrupt(mapped, "its zip directory")
    if start + length != end:
        raise UnsafeFileError(f"{mapped.name}: its zip directory is not where it belongs", hint=_TAMPERED)
    return start, length, count


def _has_locator(mapped: MappedFile, end: int) -> bool:
    return end >= 20 and bytes(mapped.data[end - 20 : end - 16]) == _LOCATOR64


def _wide_end(mapped: MappedFile, end: int) -> tuple[int, int, int, int]:
    if not _has_locator(mapped, end):
        raise _corrupt(mapped, "its zip directory")
    (at,) = struct.unpack_from("<Q", mapped.data, end - 12)
    record = mapped.slice(at, 56, "the zip64 directory record")
    if bytes(record[:4]) != _END64 or at + 56 > end - 20:
        raise _corrupt(mapped, "its zip directory")
    disk, first_disk, here, count, length, start = struct.unpack_from("<IIQQQQ", record, 16)
    if disk or first_disk or here != count:
        raise _corrupt(mapped, "its zip directory")
    return at, count, length, start


def _wide(mapped: MappedFile, extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset from the zip64 field where the short ones say "see there"."""
    values = [size, packed, offset]
    wanted = [index for index, value in enumerate(values) if value == 0xFFFFFFFF]
    position = 0
    while wanted and position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            if length < 8 * len(wanted) or position + 4 + length > len(extra):
                raise _corrupt(mapped, "its zip directory")
            for index, value in zip(wanted, struct.unpack_from(f"<{len(wanted)}Q", extra, position + 4), strict=True):
                values[index] = value
            break
        position += 4 + length
    return values[0], values[1], values[2]


def _name(mapped: MappedFile, raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _corrupt(mapped, "a member name") from error
    parts = name.rstrip("/").split("/")
    if not name.isprintable() or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        shown = printable(name, 80)
        raise UnsafeFileError(f"{mapped.name}: the member name '{shown}' points outside the archive", hint=_TAMPERED)
    return name


def _data_start(mapped: MappedFile, offset: int, name: bytes) -> int:
    header = mapped.slice(offset, 30, "a member")
    signature = bytes(header[:4])
    patched = offset == 0 and signature[2:] == _LOCAL[2:] and signature[:2].decode("latin-1") in HEADS
    name_length, extra_length = struct.unpack_from("<HH", header, 26)
    if (signature != _LOCAL and not patched) or bytes(mapped.data[offset + 30 : offset + 30 + name_length]) != name:
        raise UnsafeFileError(f"{mapped.name}: a member and the zip directory disagree", hint=_TAMPERED)
    return int(offset + 30 + name_length + extra_length)


def _require_apart(mapped: MappedFile, members: list[Member], directory: int) -> None:
    end = 0
    for member in sorted(members, key=lambda item: item.start):
        if member.start < end:
            raise UnsafeFileError(f"{mapped.name}: the member '{member.name}' overlaps another", hint=_TAMPERED)
        end = member.start + member.packed
        if end > directory:
            raise _corrupt(mapped, f"the member '{member.name}'")


_TAMPERED = "no program writes such a file; do not use it"


def _corrupt(mapped: MappedFile, part: str) -> CorruptFileError:
    return CorruptFileError(f"{mapped.name} is truncated or corrupt: {part}", hint="download it again")
