"""The root of the command line."""

from __future__ import annotations

import signal

import pytest

import sovits
from sovits.cli import convert, lazy, main
from sovits.cli.signals import Interruption, Terminated
from sovits.core.errors import CancelledError
from tests.unit.cli.conftest import Cli


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"sovits {sovits.__version__}\n", "")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(cli: Cli, arguments: list[str]) -> None:
    code, out, err = cli(*arguments)
    assert (code, err) == (0, "")
    for name, (_, text) in lazy.COMMANDS.items():
        assert f"  {name} " in out
        assert " ".join(text.split()) in " ".join(out.split())


@pytest.mark.parametrize("name", [*lazy.COMMANDS, "models inspect"])
def test_every_command_has_help(cli: Cli, name: str) -> None:
    code, out, err = cli(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: sovits {name}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convrt"], "convert"),
        (["--colour"], "--colour"),
        (["convert", "--refrence", "x"], "--reference"),
        (["info"], "FILE"),
        (["convert", "one.wav"], "an input and an output"),
        (["f0", "x.wav", "--hop", "0"], "--hop"),
        (["convert", "a.wav", "b.wav"], "--reference"),
    ],
)
def test_usage_errors_are_one_line_and_a_hint(cli: Cli, arguments: list[str], words: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith("sovits: ")
    assert second.startswith("  hint: ")
    assert words in err


def test_an_unexpected_error_asks_for_a_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner")

    monkeypatch.setattr(convert, "chosen", broken)
    code, _, err = cli("convert", "a.wav", "b.wav")
    assert code == 1
    assert err.splitlines()[0] == "sovits: unexpected ZeroDivisionError: inner"
    assert "Traceback" not in err
    assert "Traceback" in cli("-vv", "convert", "a.wav", "b.wav").err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_signals_have_their_exit_codes(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, swallowed: bool
) -> None:
    def interrupted(session: main.Session, *_: object) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            if not swallowed:
                raise
        session.cancel.check()

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(convert, "chosen", interrupted)
    outcome = cli("convert", "a.wav", "b.wav")
    assert outcome.code == code
    assert outcome.err in ("sovits: interrupted\n", "sovits: terminated\n")
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_impatience_does_not_cut_the_clean_up_short() -> None:
    interruption = Interruption()
    with pytest.raises(Terminated):
        interruption.handle(signal.SIGTERM, None)
    interruption.handle(signal.SIGTERM, None)
    interruption.handle(signal.SIGINT, None)
    with pytest.raises(CancelledError):
        interruption.cancel.check()
