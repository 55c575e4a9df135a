"""The zip format of ``torch.save`` (1.6 and later): ``data.pkl`` and one record ``data/<key>`` per storage."""

from __future__ import annotations

from typing import Any

from sovits.core.checkpoint.containers import Table
from sovits.core.checkpoint.limits import Limits
from sovits.core.checkpoint.mapped import MappedFile, printable
from sovits.core.checkpoint.pickles import Budgets, Machine, Name
from sovits.core.checkpoint.tensors import NumberFormat, Storage
from sovits.core.checkpoint.zips import Zip
from sovits.core.errors import CorruptFileError, UnsafeFileError, WrongModelError


def read_torch_zip(mapped: MappedFile, archive: Zip, limits: Limits) -> Any:
    """The saved object; tensors are lazy views of the mapped records.

    Raises:
        UnsafeFileError: a TorchScript archive, or two pickles.
        CheckpointError: see :class:`~sovits.core.checkpoint.pickles.Machine`.
    """
    root = _root(mapped, archive)
    order = bytes(archive.read(f"{root}/byteorder")) if f"{root}/byteorder" in archive.members else b"little"
    if order.strip() != b"little":
        raise WrongModelError(
            f"{mapped.name} was written on a big-endian machine", hint="save it again on a common computer"
        )
    storages: dict[tuple[str, str], Storage] = {}

    def persistent(identifier: Any) -> Storage:
        kind, held, key, _, count = identifier
        if kind != "storage" or not isinstance(key, str) or type(count) is not int:
            raise TypeError("a persistent identifier that names no storage")
        form = storage_format(held)
        found = storages.get((key, form.name))
        if found is None:
            name = f"{root}/data/{key}"
            if name not in archive.members:
                raise CorruptFileError(
                    f"{mapped.name}: the numbers '{printable(name, 80)}' are missing", hint="download it again"
                )
            member = archive.members[name]
            if not 0 <= count * form.bytes <= member.size:
                raise CorruptFileError(f"{mapped.name}: the record '{name}' is shorter than its storage")
            found = Storage(form, count, archive.read(name), mapped.name, member.unchecked)
            storages[key, form.name] = found
        if found.count != count:
            raise CorruptFileError(f"{mapped.name}: the storage '{printable(key, 80)}' is given two sizes")
        return found

    budgets = Budgets(limits, mapped.name)
    data = archive.read(f"{root}/data.pkl")
    machine = Machine(data, 0, Table(mapped.name).find, persistent, budgets, mapped.name)
    value = machine.run()
    if machine.position != len(data):
        raise CorruptFileError(f"{mapped.name}: something follows the pickle")
    return value


def storage_format(held: Any) -> NumberFormat:
    """The number format of a storage type that a pickle names."""
    if not isinstance(held, Name) or not isinstance(held.holds, NumberFormat):
        raise TypeError("a storage of something that is no storage type")
    return held.holds


def _root(mapped: MappedFile, archive: Zip) -> str:
    names = list(archive.members)
    pickles = [name for name in names if name.rsplit("/", 1)[-1] == "data.pkl"]
    if any(name.rsplit("/", 1)[-1] == "constants.pkl" or "/code/" in name for name in names):
        raise UnsafeFileError(
            f"{mapped.name} is a TorchScript program, not a weight file", hint="save its state_dict() instead"
        )
    if len(pickles) > 1:
        raise UnsafeFileError(f"{mapped.name} holds {len(pickles)} pickles, one is expected")
    if not pickles or pickles[0].count("/") != 1:
        raise CorruptFileError(
            f"{mapped.name} is a zip archive but holds no weights", hint="if it is a package of files, unpack it first"
        )
    return pickles[0].split("/")[0]
