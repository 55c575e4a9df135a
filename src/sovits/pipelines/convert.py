"""Recordings into another voice: file to file in bounded memory, and batches of files that can be taken up again."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sovits import __version__
from sovits.core.device import Compute
from sovits.core.errors import AudioError, PathError, VoiceError
from sovits.core.hashing import file_hash, options_hash
from sovits.core.progress import SILENT, Cancel, Progress, Stage
from sovits.core.rng import SeededNoise
from sovits.engines.engine import Engine
from sovits.options.convert import ConvertOptions
from sovits.pipelines.done import DoneRecords
from sovits.pipelines.engines import engine_for, is_tiny, is_trained
from sovits.pipelines.files import Task
from sovits.pipelines.workers import run_all
from sovits.zoo.voice import Voice

#: Part of every record of finished work. The number rises when an engine gives other results for the same options, so
#: that what an earlier development version has made counts as old.
_WORLD, _SVC = "world 1", "svc 1"

Status = Literal["converted", "skipped", "failed"]


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes:
        source, output: the two paths.
        status: ``skipped`` means that the result of an earlier run is still valid.
        seconds: length of the result, 0 unless converted.
        elapsed: wall time in seconds.
        error: why it failed.
    """

    source: Path
    output: Path
    status: Status
    seconds: float = 0.0
    elapsed: float = 0.0
    error: Exception | None = None


@dataclass(frozen=True)
class Job:
    """Everything a conversion needs but the file; plain values, so that it can be sent to a worker process.

    Attributes:
        voice: the target.
        options: how to convert.
        models: folder of official weight files, for trackers that need some.
        compute: device, precision and threads.
        records: output folder whose finished results are skipped; ``None`` converts always.
        voice_key: content hash of the voice, see :func:`voice_hash`; needed with ``records``.
        bits, kbps: of the written files, as :func:`sovits.audio.encode.writing` takes them.
        again: convert finished results again (and record them again).
    """

    voice: Voice
    options: ConvertOptions
    models: Path | None = None
    compute: Compute = field(default_factory=Compute)
    records: Path | None = None
    voice_key: str = ""
    bits: int | None = None
    kbps: int | None = None
    again: bool = False

    def engine(self) -> Engine:
        """The engine that serves this voice."""
        return engine_for(self.voice, self.options, self.models, self.compute)

    def __call__(self) -> _Converter:
        """Set up in a worker process."""
        return _Converter(self, self.engine())


class _Converter:
    """Converts one file after the other with one engine."""

    def __init__(self, job: Job, engine: Engine) -> None:
        self._job = job
        self._engine = engine
        self._done = DoneRecords(job.records) if job.records is not None else None

    def __call__(self, task: Task, progress: Progress, cancel: Cancel) -> Result:
        begun = time.perf_counter()
        key = ""
        if self._done is not None:
            key = task_key(task, self._job)
            if not self._job.again and self._done.holds(task.output, key):
                return Result(task.source, task.output, "skipped", elapsed=time.perf_counter() - begun)
        seconds = convert_file(
            task.source,
            task.output,
            self._engine,
            self._job.voice,
            self._job.options,
            bits=self._job.bits,
            kbps=self._job.kbps,
            progress=progress,
            cancel=cancel,
        )
        if self._done is not None:
            self._done.add(task.output, key)
        return Result(task.source, task.output, "converted", seconds, time.perf_counter() - begun)


def convert_file(
    source: Path,
    output: Path,
    engine: Engine,
    voice: Voice,
    options: ConvertOptions,
    *,
    bits: int | None = None,
    kbps: int | None = None,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
) -> float:
    """Convert one file of any length in bounded memory; the suffix of ``output`` chooses its format.

    ``bits`` and ``kbps`` are those of :func:`sovits.audio.encode.writing`.

    Returns:
        Seconds of sound that were written.

    Raises:
        PathError, AudioError: the source cannot be used.
        VoiceError: the voice lacks what the engine needs.
        OutputError: the result cannot be written; nothing half-written stays behind.
        CancelledError: ``cancel`` was raised.
    """
    from sovits.audio.encode import writing
    from sovits.audio.io import open_source

    sound = open_source(source)
    pieces = engine.stream(sound, voice, options, SeededNoise(options.seed), progress=progress, cancel=cancel)
    # The first piece comes before the output is opened: a source that cannot be converted leaves no trace.
    first = next(pieces, None)
    if first is None:
        raise AudioError(f"{source} holds no sound", hint="give a recording that is not empty")
    written = 0
    with writing(output, first.sample_rate, first.channels, bits=bits, kbps=kbps) as writer:
        for piece in itertools.chain([first], pieces):
            if cancel is not None:
                cancel.check()
            writer.write(piece)
            written += piece.length
    return written / first.sample_rate


def convert_files(
    tasks: Sequence[Task],
    job: Job,
    *,
    jobs: int = 1,
    progress: Progress = SILENT,
    cancel: Cancel | None = None,
) -> Iterator[Result]:
    """Convert a batch and yield a record per file as each one ends; a bad file does not stop the rest.

    Args:
        jobs: worker processes (spawned); 1 works in this process.

    Raises:
        CancelledError: ``cancel`` was raised; files in work leave nothing behind, finished ones stay.
        MissingDependencyError, MissingWeightsError: no file of the batch could be converted.
    """
    with progress.stage("files", len(tasks), "files") if len(tasks) > 1 else Stage() as stage:
        for index, outcome in run_all(job, tasks, jobs, progress, cancel or Cancel()):
            stage.advance()
            task = tasks[index]
            if isinstance(outcome, Exception):
                yield Result(task.source, task.output, "failed", error=outcome)
            else:
                yield outcome


def voice_hash(voice: Voice) -> str:
    """A hash over the content of a voice's recordings, or of its model, wherever the files lie.

    Raises:
        VoiceError: a file cannot be read.
    """
    try:
        if is_tiny(voice):
            return options_hash({"tiny": voice.name})
        if voice.model is None:
            return options_hash({"references": [file_hash(path) for path in voice.references]})
        parts = dataclasses.asdict(voice.model)
        return options_hash({name: file_hash(path) for name, path in parts.items() if path is not None})
    except OSError as error:
        raise VoiceError(
            f"cannot read a file of the voice '{voice.name}': {error.filename}: {error.strerror}"
        ) from error


def task_key(task: Task, job: Job) -> str:
    """The key under which a result is recorded: content of input and voice, options, format and version.

    Raises:
        PathError: the input cannot be read.
    """
    return options_hash(
        {
            "input": _input_hash(task.source),
            "voice": job.voice_key,
            "options": job.options.model_dump(mode="json"),
            "format": [task.output.suffix.lower(), job.bits, job.kbps],
            "engine": [_SVC, job.compute.precision] if is_trained(job.voice) else _WORLD,
            "sovits": __version__,
        }
    )


def _input_hash(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise PathError(
            f"cannot read {path}: {error.strerror or error}", hint="check that it is a file and its permissions"
        ) from error
