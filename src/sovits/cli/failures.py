"""Errors to exit codes and to one line on standard error. The only place that knows exit codes.

==== ==================================================================================
code meaning
==== ==================================================================================
0    done
1    an unexpected error: a bug of ours, please report it with the output of ``-vv``
2    a wrong option, flag, argument or configuration value
3    an input that is missing, not readable, no audio, or holds nothing to work on
4    a voice that is unknown or lacks recordings
5    a weight file that is missing, broken, unsafe or of the wrong kind
6    a package that is not installed
7    the result cannot be written
8    memory, time or a device ran out
9    several files were asked for and some of them failed (the others are done)
130  interrupted (Ctrl-C)
143  terminated (SIGTERM)
==== ==================================================================================
"""

from __future__ import annotations

import sys
import traceback
from typing import TextIO

from sovits.core import errors

OK, UNEXPECTED, USAGE, INPUT, VOICE, WEIGHTS, DEPENDENCY, OUTPUT, RESOURCE, SOME_FAILED = range(10)
INTERRUPTED, TERMINATED = 130, 143

#: The nearest class of an error's ancestry decides.
_CODES: dict[type[BaseException], int] = {
    errors.InputError: INPUT,
    errors.OptionError: USAGE,
    errors.VoiceError: VOICE,
    errors.CheckpointError: WEIGHTS,
    errors.MissingWeightsError: WEIGHTS,
    errors.MissingDependencyError: DEPENDENCY,
    errors.OutputError: OUTPUT,
    errors.ResourceError: RESOURCE,
    errors.CancelledError: INTERRUPTED,
    MemoryError: RESOURCE,
    KeyboardInterrupt: INTERRUPTED,
}


def exit_code(error: BaseException) -> int:
    """The exit code of an error."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), UNEXPECTED)


def printable(text: str) -> str:
    """``text`` on one line: control characters (a path may hold newlines and terminal codes) become escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def describe(error: BaseException) -> list[str]:
    """What to say about an error: one line, and a second one with the hint if there is any."""
    if isinstance(error, errors.SovitsError):
        lines = [printable(error.message)]
        if error.hint:
            lines.append(f"  hint: {printable(error.hint)}")
        return lines
    if isinstance(error, MemoryError):
        return ["not enough memory", "  hint: use fewer --jobs or a smaller --window"]
    return [
        printable(f"unexpected {type(error).__name__}: {error}"),
        "  hint: this is a bug; run again with -vv and report what it prints",
    ]


def report(error: BaseException, *, verbosity: int = 0, stream: TextIO | None = None) -> int:
    """Say what went wrong on standard error and return the exit code; the traceback only with ``-vv``."""
    stream = stream or sys.stderr
    if verbosity >= 2:
        traceback.print_exception(error, file=stream)
    first, *rest = describe(error)
    print(f"sovits: {first}", *rest, sep="\n", file=stream, flush=True)
    return exit_code(error)
