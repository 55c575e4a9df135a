"""Runner of one training step of the svc net: losses and gradients, generator and discriminators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits.features import mel
from sovits.nets.discriminators import Discriminators
from sovits.nets.losses import discriminator_loss, feature_loss, generator_loss, kl_loss
from sovits.nets.svc.synthesizer import take_crops
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, noise_of, runner
from tests.parity.replay.svc_nets import loaded, synthesizer, tensors


def gradient_norms(net: nn.Module, names: Any) -> tuple[Any, Tensor, Tensor]:
    """Norms in the order of ``names``; the names themselves if they are ours as well; the norm over all."""
    norms = {name: p.grad.norm() for name, p in net.named_parameters() if p.grad is not None}
    same = set(map(str, names)) == set(norms)
    total = torch.stack(list(norms.values())).norm().view(1)
    return (
        (names if same else sorted(norms)),
        torch.stack([norms[str(name)] for name in names if str(name) in norms]),
        total,
    )


@runner("svc_train")
def svc_train(case: Case, lab: Lab) -> Outputs:
    net, given = synthesizer(case, lab), tensors(case)
    judge: Discriminators = loaded(Discriminators(), lab.state("svc_D", case.meta["salt"]))
    lengths = given["lengths"]
    out = net(
        given["c"],
        given["f0"],
        given["uv"],
        given["spec"],
        given["sid"],
        lengths,
        lengths,
        noise_of(case),
        given.get("vol"),
    )
    frames, hop = net.config.segment_frames, net.config.hop
    y = take_crops(given["y"], out.starts * hop, frames * hop)
    y_mel = take_crops(mel.to_mel(given["spec"], mel.SVC), out.starts, frames)
    y_hat_mel = mel.log_mel(out.audio.squeeze(1), mel.SVC)
    real, fake = judge(y), judge(out.audio.detach())
    loss_disc, on_real, on_fake = discriminator_loss([s for s, _ in real], [s for s, _ in fake])
    loss_disc.backward()
    d_names, d_norms, d_total = gradient_norms(judge, case.outs["grad_D_names"])
    judge.zero_grad()
    real, fake = judge(y), judge(out.audio)
    loss_gen, parts = generator_loss([s for s, _ in fake])
    loss_fm = feature_loss([maps for _, maps in real], [maps for _, maps in fake])
    loss_mel = functional.l1_loss(y_mel, y_hat_mel) * 45
    loss_kl = kl_loss(out.z_p, out.log_scale_q, out.mean_p, out.log_scale_p, out.mask)
    loss_lf0 = torch.zeros(())
    if out.predicted_lf0 is not None and out.lf0 is not None:
        loss_lf0 = functional.mse_loss(out.predicted_lf0, out.lf0)
    total = loss_gen + loss_fm + loss_mel + loss_kl + loss_lf0
    total.backward()
    g_names, g_norms, g_total = gradient_norms(net, case.outs["grad_G_names"])
    scalars = {
        "loss_disc": loss_disc,
        "loss_mel": loss_mel,
        "loss_kl": loss_kl,
        "loss_fm": loss_fm,
        "loss_gen": loss_gen,
        "loss_lf0": loss_lf0,
        "loss_gen_all": total,
    }
    results: dict[str, Any] = {name: value.detach().view(1) for name, value in scalars.items()}
    tensors_out = {
        "y_hat": out.audio,
        "ids": out.starts,
        "z": out.z,
        "z_p": out.z_p,
        "m_p": out.mean_p,
        "logs_p": out.log_scale_p,
        "m_q": out.mean_q,
        "logs_q": out.log_scale_q,
        "y_mel": y_mel,
        "y_hat_mel": y_hat_mel,
        "pred_lf0": out.predicted_lf0,
        "norm_lf0": out.normalised_lf0,
        "lf0": out.lf0,
        "losses_disc_r": torch.stack(on_real),
        "losses_disc_g": torch.stack(on_fake),
        "losses_gen": torch.stack(parts),
    }
    results |= {name: None if value is None else value.detach() for name, value in tensors_out.items()}
    return results | {
        "grad_G_names": g_names,
        "grad_G_norms": g_norms,
        "total_norm_G": g_total,
        "grad_D_names": d_names,
        "grad_D_norms": d_norms,
        "total_norm_D": d_total,
    }
