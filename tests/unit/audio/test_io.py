"""Reading: every container and codec gives the samples, the length and the facts that were put in."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.audio.io import open_source, probe, read
from sovits.core.errors import AudioError
from tests.unit.audio.media import encode, snr, tones, with_click

LOSSLESS = [
    ("wav", "WAV", "PCM_U8", 28), ("wav", "WAV", "PCM_16", 75), ("wav", "WAV", "PCM_24", 120),
    ("wav", "WAV", "PCM_32", 140), ("wav", "WAV", "FLOAT", 250), ("wav", "WAV", "DOUBLE", 250),
    ("wav", "WAV", "ULAW", 30), ("wav", "WAV", "ALAW", 30), ("wav", "WAVEX", "PCM_24", 120),
    ("wav", "RF64", "PCM_16", 75), ("w64", "W64", "PCM_24", 120), ("aiff", "AIFF", "PCM_S8", 28),
    ("aiff", "AIFF", "PCM_24", 120), ("aiff", "AIFF", "FLOAT", 250), ("au", "AU", "PCM_16", 75),
    ("caf", "CAF", "PCM_24", 120), ("caf", "CAF", "ALAC_24", 120), ("flac", "FLAC", "PCM_S8", 28),
    ("flac", "FLAC", "PCM_16", 75), ("flac", "FLAC", "PCM_24", 120),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "form", "subtype", "floor"), LOSSLESS)
def test_lossless_files(tmp_path: Path, suffix: str, form: str, subtype: str, floor: float) -> None:
    truth = tones(44100, 2, 22051)
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, truth.samples.T, 44100, subtype=subtype, format=form)
    info, audio = probe(path), read(path)
    assert (info.length, info.sample_rate, info.channels, audio.length) == (22051, 44100, 2, 22051)
    assert snr(audio.samples, truth.samples).min() > floor


def test_float64_beyond_full_scale_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.0, 3.5, -2.25]), 8000, subtype="DOUBLE")
    np.testing.assert_array_equal(read(path).samples, np.float32([[0.0, 3.5, -2.25]]))


def test_integers_are_exact(tmp_path: Path) -> None:
    path = tmp_path / "steps.flac"
    steps = np.array([-(2**23), -1, 0, 1, 2**23 - 1], np.int32)
    soundfile.write(path, steps << 8, 96000, subtype="PCM_24")
    np.testing.assert_array_equal(read(path).samples[0] * 2**23, steps)


OTHERS = [
    # name, codec, container, rate, channels, samples of length off, delay that the container does not tell, SNR
    ("a.m4a", "aac", "ipod", 44100, 2, 45, 0, 35),
    ("a.m4a", "alac", "ipod", 44100, 2, 0, 0, 80),
    ("a.mp4", "aac", "mp4", 48000, 1, 48, 0, 35),
    ("a.mov", "pcm_s16le", "mov", 44100, 2, 0, 0, 80),
    ("a.mkv", "libopus", "matroska", 48000, 2, 0, 0, 30),
    ("a.mkv", "aac", "matroska", 44100, 2, 1024, 0, 35),
    ("a.mkv", "flac", "matroska", 44100, 2, 0, 0, 80),
    ("a.webm", "libopus", "webm", 48000, 1, 0, 0, 30),
    ("a.opus", "libopus", "opus", 48000, 2, 0, 0, 30),
    ("a.avi", "pcm_s16le", "avi", 44100, 2, 0, 0, 80),
    ("a.avi", "libmp3lame", "avi", 44100, 2, 2400, 1105, None),
    ("a.wma", "wmav2", "asf", 44100, 2, 2048, -2048, None),
    ("a.aac", "aac", "adts", 44100, 2, 2048, 1024, None),
    ("a.flv", "aac", "flv", 44100, 2, 2048, 1024, None),
    ("a.ts", "aac", "mpegts", 44100, 2, 2048, 1024, None),
    ("a.wv", "wavpack", "wv", 44100, 2, 0, 0, 80),
    ("a.tta", "tta", "tta", 44100, 2, 0, 0, 80),
    ("a.wav", "adpcm_ms", "wav", 44100, 2, 2048, None, None),
]


@pytest.mark.parametrize(
    ("name", "codec", "container", "rate", "channels", "surplus", "delay", "floor"),
    OTHERS,
    ids=[f"{row[1]}-in-{row[2]}" for row in OTHERS],
)
def test_other_containers(
    tmp_path: Path, name: str, codec: str, container: str, rate: int, channels: int, surplus: int, delay: int | None,
    floor: float | None,
) -> None:  # fmt: skip
    plain = tones(rate, channels, rate + 371)
    truth = with_click(plain, rate // 2)
    sample_format = "s16" if codec.startswith(("pcm", "flac", "alac", "wavpack", "tta", "adpcm")) else "flt"
    path = encode(tmp_path / name, truth, codec, container, sample_format=sample_format)
    audio, info = read(path), probe(path)
    assert (audio.sample_rate, audio.channels) == (info.sample_rate, info.channels) == (rate, channels)
    assert abs(audio.length - truth.length) <= surplus
    if info.length is not None:
        assert audio.length == info.length
    assert info.duration == pytest.approx(audio.duration, abs=0.1)
    if delay is not None:
        assert abs(int(np.argmax(np.abs(audio.samples[0]))) - rate // 2 - delay) <= 1
    else:
        assert snr(audio.samples[:, : rate // 2], plain.samples).min() > 20
    if floor is not None:
        quiet = np.r_[0 : rate // 2 - 3000, rate // 2 + 3000 : rate]
        assert snr(audio.samples[:, quiet], plain.samples[:, quiet]).min() > floor


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_sound_track_of_a_video(tmp_path: Path, container: str) -> None:
    truth = tones(44100, 2, 44100)
    path = encode(tmp_path / "film.bin", truth, "pcm_s16le" if container == "avi" else "aac", container,
                  sample_format="s16" if container == "avi" else "flt", picture=True)  # fmt: skip
    assert snr(read(path).samples, truth.samples).min() > 30


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_channels_keep_their_order(tmp_path: Path, codec: str, channels: int) -> None:
    """FLAC goes through an MP4 so that FFmpeg decodes it; eight planar channels crash PyAV if one is careless."""
    truth = tones(48000, channels, 24000)
    path = encode(tmp_path / "many.mp4", truth, codec, "mp4", sample_format="s16" if codec == "flac" else "flt")
    assert snr(read(path).samples, truth.samples, 4000).min() > 20


@pytest.mark.parametrize("channels", [3, 5, 6, 7, 8])
def test_vorbis_channels_come_in_wav_order(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "many.ogg"
    write(path, tones(48000, channels, 48000))
    by_ffmpeg = encode_order(path, channels)
    audio = read(path)
    assert [strongest(row, 48000) for row in audio.samples] == by_ffmpeg


def encode_order(path: Path, channels: int) -> list[int]:
    """The strongest frequency of each channel as FFmpeg, which sorts them itself, decodes the file."""
    import av

    resampler = av.AudioResampler(format="flt")
    with path.open("rb") as handle, av.open(handle, format="ogg") as container:
        parts = [part.to_ndarray().reshape(-1, channels) for frame in container.decode(audio=0)
                 for part in resampler.resample(frame)]  # fmt: skip
    return [strongest(row, 48000) for row in np.concatenate(parts).T]


def strongest(row: np.ndarray, rate: int) -> int:
    spectrum = np.abs(np.fft.rfft(row[4800:28800] * np.hanning(24000)))
    return round(float(np.argmax(spectrum)) * rate / 24000)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    truth = tones(44100, 1, 8000)
    for name in ("sound.mp3", "sound.raw", "sound.txt", "sound", "sound.ogg"):
        path = tmp_path / name
        soundfile.write(path, truth.samples.T, 44100, subtype="PCM_16", format="WAV")
        assert probe(path).container == "wav"
        assert read(path).length == 8000
    write(tmp_path / "real.mp3", truth)
    (tmp_path / "real.mp3").rename(tmp_path / "wrong.wav")
    assert probe(tmp_path / "wrong.wav").codec == "mp3"


def test_mp3_behind_a_tag_or_junk(tmp_path: Path) -> None:
    write(tmp_path / "plain.mp3", tones(44100, 2, 44100))
    data = (tmp_path / "plain.mp3").read_bytes()
    tag = b"ID3\x04\x00\x00\x00\x04\x00\x00" + bytes(1 << 16)
    for name, front in (("tag", tag), ("two tags", tag + tag), ("junk", b"\x00junk\xff\xfb" * 99)):
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(front + data)
        assert read(path).length == 44100, name


def test_tags_in_a_foreign_encoding_do_not_stop_us(tmp_path: Path) -> None:
    marker = "TITLEXXX"
    path = encode(tmp_path / "a.avi", tones(44100, 1, 8000), "pcm_s16le", "avi", sample_format="s16",
                  metadata={"title": marker})  # fmt: skip
    data = path.read_bytes()
    assert marker.encode() in data
    path.write_bytes(data.replace(marker.encode(), b"\xff\xfe\xe9t\xe9\x80\x81\x82"))
    assert read(path).length == 8000


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_blocks_join_to_the_whole_and_start_anew(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, tones(48000, 2, 48000 + 77))
    source = open_source(path)
    whole = read(path)
    assert source.length == whole.length
    for seconds in (0.1, 0.333, 5.0):
        blocks = list(source.blocks(seconds))
        size = round(seconds * 48000)
        assert all(block.length == size for block in blocks[:-1])
        assert all(block.samples.dtype == np.float32 and block.channels == 2 for block in blocks)
        np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks], axis=1), whole.samples)


def test_blocks_do_not_change_after_they_were_given(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, tones(8000, 1, 8000))
    walk = open_source(path).blocks(0.25)
    first = next(walk)
    copy = first.samples.copy()
    next(walk)
    np.testing.assert_array_equal(first.samples, copy)


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_an_abandoned_walk_closes_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, tones(44100, 1, 88200))

    def handles() -> int:
        targets = []
        for entry in Path("/proc/self/fd").iterdir():
            try:
                targets.append(str(entry.readlink()))
            except OSError:
                continue
        return targets.count(str(path))

    walk = open_source(path).blocks(0.1)
    next(walk)
    assert handles() == 1
    walk.close()
    assert handles() == 0
    with pytest.raises(AudioError):
        read(path, max_seconds=0.5)
    gc.collect()
    assert handles() == 0


def test_mono_is_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    truth = tones(16000, 3, 5000)
    write(path, truth, bits=32)
    audio = read(path, mono=True)
    assert audio.channels == 1
    np.testing.assert_allclose(audio.samples[0], truth.mono(), atol=1e-7)


def test_max_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write(path, tones(16000, 1, 16000))
    assert read(path, max_seconds=1.0).length == 16000
    with pytest.raises(AudioError, match=r"lasts 1 s, the limit is 0\.9 s"):
        read(path, max_seconds=0.9)


def test_reading_holds_the_sound_once(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros((44100 * 120, 1), np.int16), 44100)
    bytes_of_sound = 4 * 44100 * 120
    tracemalloc.start()
    try:
        assert read(path).duration == 120
        assert tracemalloc.get_traced_memory()[1] < 1.1 * bytes_of_sound
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert sum(block.length for block in open_source(path).blocks(1.0)) == 44100 * 120
        assert tracemalloc.get_traced_memory()[1] - before < 3e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_probe_is_cheap(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, Audio(np.zeros((1, 48000 * 60), np.float32), 48000))
    probe(path)
    start = time.perf_counter()
    for _ in range(5):
        assert probe(path).duration == pytest.approx(60, abs=0.05)
    assert (time.perf_counter() - start) / 5 < 0.1


def test_import_is_light() -> None:
    code = (
        "import sys, sovits.audio.io, sovits.audio.encode; sys.exit(any(m in sys.modules for m in ('av', 'soundfile')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
