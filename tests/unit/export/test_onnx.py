"""Exported graphs against the nets they were traced from, run by onnxruntime at lengths that were not traced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the neural extra is not installed")

from sovits.core.errors import WrongModelError  # noqa: E402
from sovits.export import onnx as export  # noqa: E402
from sovits.nets.diffusion.config import DiffusionConfig  # noqa: E402
from sovits.nets.diffusion.unit2mel import Unit2Mel  # noqa: E402
from sovits.nets.svc.config import SvcConfig  # noqa: E402
from sovits.nets.svc.synthesizer import Synthesizer  # noqa: E402

SMALL = {
    "inter_channels": 16,
    "hidden_channels": 32,
    "filter_channels": 48,
    "n_layers": 2,
    "upsample_initial_channel": 64,
    "n_flow_layer": 3,
    "gin_channels": 20,
    "ssl_dim": 20,
    "n_speakers": 4,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "one-speaker": {"n_speakers": 1},
    "volume": {"vol_embedding": True},
    "tiny": {"use_depthwise_conv": True, "flow_share_parameter": True},
    "snake": {"vocoder_name": "nsf-snake-hifigan"},
    "transformer-flow": {"use_transformer_flow": True},
    "no-automatic-f0": {"use_automatic_f0_prediction": False},
    "resblock2": {"resblock": "2"},
    "hop441": {"upsample_rates": [9, 7, 7], "upsample_kernel_sizes": [19, 15, 15]},
}


def randomised(net: Any, seed: int = 0) -> Any:
    """Weights of moderate size everywhere, the zero-initialised ones included."""
    draws = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            fan = max(1, parameter[0].numel()) if parameter.dim() > 1 else 4
            values = draws.standard_normal(tuple(parameter.shape)) / np.sqrt(fan)
            if parameter.dim() > 1 and parameter[0].numel() == 1:
                values = np.abs(1 + 0.1 * values)
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    return net.eval()


def synthesizer(**changes: Any) -> Synthesizer:
    config = {"model": {**SMALL, **changes}, "data": {}, "spk": {"a": 0, "b": 1}}
    return randomised(Synthesizer(SvcConfig.from_official(config)))


def feeds_for(graph: export.GraphFile, frames: int) -> dict[str, Any]:
    draws = np.random.default_rng(1)
    feeds: dict[str, Any] = {}
    for name, example in zip(graph.inputs, graph.example, strict=True):
        sizes = {"content_frames": frames // 2, "frames": frames}
        axes = graph.dynamic.get(name, {})
        shape = [sizes.get(axes.get(i, ""), size) for i, size in enumerate(example.shape)]
        value = draws.standard_normal(shape).astype(np.float32)
        if name == "mel2ph":
            value = (np.arange(frames) // 2 % (frames // 2))[None]
        elif example.dtype == torch.int64:
            value = example.numpy()
        elif name == "f0":
            value = (np.abs(value) * 200 + 60).astype(np.float32)
            value[:, 5:9] = 0
        elif name in ("sid", "spk_mix"):
            value = np.abs(value) / np.abs(value).sum(1, keepdims=True)
        elif name == "uv":
            value = (value > 0).astype(np.float32)
        feeds[name] = value
    return feeds


def snr(graph: export.GraphFile, path: Path, frames: int) -> float:
    import onnxruntime

    export.write_graph(graph, path)
    feeds = feeds_for(graph, frames)
    got = onnxruntime.InferenceSession(str(path)).run(None, feeds)[0]
    with torch.no_grad():
        want = graph.module(*(torch.from_numpy(value) for value in feeds.values())).numpy()
    assert got.shape == want.shape
    assert np.abs(want).max() > 1e-3
    return float(10 * np.log10((want**2).mean() / max(((got - want) ** 2).mean(), 1e-30)))


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_generator_graph(variant: str, tmp_path: Path) -> None:
    graph = export.svc_graph(synthesizer(**VARIANTS[variant]), source_noise=False)
    assert snr(graph, tmp_path / "net.onnx", 90) > 40


@pytest.mark.slow
def test_generator_graph_of_any_length(tmp_path: Path) -> None:
    graph = export.svc_graph(synthesizer(), source_noise=False)
    assert snr(graph, tmp_path / "net.onnx", 1300) > 40


@pytest.mark.parametrize("part", ["encoder", "denoise", "pred", "after"])
def test_diffusion_graphs(part: str, tmp_path: Path) -> None:
    net = randomised(Unit2Mel(DiffusionConfig(units=20, layers=3, channels=48, hidden=32, speakers=4)))
    assert snr(export.diffusion_graphs(net)[part], tmp_path / "net.onnx", 57) > 40


@pytest.mark.slow
def test_files_and_card(tmp_path: Path) -> None:
    import onnxruntime

    net = synthesizer(inter_channels=192, n_speakers=2, vol_embedding=True)
    graph, card = export.export_svc(net, {"spk": {"zoë": 1, "al": 0}}, tmp_path, "duo")
    assert graph == tmp_path / "duo" / "duo_SoVits.onnx"
    facts = json.loads(card.read_text(encoding="utf-8"))
    assert facts["Characters"] == ["al", "zoë"]
    assert (facts["Type"], facts["CharaMix"], facts["Volume"], facts["HiddenSize"]) == ("SoVits", True, True, 20)
    session = onnxruntime.InferenceSession(str(graph))
    assert [item.name for item in session.get_inputs()] == ["c", "f0", "mel2ph", "uv", "noise", "sid", "vol"]
    # The noise of the source is drawn inside the graph: two runs differ in it, and in little else.
    feeds = feeds_for(export.svc_graph(net), 40)
    one, two = (session.run(None, feeds)[0] for _ in range(2))
    assert 0 < np.abs(one - two).max() < 1


def test_models_that_the_layout_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(WrongModelError, match="equal widths and 192"):
        export.export_svc(synthesizer(), {}, tmp_path, "narrow")
    assert not list(tmp_path.iterdir())
