"""Strict typed configuration: unknown keys are refused with "did you mean", wrong values with their range and unit."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sovits.core.errors import OptionError, PathError

#: Characters of a wrong value that a message shows.
_LONGEST = 80


class Strict(BaseModel):
    """Base of every configuration and option type: frozen, typed, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())

    @classmethod
    def build(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Make an instance from plain values.

        Args:
            values: field name to value.
            where: what the values come from (a file name, "command line"), named in messages.

        Raises:
            OptionError: an unknown key, a wrong type or a value out of range; every problem in one message.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise OptionError(explain(error, list(cls.model_fields), where)) from error

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a ``.json``, ``.toml``, ``.yaml`` or ``.yml`` file into an instance."""
        return cls.build(read_mapping(path), where=str(path))


def explain(error: ValidationError, known: list[str], where: str) -> str:
    """All problems of a validation in one readable sentence."""
    parts = []
    for problem in error.errors():
        name = ".".join(str(step) for step in problem["loc"]) or "value"
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(name, known, n=1)
            parts.append(f"unknown key '{name}'" + (f", did you mean '{close[0]}'?" if close else ""))
        else:
            message = problem["msg"].removeprefix("Value error, ")
            parts.append(f"{name}: {message}, got {_short(problem.get('input'))}")
    return (f"{where}: " if where else "") + "; ".join(parts)


def _short(value: object) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def read_mapping(path: Path) -> dict[str, Any]:
    """Parse a JSON, TOML or YAML file whose top level is a mapping.

    Raises:
        PathError: no such file.
        OptionError: not parseable, or the top level is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        beside = sorted(item.name for item in path.parent.glob("*")) if path.parent.is_dir() else []
        raise PathError(
            f"no such file: {path}", hint=f"the folder holds: {', '.join(beside[:12]) or 'nothing'}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PathError(f"cannot read {path}: {error}") from error
    try:
        if path.suffix == ".json":
            data = json.loads(text)
        elif path.suffix == ".toml":
            data = tomllib.loads(text)
        else:
            data = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise OptionError(f"{path} is not valid {path.suffix.lstrip('.')}: {error}") from error
    if not isinstance(data, dict):
        raise OptionError(f"{path}: expected a mapping of names to values, found {type(data).__name__}")
    return data
