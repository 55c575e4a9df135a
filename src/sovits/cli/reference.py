"""All option types as Markdown: ``python -m sovits.cli.reference [FILE]`` writes docs/options.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sovits.cli.flags import Flag, flags_of
from sovits.core.atomic import replacing
from sovits.core.strict import Strict

_HEAD = """# Options

Every option with its default, range and unit. This page is written by `python -m sovits.cli.reference docs/options.md`
from the option types themselves, and a test holds it current.

A name with dots is the key in a configuration file (`--config`, YAML, JSON or TOML, nested at the dots) and the field
of the Python type; the flag is what the command line calls it.
"""


def option_types() -> list[tuple[str, type[Strict]]]:
    """The option types, with the commands that take them."""
    from sovits.options.convert import ConvertOptions
    from sovits.options.pitch import PitchOptions
    from sovits.options.slicing import SliceOptions
    from sovits.options.svc import SvcOptions

    return [
        ("`sovits convert` for voices of recordings", ConvertOptions),
        ("`sovits convert` for voices with a trained model", SvcOptions),
        ("`sovits f0`", PitchOptions),
        ("`sovits slice`", SliceOptions),
    ]


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for command, kind in option_types():
        text = (kind.__doc__ or "").strip().splitlines()[0]
        parts.append(f"\n## {kind.__name__}\n\n{text} Taken by {command}.\n\n")
        parts.append("\n".join(_table(list(flags_of(kind)))) + "\n")
    return "".join(parts)


def _table(flags: list[Flag]) -> Iterator[str]:
    yield "| flag | name | value | default | range | unit | meaning |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for flag in flags:
        cells = [
            f"`--{flag.name}`",
            f"`{'.'.join(flag.path)}`",
            "on or off" if flag.is_switch else flag.metavar.lower().replace("|", ", "),
            flag.default,
            flag.range,
            flag.unit,
            (flag.field.description or "").replace("|", "\\|"),
        ]
        yield f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> None:
    """Write the page to a file, or to standard output."""
    if arguments:
        with replacing(Path(arguments[0])) as part:
            part.write_text(markdown(), encoding="utf-8")
    else:
        sys.stdout.write(markdown())


if __name__ == "__main__":
    main(sys.argv[1:])
