"""The whole exception tree of sovits.

::

    SovitsError
    ├── InputError                what the user gave cannot be used as it is
    │   ├── OptionError           an option, flag or configuration value
    │   ├── PathError             missing file, folder given for a file, no permission to read
    │   ├── AudioError            audio that cannot be read, or holds nothing to work on
    │   ├── VoiceError            unknown voice, or a voice that lacks what the engine needs
    │   └── CheckpointError       a weight file
    │       ├── CorruptFileError      truncated, inconsistent or not what its name says
    │       ├── UnsafeFileError       asks for code to be run, or refers outside itself
    │       ├── LimitExceededError    larger than the stated limits
    │       └── WrongModelError       readable, but not the kind or version that is wanted
    ├── MissingDependencyError    a package or extra that is not installed
    ├── MissingWeightsError       an official weight file that is not on this machine
    ├── OutputError               the result cannot be written (permission, full disk)
    ├── ResourceError             memory, time or a device ran out
    └── CancelledError            the caller asked to stop

Every class carries a stable ``code`` (for programs) and every instance a ``hint`` (for people: what to do next).
Exit codes are mapped in ``cli/failures.py`` and nowhere else.
"""

from __future__ import annotations


class SovitsError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: what happened, naming the file or value it is about.
        hint: what the user can do about it; one sentence, empty if there is nothing to add.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Keeps the hint when an error crosses a process boundary.
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[SovitsError], message: str, hint: str) -> SovitsError:
    return kind(message, hint=hint)


class InputError(SovitsError):
    """What the user gave cannot be used as it is."""

    code = "input"


class OptionError(InputError):
    """An option, flag or configuration value is unknown, of the wrong type or out of range."""

    code = "option"


class PathError(InputError):
    """A path that is missing, of the wrong kind, or not readable."""

    code = "path"


class AudioError(InputError):
    """Audio that cannot be decoded, or that holds nothing to work on."""

    code = "audio"


class VoiceError(InputError):
    """A voice that does not exist or lacks what the engine needs."""

    code = "voice"


class CheckpointError(InputError):
    """A weight file that cannot be used."""

    code = "checkpoint"


class CorruptFileError(CheckpointError):
    """The file is truncated, inconsistent, or not what its name says."""

    code = "checkpoint_corrupt"


class UnsafeFileError(CheckpointError):
    """The file asks for code to be run or refers to something outside itself. It was not loaded."""

    code = "checkpoint_unsafe"


class LimitExceededError(CheckpointError):
    """The file, or one of its members, is larger than the stated limit."""

    code = "checkpoint_limit"


class WrongModelError(CheckpointError):
    """The file was read, but it is not the kind or version that is wanted here."""

    code = "checkpoint_kind"


class MissingDependencyError(SovitsError):
    """A package that this feature needs is not installed."""

    code = "missing_dependency"


class MissingWeightsError(SovitsError):
    """An official weight file is not on this machine."""

    code = "missing_weights"


class OutputError(SovitsError):
    """The result cannot be written."""

    code = "output"


class ResourceError(SovitsError):
    """Memory, time or a device ran out."""

    code = "resource"


class CancelledError(SovitsError):
    """The caller asked to stop; nothing half-written is left behind."""

    code = "cancelled"
