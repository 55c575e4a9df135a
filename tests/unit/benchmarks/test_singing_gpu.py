"""The benchmark for GPUs, its logic tried out on a CPU at small sizes, and its answer where there is no GPU."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from benchmarks import report, singing_gpu  # noqa: E402
from benchmarks.singing import filled  # noqa: E402

from sovits.features.content.hubert import Hubert, HubertConfig, LayerWidths  # noqa: E402
from sovits.nets.diffusion.config import DiffusionConfig  # noqa: E402
from sovits.nets.diffusion.unit2mel import Unit2Mel  # noqa: E402
from sovits.nets.svc.config import SvcConfig  # noqa: E402
from sovits.nets.svc.synthesizer import Synthesizer  # noqa: E402
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig  # noqa: E402


def small() -> singing_gpu.Nets:
    generator = SvcConfig(
        inter_channels=16,
        hidden_channels=16,
        filter_channels=32,
        n_layers=1,
        upsample_initial_channel=32,
        gin_channels=8,
    )
    encoder = HubertConfig(
        convolutions=((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2),
        width=32,
        layers=(LayerWidths(2, 16, 48),) * 2,
        position_kernel=16,
        position_groups=4,
    )
    diffusion = DiffusionConfig(units=12, layers=2, channels=24, hidden=24)
    return singing_gpu.Nets(
        filled(Synthesizer(generator)),
        filled(HifiGan(HifiGanConfig(inputs=128, channels=32, frame_rate_phase=True))),
        {
            "content encoder": (filled(Hubert(encoder)), singing_gpu.encoding),
            "one step of diffusion": (filled(Unit2Mel(diffusion)), singing_gpu.denoising),
        },
    )


@pytest.mark.slow
def test_every_form_is_measured_and_told() -> None:
    result = singing_gpu.run(((0.2, 1), (1.0, 2)), "cpu", small())
    assert [(form.net, form.form, form.seconds) for form in result.forms] == [
        (net, form, seconds)
        for seconds in (0.2, 1.0)
        for net in ("generator", "decoder alone")
        for form in singing_gpu.FORMS
    ]
    for form in result.forms:
        assert len(form.times) == len(form.ratios) == (1 if form.seconds == 0.2 else 2)
        assert min(form.times) > 0
        assert form.ratios == [1.0] * len(form.ratios) if form.form == "plain" else form.mel > 0
    assert not result.recorded
    for form, stages in result.stages.items():
        own = {"content encoder", "one step of diffusion"} if form in ("plain", "half") else set()
        assert set(stages) == {"prior", "flow", "source, with its random numbers", "decoder", "rest", "vocoder"} | own
        assert min(stages.values()) > 0
    bars = singing_gpu.bars(result)
    assert [bar.limit for bar in bars] == [0.02] * 4
    text = singing_gpu.table(result)
    assert "No graphs could be recorded" in text
    assert text.count("| generator |") == 8
    again = json.loads(json.dumps([form.__dict__ for form in result.forms]))
    assert [singing_gpu.Form(**form) for form in again] == result.forms


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks what happens without a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "save", lambda *_: pytest.fail("kept"))
    assert singing_gpu.main([]) == 0
    assert capsys.readouterr().out == "no GPU on this machine\n"


def test_the_result_is_a_section_like_the_others() -> None:
    form = singing_gpu.Form("generator", "half, graphs", 20.0, [0.001, 0.002], [8.0, 9.0], 512 << 20, 40.0, 0.001)
    bars = singing_gpu.bars(singing_gpu.Result("some GPU", True, [form]))
    assert [(bar.value, bar.met) for bar in bars] == [(0.001, True)]
    text = singing_gpu.table(singing_gpu.Result("some GPU", True, [form]))
    assert "| generator | half, graphs | 20 | 1.500 (1.000 to 2.000) ms | 8.50 (8.00 to 9.00) | 40.0 |" in text
    assert text.count("512") == 1
    assert "No graphs" not in text
