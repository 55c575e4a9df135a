"""The mel front ends against the recorded numbers of so-vits-svc."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sovits.audio.resample import sinc_resample  # noqa: E402
from sovits.features import mel  # noqa: E402
from tests.parity import golden  # noqa: E402

ALT = mel.MelConfig(44100, 1024, 800, 256, 40, 60.0, 12000.0, padding="even", epsilon=1e-6)


@pytest.mark.parametrize(("name", "config", "step"), [("44k", mel.SVC, 7), ("alt", ALT, 5)])
def test_training_mel(name: str, config: mel.MelConfig, step: int) -> None:
    case = golden.load("mel_processing")
    spectrogram = mel.spectrogram(torch.from_numpy(case.ins["y"]), config)
    golden.assert_close(spectrogram[:, ::step], case.outs[f"spec_{name}"], case, f"spec_{name}")
    golden.assert_close(mel.to_mel(spectrogram, config), case.outs[f"mel_{name}"], case, f"mel_{name}")
    whole = mel.log_mel(torch.from_numpy(case.ins["y"]), config)
    golden.assert_close(whole, case.outs[f"mel2_{name}"], case, f"mel2_{name}")


def test_vocoder_mel_with_keyshift_and_speed() -> None:
    case = golden.load("nvstft")
    y = torch.from_numpy(case.ins["y"])
    for i, (keyshift, speed) in enumerate(case.meta["args"]["settings"]):
        found = mel.log_mel(y, mel.VOCODER, keyshift=keyshift, speed=speed)
        golden.assert_close(found, case.outs[f"mel{i}"], case, f"mel{i}")
    found = mel.log_mel(y, mel.VOCODER, keyshift=-2.7).transpose(1, 2)
    golden.assert_close(found, case.outs["extract_key"], case, "extract_key")


def test_vocoder_mel_of_a_sound_shorter_than_its_padding() -> None:
    case = golden.load("nvstft")
    golden.assert_close(
        mel.log_mel(torch.from_numpy(case.ins["short"]), mel.VOCODER), case.outs["short"], case, "short"
    )


def test_vocoder_mel_of_another_rate() -> None:
    case = golden.load("nvstft")
    audio = torch.from_numpy(sinc_resample(case.ins["y"], 32000, 44100, width=128))
    found = mel.log_mel(audio, mel.VOCODER).transpose(1, 2)
    golden.assert_close(found, case.outs["extract_32k"], case, "extract_32k")


def test_rmvpe_mel() -> None:
    case = golden.load("rmvpe_net")
    audio = torch.from_numpy(case.ins["wav16k"])[None]
    golden.assert_close(mel.log_mel(audio, mel.RMVPE), case.outs["mel"], case, "mel", atol=1e-4)
    found = mel.log_mel(audio, mel.RMVPE, keyshift=3, speed=4)
    golden.assert_close(found, case.outs["mel_key3"], case, "mel_key3", atol=1e-4)
