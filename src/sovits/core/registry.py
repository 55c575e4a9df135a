"""A registry maps names to lazy factories and facts about them; other packages add entries through entry points."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Generic, TypeVar

from sovits.core.errors import MissingDependencyError, OptionError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        target: ``"package.module:attribute"``, imported on first use only.
        facts: what can be said without importing (sample rate, widths, needed extra, needed weights).
        extra: the extra of this package that has to be installed, or an empty string.
    """

    target: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    extra: str = ""


class Registry(Generic[T]):
    """Names to factories of ``T``.

    Args:
        kind: what is registered, in words for messages ("pitch predictor").
        entries: the built-in table.
        group: entry-point group from which other packages may add names, for example ``sovits.pitch``.
    """

    def __init__(self, kind: str, entries: Mapping[str, Entry], group: str) -> None:
        self.kind = kind
        self.group = group
        self._entries = dict(entries)

    def _plugins(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.group)}

    def names(self) -> list[str]:
        """All names: ours in table order, then plug-ins (which cannot replace ours)."""
        return [*self._entries, *(name for name in self._plugins() if name not in self._entries)]

    def facts(self, name: str) -> Mapping[str, Any]:
        """Facts of a built-in entry; an empty mapping for a plug-in."""
        self._require(name)
        entry = self._entries.get(name)
        return entry.facts if entry else {}

    def extra(self, name: str) -> str:
        """The extra that ``name`` needs, or an empty string."""
        self._require(name)
        entry = self._entries.get(name)
        return entry.extra if entry else ""

    def factory(self, name: str) -> Callable[..., T]:
        """Import and return the factory behind ``name``.

        Raises:
            OptionError: no such name.
            MissingDependencyError: the entry needs a package that is not installed.
        """
        self._require(name)
        entry = self._entries.get(name)
        if entry is None:
            loaded: Callable[..., T] = self._plugins()[name].load()
            return loaded
        module, _, attribute = entry.target.partition(":")
        try:
            found: Callable[..., T] = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("sovits"):
                raise
            raise missing(error.name or "a package", f"{self.kind} '{name}'", entry.extra) from error
        return found

    def _require(self, name: str) -> None:
        known = self.names()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean '{close[0]}'? " if close else ""
            raise OptionError(f"unknown {self.kind} '{name}'", hint=f"{meant}known: {', '.join(known)}")


def missing(package: str, feature: str, extra: str) -> MissingDependencyError:
    """The error for a feature whose package is absent, with the command that mends it."""
    command = f'pip install "sovits[{extra}]"' if extra else f"pip install {package}"
    return MissingDependencyError(f"{feature} needs the package '{package}'", hint=f"install it with: {command}")
