"""The root of the command line: global flags, signals, and the one place where an error becomes an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer
import typer.main

from sovits.cli import failures
from sovits.cli.lazy import LazyGroup
from sovits.cli.session import Session
from sovits.cli.signals import interruptible
from sovits.core import logs

app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sovits import __version__

        typer.echo(f"sovits {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done, 2 usage, 3 input, 4 voice, 5 weights, 6 package missing, 7 output, 8 resources, "
    "9 some of several files failed, 130 interrupted, 143 terminated, 1 unexpected."
)
def root(
    context: typer.Context,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, show_default=False, help="say more; -vv shows tracebacks")
    ] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="say nothing but errors")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="draw no progress bars")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and leave")
    ] = False,
) -> None:
    """Voices that sing and speak: convert recordings into another voice."""
    session: Session = context.obj
    session.verbosity = -1 if quiet else verbose
    session.show_progress = not no_progress
    logs.configure(session.verbosity)


def run(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code; never raises and never calls ``sys.exit``.

    Args:
        argv: the arguments after the program's name; those of the process if not given.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        # A path may hold bytes or signs that the terminal's encoding lacks: show an escape instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    stdout = sys.stdout
    with interruptible() as interruption:
        session = Session(cancel=interruption.cancel)
        try:
            code = _invoke(arguments, session)
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit):
            # The reader of our output went away (`| head`): quietly done. The parser makes a SystemExit of it and wraps
            # the stream.
            sys.stdout = stdout
            _silence_stdout()
            code = failures.OK
        except KeyboardInterrupt:
            code = failures.INTERRUPTED
        except BaseException as error:
            code = failures.INTERRUPTED if interruption.cancel.cancelled else _report(error, session)
        finally:
            # Typer turns KeyboardInterrupt into an exit of its own, past which nothing here may be interrupted again.
            with contextlib.suppress(KeyError):
                session.__dict__["progress"].close()
        if code == failures.INTERRUPTED:
            if interruption.terminated:
                code = failures.TERMINATED
            typer.echo("sovits: terminated" if interruption.terminated else "sovits: interrupted", err=True)
    return code


def _invoke(arguments: list[str], session: Session) -> int:
    command: Any = typer.main.get_command(app)
    if not arguments:
        arguments = ["--help"]
    result = command.main(
        args=arguments, prog_name="sovits", standalone_mode=False, windows_expand_args=False, obj=session
    )
    return result if isinstance(result, int) else failures.OK


def _report(error: BaseException, session: Session) -> int:
    context = getattr(error, "ctx", None)
    if hasattr(error, "format_message"):  # a usage error of the parser: wrong flag, missing argument
        from sovits.core.errors import OptionError

        path = context.command_path if context is not None else "sovits"
        error = OptionError(error.format_message(), hint=f"see: {path} --help")
    return failures.report(error, verbosity=session.verbosity)


def _silence_stdout() -> None:
    """Let what is still buffered for a closed pipe go nowhere: the interpreter's last flush would complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
