"""The formats of ``torch.save`` before 1.6: pickles and raw storages in a row, and before that tar."""

from __future__ import annotations

import struct
from typing import Any

from sovits.core.checkpoint.containers import Table
from sovits.core.checkpoint.limits import Limits, check
from sovits.core.checkpoint.mapped import MappedFile
from sovits.core.checkpoint.pickles import Budgets, Machine
from sovits.core.checkpoint.tensors import Storage, tensor
from sovits.core.checkpoint.torchzip import storage_format
from sovits.core.errors import CorruptFileError

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


class _Stream:
    """Pickles and raw numbers one after the other."""

    def __init__(self, mapped: MappedFile, data: memoryview, limits: Limits, budgets: Budgets) -> None:
        self.data, self.position = data, 0
        self._mapped, self._budgets = mapped, budgets
        self._table = Table(mapped.name)
        self._limits = limits

    def pickle(self, persistent: Any = None) -> Any:
        machine = Machine(self.data, self.position, self._table.find, persistent, self._budgets, self._mapped.name)
        value = machine.run()
        self.position = machine.position
        return value

    def count(self) -> int:
        value = self.pickle()
        if type(value) is not int or value < 0:
            raise CorruptFileError(f"{self._mapped.name}: a number of parts is missing")
        check(value, self._limits.tensors, "the number of tensors", self._mapped.name)
        return value

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.raw(struct.calcsize(layout)))

    def raw(self, length: int) -> memoryview:
        if length < 0 or self.position + length > len(self.data):
            raise CorruptFileError(f"{self._mapped.name} is truncated", hint="download it again")
        piece = self.data[self.position : self.position + length]
        self.position += length
        return piece


def is_legacy(data: memoryview) -> bool:
    """Whether a file starts with torch's magic number as a pickled integer."""
    return bytes(data[:14]) == b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little")


def read_torch_legacy(mapped: MappedFile, limits: Limits) -> Any:
    """The saved object of a file written by torch 0.2 to 1.5.

    Layout: magic number, 1001, facts about the machine, the object, the list of storage keys, then for each of them its
    number of elements (int64) and the elements.
    """
    stream = _Stream(mapped, mapped.data, limits, Budgets(limits, mapped.name))
    if stream.pickle() != MAGIC or stream.pickle() != _VERSION:
        raise CorruptFileError(f"{mapped.name} is not in torch's format of 2017 to 2020")
    system = stream.pickle()
    if not isinstance(system, dict) or not system.get("little_endian", True):
        raise CorruptFileError(f"{mapped.name} was written on a big-endian machine")
    roots: dict[str, Storage] = {}
    views: list[tuple[Storage, Storage, int]] = []

    def persistent(identifier: Any) -> Any:
        if identifier[0] == "module":
            return identifier[1]  # a class, already refused by the closed table unless it is a known container
        kind, held, key, _, count, view = identifier
        if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0:
            raise TypeError("a persistent identifier that names no storage")
        root = roots.setdefault(key, Storage(storage_format(held), count, None, mapped.name))
        if view is None:
            return root
        _, start, size = view
        if not 0 <= start <= start + size <= root.count:
            raise ValueError("a view outside its storage")
        part = Storage(root.format, size, None, mapped.name)
        views.append((part, root, start))
        return part

    value = stream.pickle(persistent)
    keys = stream.pickle()
    if not isinstance(keys, list) or len(set(map(str, keys))) != len(keys) or set(map(str, keys)) != set(roots):
        raise CorruptFileError(f"{mapped.name}: the list of storages does not fit the tensors")
    for key in keys:
        _fill(stream, roots[key], mapped)
    for part, root, start in views:
        if isinstance(root.data, memoryview):
            part.data = root.data[start * root.format.bytes : (start + part.count) * root.format.bytes]
    return value


def _fill(stream: _Stream, storage: Storage, mapped: MappedFile) -> None:
    (count,) = stream.unpack("<q")
    if count != storage.count:
        raise CorruptFileError(f"{mapped.name}: a storage of {storage.count} numbers holds {count}")
    storage.data = stream.raw(count * storage.format.bytes)


# -- tar


def is_tar(data: memoryview) -> bool:
    """Whether the first block is a tar header (its checksum is right)."""
    if len(data) < 512 or data[0] == 0:
        return False
    block = bytes(data[:512])
    try:
        stated = int(block[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return stated == sum(block[:148]) + 8 * 32 + sum(block[156:])


def read_torch_tar(mapped: MappedFile, limits: Limits) -> Any:
    """The saved object of a file written by torch 0.1: a tar of ``storages``, ``tensors`` and ``pickle``."""
    members = _members(mapped, limits)
    budgets = Budgets(limits, mapped.name)
    storages = _storages(_Stream(mapped, members["storages"], limits, budgets), mapped)
    tensors: dict[Any, Any] = dict(storages)
    stream = _Stream(mapped, members["tensors"], limits, budgets)
    for _ in range(stream.count()):
        key, storage, _ = _triple(stream.pickle(), mapped)
        if storage not in storages:
            raise CorruptFileError(f"{mapped.name}: a tensor without a storage")
        (dimensions,) = stream.unpack("<i4x")
        if not 0 <= dimensions <= 32:
            raise CorruptFileError(f"{mapped.name}: a tensor of {dimensions} dimensions")
        shape = stream.unpack(f"<{dimensions}q")
        strides = stream.unpack(f"<{dimensions}q")
        (offset,) = stream.unpack("<q")
        tensors[key] = tensor(storages[storage], shape, strides, offset, mapped.name)

    def persistent(identifier: Any) -> Any:
        if isinstance(identifier, tuple):
            return identifier[0]
        return tensors[int(identifier)]

    return _Stream(mapped, members["pickle"], limits, budgets).pickle(persistent)


def _storages(stream: _Stream, mapped: MappedFile) -> dict[Any, Storage]:
    found: dict[Any, Storage] = {}
    for _ in range(stream.count()):
        key, _, held = _triple(stream.pickle(), mapped)
        (count,) = stream.unpack("<q")
        try:
            form = storage_format(held)
        except TypeError as error:
            raise CorruptFileError(f"{mapped.name}: a storage of unknown type") from error
        found[key] = Storage(form, count, stream.raw(count * form.bytes), mapped.name)
    views = stream.pickle()
    for view in views if isinstance(views, list) else ():
        if not isinstance(view, tuple) or len(view) != 4 or view[1] not in found:
            raise CorruptFileError(f"{mapped.name}: a view of a storage that is not there")
        target, root, start, count = view
        base = found[root]
        if (
            not all(type(item) is int for item in (target, start, count))
            or not 0 <= start <= start + count <= base.count
        ):
            raise CorruptFileError(f"{mapped.name}: a view outside its storage")
        width = base.format.bytes
        assert isinstance(base.data, memoryview)
        found[target] = Storage(base.format, count, base.data[start * width : (start + count) * width], mapped.name)
    return found


def _triple(value: Any, mapped: MappedFile) -> tuple[Any, Any, Any]:
    if not isinstance(value, tuple) or len(value) != 3 or not all(isinstance(part, (int, str)) for part in value[:2]):
        raise CorruptFileError(f"{mapped.name}: the tables of its tar archive are corrupt")
    return value


def _members(mapped: MappedFile, limits: Limits) -> dict[str, memoryview]:
    found: dict[str, memoryview] = {}
    position = 0
    while position + 512 <= mapped.size and mapped.data[position]:
        block = mapped.data[position : position + 512]
        name = bytes(block[:100]).split(b"\0")[0].decode("latin-1")
        if not is_tar(block) or bytes(block[156:157]) not in (b"0", b"\0") or name.removeprefix("./") in found:
            raise CorruptFileError(f"{mapped.name}: a tar archive that torch did not write")
        try:
            size = int(bytes(block[124:136]).strip(b"\0 "), 8)
        except ValueError as error:
            raise CorruptFileError(f"{mapped.name}: a tar archive that torch did not write") from error
        found[name.removeprefix("./")] = mapped.slice(position + 512, size, f"the tar member '{name[:40]!a}'")
        position += 512 + (size + 511) // 512 * 512
        check(len(found), limits.members, "the number of its members", mapped.name)
    if set(found) != {"storages", "tensors", "pickle"}:
        raise CorruptFileError(
            f"{mapped.name} is a tar archive but not a weight file", hint="if it is a package of files, unpack it first"
        )
    return found
