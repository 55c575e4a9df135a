"""Option types to command-line flags: names, help, defaults, ranges and units all come from the fields themselves.

``@takes(ConvertOptions)`` above a command replaces its parameter ``options: ConvertOptions`` by one flag per field
and a ``--config FILE``. The values are checked by the option type, so a flag, a configuration file and a call from
Python are refused with the same words.
"""

from __future__ import annotations

import functools
import inspect
import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from sovits.core.errors import OptionError
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
    def is_mapping(self) -> bool:
        """Whether its values are ``NAME=VALUE``, one per name."""
        return get_origin(self.kinds[0]) is dict

    @property
    def is_clearable(self) -> bool:
        """Whether "none" takes back a default: the type allows ``None``, and that is not the default already."""
        return type(None) in get_args(self.field.annotation) and self.field.default is not None

    @property
    def metavar(self) -> str:
        """What stands for the value in help: choices, or the kind of value."""
        words: list[str] = []
        if self.is_mapping:
            return "NAME=VALUE"
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
        if flag.is_mapping and value is not None:
            value = dict(_pair(flag, item) for item in value)
        target = values
        for step in flag.path[:-1]:
            inner = target.get(step)
            target[step] = dict(inner) if isinstance(inner, Mapping) else {}
            target = target[step]
        target[flag.path[-1]] = value
    sources = [str(config)] if config is not None else []
    return kind.build(values, where=" and ".join([*sources, *(["command line"] if used else [])]))


def _pair(flag: Flag, text: str) -> tuple[str, Any]:
    """``NAME=VALUE``; a value in brackets is JSON."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise OptionError(f"command line: --{flag.name} takes NAME=VALUE, got '{text}'", hint="give it once per name")
    if not value.lstrip().startswith("["):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise OptionError(f"command line: --{flag.name}: {value} is no valid JSON: {error}") from error


@dataclass(frozen=True)
class Given:
    """Flags and configuration file of a command that learns later which option type they are for.

    Attributes:
        values: by parameter name, ``None`` or an empty list where not given.
        config: the configuration file.
    """

    values: Mapping[str, Any]
    config: Path | None = None

    def build(self, kind: type[S], use: str) -> S:
        """The checked options.

        Args:
            use: what they are for, as in "does not apply to ...".

        Raises:
            OptionError: a flag that ``kind`` does not have; else as :func:`gather`.
        """
        known = {flag.parameter for flag in flags_of(kind)}
        for name, value in self.values.items():
            if name not in known and value is not None and value != []:
                raise OptionError(f"--{name.replace('_', '-')} does not apply to {use}", hint="leave it out")
        return gather(kind, self.values, self.config)


def takes_either(
    first: type[Strict], second: type[Strict], use: str, parameter: str = "given"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of two option types; it receives a :class:`Given` as ``parameter``.

    Args:
        use: when the second type counts, said in the help of its flags.
    """
    flags = {flag.parameter: flag for flag in flags_of(first)}
    help_texts = {name: flag.help for name, flag in flags.items()}
    for flag in flags_of(second):
        one = flags.setdefault(flag.parameter, flag)
        if one is flag:
            help_texts[flag.parameter] = f"{use}: {flag.help}"
        elif one.default != flag.default:
            help_texts[flag.parameter] += f" ({use}: {flag.default})"

    def build(values: dict[str, Any], config: Path | None) -> Given:
        return Given(values, config)

    return _taking([(flag, help_texts[name]) for name, flag in flags.items()], parameter, build)


def takes(kind: type[S], parameter: str = "options") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags of ``kind``; it receives the checked value as ``parameter``."""
    return _taking(
        [(flag, flag.help) for flag in flags_of(kind)],
        parameter,
        lambda values, config: gather(kind, values, config),
    )


def _taking(
    flags: Sequence[tuple[Flag, str]], parameter: str, build: Callable[[dict[str, Any], Path | None], Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)
        own = [item for item in signature.parameters.values() if item.name != parameter]
        added = [_parameter(flag, text) for flag, text in flags] + [_config_parameter()]

        @functools.wraps(command)
        def wrapper(**values: Any) -> Any:
            config = values.pop("config")
            given = {flag.parameter: values.pop(flag.parameter) for flag, _ in flags}
            return command(**values, **{parameter: build(given, config)})

        everything = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in [*own, *added]]
        wrapper.__signature__ = signature.replace(parameters=everything)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in everything}
        return wrapper

    return decorate


def _parameter(flag: Flag, text: str) -> inspect.Parameter:
    names = f"--{flag.name}/--no-{flag.name}" if flag.is_switch else f"--{flag.name}"
    several = flag.is_list or flag.is_mapping
    kind: Any = bool | None if flag.is_switch else list[str] | None if several else str | None
    metavar = None if flag.is_switch else flag.metavar
    option = typer.Option(names, help=text, metavar=metavar, show_default=False)
    return _keyword(flag.parameter, Annotated[kind, option])


def _config_parameter() -> inspect.Parameter:
    option = typer.Option(
        "--config", help="read these options from a YAML, JSON or TOML file; flags win", metavar="FILE"
    )
    return _keyword("config", Annotated[Path | None, option])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
