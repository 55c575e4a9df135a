"""Runners of the svc generator: inference, posterior, training step, ONNX graph, discriminators, losses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sovits.nets.convolution import length_mask
from sovits.nets.discriminators import Discriminators, Judgement
from sovits.nets.losses import discriminator_loss, feature_loss, generator_loss, kl_loss
from sovits.nets.svc.config import SvcConfig
from sovits.nets.svc.pitch import coarse_bins
from sovits.nets.svc.synthesizer import Synthesizer
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, noise_of, runner


def tensors(case: Case) -> dict[str, Tensor]:
    """The inputs of a case as torch tensors."""
    return {name: torch.from_numpy(value.copy()) for name, value in case.ins.items()}


def loaded(net: nn.Module, state: dict[str, Tensor]) -> Any:
    """The net with the state loaded strictly, in evaluation mode."""
    net.load_state_dict(state, strict=True)
    return net.eval()


def synthesizer(case: Case, lab: Lab) -> Synthesizer:
    """The generator of a case with filled weights."""
    manifest = lab.manifest(case.meta["manifest"])
    net: Synthesizer = loaded(
        Synthesizer(SvcConfig.from_official(manifest["config"])), lab.state(case.meta["manifest"], case.meta["salt"])
    )
    return net


@contextmanager
def tapped(**modules: nn.Module) -> Iterator[dict[str, Any]]:
    """Collect the outputs of modules by the names given."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        return lambda module, args, output: seen.__setitem__(name, output)

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@runner("svc_infer")
def svc_infer(case: Case, lab: Lab) -> Outputs:
    net, given, args = synthesizer(case, lab), tensors(case), case.meta["args"]
    g = net.speaker(given["g"])
    front: dict[str, Tensor] = {}
    original = net.front

    def front_kept(*arguments: Any) -> Tensor:
        front["x"] = original(*arguments)
        return front["x"]

    net.front = front_kept  # type: ignore[method-assign]
    taps = {"prior": net.enc_p, "source": net.dec.m_source, "pre": net.dec.conv_pre, "up": net.dec.ups[0]}
    if net.f0_decoder is not None:
        taps["lf0"], taps["norm"] = net.f0_decoder, net.f0_decoder.f0_prenet
    decoded: dict[str, Tensor] = {}
    handle = net.dec.register_forward_pre_hook(lambda module, inputs: decoded.__setitem__("z", inputs[0]))
    norms: dict[str, Tensor] = {}
    if net.f0_decoder is not None:
        net.f0_decoder.f0_prenet.register_forward_pre_hook(lambda module, inputs: norms.__setitem__("x", inputs[0]))
    with tapped(**taps) as seen:
        audio, f0 = net.infer(
            given["c"],
            given["f0"],
            given["uv"],
            given["g"],
            noise_of(case),
            noise_scale=args.get("noice_scale", 0.35),
            predict_f0=args.get("predict_f0", False),
            volume=given.get("vol"),
        )
    handle.remove()
    z_p, mean, log_scale = seen["prior"]
    return {
        "audio": audio,
        "f0": f0,
        "g": g.detach(),
        "x_prior_in": front["x"],
        "f0_coarse": coarse_bins(f0),
        "z_p": z_p,
        "m_p": mean,
        "logs_p": log_scale,
        "z": decoded["z"],
        "har_source": seen["source"].squeeze(1),
        "dec_conv_pre": seen["pre"],
        "dec_up0": seen["up"],
        "pred_lf0": seen.get("lf0"),
        "norm_lf0": norms.get("x"),
    }


@runner("svc_posterior")
def svc_posterior(case: Case, lab: Lab) -> Outputs:
    net, given = synthesizer(case, lab), tensors(case)
    with torch.no_grad():
        g = net.speaker(given["sid"])
        mask = length_mask(given["lengths"], given["spec"].shape[2])
        z, mean, log_scale = net.enc_q(given["spec"], mask, g, noise_of(case))
        z_p = net.flow(z, mask, g)
        back = net.flow.inverse(z_p, mask, g)
    return {"z": z, "m_q": mean, "logs_q": log_scale, "mask": mask, "z_p": z_p, "z_back": back}


@runner("disc")
def disc(case: Case, lab: Lab) -> Outputs:
    judge: Discriminators = loaded(Discriminators(), lab.state(case.meta["manifest"], case.meta["salt"]))
    given = tensors(case)
    with torch.no_grad():
        real, fake = judge(given["y"]), judge(given["y_hat"])
    out: dict[str, Any] = {
        "loss_disc": discriminator_loss(*_scores(real, fake))[0].view(1),
        "loss_gen": generator_loss(_scores(real, fake)[1])[0].view(1),
        "loss_fm": feature_loss(*([maps for _, maps in judged] for judged in (real, fake))).view(1),
    }
    for letter, judged in (("r", real), ("g", fake)):
        for i, (score, maps) in enumerate(judged):
            out[f"{letter}{i}"] = score
            for j, feature in enumerate(maps):
                stem, flat = f"fmap_{letter}{i}_{j}", feature.flatten()
                out[f"{stem}_shape"] = list(feature.shape)
                out[f"{stem}_stats"] = torch.stack([flat.mean(), flat.std(), flat.abs().max()])
                out[f"{stem}_head"], out[f"{stem}_tail"] = flat[:48], flat[-48:]
    return out


def _scores(real: list[Judgement], fake: list[Judgement]) -> tuple[list[Tensor], list[Tensor]]:
    return [score for score, _ in real], [score for score, _ in fake]


@runner("losses")
def losses(case: Case, lab: Lab) -> Outputs:
    given = tensors(case)
    ones, others = ([given[f"{letter}{i}"] for i in range(3)] for letter in "ab")
    total, on_real, on_fake = discriminator_loss(ones[1:], others[1:])
    gen, gens = generator_loss(others[1:])
    return {
        "kl": kl_loss(given["z_p"], given["logs_q"], given["m_p"], given["logs_p"], given["z_mask"]).view(1),
        "fm": feature_loss([ones], [others]).view(1),
        "disc": total.view(1),
        "disc_r": torch.stack(on_real),
        "disc_g": torch.stack(on_fake),
        "gen": gen.view(1),
        "gens": torch.stack(gens),
    }


@runner("nsf")
def nsf(case: Case, lab: Lab) -> Outputs:
    manifest, given = lab.manifest(case.meta["manifest"]), tensors(case)
    net: HifiGan = loaded(
        HifiGan(HifiGanConfig.vocoder(manifest["config"])), lab.state(case.meta["manifest"], case.meta["salt"])
    )
    mel = given["mel"].transpose(1, 2)
    log10 = "log10" in case.name
    if log10:
        mel = mel * 0.434294
    f0 = given["f0"][:, : mel.shape[2], 0]
    with torch.no_grad(), tapped(source=net.m_source, pre=net.conv_pre) as seen:
        audio = net(mel, f0, noise_of(case))
    config = manifest["config"]
    return {
        "audio": audio,
        "har_source": seen["source"].squeeze(1),
        "conv_pre": None if log10 else seen["pre"],
        "dimension": [config["num_mels"], config["hop_size"], config["sampling_rate"]],
    }
