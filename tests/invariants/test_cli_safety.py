"""What holds whatever is converted: no half files, no orphans, no surprises in names, a light start."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sovits.audio.audio import Audio
from sovits.audio.encode import write, writing
from tests import sounds

#: The quickest pitch tracker.
QUICK = ("--f0-method", "dio")

posix = pytest.mark.skipif(os.name != "posix", reason="signals and file names of POSIX")

#: Names that a shell, a URL parser, a format string or a terminal would trip over.
AWKWARD = [
    "数据 集 é.wav",
    'it\'s "quoted".wav',
    "$(touch pwned) `touch pwned`;touch pwned &.wav",
    "%s {0} \\n.wav",
    "new\nline\x1b[31m.wav",
    "-o.wav",
    "--voice.wav",
    "concat:a|b.wav",
    "http:x.wav",
    "[ab]*?.wav",
    " .wav",
    "a" * 240 + ".wav",
    os.fsdecode(b"not-utf8-\xff.wav"),
]


def sovits(
    *arguments: object, cwd: Path, before: Sequence[str] = (), stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """The command line as a process of its own, in a session of its own."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "sovits", *(str(argument) for argument in arguments)],
        cwd=cwd,
        env={**os.environ, "SOVITS_HOME": str(cwd / "sovits-home"), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[bytes], seconds: float = 120.0) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    sound = sounds.glide(200.0, 290.0, 2.0, 16000)
    write(tmp_path / "clip.wav", Audio.from_mono(sound.samples, sound.sample_rate))
    return tmp_path / "clip.wav"


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of vowels at 16 kHz: more than is converted before the signal comes."""
    path = tmp_path_factory.mktemp("long") / "long.wav"
    piece = Audio.from_mono(sounds.vowel(150.0, 10.0, 16000).samples, 16000)
    with writing(path, 16000, 1) as writer:
        for _ in range(9):
            writer.write(piece)
    return path


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name]


def wait_for(condition: object, process: subprocess.Popen[bytes], seconds: float = 100.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline or process.poll() is not None:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"the conversion never got to its output: {process.communicate()[1].decode()}")
        time.sleep(0.05)


def gone(group: int, seconds: float = 15.0) -> bool:
    """Whether every process of a group has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_half_file(
    tmp_path: Path, clip: Path, long_recording: Path, number: signal.Signals, code: int
) -> None:
    out = tmp_path / "out"
    process = sovits("convert", long_recording, out / "result.wav", "--reference", clip, *QUICK, cwd=tmp_path)
    wait_for(lambda: any(part.stat().st_size > 100_000 for part in parts(out)), process)
    process.send_signal(number)
    returned, said, err = finished(process, 30)
    assert (returned, said) == (code, "")
    assert err.splitlines()[-1] in ("sovits: interrupted", "sovits: terminated")
    assert "Traceback" not in err
    assert list(out.iterdir()) == []
    assert gone(process.pid)


@pytest.mark.slow
@posix
@pytest.mark.parametrize("everybody", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_signal_stops_the_workers_too(tmp_path: Path, clip: Path, long_recording: Path, everybody: bool) -> None:
    """Ctrl-C reaches the whole group, ``kill`` the parent alone: both leave nothing half and nobody behind."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.wav", "b.wav"):
        os.link(long_recording, source / name)
    process = sovits("convert", source, out, "--jobs", "2", "--reference", clip, *QUICK, cwd=tmp_path)
    wait_for(lambda: len(parts(out)) == 2, process)
    if everybody:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    returned, _, err = finished(process, 40)
    assert returned == 130
    assert "Traceback" not in err
    assert [path for path in out.rglob("*") if path.is_file()] == []
    assert gone(process.pid)


@posix
@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path, clip: Path, long_recording: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.wav", "b.wav"):
        os.link(long_recording, source / name)
    process = sovits("convert", source, out, "--jobs", "2", "--reference", clip, *QUICK, cwd=tmp_path)
    wait_for(lambda: len(parts(out)) == 2, process)
    process.kill()
    process.wait()
    assert gone(process.pid, 30)
    assert parts(out) == []


@posix
@pytest.mark.slow
def test_bars_on_a_terminal_and_nowhere_else(tmp_path: Path, clip: Path, long_recording: Path) -> None:
    import pty

    out = tmp_path / "out"
    command = ("convert", long_recording, out / "a.wav", "--reference", clip, *QUICK)
    screen, terminal = pty.openpty()
    process = sovits(*command, cwd=tmp_path, stderr=terminal)
    os.close(terminal)
    seen = b""
    deadline = time.monotonic() + 60
    while b"left" not in seen and time.monotonic() < deadline:
        seen += os.read(screen, 4096)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(screen, 4096):
            seen += piece
    assert process.wait(30) == 130
    assert b"left" in seen
    assert seen.rstrip().endswith(b"sovits: interrupted")

    process = sovits(*command, cwd=tmp_path)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    assert finished(process, 30) == (130, "", "sovits: interrupted\n")


@posix
def test_a_closed_pipe_is_quiet(tmp_path: Path, clip: Path) -> None:
    # 16000 lines: more than a pipe holds.
    process = sovits("f0", clip, "--method", "dio", "--hop", "2", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == b"time_s,f0_hz,voiced\n"
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert (process.wait(60), err) == (0, b"")


@pytest.mark.slow
@posix
def test_awkward_names_are_only_names(tmp_path: Path, clip: Path) -> None:
    source, out = tmp_path / "in $(touch pwned) 'é", tmp_path / 'out "数'
    source.mkdir()
    sound = Audio.from_mono(sounds.vowel(150.0, 0.6, 16000).samples, 16000)
    for name in AWKWARD:
        write(source / name, sound)
    returned, said, err = finished(
        sovits("convert", source, out, "--jobs", "1", "--reference", clip, *QUICK, cwd=tmp_path)
    )
    assert returned == 0, err
    assert sorted(path.name for path in out.iterdir() if path.suffix == ".wav") == sorted(AWKWARD)
    assert "\x1b" not in err
    assert len(err.splitlines()) == len(AWKWARD) + 1
    # Named outright, after "--" because some begin with a dash.
    returned, said, err = finished(sovits("info", "--json", "--", *AWKWARD, cwd=source))
    assert returned == 0, err
    assert [(facts["path"], facts["length"]) for facts in json.loads(said)] == [(name, 9600) for name in AWKWARD]
    for folder in (tmp_path, source, out):
        assert not (folder / "pwned").exists()


@posix
def test_dashes_as_input_and_output(tmp_path: Path, clip: Path) -> None:
    write(tmp_path / "-in.wav", Audio.from_mono(sounds.vowel(150.0, 0.6, 16000).samples, 16000))
    done = sovits("convert", "--reference", clip, "--", "-in.wav", "--out.flac", cwd=tmp_path)
    returned, _, err = finished(done)
    assert returned == 0, err
    assert (tmp_path / "--out.flac").is_file()


def started(code: str) -> list[str]:
    """Names of the modules that are loaded after ``code`` in a fresh interpreter."""
    program = f"import sys\n{code}\nsys.stderr.write('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


HEAVY = ("torch", "scipy", "matplotlib", "onnxruntime", "av", "soundfile", "soxr", "pyworld", "faiss", "pyloudnorm")


@pytest.mark.parametrize(
    ("code", "also"),
    [
        ("import sovits", ("numpy", "pydantic", "typer", "rich", "yaml")),
        ("from sovits.cli.main import run; run(['--help'])", ("numpy", "pydantic", "rich", "yaml")),
        ("from sovits.cli.main import run; run(['--version'])", ("numpy", "pydantic", "rich", "yaml")),
        ("from sovits.cli.main import run; run(['convert', '--help'])", ()),
        ("from sovits.cli.main import run; run(['doctor', '--help'])", ("numpy",)),
    ],
)
def test_a_start_loads_nothing_heavy(code: str, also: tuple[str, ...]) -> None:
    loaded = {name.partition(".")[0] for name in started(code)}
    assert "sovits" in loaded
    assert loaded.isdisjoint((*HEAVY, *also))


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command so that file permissions hold for it, whoever runs the tests."""
    if os.name != "posix":
        pytest.skip("file permissions of POSIX")
    if os.geteuid() != 0:
        return []
    tool = shutil.which("setpriv")
    if tool is None:
        pytest.skip("the superuser passes all permissions, and there is no setpriv to take that away")
    return [tool, "--bounding-set", "-dac_override,-dac_read_search"]


def test_no_permission_to_read_or_write(tmp_path: Path, clip: Path, unprivileged: list[str]) -> None:
    secret, closed = tmp_path / "secret.wav", tmp_path / "closed"
    write(secret, Audio.from_mono(sounds.vowel(150.0, 0.6, 16000).samples, 16000))
    plain = tmp_path / "plain.wav"
    plain.write_bytes(secret.read_bytes())
    secret.chmod(0)
    closed.mkdir()
    closed.chmod(0o555)
    for source, out, code in ((secret, tmp_path / "out.wav", 3), (plain, closed / "out.wav", 7)):
        process = sovits("convert", source, out, "--reference", clip, cwd=tmp_path, before=unprivileged)
        returned, _, err = finished(process)
        assert returned == code, err
        first, second = err.splitlines()
        assert "permission" in first
        assert (first[:8], second[:8]) == ("sovits: ", "  hint: ")
    assert list(closed.iterdir()) == []
    assert not (tmp_path / "out.wav").exists()
    assert parts(tmp_path) == []
