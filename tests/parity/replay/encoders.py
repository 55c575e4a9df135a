"""Runners of the content encoders."""

from __future__ import annotations

import torch
from torch.nn import functional

from sovits.features.content import configs, keys
from sovits.features.content.hubert import Hubert, HubertConfig
from sovits.features.content.whisper import WhisperConfig, WhisperEncoder, log_mel, mel_bank
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, runner
from tests.parity.replay.svc_nets import loaded, tensors


def hubert(case: Case, lab: Lab, config: HubertConfig, rules: keys.Rules) -> Hubert:
    arrays = {name: value.numpy() for name, value in lab.state(case.meta["manifest"], case.meta["salt"]).items()}
    renamed = keys.rename(arrays, rules)
    net: Hubert = loaded(Hubert(config), {name: torch.from_numpy(value) for name, value in renamed.items()})
    return net


@runner("enc_fairseq")
def enc_fairseq(case: Case, lab: Lab) -> Outputs:
    wav = tensors(case)["wav"][None]
    config = configs.from_fairseq(lab.manifest(case.meta["manifest"])["config"]["model"])
    net = hubert(case, lab, config, keys.FAIRSEQ)
    if config.pre_norm:
        return {"units": net.units(wav), "layer2_no_final_norm": net.units(wav, layer=2)}
    return {
        "vec768l12": net.units(wav, layer=12),
        "layer9": net.units(wav, layer=9),
        "vec256l9": net.units(wav, layer=9, project=True),
    }


@runner("enc_soft")
def enc_soft(case: Case, lab: Lab) -> Outputs:
    net = hubert(case, lab, configs.SOFT, keys.SOFT)
    wav = functional.pad(tensors(case)["wav"][None], (configs.SOFT_PADDING, configs.SOFT_PADDING))
    seen = {}
    net.feature_extractor.register_forward_hook(lambda module, args, out: seen.__setitem__("conv", out))
    net.encoder.layers[0].register_forward_pre_hook(lambda module, args: seen.__setitem__("in", args[0]))
    return {"units": net.units(wav, project=True), "conv_features": seen["conv"], "encoder_in": seen["in"]}


@runner("enc_wavlm")
def enc_wavlm(case: Case, lab: Lab) -> Outputs:
    config = configs.from_wavlm(lab.manifest(case.meta["manifest"])["config"])
    return {"units": hubert(case, lab, config, keys.FAIRSEQ).units(tensors(case)["wav"][None])}


@runner("enc_dp")
def enc_dp(case: Case, lab: Lab) -> Outputs:
    config = configs.from_dphubert(lab.manifest(case.meta["manifest"])["config"])
    return {"units": hubert(case, lab, config, keys.TORCHAUDIO).units(tensors(case)["wav"][None])}


@runner("enc_whisper")
def enc_whisper(case: Case, lab: Lab) -> Outputs:
    manifest = lab.manifest(case.meta["manifest"])
    config = WhisperConfig.from_official(manifest["config"])
    net: WhisperEncoder = loaded(
        WhisperEncoder(config), lab.state(case.meta["manifest"], case.meta["salt"], "encoder.")
    )
    wav = tensors(case)["wav"]
    bank = mel_bank(config.mels)
    mel = log_mel(functional.pad(wav, (0, 480000 - len(wav))), bank)
    return {"units": net.units(wav, bank), "mel_head": mel[:, :120], "mel_shape": list(mel.shape)}


@runner("enc_whisper_full")
def enc_whisper_full(case: Case, lab: Lab) -> Outputs:
    return enc_whisper(case, lab)
