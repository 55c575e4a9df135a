"""One line, a hint and the documented exit code for every class of error."""

from __future__ import annotations

import io
import re

import pytest

from sovits.cli import failures
from sovits.core import errors

CODES = {
    errors.OptionError: 2,
    errors.PathError: 3,
    errors.AudioError: 3,
    errors.InputError: 3,
    errors.VoiceError: 4,
    errors.CheckpointError: 5,
    errors.CorruptFileError: 5,
    errors.UnsafeFileError: 5,
    errors.LimitExceededError: 5,
    errors.WrongModelError: 5,
    errors.MissingWeightsError: 5,
    errors.MissingDependencyError: 6,
    errors.OutputError: 7,
    errors.ResourceError: 8,
    errors.CancelledError: 130,
}


def subclasses(kind: type[errors.SovitsError]) -> set[type[errors.SovitsError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_class_has_a_code_of_its_own_kind() -> None:
    ours = {kind for kind in subclasses(errors.SovitsError) if kind.__module__ == errors.__name__}
    assert ours == set(CODES) | {errors.SovitsError}
    for kind, code in CODES.items():
        assert failures.exit_code(kind("x")) == code


def test_every_code_is_documented() -> None:
    documented = {int(code) for code in re.findall(r"^(\d+) ", failures.__doc__ or "", re.MULTILINE)}
    assert documented == {0, 1, *CODES.values(), failures.SOME_FAILED, failures.TERMINATED}


@pytest.mark.parametrize(("error", "code"), [(ValueError("x"), 1), (MemoryError(), 8), (KeyboardInterrupt(), 130)])
def test_foreign_errors(error: BaseException, code: int) -> None:
    assert failures.exit_code(error) == code


def test_a_report_is_one_line_and_a_hint() -> None:
    stream = io.StringIO()
    error = errors.PathError("no such file: a\nb\x1b[31m.wav", hint="give\nanother")
    assert failures.report(error, stream=stream) == 3
    assert stream.getvalue() == "sovits: no such file: a\\nb\\x1b[31m.wav\n  hint: give\\nanother\n"


def int_of(text: str) -> int:
    return int(text)


def test_tracebacks_only_on_demand() -> None:
    for verbosity, shown in ((0, False), (1, False), (2, True)):
        stream = io.StringIO()
        with pytest.raises(ValueError, match="inner") as caught:
            int_of("inner")
        assert failures.report(caught.value, verbosity=verbosity, stream=stream) == 1
        assert ("Traceback" in stream.getvalue()) is shown
        assert "unexpected ValueError: " in stream.getvalue()


def test_names_of_any_script_stay_readable() -> None:
    assert failures.printable("数据 é 'x' $(y).wav") == "数据 é 'x' $(y).wav"
    assert failures.printable("a\udcffb") == "a\\udcffb"
