"""Runners of the graphs that are exported to ONNX."""

from __future__ import annotations

import torch

from sovits.export.graphs import AfterGraph, DenoiseGraph, DiffusionEncoderGraph, PredictGraph, SvcGraph
from sovits.nets.diffusion.samplers import SAMPLERS
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, noise_of, runner
from tests.parity.replay.diffusion import unit2mel
from tests.parity.replay.svc_nets import synthesizer, tensors


@runner("svc_onnx")
def svc_onnx(case: Case, lab: Lab) -> Outputs:
    graph, given = SvcGraph(synthesizer(case, lab), source_noise=False), tensors(case)
    with torch.no_grad():
        audio = graph(
            given["c"], given["f0"], given["mel2ph"], given["uv"], given["noise"], given["g"], given.get("vol")
        )
        return {"audio": audio, "har_source": graph.source(given["f0"]).squeeze(1)}


@runner("diff_onnx")
def diff_onnx(case: Case, lab: Lab) -> Outputs:
    net, given = unit2mel(case, lab), tensors(case)
    noise, args = given["noise"], case.meta["args"]
    with torch.no_grad():
        encoded = DiffusionEncoderGraph(net)(
            given["units"], given["mel2ph"], given["f0"], given["volume"], given["spk_mix"]
        )
        denoised = DenoiseGraph(net)(noise, torch.tensor([500]), encoded)
        mel = SAMPLERS["pndm"](
            lambda x, step: net.decoder.denoise_fn(x, step, encoded),
            noise.squeeze(1),
            net.decoder.tables,
            args["k_step"],
            args["speedup"],
            noise_of(case),
            lambda: None,
        )
        return {
            "encoder_out": encoded,
            "denoise": denoised,
            "pred": PredictGraph(net)(noise, denoised, torch.tensor([500]), torch.tensor([400])),
            "after": AfterGraph(net)(noise),
            "mel": net.decoder.denormalise(mel),
        }
