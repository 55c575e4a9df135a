"""``sovits info``: what audio files are and hold."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sovits.cli import failures
from sovits.cli.failures import printable
from sovits.cli.session import Session, say, say_json
from sovits.core.errors import SovitsError

if TYPE_CHECKING:
    from sovits.features.pitch.contour import PitchPredictor

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: Seconds of one block of work, and of sound in which F0 is looked for: in longer files blocks are left out evenly.
_BLOCK = 10.0
_F0_SECONDS = 300.0
#: Percentiles that count as the F0 range, so that single octave errors do not widen it.
_F0_EDGES = (2.0, 98.0)


@app.command()
def info(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="audio or video files")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON: a list with one object per file")] = False,
) -> int:
    """Show format, sample rate, channels, length, loudness, peak and F0 range of audio files."""
    from sovits.zoo.tables import pitch_predictor

    session: Session = context.obj
    tracker = pitch_predictor(models=session.settings.models)
    shown: list[dict[str, Any]] = []
    failed: list[SovitsError] = []
    for path in paths:
        try:
            facts = examine(path, tracker, session)
        except SovitsError as error:
            if len(paths) == 1:
                raise
            failed.append(error)
            first, *rest = failures.describe(error)
            session.note("\n".join([f"failed: {first}", *rest]), verbosity=-1)
            continue
        shown.append(facts)
        if not as_json:
            _print(facts)
    if as_json:
        say_json(shown)
    return failures.SOME_FAILED if failed else failures.OK


def examine(path: Path, tracker: PitchPredictor, session: Session) -> dict[str, Any]:
    """All facts about one file, measured in blocks: the length of the file does not matter to memory.

    Returns:
        plain values; ``None`` where a silent file has no loudness, peak or F0.
    """
    import numpy as np

    from sovits.audio.io import open_source, probe
    from sovits.audio.levels import LoudnessMeter, TruePeakMeter, peak, to_db

    stated = probe(path)
    source = open_source(path)
    loudness = LoudnessMeter(source.sample_rate, source.channels)
    true_peak = TruePeakMeter(source.sample_rate, source.channels)
    highest, samples = 0.0, 0
    voiced = []
    seconds = stated.duration or 0.0
    every = max(1, math.ceil(seconds / _F0_SECONDS))
    with session.progress.stage(path.name, seconds or None, "s") as stage:
        for index, block in enumerate(source.blocks(_BLOCK)):
            session.cancel.check()
            loudness.push(block.samples)
            true_peak.push(block.samples)
            highest = max(highest, peak(block.samples))
            samples += block.length
            if index % every == 0:
                contour = tracker.track(block.mono(), block.sample_rate, max(1, block.sample_rate // 100))
                voiced.append(contour.hz[contour.voiced])
            stage.advance(block.duration)
    hz = np.concatenate(voiced) if voiced else np.zeros(0)
    low, high = np.percentile(hz, _F0_EDGES) if hz.size else (None, None)
    return {
        **dataclasses.asdict(stated),
        "path": str(path),
        "length": samples,
        "duration": samples / source.sample_rate,
        "loudness_lufs": _finite(loudness.integrated()),
        "peak_dbfs": _finite(to_db(highest)),
        "true_peak_dbtp": _finite(to_db(true_peak.finish())),
        "f0_low_hz": None if low is None else round(float(low), 2),
        "f0_high_hz": None if high is None else round(float(high), 2),
    }


def _finite(value: float) -> float | None:
    """Rounded, or ``None`` for the level of silence: JSON has no infinity."""
    return round(value, 2) if math.isfinite(value) else None


def _print(facts: dict[str, Any]) -> None:
    def level(name: str, unit: str) -> str:
        return "silent" if facts[name] is None else f"{facts[name]:.1f} {unit}"

    duration = facts["duration"]
    bits = f", {facts['bits']} bit" if facts.get("bits") else ""
    say(printable(facts["path"]))
    say(f"  format    {facts['container']}, {facts['codec']}{bits}")
    say(f"  sound     {facts['sample_rate']} Hz, {facts['channels']} channel{'s' if facts['channels'] != 1 else ''}")
    say(f"  length    {int(duration // 60)}:{duration % 60:06.3f} ({facts['length']} samples)")
    say(f"  loudness  {level('loudness_lufs', 'LUFS')}")
    say(f"  peak      {level('peak_dbfs', 'dBFS')}, true peak {level('true_peak_dbtp', 'dBTP')}")
    if facts["f0_low_hz"] is None:
        say("  F0        none found")
    else:
        say(f"  F0        {facts['f0_low_hz']:.0f} to {facts['f0_high_hz']:.0f} Hz")
