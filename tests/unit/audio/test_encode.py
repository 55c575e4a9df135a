"""Writing: length, alignment and level survive; limits of formats are said; streams equal files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sovits.audio.audio import Audio
from sovits.audio.encode import FORMATS, stream_encode, write, writing
from sovits.audio.encoders import quantised
from sovits.audio.io import probe, read
from sovits.core.errors import AudioError, OptionError, OutputError
from tests.unit.audio.media import snr, tones, with_click

RATES = (8000, 11025, 16000, 22050, 44056, 44100, 48000, 96000, 192000)
SNR = {"wav": 80, "flac": 80, "mp3": 25, "ogg": 30, "opus": 35, "m4a": 20}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", FORMATS)
def test_round_trip(tmp_path: Path, name: str, rate: int) -> None:
    """The decoded length is exact and every sample lies where it was, at any rate."""
    length = rate // 2 + 37
    path = tmp_path / f"a.{name}"
    assert write(path, tones(rate, 2, length)) == 0
    audio, info = read(path), probe(path)
    assert audio.sample_rate == FORMATS[name].rate_for(rate)
    assert audio.length == info.length == -(-length * audio.sample_rate // rate)
    truth = tones(audio.sample_rate, 2, audio.length)
    assert snr(audio.samples, truth.samples, audio.sample_rate // 10).min() > SNR[name]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_click_stays_where_it_is(tmp_path: Path, name: str, channels: int) -> None:
    silence = Audio(np.zeros((channels, 48000), np.float32), 48000)
    for at in (3000, 24000, 47000):
        path = tmp_path / f"{at}.{name}"
        write(path, with_click(silence, at))
        assert np.all(np.argmax(np.abs(read(path).samples), axis=1) == at)


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("name", FORMATS)
def test_channels(tmp_path: Path, name: str, channels: int) -> None:
    path = tmp_path / f"a.{name}"
    truth = tones(48000, channels, 24000)
    if channels not in FORMATS[name].channels:
        with pytest.raises(OptionError, match=rf"{name} does not take {channels} channels .*wav, flac"):
            write(path, truth)
        assert list(tmp_path.iterdir()) == []
        return
    write(path, truth)
    values = snr(read(path).samples, truth.samples, 4000)
    low = {3} if channels >= 6 else set()  # the low-frequency channel is narrow, it only must be the right one
    assert min(value for k, value in enumerate(values) if k not in low) > SNR[name]
    assert values.min() > 5


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_and_whole_give_the_same_file(tmp_path: Path, name: str) -> None:
    audio = tones(44056, 2, 30011)
    write(tmp_path / f"whole.{name}", audio)
    with writing(tmp_path / f"pieces.{name}", 44056, 2) as writer:
        for start in range(0, audio.length, 1234):
            writer.write(audio.cut(start, start + 1234))
    assert writer.length == audio.length
    whole, pieces = read(tmp_path / f"whole.{name}"), read(tmp_path / f"pieces.{name}")
    np.testing.assert_allclose(whole.samples, pieces.samples, atol=1e-6)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus", "m4a"])  # libsndfile numbers Ogg streams at random
def test_same_sound_same_bytes(tmp_path: Path, name: str) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / f"a.{name}", tones(44100, 2, 20000))
    assert (tmp_path / "one" / f"a.{name}").read_bytes() == (tmp_path / "two" / f"a.{name}").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_streams(name: str, tmp_path: Path) -> None:
    """Bytes come before the end; what they decode to is what the file decodes to, but for the padding."""
    audio = with_click(tones(44100, 2, 441000), 220500)
    seen_at_byte: list[int] = []
    given = 0

    def pieces() -> object:
        nonlocal given
        for start in range(0, audio.length, 4410):
            given += 1
            yield audio.cut(start, start + 4410)

    path = tmp_path / f"stream.{name}"
    with path.open("wb") as handle:
        for data in stream_encode(pieces(), name):  # type: ignore[arg-type]
            seen_at_byte.append(given)
            handle.write(data)
    assert seen_at_byte[0] < 60
    assert len(seen_at_byte) > 5
    write(tmp_path / f"file.{name}", audio)
    streamed, stored = read(path), read(tmp_path / f"file.{name}")
    delay, surplus = (1105, 2304) if name == "mp3" else (0, 1024 if name == "m4a" else 0)
    assert 0 <= streamed.length - stored.length <= surplus
    middle = slice(delay, delay + stored.length)
    assert snr(streamed.samples[:, middle], stored.samples).min() > (60 if not FORMATS[name].lossy else 15)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_wav_widths(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.wav"
    write(path, tones(44100, 1, 10000), bits=bits)
    assert probe(path).bits == bits
    assert soundfile.info(path).subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits]
    assert snr(read(path).samples, tones(44100, 1, 10000).samples).min() > {16: 80, 24: 128, 32: 250}[bits]


def test_integers_round_and_saturate() -> None:
    values = np.float32([[-2.0, -1.0, -0.5 / 32768, 0.4 / 32768, 0.6 / 32768, 32767 / 32768, 1.0, 7.0]])
    np.testing.assert_array_equal(quantised(values, 16)[0], [-32768, -32768, 0, 0, 1, 32767, 32767, 32767])
    assert quantised(np.float32([[5.0, -5.0]]), 24).tolist() == [[(2**23 - 1) << 8, -(2**31)]]


@pytest.mark.parametrize("name", FORMATS)
def test_beyond_full_scale_is_counted_and_never_wraps(tmp_path: Path, name: str) -> None:
    loud = tones(48000, 1, 48000, amplitude=1.5)
    path = tmp_path / f"a.{name}"
    assert write(path, loud) == np.count_nonzero(np.abs(loud.samples) > 1)
    audio, clipped = read(path), np.clip(loud.samples, -1, 1)
    assert snr(audio.samples, clipped).min() > (80 if not FORMATS[name].lossy else 12)
    if not FORMATS[name].lossy:
        assert np.abs(audio.samples).max() <= 1.0


def test_float_wav_keeps_what_is_beyond_full_scale(tmp_path: Path) -> None:
    loud = tones(48000, 1, 4800, amplitude=3.0)
    assert write(tmp_path / "a.wav", loud, bits=32) > 0
    np.testing.assert_array_equal(read(tmp_path / "a.wav").samples, loud.samples)


@pytest.mark.parametrize("length", [1, 2, 400, 2400])
@pytest.mark.parametrize("name", FORMATS)
def test_very_short_sounds(tmp_path: Path, name: str, length: int) -> None:
    path = tmp_path / f"a.{name}"
    write(path, tones(48000, 1, length))
    assert read(path).length == length


@pytest.mark.parametrize("name", ["mp3", "ogg", "opus", "m4a"])
def test_bit_rates(tmp_path: Path, name: str) -> None:
    noise = Audio((0.1 * np.random.default_rng(0).standard_normal((2, 44100 * 3))).astype(np.float32), 44100)
    sizes = []
    for kbps in (64, 128, 256):
        path = tmp_path / f"{kbps}.{name}"
        write(path, noise, kbps=kbps)
        sizes.append(path.stat().st_size)
    assert sizes[0] < 0.75 * sizes[1] < 0.75 * 0.75 * sizes[2]
    assert sizes[1] == pytest.approx(128_000 / 8 * 3, rel=0.5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.xyz", {}, "suffix '.xyz'"),
        ("a", {}, "without a suffix"),
        ("a.flac", {"bits": 32}, "flac takes 16 or 24"),
        ("a.mp3", {"bits": 16}, "leave the width out"),
        ("a.wav", {"kbps": 128}, "lossless"),
        ("a.mp3", {"kbps": 5000}, "choose 64 to 320"),
    ],
)
def test_refused_options(tmp_path: Path, name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        write(tmp_path / name, tones(44100, 1, 4410), **options)
    assert list(tmp_path.iterdir()) == []


def test_unfit_sound_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    bad = np.zeros((1, 100), np.float32)
    bad[0, 42] = np.nan
    with pytest.raises(AudioError, match="sample 42"):
        write(tmp_path / "a.wav", Audio(bad, 8000))
    with pytest.raises(AudioError, match="length is zero"):
        write(tmp_path / "a.wav", Audio(np.zeros((1, 0), np.float32), 8000))
    with pytest.raises(AudioError, match="do not fit"), writing(tmp_path / "a.wav", 8000, 1) as writer:
        writer.write(tones(16000, 1, 100))
    with pytest.raises(AudioError, match="no piece"):
        list(stream_encode([], "wav"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_on_the_way_keeps_the_old_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(b"old")
    unfit = Audio(np.full((1, 10), np.inf, np.float32), 44100)
    with pytest.raises(AudioError), writing(path, 44100, 1) as writer:
        writer.write(tones(44100, 1, 44100))
        writer.write(unfit)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(OutputError, match="in the way"):
        write(tmp_path / "a.wav", tones(8000, 1, 80))
    assert list((tmp_path / "a.wav").iterdir()) == []


@pytest.mark.slow
def test_wav_beyond_four_gibibytes(tmp_path: Path) -> None:
    """Becomes RF64 by itself; sparse where the file system allows, but the bytes are written: 4.3 GB."""
    path = tmp_path / "huge.wav"
    block = Audio(np.zeros((8, 1 << 20), np.float32), 384000)
    with writing(path, 384000, 8, bits=32) as writer:
        for _ in range(129):
            writer.write(block)
    assert probe(path).length == 129 << 20
    path.unlink()
