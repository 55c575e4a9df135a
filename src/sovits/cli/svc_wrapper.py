"""``so-vits-infer INPUT OUTPUT MODEL [CONFIG]``: one recording in the voice of a so-vits-svc model, by its name.

For scripts and services. Where it fails, the exit code is not 0 (the codes are those of ``sovits``), standard error
holds exactly one line, and no half-written output stays behind.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from sovits.cli import failures
from sovits.cli.signals import interruptible
from sovits.core import logs
from sovits.core.errors import OptionError
from sovits.core.progress import Cancel

USAGE = "so-vits-infer INPUT OUTPUT MODEL [CONFIG]"
_HELP = f"""usage: {USAGE}

Sings the recording INPUT in the voice of a so-vits-svc model and writes OUTPUT, whose suffix chooses the format.
MODEL.pth and CONFIG.json (MODEL.json if CONFIG is not given) lie in the folder models/so-vits-svc; another one is named
by SOVITS_SVC_MODELS or by svc_models in the configuration file of sovits."""


def main() -> None:
    """Run the command and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code; never raises."""
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(f"{_HELP}\n")
        return failures.OK
    logs.configure(-1)
    with interruptible() as interruption, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _convert(arguments, interruption.cancel)
        except BaseException as error:
            if interruption.cancel.cancelled:
                return (
                    _say("terminated", failures.TERMINATED)
                    if interruption.terminated
                    else _say("interrupted", failures.INTERRUPTED)
                )
            what, *hints = (line.strip().removeprefix("hint: ") for line in failures.describe(error))
            return _say(f"{what} ({hints[0]})" if hints else what, failures.exit_code(error))
    return failures.OK


def _say(text: str, code: int) -> int:
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")
    sys.stderr.write(f"so-vits-infer: {text}\n")
    return code


def _convert(arguments: list[str], cancel: Cancel) -> None:
    if not 3 <= len(arguments) <= 4:
        raise OptionError(f"three or four arguments are needed, got {len(arguments)}", hint=USAGE)
    from sovits.audio.io import probe
    from sovits.cli.formats import chosen
    from sovits.core.device import choose
    from sovits.options.svc import SvcOptions
    from sovits.pipelines import files, svc_files
    from sovits.pipelines.convert import convert_file
    from sovits.pipelines.engines import svc_engine
    from sovits.settings import Settings
    from sovits.zoo.svc_files import SvcFiles
    from sovits.zoo.voice import Voice

    source, output, name = Path(arguments[0]), Path(arguments[1]), arguments[2]
    settings = Settings.load()
    # What is cheap to check comes before the model is read.
    chosen(None, output, None, None)
    found = svc_files.named_model(settings.svc_models, name, *arguments[3:])
    files.check([files.Task(source, output)], keep=(found.model, found.config))
    probe(source)
    engine = svc_engine(
        SvcFiles(found.model, found.config),
        svc_files.official_models(settings.models),
        choose("auto", "float32"),
        name=name,
    )
    convert_file(source, output, engine, Voice(name), SvcOptions(), cancel=cancel)


if __name__ == "__main__":
    main()
