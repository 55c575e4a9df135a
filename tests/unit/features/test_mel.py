"""The mel front ends and their filters, on what can be calculated."""

from __future__ import annotations

import numpy as np
import pytest

from sovits.features.filterbank import MelScale, filterbank, hz_to_mel, mel_to_hz


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scales_turn_round(scale: MelScale) -> None:
    hz = np.array([0.0, 20.0, 440.0, 1000.0, 1000.1, 4000.0, 22050.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, rtol=1e-12, atol=1e-9)


def test_known_points_of_the_scales() -> None:
    np.testing.assert_allclose(hz_to_mel([1000.0, 6400.0], "slaney"), [15.0, 42.0])
    assert hz_to_mel(700.0, "htk") == pytest.approx(2595 * np.log10(2))


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_filters_have_area_one_and_peak_in_order(scale: MelScale) -> None:
    bank = filterbank(44100, 8192, 40, 200.0, 16000.0, scale)
    np.testing.assert_allclose(bank.sum(axis=1) * 44100 / 8192, 1.0, atol=2e-2)
    assert (np.diff(bank.argmax(axis=1)) > 0).all()
    bins = np.arange(4097) * 44100 / 8192
    assert not bank[:, (bins < 200) | (bins > 16000)].any()


def test_banks_that_share_one_edge_stay_two_banks() -> None:
    """so-vits-svc kept filters by the upper edge alone (F6): the second of two settings got the first one's."""
    first = filterbank(44100, 2048, 80, 0.0, 8000.0, "slaney")
    for other in (
        filterbank(44100, 2048, 80, 40.0, 8000.0, "slaney"),
        filterbank(44100, 2048, 80, 0.0, 8000.0, "htk"),
        filterbank(16000, 2048, 80, 0.0, 8000.0, "slaney"),
    ):
        assert other.shape == first.shape
        assert not np.array_equal(other, first)
    assert filterbank(44100, 2048, 80, 0.0, 8000.0, "slaney") is first


def test_a_kept_bank_cannot_be_changed() -> None:
    bank = filterbank(16000, 1024, 128, 0.0, 8000.0, "slaney")
    with pytest.raises(ValueError, match="read-only"):
        bank[0, 0] = 1.0


def test_the_cache_is_bounded() -> None:
    for bands in range(10, 60):
        filterbank(16000, 512, bands, 0.0, 8000.0, "slaney")
    info = filterbank.cache_info()
    assert info.maxsize is not None
    assert info.currsize <= info.maxsize


@pytest.mark.parametrize("length", [8820, 8821, 9215])
def test_number_of_frames(length: int) -> None:
    torch = pytest.importorskip("torch")
    from sovits.features import mel

    audio = torch.zeros(2, length)
    assert mel.log_mel(audio, mel.VOCODER).shape == (2, 128, length // 512)
    assert mel.log_mel(audio, mel.SVC).shape == (2, 80, length // 512)
    assert mel.log_mel(audio, mel.FCPE).shape == (2, 128, length // 160)
    assert mel.log_mel(audio, mel.RMVPE).shape == (2, 128, length // 160 + 1)


def test_a_tone_lights_its_band_and_the_floor_holds() -> None:
    torch = pytest.importorskip("torch")
    from sovits.features import mel

    time = torch.arange(16000) / 16000
    found = mel.log_mel(torch.sin(2 * torch.pi * 1000 * time)[None], mel.RMVPE)[0, :, 50]
    bank = filterbank(16000, 1024, 128, 30.0, 8000.0, "htk")
    assert int(found.argmax()) in bank[:, 64].nonzero()[0]  # 1 kHz is bin 64
    silent = mel.log_mel(torch.zeros(1, 16000), mel.RMVPE)
    assert torch.all(silent == np.log(np.float32(1e-5)))


def test_keyshift_moves_a_tone_up_by_its_semitones() -> None:
    torch = pytest.importorskip("torch")
    from sovits.features import mel

    time = torch.arange(44100, dtype=torch.float64) / 44100
    plain = mel.spectrogram(torch.sin(2 * torch.pi * 2000 * time).float()[None], mel.VOCODER, keyshift=12)
    shifted = mel.spectrogram(torch.sin(2 * torch.pi * 4000 * time).float()[None], mel.VOCODER)
    assert plain.shape == shifted.shape
    assert int(plain[0, :, 40].argmax()) == int(shifted[0, :, 40].argmax())
    assert float(plain[0, :, 40].max()) == pytest.approx(float(shifted[0, :, 40].max()), rel=0.05)


def test_gradients_reach_the_audio_and_are_finite_at_silence() -> None:
    torch = pytest.importorskip("torch")
    from sovits.features import mel

    audio = torch.zeros(1, 8192, requires_grad=True)
    mel.spectrogram(audio, mel.SVC).sum().backward()
    assert audio.grad is not None
    assert torch.isfinite(audio.grad).all()
    loud = torch.randn(1, 8192, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mel.log_mel(loud, mel.SVC).sum().backward()
    assert loud.grad is not None
    assert float(loud.grad.abs().max()) > 0
