"""``sovits doctor``: what this installation has, what it lacks, and the command that mends it."""

from __future__ import annotations

import dataclasses
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Annotated, Literal

import typer

from sovits.cli import failures
from sovits.cli.session import Session, say, say_json
from sovits.core.device import choose, usable_cores
from sovits.core.errors import SovitsError
from sovits.settings import Settings

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: ``broken`` makes the exit code 1; ``missing`` is something that not everybody needs.
State = Literal["ok", "missing", "broken"]

#: What the plain install brings: name of the distribution -> name of the module.
_ESSENTIAL = {
    "numpy": "numpy",
    "scipy": "scipy",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "av": "av",
    "pyworld-prebuilt": "pyworld",
    "onnxruntime": "onnxruntime",
    "swift-f0": "swift_f0",
    "pydantic": "pydantic",
    "PyYAML": "yaml",
    "typer": "typer",
    "rich": "rich",
    "matplotlib": "matplotlib",
}
_EXTRAS = {"neural": {"torch": "torch"}}
_REINSTALL = "pip install --force-reinstall sovits"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: the group it belongs to.
        name: what was looked at.
        state: how it is.
        detail: version, path or reason.
        remedy: the command or step that mends it; empty where nothing is wrong.
    """

    topic: str
    name: str
    state: State
    detail: str
    remedy: str = ""


@app.command()
def doctor(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False) -> int:
    """Check this installation: versions, device, extras, weights and folders, and what mends what is missing.

    The exit code is 0 unless something that every command needs is broken.
    """
    session: Session = context.obj
    findings = list(examine(session))
    broken = any(finding.state == "broken" for finding in findings)
    if as_json:
        say_json({"ok": not broken, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        _print(findings)
        say("")
        say("something essential is broken" if broken else "everything that the plain install does will work")
    return failures.UNEXPECTED if broken else failures.OK


def examine(session: Session) -> Iterator[Finding]:
    """All findings, in the order they are printed."""
    yield from _system()
    yield from _packages()
    yield from _device()
    try:
        settings = session.settings
    except SovitsError as error:
        yield Finding("folders", "settings", "broken", error.message, error.hint or "correct the configuration file")
        return
    yield from _trackers(settings)
    yield from _folders(settings)


def _system() -> Iterator[Finding]:
    from sovits import __version__

    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("system", "sovits", "ok", __version__)
    yield Finding(
        "system",
        "Python",
        "ok" if supported else "broken",
        f"{platform.python_version()} ({sys.executable})",
        "" if supported else "use Python 3.11, 3.12 or 3.13",
    )
    yield Finding("system", "platform", "ok", platform.platform())
    yield Finding("system", "cores", "ok", str(usable_cores()))


def _packages() -> Iterator[Finding]:
    for distribution, module in _ESSENTIAL.items():
        yield _package(distribution, module, "")
    for extra, packages in _EXTRAS.items():
        for distribution, module in packages.items():
            yield _package(distribution, module, extra)


def _package(distribution: str, module: str, extra: str) -> Finding:
    topic = f"extra [{extra}]" if extra else "packages"
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        # A module may come from another distribution (pyworld instead of pyworld-prebuilt).
        version = "of another distribution"
    if _importable(module):
        return Finding(topic, distribution, "ok", version)
    command = f'pip install "sovits[{extra}]"' if extra else f"pip install {distribution}"
    return Finding(topic, distribution, "missing" if extra else "broken", "not installed", command)


def _importable(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ValueError:  # a module that was blocked on purpose
        return False


def _device() -> Iterator[Finding]:
    try:
        compute = choose()
        numbers = str(compute.dtype).removeprefix("torch.") if _importable("torch") else "float32"
    except Exception as error:  # a torch that is there but cannot load its libraries raises anything
        yield Finding("device", "device", "broken", str(error), 'pip install --force-reinstall "sovits[neural]"')
        return
    yield Finding("device", "device", "ok", f"{compute.device}, {numbers}, {compute.threads} threads")


def _trackers(settings: Settings) -> Iterator[Finding]:
    """Every pitch tracker, asked for as a command would ask for it."""
    from sovits.core.errors import MissingDependencyError, MissingWeightsError
    from sovits.options.pitch import PitchOptions
    from sovits.zoo.tables import PITCH, pitch_predictor

    for name in PITCH.names():
        try:
            pitch_predictor(PitchOptions(method=name), models=settings.models)
        except (MissingDependencyError, MissingWeightsError) as error:
            yield Finding("pitch trackers", name, "missing", error.message, error.hint)
        except Exception as error:  # a plug-in raises anything, and a doctor does not faint
            state: State = "missing" if PITCH.extra(name) else "broken"
            yield Finding("pitch trackers", name, state, f"{type(error).__name__}: {error}", _REINSTALL)
        else:
            yield Finding("pitch trackers", name, "ok", "ready")


def _folders(settings: Settings) -> Iterator[Finding]:
    for name in ("home", "models", "voices"):
        yield _folder(name, getattr(settings, name))
    yield _folder("current folder", Path.cwd())


def _folder(name: str, folder: Path) -> Finding:
    """Whether a folder can be written, tried out where it exists; else whether it can be made."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        return Finding("folders", name, "missing", f"{nearest} is a file", "move the file away, or set SOVITS_HOME")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        return Finding("folders", name, "missing", f"{folder}: {error.strerror}", "set SOVITS_HOME to another folder")
    return Finding("folders", name, "ok", f"{folder}{'' if folder == nearest else ' (made when needed)'}")


def _print(findings: list[Finding]) -> None:
    topic = ""
    for finding in findings:
        if finding.topic != topic:
            topic = finding.topic
            say(topic)
        say(f"  {finding.state:8}{finding.name}: {finding.detail}")
        if finding.remedy:
            say(f"          -> {finding.remedy}")
