"""How large a weight file and its parts may be. Every reader is given one :class:`Limits` and none goes beyond it."""

from __future__ import annotations

from dataclasses import dataclass

from sovits.core.errors import LimitExceededError

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds on what is read. The defaults hold every official file with room to spare.

    Attributes:
        file_bytes: the file itself.
        members: entries of a zip or tar archive.
        unpacked_bytes: compressed members of an archive after unpacking, together; others are mapped and do not count.
        header_bytes: a safetensors header.
        pickle_operations: opcodes of all pickles of one file together (an optimizer's state needs about 100 000).
        pickle_text_bytes: strings and small byte strings of all pickles together. Larger ones are mapped, not read.
        nodes: values in the tree that a pickle, a JSON header or a graph describes.
        nesting: depth of that tree.
        tensors: tensors in one file.
        native_bytes: memory of the child process in which native parsers run, above three times what it parses.
        native_seconds: wall-clock time of that child process.
    """

    file_bytes: int = 16 << 30
    members: int = 20_000
    unpacked_bytes: int = 32 * _MIB
    header_bytes: int = 2 * _MIB
    pickle_operations: int = 300_000
    pickle_text_bytes: int = 16 * _MIB
    nodes: int = 200_000
    nesting: int = 64
    tensors: int = 20_000
    native_bytes: int = 1024 * _MIB
    native_seconds: float = 60.0


DEFAULT = Limits()


def check(value: int, limit: int, what: str, where: str) -> None:
    """Raise :class:`LimitExceededError` if ``value`` is above ``limit``."""
    if value > limit:
        raise LimitExceededError(
            f"{where}: {what} is {value:,}, the limit is {limit:,}",
            hint="official files stay far below; if you trust this one, pass larger Limits to read()",
        )


class Budget:
    """A number that only goes down; spending more than there is raises :class:`LimitExceededError`."""

    def __init__(self, amount: int, what: str, where: str) -> None:
        self.left = amount
        self._amount, self._what, self._where = amount, what, where

    def spend(self, amount: int = 1) -> None:
        """Take ``amount`` out of the budget."""
        self.left -= amount
        if self.left < 0:
            check(self._amount + 1, self._amount, self._what, self._where)
