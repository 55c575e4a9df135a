"""Bad and hostile sound: a clear error that says what and what to do, in a second, in little memory, without a trace.

Numbers T12 and T14 are those of the list of known attacks that the project keeps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sovits.audio.audio import Audio
from sovits.audio.encode import FORMATS, write
from sovits.audio.io import open_source, probe, read
from sovits.core.errors import AudioError, OutputError, PathError
from tests.unit.audio.media import encode, silent_film, tones, wav_head

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
Maker = Callable[[Path], object]


def raw(data: bytes) -> Maker:
    return lambda path: path.write_bytes(data)


def sparse(head: bytes, size: int = 2 << 30) -> Maker:
    def make(path: Path) -> None:
        with path.open("wb") as handle:
            handle.write(head)
            handle.truncate(size)

    return make


NO_SOUND: dict[str, tuple[Maker, str]] = {
    "empty": (raw(b""), "is empty"),
    "one byte": (raw(b"R"), "not a sound file"),
    "text named wav": (raw("Dies ist kein Ton. \u00e4\u00f6\u00fc\n".encode() * 500), "a text file"),
    "pickle named wav": (raw(b"\x80\x02cos\nsystem\n."), "a pickle file"),
    "picture": (raw(b"\x89PNG\r\n\x1a\n" + bytes(100)), "a picture"),
    "midi": (raw(b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60"), "MIDI"),
    "noise": (raw(np.random.default_rng(7).bytes(200_000)), "not a sound file|cannot read"),
    "T14 zeros, sparse": (sparse(b""), "nothing but zero bytes"),
    "T14 hls": (raw(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"), "a playlist"),
    "T14 concat": (raw(b"ffconcat version 1.0\nfile '/etc/passwd'\n"), "a playlist"),
    "T14 dash": (raw(b'<?xml version="1.0"?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>'), "a text file"),
    "T14 sdp": (raw(b"v=0\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"), "a text file"),
    "T14 id3 and 2 GB of nothing": (sparse(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), "not a sound file"),
    "T12 192 kHz, 64 channels": (sparse(wav_head(192000, 64, 16, 1 << 30), 1 << 20), "64 channels"),
    "T12 24 h, no data": (raw(wav_head(44100, 1, 16, 2 * 44100 * 3600 * 12)), "cut off or damaged"),
    "rate 0": (raw(wav_head(0, 1, 16, 1000) + bytes(1000)), "cannot read"),
    "rate 1": (raw(wav_head(1, 1, 16, 1000) + bytes(1000)), "sample rate of 1 Hz"),
    "rate 2**31": (raw(wav_head(1 << 31, 1, 16, 1000) + bytes(1000)), "cannot read"),
    "no channels": (raw(wav_head(44100, 0, 16, 1000) + bytes(1000)), "0 channels|cannot be decoded"),
    "no bits": (raw(wav_head(44100, 1, 0, 1000) + bytes(1000)), "codec is unknown|cannot read"),
    "unknown codec": (raw(wav_head(44100, 1, 16, 1000, kind=0x1234) + bytes(1000)), "codec is unknown"),
    "zero length": (raw(wav_head(44100, 1, 16, 0)), "length is zero"),
    "video without sound": (silent_film, "without a sound track"),
    "mkv without sound": (lambda path: silent_film(path, "matroska"), "without a sound track"),
}


@pytest.mark.parametrize("case", NO_SOUND)
def test_what_holds_no_sound_is_refused(tmp_path: Path, case: str) -> None:
    make, message = NO_SOUND[case]
    path = tmp_path / "input.wav"
    make(path)
    start = time.perf_counter()
    with pytest.raises(AudioError, match=message) as caught:
        read(path)
    with pytest.raises(AudioError):
        for _ in open_source(path).blocks(1.0):
            pass
    assert time.perf_counter() - start < 2  # two attempts
    assert "input.wav" in caught.value.message
    assert caught.value.hint


@POSIX
def test_bombs_take_neither_memory_nor_time(tmp_path: Path) -> None:
    """Valid heads of every container with two gigabytes of nothing behind them, in a child whose peak is known."""
    sound = tones(44100, 2, 44100)
    heads = {}
    for name in FORMATS:
        write(tmp_path / f"a.{name}", sound)
        heads[name] = (tmp_path / f"a.{name}").read_bytes()
    for name, codec, container in (("mkv", "aac", "matroska"), ("wma", "wmav2", "asf"), ("avi", "libmp3lame", "avi"),
                                   ("aac", "aac", "adts"), ("ts", "aac", "mpegts"), ("flv", "aac", "flv")):  # fmt: skip
        heads[name] = encode(tmp_path / f"a.{name}", sound, codec, container).read_bytes()
    del heads["wav"]  # WAV with zeros behind it is two gigabytes of honest silence
    for name, data in heads.items():
        for part in (len(data) // 2, 700):
            sparse(data[:part])(tmp_path / f"bomb-{part}.{name}")
    program = """
        import sys, time
        from pathlib import Path
        from sovits.audio.io import open_source
        from sovits.core.errors import AudioError
        def peak():
            # Not ru_maxrss: a child starts with the value of the process that forked it.
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
        for path in sorted(Path(sys.argv[1]).glob("bomb-*")):
            start = time.perf_counter()
            try:
                for block in open_source(path).blocks(1.0):
                    pass
            except AudioError:
                pass
            spent = time.perf_counter() - start
            print(path.name, f"{spent:.2f} s", peak(), "MiB")
            assert spent < 3, path.name
        assert peak() < 300
    """
    done = _child(program, str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr[-1000:]


def test_stated_lengths_are_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """T12: a head that claims 24 hours is refused where a limit was asked for, and costs nothing where none was."""
    lying = tmp_path / "lying.flac"
    write(lying, tones(44100, 2, 88200))
    data = bytearray(lying.read_bytes())
    data[21] |= 0x0F
    data[22:26] = b"\xff\xff\xff\xff"
    lying.write_bytes(bytes(data))
    with pytest.raises(AudioError, match="the limit is 60 s"):
        read(lying, max_seconds=60)
    with caplog.at_level(logging.WARNING):
        assert 1.8 < read(lying).duration <= 2.0
    assert "cut off or damaged" in caplog.text
    silence = tmp_path / "day.wav"
    size = 2 * 8000 * 3600 * 24
    sparse(wav_head(8000, 1, 16, size), size + 44)(silence)
    assert probe(silence).duration == 24 * 3600
    with pytest.raises(AudioError, match="lasts 86400 s, the limit is 600 s"):
        read(silence, max_seconds=600)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "ogg", "opus", "aiff", "mkv", "avi", "wma"])
def test_truncated_files_give_what_is_there(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / f"a.{name}"
    sound = tones(44100, 2, 44100 * 6)
    codecs = {"mkv": ("libopus", "matroska"), "avi": ("libmp3lame", "avi"), "wma": ("wmav2", "asf")}
    if name in codecs:
        sound = tones(48000, 2, 48000 * 6)
        encode(path, sound, *codecs[name])
    elif name == "aiff":
        soundfile.write(path, sound.samples.T, 44100, format="AIFF")
    else:
        write(path, sound)
    whole = read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with caplog.at_level(logging.WARNING, logger="sovits"):
        part = read(path)
    assert 1.5 < part.duration < 4.5
    np.testing.assert_allclose(part.samples[:, :44100], whole.samples[:, :44100], atol=0.02)
    assert str(path) in caplog.text
    assert "cut off" in caplog.text or "missing" in caplog.text or "damaged" in caplog.text


@pytest.mark.parametrize("name", ["flac", "mp3", "ogg", "opus", "m4a"])
def test_files_cut_off_too_early_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    write(path, tones(44100, 2, 44100))
    path.write_bytes(path.read_bytes()[: 60 if name != "m4a" else path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut off|damaged|cannot be decoded|not a sound"):
        read(path)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """Bytes of noise in the middle of any format: sound or a typed error, never anything else."""
    noise = np.random.default_rng(1).bytes(3000)
    for name in FORMATS:
        path = tmp_path / f"a.{name}"
        write(path, tones(44100, 2, 88200))
        data = path.read_bytes()
        for at in (20, len(data) // 3, len(data) - 3000):
            path.write_bytes(data[:at] + noise + data[at + len(noise) :])
            with contextlib.suppress(AudioError):
                assert read(path).length > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    samples = np.zeros((9000, 2), np.float32)
    samples[8123, 1] = value
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"sample 8123 \(1\.015 s\) of channel 2") as caught:
        read(path)
    assert "export" in caught.value.hint


def test_float64_too_large_for_float32(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, 1e300]), 8000, subtype="DOUBLE")
    with pytest.raises(AudioError, match="sample 1 "):
        read(path)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.full((1, 4800), 0.5), 48000),
        (np.zeros((1, 4800)), 48000),
        (np.full((1, 1), 0.25), 48000),
        (np.full((1, 2400), 0.1), 48000),
        (np.full((8, 4800), 0.1), 48000),
        (np.full((2, 19200), 0.1), 192000),
    ],
    ids=["DC", "silence", "one sample", "0.05 s", "8 channels", "192 kHz"],
)
@pytest.mark.parametrize("name", ["wav", "flac"])
def test_odd_but_legal(tmp_path: Path, name: str, samples: np.ndarray, rate: int) -> None:
    path = tmp_path / f"a.{name}"
    write(path, Audio(samples.astype(np.float32), rate))
    np.testing.assert_allclose(read(path).samples, samples, atol=1 / 32768)


def test_folder_missing_device_and_nul(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="is a folder") as caught:
        read(tmp_path)
    assert caught.value.hint
    (tmp_path / "singing.wav").write_bytes(b"x")
    with pytest.raises(PathError, match="no such file") as caught:
        read(tmp_path / "singin.wav")
    assert "did you mean singing.wav" in caught.value.hint
    with pytest.raises(PathError, match="no such file"):
        read(tmp_path / "nowhere" / "a.wav")
    with pytest.raises(PathError, match="cannot open"):
        read(tmp_path / "nul\0.wav")
    for text in ("concat:/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/a.mp3", "pipe:0"):
        with pytest.raises(PathError):
            read(Path(text))


@POSIX
def test_devices_and_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", Path("/dev/zero")):  # opening the pipe would wait for ever
        with pytest.raises(PathError, match="device or a pipe"):
            read(path)
    with pytest.raises(OutputError, match="in the way"):
        write(tmp_path / "pipe.wav", tones(8000, 1, 80))


NAMES = ["with space.wav", "it's \"quoted\".wav", "$(touch x).wav", "`touch x`;touch x.wav", "new\nline.wav",
         "-rf.wav", "Überstürzt 歌 🎤.wav", "%s%n.wav", "a.b.c.wav"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, tones(8000, 1, 800))
    assert read(path).length == 800
    for suffix in (".mp3", ".m4a"):
        write(path.with_suffix(suffix), tones(8000, 1, 800))
        assert read(path.with_suffix(suffix)).length == 800
    assert len(list(tmp_path.iterdir())) == 3
    path.write_bytes(b"text\n")
    with pytest.raises(AudioError) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@POSIX
def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    try:
        write(path, tones(8000, 1, 800))
    except OutputError:
        pytest.skip("this file system takes Unicode names only")
    assert read(path).length == 800
    path.write_bytes(b"text")
    with pytest.raises(AudioError) as caught:
        read(path)
    str(caught.value).encode("utf-8")


@POSIX
def test_no_permission(tmp_path: Path) -> None:
    """In a child, because root must give its rights up for it."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
            parent.chmod(0o755)
    path = tmp_path / "secret.wav"
    write(path, tones(8000, 1, 800))
    path.chmod(0)
    program = """
        import os, sys
        from pathlib import Path
        import soundfile, av
        from sovits.audio.encode import write
        from sovits.audio.io import read
        from sovits.audio.audio import Audio
        from sovits.core.errors import OutputError, PathError
        import numpy as np
        if os.geteuid() == 0:
            os.seteuid(65534)
        path = Path(sys.argv[1])
        try:
            read(path)
        except PathError as error:
            assert "no permission" in error.message and error.hint, error
        else:
            raise SystemExit("it was read")
        if os.access(path.parent, os.W_OK, effective_ids=True):
            path.parent.chmod(0o555)
        try:
            write(path.with_name("new.wav"), Audio(np.zeros((1, 10), np.float32), 8000))
        except OutputError as error:
            assert "no permission" in error.message and error.hint, error
        else:
            raise SystemExit("it was written")
    """
    done = _child(program, str(path))
    tmp_path.chmod(0o755)
    assert done.returncode == 0, done.stdout + done.stderr


@POSIX
@pytest.mark.parametrize("name", FORMATS)
def test_the_disk_is_full(tmp_path: Path, name: str) -> None:
    """On a tiny file system where one can be mounted, and with a limit on file sizes: nothing is left behind."""
    small = tmp_path / "small"
    small.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(small)]
    mounted = os.geteuid() == 0 and subprocess.run(options, capture_output=True, check=False).returncode == 0
    noise = (0.2 * np.random.default_rng(0).standard_normal((2, 44100 * 20))).astype(np.float32)
    try:
        if mounted:
            (small / "before.txt").write_text("kept")
            with pytest.raises(OutputError, match="the disk is full") as caught:
                write(small / f"a.{name}", Audio(noise, 44100))
            assert "space" in caught.value.hint
            assert [item.name for item in small.iterdir()] == ["before.txt"]
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            write(small / f"a.{name}", Audio(noise, 44100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(small.iterdir()) == []


def test_protected_and_unknown_codecs_in_mp4(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    write(path, tones(44100, 2, 44100))
    data = path.read_bytes()
    assert data.count(b"mp4a") >= 1
    protected = data.replace(b"mp4a", b"drms")
    unknown = data.replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz")
    for changed, message in ((protected, "protected"), (unknown, "codec is unknown")):
        path.write_bytes(changed)
        with pytest.raises(AudioError, match=message) as caught:
            read(path)
        assert caught.value.hint


def _child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_longest_name_that_a_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("歌" * 80 + ".flac")  # 245 of 255 bytes; the file beside it must fit as well
    write(path, tones(8000, 1, 800))
    assert read(path).length == 800
