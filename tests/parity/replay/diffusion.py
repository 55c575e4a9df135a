"""Runners of Unit2Mel: denoiser, schedules, every sampler, training step, ONNX graphs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sovits.nets.diffusion.config import DiffusionConfig
from sovits.nets.diffusion.samplers import SAMPLERS
from sovits.nets.diffusion.samplers.ddpm import ddpm
from sovits.nets.diffusion.samplers.multistep import CLIP_LOG_SNR
from sovits.nets.diffusion.schedule import ContinuousSchedule, tables
from sovits.nets.diffusion.unit2mel import Unit2Mel
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, noise_of, runner
from tests.parity.replay.svc_nets import loaded, tensors


def unit2mel(case: Case, lab: Lab) -> Unit2Mel:
    manifest = lab.manifest(case.meta["manifest"])
    net: Unit2Mel = loaded(
        Unit2Mel(DiffusionConfig.from_official(manifest["config"])),
        lab.state(case.meta["manifest"], case.meta["salt"]),
    )
    return net


@runner("diff_infer")
def diff_infer(case: Case, lab: Lab) -> Outputs:
    net, given, args = unit2mel(case, lab), tensors(case), case.meta["args"]
    speaker = given["spk_id"]
    if mix := args.get("spk_mix_dict"):
        speaker = torch.zeros(1, net.config.speakers)
        for row, weight in mix.items():
            speaker[0, int(row)] = weight
    times: list[float] = []
    sizes: list[float] = []

    def watch(module: Any, inputs: tuple[Tensor, ...]) -> None:
        times.append(float(inputs[1][0]))
        sizes.append(float(inputs[0].abs().mean()))

    net.decoder.denoise_fn.register_forward_pre_hook(watch)
    speedup, method = args.get("speedup", 10), args.get("method")
    with torch.no_grad():
        condition = net.condition(given["units"], given["f0"], given["volume"], speaker, given.get("aug_shift"))
        mel = net.infer(
            condition,
            noise_of(case),
            SAMPLERS[method] if method and speedup > 1 else ddpm,
            speedup=speedup,
            mel=given.get("gt_spec"),
            k_step=args.get("k_step"),
        )
    return {"mel": mel, "cond": condition, "denoiser_t": times, "denoiser_x_absmean": sizes}


@runner("schedules")
def schedules(case: Case, lab: Lab) -> Outputs:
    args = case.meta["args"]
    betas = tables(args["timesteps"])["betas"][: args["t"]]
    out: dict[str, Any] = {}
    for name, clip in (("dpm", CLIP_LOG_SNR), ("unipc", None)):
        schedule = ContinuousSchedule.of(betas, clip_log_snr=clip)
        times = schedule.uniform(args["steps"])
        out[f"{name}_total_N"] = [schedule.points]
        out[f"{name}_timesteps"] = times
        out[f"{name}_log_alpha"] = schedule.log_alpha(times)
        out[f"{name}_std"] = schedule.sigma(times)
        out[f"{name}_lambda"] = schedule.half_log_snr(times)
        out[f"{name}_inverse"] = schedule.inverse(schedule.half_log_snr(times))
        out[f"{name}_model_t"] = schedule.net_time(times)
    return out


@runner("diff_denoise")
def diff_denoise(case: Case, lab: Lab) -> Outputs:
    net, given = unit2mel(case, lab), tensors(case)
    inner = net.decoder
    x, condition = given["x"].squeeze(1), given["cond"]
    out: dict[str, Any] = {}
    with torch.no_grad():
        for i, step in enumerate(given["t"]):
            steps = step.view(1).expand(len(x))
            out[f"eps{i}"] = inner.denoise_fn(x, steps, condition).unsqueeze(1)
        out["step_embedding"] = inner.denoise_fn.diffusion_embedding(given["t"])
        normal = inner.normalise(given["mel"])
        out["norm"], out["denorm"] = normal, inner.denormalise(normal)
        clean, drawn = normal.transpose(1, 2), given["noise"].squeeze(1)
        for name, t, distance in (("l2", 37, "mse_loss"), ("l1", 700, "l1_loss")):
            step = torch.full((len(clean),), t)
            noised = inner.noised(clean, step, drawn)
            if name == "l2":
                out["q_sample"] = noised.unsqueeze(1)
            predicted = inner.denoise_fn(noised, step, condition)
            out[f"loss_{name}"] = getattr(torch.nn.functional, distance)(predicted, drawn).view(1)
    return out


@runner("diff_train")
def diff_train(case: Case, lab: Lab) -> Outputs:
    net, given = unit2mel(case, lab), tensors(case)
    noise, step = noise_of(case), case.meta["args"]["t"]

    class AtStep:
        """The recorded draw of steps: one value for the whole batch."""

        def __getattr__(self, name: str) -> Any:
            return getattr(noise, name)

        def integers(self, name: str, shape: tuple[int, ...], low: int, high: int) -> Any:
            return noise.integers(name, shape, step, high)

    loss = net(
        given["units"], given["f0"], given["volume"], given["spk_id"], given["gt_spec"], AtStep(), given["aug_shift"]
    )
    loss.backward()
    norms = {name: p.grad.norm() for name, p in net.named_parameters() if p.grad is not None}
    names = [str(name) for name in case.outs["grad_names"]]
    return {
        "loss": loss.detach().view(1),
        "grad_names": case.outs["grad_names"] if set(names) == set(norms) else sorted(norms),
        "grad_norms": torch.stack([norms[name] for name in names]),
    }
