"""Option types to command-line flags: names, help, defaults, ranges and units all come from the fields themselves.

``@takes(ConvertOptions)`` above a command replaces its parameter ``options: ConvertOptions`` by one flag per field
and a ``--config FILE``. The values are checked by the option type, so a flag, a configuration file and a call from
Python are refused with the same words.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from sovits.core.strict import Strict, read_mapping

S = TypeVar("S", bound=Strict)

#: What the fields of a nested option type begin with: ``pitch.method`` is ``--f0-method``.
_PREFIXES = {"pitch": "f0"}


@dataclass(frozen=True)
class Flag:
    """One field of an option type as a flag.

    Attributes:
        path: names of the fields that lead to it, ``("pitch", "method")``.
        name: ``f0-method``, without dashes in front.
        field: the pydantic field.
    """

    path: tuple[str, ...]
    name: str
    field: FieldInfo

    @property
    def parameter(self) -> str:
        """Its name as a Python parameter."""
        return self.name.replace("-", "_")

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The alternatives of its type, without ``None``."""
        kind = self.field.annotation
        options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
        return tuple(option for option in options if option is not type(None))

    @property
    def is_switch(self) -> bool:
        """Whether it is a plain yes or no."""
        return self.kinds == (bool,)

    @property
    def is_list(self) -> bool:
        """Whether the flag may be given several times."""
        return get_origin(self.kinds[0]) in (list, tuple)

    @property
    def is_clearable(self) -> bool:
        """Whether "none" takes back a default: the type allows ``None``, and that is not the default already."""
        return type(None) in get_args(self.field.annotation) and self.field.default is not None

    @property
    def metavar(self) -> str:
        """What stands for the value in help: choices, or the kind of value."""
        words: list[str] = []
        for kind in self.kinds:
            if get_origin(kind) is Literal:
                words.extend(str(choice) for choice in get_args(kind))
            else:
                words.append({float: "NUMBER", int: "INTEGER", str: "TEXT", Path: "PATH"}.get(kind, "VALUE"))
        if self.is_clearable:
            words.append("none")
        return "|".join(words)

    @property
    def range(self) -> str:
        """The allowed range in words, or an empty string."""
        bounds = {
            name: getattr(rule, name)
            for rule in self.field.metadata
            for name in ("ge", "gt", "le", "lt")
            if hasattr(rule, name)
        }
        low = f"{bounds['ge']:g}" if "ge" in bounds else f"above {bounds['gt']:g}" if "gt" in bounds else ""
        high = f"{bounds['le']:g}" if "le" in bounds else f"below {bounds['lt']:g}" if "lt" in bounds else ""
        if low and high:
            return f"{low} to {high}"
        if low:
            return low if low.startswith("above") else f"from {low}"
        return high if high.startswith("below") else f"up to {high}" if high else ""

    @property
    def unit(self) -> str:
        """The unit of the value, or an empty string."""
        extra = self.field.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def default(self) -> str:
        """The default in words."""
        value = self.field.get_default(call_default_factory=True, validated_data={})
        if value is None:
            return "not given"
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:g}" if isinstance(value, float) else str(value)

    @property
    def help(self) -> str:
        """One paragraph: the text of the field, then default, range and unit."""
        facts = [f"default: {self.default}", self.range, self.unit]
        return f"{self.field.description or ''} [{'; '.join(fact for fact in facts if fact)}]"


def flags_of(kind: type[Strict], prefix: str = "", path: tuple[str, ...] = ()) -> Iterator[Flag]:
    """All fields of an option type, nested ones included, in the order they are declared."""
    for name, field in kind.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Strict):
            yield from flags_of(field.annotation, _PREFIXES.get(name, name), here)
            continue
        plain = name.replace("_", "-")
        # f0_min inside the prefix "f0" stays --f0-min.
        doubled = not prefix or plain.startswith(f"{prefix}-")
        yield Flag(here, plain if doubled else f"{prefix}-{plain}", field)


def gather(kind: type[S], given: Mapping[str, Any], config: Path | None) -> S:
    """An option value from flags (by parameter name, ``None`` where not given) over a configuration file.

    Raises:
        OptionError: an unknown key or a wrong value.
        PathError: no such configuration file.
    """
    values: dict[str, Any] = read_mapping(config) if config is not None else {}
    used = False
    for flag in flags_of(kind):
        value = given.get(flag.parameter)
        if value is None or value == []:
            continue
        if flag.is_clearable and value == "none":
            value = None
        used = True
        target = values
        for step in flag.path[:-1]:
            inner = target.get(step)
            target[step] = dict(inner) if isinstance(inner, Mapping) else {}
            target = target[step]
        target[flag.path[-1]] = value
    sources = [str(config)] if config is not None else []
    return kind.build(values, where=" and ".join([*sources, *(["command line"] if used else [])]))


def takes(kind: type[S], parameter: str = "options") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of ``kind``; it receives the checked value as ``parameter``."""
    flags = list(flags_of(kind))

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [item for item in signature.parameters.values() if item.name != parameter]
        added = [_parameter(flag) for flag in flags] + [_config_parameter()]

        @functools.wraps(command)
        def wrapper(**values: Any) -> Any:
            config = values.pop("config")
            given = {flag.parameter: values.pop(flag.parameter) for flag in flags}
            return command(**values, **{parameter: gather(kind, given, config)})

        everything = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in [*own, *added]]
        wrapper.__signature__ = signature.replace(parameters=everything)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in everything}
        return wrapper

    return decorate


def _parameter(flag: Flag) -> inspect.Parameter:
    names = f"--{flag.name}/--no-{flag.name}" if flag.is_switch else f"--{flag.name}"
    kind: Any = bool | None if flag.is_switch else list[str] | None if flag.is_list else str | None
    metavar = None if flag.is_switch else flag.metavar
    option = typer.Option(names, help=flag.help, metavar=metavar, show_default=False)
    return _keyword(flag.parameter, Annotated[kind, option])


def _config_parameter() -> inspect.Parameter:
    option = typer.Option(
        "--config", help="read these options from a YAML, JSON or TOML file; flags win", metavar="FILE"
    )
    return _keyword("config", Annotated[Path | None, option])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
