"""ONNX files in the layout of MoeVoiceStudio, traced from the nets that serve (spec section 10)."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sovits.core.atomic import replacing
from sovits.core.errors import WrongModelError
from sovits.core.registry import missing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sovits.nets.diffusion.unit2mel import Unit2Mel
    from sovits.nets.svc.synthesizer import Synthesizer

OPSET = 16
#: Frames of the traced example; every time axis is dynamic.
FRAMES = 20


@dataclass(frozen=True)
class GraphFile:
    """One graph: what goes in, what comes out, and which axes are dynamic."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    output: str
    dynamic: Mapping[str, Mapping[int, str]]


def export_svc(net: Synthesizer, config: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``<folder>/<name>/<name>_SoVits.onnx`` and ``<folder>/<name>.json``.

    Args:
        net: in evaluation mode. ``config``: the parsed ``config.json``.

    Raises:
        WrongModelError: ``ssl_dim`` and ``gin_channels`` differ (the layout has one width for both), or a latent
            that is not 192 wide (readers of the layout draw noise of that width).
    """
    sizes = net.config
    if sizes.ssl_dim != sizes.gin_channels or sizes.inter_channels != 192:
        raise WrongModelError(
            f"'{name}' has ssl_dim {sizes.ssl_dim}, gin_channels {sizes.gin_channels} and inter_channels "
            f"{sizes.inter_channels}; the layout needs equal widths and 192",
            hint="such a model cannot be used by MoeVoiceStudio; convert with sovits instead",
        )
    target = folder / name / f"{name}_SoVits.onnx"
    write_graph(svc_graph(net), target)
    card = folder / f"{name}.json"
    with replacing(card) as beside:
        beside.write_text(json.dumps(moe_card(net, config, name), ensure_ascii=False, indent=1), encoding="utf-8")
    return target, card


def svc_graph(net: Synthesizer, *, source_noise: bool = True) -> GraphFile:
    """The generator's graph; with two or more speakers it takes mix weights, as the layout asks for."""
    import torch

    from sovits.export.graphs import SvcGraph

    sizes = net.config
    speakers = sizes.n_speakers
    inputs = ["c", "f0", "mel2ph", "uv", "noise", "sid"]
    content = torch.zeros(1, FRAMES // 2, sizes.ssl_dim)
    track = torch.full((1, FRAMES), 220.0)
    places = (torch.arange(FRAMES) // 2 + 1)[None]
    speaker = torch.full((FRAMES, speakers), 1 / speakers) if speakers > 1 else torch.zeros(1, dtype=torch.int64)
    noise = torch.zeros(1, sizes.inter_channels, FRAMES)
    example = [content, track, places, torch.ones_like(track), noise, speaker]
    dynamic: dict[str, dict[int, str]] = {
        "c": {0: "batch", 1: "content_frames"},
        "f0": {1: "frames"},
        "mel2ph": {1: "frames"},
        "uv": {1: "frames"},
        "noise": {2: "frames"},
        "audio": {2: "samples"},
    }
    if speakers > 1:
        dynamic["sid"] = {0: "frames"}
    if sizes.vol_embedding:
        inputs.append("vol")
        example.append(torch.full((1, FRAMES), 0.1))
        dynamic["vol"] = {1: "frames"}
    graph = SvcGraph(serving(net), source_noise=source_noise)
    return GraphFile(graph, tuple(example), tuple(inputs), "audio", dynamic)


def diffusion_graphs(net: Unit2Mel) -> dict[str, GraphFile]:
    """The four graphs of a diffusion model by the suffix of their file."""
    import torch

    from sovits.export.graphs import AfterGraph, DenoiseGraph, DiffusionEncoderGraph, PredictGraph

    sizes = net.config
    mel = torch.zeros(1, 1, sizes.bins, FRAMES)
    step, before = torch.tensor([10]), torch.tensor([0])
    track = torch.full((1, FRAMES), 220.0)
    wide, flat = {3: "frames"}, {1: "frames"}
    return {
        "encoder": GraphFile(
            DiffusionEncoderGraph(net),
            (
                torch.zeros(1, FRAMES, sizes.units),
                torch.arange(1, FRAMES + 1)[None],
                track,
                torch.zeros_like(track),
                torch.full((FRAMES, sizes.speakers), 1 / sizes.speakers),
            ),
            ("hubert", "mel2ph", "f0", "volume", "spk_mix"),
            "mel_pred",
            {
                "hubert": {1: "content_frames"},
                "mel2ph": flat,
                "f0": flat,
                "volume": flat,
                "spk_mix": {0: "frames"},
                "mel_pred": {2: "frames"},
            },
        ),
        "denoise": GraphFile(
            DenoiseGraph(net),
            (mel, step, torch.zeros(1, sizes.hidden, FRAMES)),
            ("noise", "time", "condition"),
            "noise_pred",
            {"noise": wide, "condition": {2: "frames"}, "noise_pred": wide},
        ),
        "pred": GraphFile(
            PredictGraph(net),
            (mel, mel, step, before),
            ("noise", "noise_pred", "time", "time_prev"),
            "noise_pred_o",
            {"noise": wide, "noise_pred": wide, "noise_pred_o": wide},
        ),
        "after": GraphFile(AfterGraph(net), (mel,), ("x",), "mel_out", {"x": wide, "mel_out": {2: "frames"}}),
    }


def export_diffusion(net: Unit2Mel, folder: Path, name: str) -> list[Path]:
    """Write ``<folder>/<name>_{encoder,denoise,pred,after}.onnx``."""
    paths = []
    for suffix, graph in diffusion_graphs(net).items():
        path = folder / f"{name}_{suffix}.onnx"
        write_graph(graph, path)
        paths.append(path)
    return paths


def serving(net: Synthesizer) -> Synthesizer:
    """A copy for tracing: weight norm folded, attention over all queries at once."""
    from sovits.nets.attention import Attention
    from sovits.nets.convolution import fold_weight_norm

    traced = copy.deepcopy(net).eval()
    fold_weight_norm(traced)
    for module in traced.modules():
        if isinstance(module, Attention):
            module.query_block = None
    return traced


def write_graph(graph: GraphFile, target: Path) -> None:
    """Trace and write one graph, atomically.

    Raises:
        MissingDependencyError: the package ``onnx`` is not installed.
    """
    import torch

    if find_spec("onnx") is None:  # torch's exporter asks for it
        raise missing("onnx", "writing ONNX files", "export")
    with replacing(target) as beside, warnings.catch_warnings():
        # The tracing exporter warns that it is the older one; it follows any length and keeps random nodes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module.eval(),
            graph.example,
            str(beside),
            input_names=list(graph.inputs),
            output_names=[graph.output],
            dynamic_axes={name: dict(axes) for name, axes in graph.dynamic.items()},
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,
        )


def moe_card(net: Synthesizer, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The JSON beside the graph (spec section 10)."""
    sizes = net.config
    layer = 12 if sizes.gin_channels == 768 else 9
    return {
        "Folder": name,
        "Name": name,
        "Type": "SoVits",
        "Rate": sizes.sample_rate,
        "Hop": sizes.hop,
        "Cluster": "",
        "SoVits4": True,
        "SoVits3": False,
        "CharaMix": sizes.n_speakers > 1,
        "Volume": sizes.vol_embedding,
        "HiddenSize": sizes.gin_channels,
        "Hubert": f"vec-{sizes.gin_channels}-layer-{layer}",
        "Characters": _characters(config.get("spk", {})),
    }


def _characters(speakers: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Speaker names in the order of their ids."""
    if isinstance(speakers, Mapping):
        return [name for name, _ in sorted(speakers.items(), key=lambda row: int(row[1]))]
    return list(speakers)
