"""A pickle machine of our own that cannot run anything.

Python's ``pickle`` calls whatever a file names. This machine executes the opcodes that official files use, over a
closed table of names (:mod:`~sovits.core.checkpoint.containers`): a name outside the table ends the reading, and what
is inside stands for inert values. REDUCE and NEWOBJ call nothing but the builders of that table, BUILD sets state on
our own placeholders only, and counts, lengths and nesting are bounded by :class:`Limits`. The opcodes are those of
Python's ``pickletools`` documentation, protocols 2 to 5, and the few of protocol 1 that older files hold.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

from sovits.core.checkpoint.limits import Budget, Limits
from sovits.core.errors import CorruptFileError, UnsafeFileError

#: Byte strings above this length stay a view of the file (numbers of an array, an index).
_INLINE_BYTES = 32
#: Texts above this length may only be bytes in disguise.
_INLINE_TEXT = 1 << 20
_LONG_BYTES = 16
_SCALARS = (str, int, float, bool, bytes, type(None))


class LongText:
    """A text too long to be a name or a setting, not decoded: only ``_codecs.encode`` may take it."""

    def __init__(self, data: memoryview) -> None:
        self.data = data


class Buildable(ABC):
    """Base of the placeholders that BUILD may give a state to."""

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the state that the file holds for this object."""


class Name:
    """What a GLOBAL of the closed table stands for.

    Attributes:
        title: ``module.name`` as the file spells it.
        call: what REDUCE and NEWOBJ do with the arguments; ``None`` if the name may only be mentioned.
        holds: any fact that builders look up, for example the number format of a storage type.
    """

    def __init__(self, title: str, call: Callable[..., Any] | None = None, holds: Any = None) -> None:
        self.title, self.call, self.holds = title, call, holds


class Budgets:
    """What all pickles of one file may use together."""

    def __init__(self, limits: Limits, where: str) -> None:
        self.operations = Budget(limits.pickle_operations, "the number of pickle operations", where)
        self.text = Budget(limits.pickle_text_bytes, "the text in its pickles, in bytes,", where)


class Machine:
    """Executes one pickle.

    Args:
        data: the bytes; the pickle starts at ``start`` and :attr:`position` is behind it after :meth:`run`.
        find: module and name to the :class:`Name` it stands for; raises for anything outside the closed table.
        persistent: a persistent identifier to the value it stands for.
    """

    def __init__(
        self,
        data: memoryview,
        start: int,
        find: Callable[[str, str], Name],
        persistent: Callable[[Any], Any] | None,
        budgets: Budgets,
        where: str,
    ) -> None:
        self.position = start
        self._data, self._find, self._persistent = data, find, persistent
        self._budgets, self._where = budgets, where
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value of the pickle.

        Raises:
            UnsafeFileError: it names something outside the closed table.
            CorruptFileError: it is truncated or makes no sense.
            LimitExceededError: it is larger than the limits.
        """
        table, spend = _TABLE, self._budgets.operations.spend
        try:
            while True:
                spend()
                code = self._data[self.position]
                self.position += 1
                if code == 0x2E:  # STOP
                    return self._stack.pop()
                action = table[code]
                if action is None:
                    self._refuse(code)
                action(self)
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            raise CorruptFileError(
                f"{self._where}: the pickle inside is truncated or corrupt near byte {self.position}",
                hint="download it again",
            ) from error

    def _refuse(self, code: int) -> NoReturn:
        if code in _CODE_LOADING:
            raise UnsafeFileError(
                f"{self._where}: the pickle opcode {_CODE_LOADING[code]} is not executed", hint=_UNSAFE_HINT
            )
        raise CorruptFileError(f"{self._where}: not a pickle of a known kind (opcode {code:#04x})")

    # -- reading the stream

    def _take(self, length: int) -> memoryview:
        end = self.position + length
        if length < 0 or end > len(self._data):
            raise IndexError("end of data")
        piece = self._data[self.position : end]
        self.position = end
        return piece

    def _number(self, layout: str) -> int:
        value: int = struct.unpack("<" + layout, self._take(struct.calcsize(layout)))[0]
        return value

    def _line(self) -> str:
        for end in range(self.position, min(self.position + 512, len(self._data))):
            if self._data[end] == 0x0A:
                text = bytes(self._data[self.position : end]).decode("utf-8")
                self.position = end + 1
                return text
        raise ValueError("no end of line")

    def _text(self, length: int) -> None:
        piece = self._take(length)
        if length > _INLINE_TEXT:
            self._stack.append(LongText(piece))
            return
        self._budgets.text.spend(length)
        self._stack.append(bytes(piece).decode("utf-8", "surrogatepass"))

    def _bytes(self, length: int) -> None:
        piece = self._take(length)
        if length > _INLINE_BYTES:
            self._stack.append(piece)
            return
        self._budgets.text.spend(length)
        self._stack.append(bytes(piece))

    def _old_string(self, length: int) -> None:
        # Python 2 byte strings: names and settings in files of 2016 and 2017
        piece = self._take(length)
        self._budgets.text.spend(length)
        self._stack.append(bytes(piece).decode("latin-1"))

    def _long(self, length: int) -> None:
        if length > _LONG_BYTES:
            raise ValueError("an integer of more than 128 bits")
        self._stack.append(int.from_bytes(self._take(length), "little", signed=True))

    # -- the stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._to_mark()

    def _pop_mark(self) -> None:
        self._to_mark()

    def _protocol(self) -> None:
        if self._number("B") > 5:
            raise ValueError("a protocol from the future")

    def _frame(self) -> None:
        self._number("Q")  # only a hint for buffering

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("stack")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _put(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def _get(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError("append to something that is no list")
        target.extend(items)

    def _add(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not set:
            raise TypeError("add to something that is no set")
        target.update(_key(item) for item in items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError("items for something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _set_one(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def _dict(self) -> None:
        items = self._to_mark()
        self._stack.append({})
        self._set(items)

    # -- names and objects

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name that is no text")
        self._stack.append(self._find(module, name))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _instance(self) -> None:
        self._find(self._line(), self._line())  # INST: name the class in the refusal
        self._refuse(0x69)

    def _reduce(self) -> None:
        arguments, target = self._stack.pop(), self._stack.pop()
        if not isinstance(target, Name) or type(arguments) is not tuple:
            raise TypeError("a call of something that is no name")
        if target.call is None:
            raise UnsafeFileError(f"{self._where}: '{target.title}' is not called", hint=_UNSAFE_HINT)
        self._stack.append(target.call(*arguments))

    def _reduce_keywords(self) -> None:
        if self._stack.pop():
            raise TypeError("keyword arguments")
        self._reduce()

    def _build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) is dict:
            return  # attributes of an OrderedDict, such as the _metadata of a state dict: nobody reads them
        if not isinstance(target, Buildable):
            raise TypeError("a state for something that takes none")
        target.build(state)

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise ValueError("a persistent identifier outside a torch file")
        self._stack.append(self._persistent(self._stack.pop()))


_UNSAFE_HINT = "get the file from its official source; a file that needs this cannot be told from an attack"
_CODE_LOADING = {0x69: "INST", 0x6F: "OBJ", 0x50: "PERSID", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x97: "BUFFER"}


def _key(value: Any) -> Any:
    # Hashing nested tuples that share parts takes exponential time, so keys are scalars or short tuples of scalars.
    if isinstance(value, _SCALARS):
        return value
    if type(value) is tuple and len(value) <= 8 and all(isinstance(item, _SCALARS) for item in value):
        return value
    raise TypeError("a key that is no plain value")


def _table() -> list[Callable[[Machine], None] | None]:
    m = Machine

    def push(value: Any) -> Callable[[Machine], None]:
        return lambda s: s._push(value)

    actions: dict[str, Callable[[Machine], None]] = {
        "80 PROTO": m._protocol,
        "95 FRAME": m._frame,
        "28 MARK": m._mark,
        "30 POP": m._pop,
        "31 POP_MARK": m._pop_mark,
        "32 DUP": lambda s: s._push(s._stack[-1]),
        "4e NONE": push(None),
        "88 NEWTRUE": push(True),
        "89 NEWFALSE": push(False),
        "4b BININT1": lambda s: s._push(s._number("B")),
        "4d BININT2": lambda s: s._push(s._number("H")),
        "4a BININT": lambda s: s._push(s._number("i")),
        "8a LONG1": lambda s: s._long(s._number("B")),
        "8b LONG4": lambda s: s._long(s._number("I")),
        "47 BINFLOAT": lambda s: s._push(struct.unpack(">d", s._take(8))[0]),
        "58 BINUNICODE": lambda s: s._text(s._number("I")),
        "8c SHORT_BINUNICODE": lambda s: s._text(s._number("B")),
        "8d BINUNICODE8": lambda s: s._text(s._number("Q")),
        "42 BINBYTES": lambda s: s._bytes(s._number("I")),
        "43 SHORT_BINBYTES": lambda s: s._bytes(s._number("B")),
        "8e BINBYTES8": lambda s: s._bytes(s._number("Q")),
        "96 BYTEARRAY8": lambda s: s._bytes(s._number("Q")),
        "54 BINSTRING": lambda s: s._old_string(s._number("I")),
        "55 SHORT_BINSTRING": lambda s: s._old_string(s._number("B")),
        "5d EMPTY_LIST": lambda s: s._push([]),
        "6c LIST": lambda s: s._push(s._to_mark()),
        "61 APPEND": lambda s: s._extend([s._stack.pop()]),
        "65 APPENDS": lambda s: s._extend(s._to_mark()),
        "29 EMPTY_TUPLE": push(()),
        "74 TUPLE": lambda s: s._push(tuple(s._to_mark())),
        "85 TUPLE1": lambda s: s._tuple(1),
        "86 TUPLE2": lambda s: s._tuple(2),
        "87 TUPLE3": lambda s: s._tuple(3),
        "7d EMPTY_DICT": lambda s: s._push({}),
        "64 DICT": m._dict,
        "73 SETITEM": m._set_one,
        "75 SETITEMS": lambda s: s._set(s._to_mark()),
        "8f EMPTY_SET": lambda s: s._push(set()),
        "90 ADDITEMS": lambda s: s._add(s._to_mark()),
        "91 FROZENSET": lambda s: s._push({_key(item) for item in s._to_mark()}),
        "71 BINPUT": lambda s: s._put(s._number("B")),
        "72 LONG_BINPUT": lambda s: s._put(s._number("I")),
        "94 MEMOIZE": lambda s: s._put(len(s._memo)),
        "68 BINGET": lambda s: s._get(s._number("B")),
        "6a LONG_BINGET": lambda s: s._get(s._number("I")),
        "63 GLOBAL": lambda s: s._global(s._line(), s._line()),
        "93 STACK_GLOBAL": m._stack_global,
        "69 INST": m._instance,
        "52 REDUCE": m._reduce,
        "81 NEWOBJ": m._reduce,
        "92 NEWOBJ_EX": m._reduce_keywords,
        "62 BUILD": m._build,
        "51 BINPERSID": m._persistent_id,
    }
    table: list[Callable[[Machine], None] | None] = [None] * 256
    for title, action in actions.items():
        table[int(title[:2], 16)] = action
    return table


_TABLE = _table()
