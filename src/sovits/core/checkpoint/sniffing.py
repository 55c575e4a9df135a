"""Tell kind and version of a weight file from the names and shapes in it. Tables first, special cases as functions.

Sources: compat/svc and compat/gsv manifests; spec singing-conversion.md, sections 1 and 2; spec gpt-sovits.md,
section 2 (version detection by names, with the byte heads kept for what names cannot tell).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sovits.core.checkpoint.kinds import Kind
from sovits.core.checkpoint.zips import HEADS

#: Content encoders of so-vits-svc by the width of their features (spec, section 1).
ENCODERS = {
    256: ("vec256l9", "hubertsoft"),
    768: ("vec768l12", "dphubert", "wavlmbase+"),
    1024: ("whisper-ppg", "cnhubertlarge"),
    1280: ("whisper-ppg-large",),
}
#: md5 of the first 8192 bytes of the official s2 base models (spec gpt-sovits.md, section 2, step 1).
_BASE_MODELS = {
    "dc3c97e17592963677a4a1681f30c653": "v1",
    "43797be674a37c1c83ee81081941ed0f": "v3",
    "6642b37f3dbb1f76882b69937c95a5f3": "v2",
    "4f26b9476d0c5033e04162c486074374": "v4",
    "c7e9fce2223f3db685cdfa1e6368728a": "v2Pro",
    "66b313e39455b57ab1b0bc0b239c9d0a": "v2ProPlus",
}
_WHISPER_SIZES = {384: "tiny", 512: "base", 768: "small", 1024: "medium", 1280: "large"}
_CREPE_SIZES = {128: "tiny", 256: "small", 512: "medium", 768: "large", 1024: "full"}


@dataclass(frozen=True)
class Found:
    """What sniffing found: the kind, the version as people call it, and facts such as widths and speaker counts."""

    kind: Kind
    version: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """What the rules may look at."""

    shapes: Mapping[str, tuple[int, ...]]
    fields: Mapping[str, Any]
    config: Mapping[str, Any]
    head: str
    head_md5: Callable[[], str]

    def has(self, *names: str) -> bool:
        """Whether all of these tensors are there."""
        return all(name in self.shapes for name in names)

    def any(self, pattern: str) -> bool:
        """Whether some tensor's name contains the regular expression."""
        search = re.compile(pattern).search
        return any(search(name) for name in self.shapes)

    def size(self, name: str, axis: int = 0) -> int | None:
        """One side of a tensor; ``None`` if there is no such tensor or side."""
        shape = self.shapes.get(name, ())
        return shape[axis] if -len(shape) <= axis < len(shape) else None

    def setting(self, *path: str) -> Any:
        """A value deep in the config, ``None`` if absent."""
        value: Any = self.config
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def layers(self, prefix: str) -> int:
        """How many different numbers follow ``prefix`` in the names."""
        width = len(prefix)
        return len({name[width:].split(".")[0] for name in self.shapes if name.startswith(prefix)})


@dataclass(frozen=True)
class Rule:
    """A kind, and the patterns (regular expressions for whole names) that must each match a tensor.

    The first rule that fits wins, so the narrower of two rules stands first.
    """

    kind: Kind
    needs: tuple[str, ...]
    describe: Callable[[View], Found | tuple[str, dict[str, Any]]] = lambda _: ("", {})


def sniff(view: View) -> Found:
    """The kind of a set of tensors; ``Kind.UNKNOWN`` if no rule fits."""
    names = "\n".join(view.shapes)

    def present(pattern: str) -> bool:
        return re.search(rf"^(?:{pattern})$", names, re.MULTILINE) is not None

    for rule in RULES:
        if all(map(present, rule.needs)):
            described = rule.describe(view)
            return described if isinstance(described, Found) else Found(rule.kind, *described)
    return Found(Kind.UNKNOWN)


# -- so-vits-svc


def _svc(view: View) -> tuple[str, dict[str, Any]]:
    width = view.size("pre.weight", 1)
    shared = view.any(r"^flow\.wn\.")
    transformer = view.any(r"^flow\..*self_attn_layers\.")
    depthwise = view.any(r"\.depth_conv\.")
    facts: dict[str, Any] = {
        "content_width": width,
        "speech_encoders": list(ENCODERS.get(width or 0, ())),
        "speaker_rows": view.size("emb_g.weight"),
        "speaker_width": view.size("emb_g.weight", 1),
        "hidden_width": view.size("pre.weight"),
        "volume_embedding": view.has("emb_vol.weight"),
        "automatic_f0": view.any(r"^f0_decoder\."),
        "flow": "transformer" if transformer else "residual",
        "flow_shared": shared,
        "depthwise": depthwise,
        "tiny": depthwise and shared,
        "vocoder": "nsf-snake-hifigan" if view.any(r"^dec\.snakes?[._]") else "nsf-hifigan",
        "trainable": view.any(r"^enc_q\."),
    }
    later = shared or transformer or depthwise or facts["volume_embedding"] or facts["vocoder"] != "nsf-hifigan"
    if view.setting("model", "speech_encoder"):
        return "4.1", facts
    if width == 256 and facts["automatic_f0"] and not later:
        facts["note"] = "4.0 and 4.1 of this width have the same tensors; speech_encoder in config.json means 4.1"
        return "4.0" if view.setting("model") else "4.0/4.1", facts
    return "4.1", facts


def _diffusion(view: View) -> tuple[str, dict[str, Any]]:
    width = view.size("unit_embed.weight", 1)
    facts = {
        "content_width": width,
        "speech_encoders": list(ENCODERS.get(width or 0, ())),
        "speaker_rows": view.size("spk_embed.weight") or 1,
        "layers": view.layers("decoder.denoise_fn.residual_layers."),
        "mel_bands": view.size("decoder.denoise_fn.input_projection.weight", 1),
        "timesteps": view.size("decoder.betas"),
        "pitch_augmentation": view.has("aug_shift_embed.weight"),
    }
    return "unit2mel", facts


def _nsf(view: View) -> tuple[str, dict[str, Any]]:
    conv = "conv_pre.weight_v" if view.has("conv_pre.weight_v") else "conv_pre.weight"
    facts = {"mel_bands": view.size(conv, 1), "channels": view.size(conv), "stages": view.layers("ups.")}
    facts |= {key: view.config[key] for key in ("sampling_rate", "hop_size") if key in view.config}
    return "", facts


def _discriminator(view: View) -> Found:
    count = view.layers("discriminators.")
    facts = {"parts": count}
    if "info" in view.fields or view.setting("model", "semantic_frame_rate"):
        return Found(Kind.GSV_S2_DISCRIMINATOR, "v2Pro" if count > 6 else "v1/v2", facts)
    return Found(Kind.SVC_DISCRIMINATOR, "4.x" if count == 6 else "", facts)


# -- features


def _transformer(view: View) -> tuple[str, dict[str, Any]]:
    facts = {"width": view.size("post_extract_proj.weight"), "layers": view.layers("encoder.layers.")}
    facts["projection_width"] = view.size("final_proj.weight")
    return {768: "base", 1024: "large"}.get(facts["width"] or 0, ""), {k: v for k, v in facts.items() if v is not None}


def _hf_hubert(view: View) -> tuple[str, dict[str, Any]]:
    prefix = "" if view.has("feature_projection.projection.weight") else "hubert."
    width = view.size(f"{prefix}feature_projection.projection.weight")
    return {768: "base", 1024: "large"}.get(width or 0, ""), {
        "width": width,
        "layers": view.layers(f"{prefix}encoder.layers."),
    }


def _hf_bert(view: View) -> tuple[str, dict[str, Any]]:
    name = next(name for name in view.shapes if name.endswith("embeddings.word_embeddings.weight"))
    prefix = name.removesuffix("embeddings.word_embeddings.weight")
    width = view.size(name, 1)
    return {768: "base", 1024: "large"}.get(width or 0, ""), {
        "width": width,
        "vocabulary": view.size(name),
        "layers": view.layers(f"{prefix}encoder.layer."),
    }


def _whisper(view: View) -> tuple[str, dict[str, Any]]:
    width = view.size("encoder.positional_embedding", 1)
    facts = {
        "width": width,
        "layers": view.layers("encoder.blocks."),
        "mel_bands": view.size("encoder.conv1.weight", 1),
    }
    return _WHISPER_SIZES.get(width or 0, ""), facts


def _fcpe(view: View) -> tuple[str, dict[str, Any]]:
    official = view.has("stack.0.weight")
    first = "stack.0.weight" if official else "input_stack.0.weight"
    facts = {"mel_bands": view.size(first, 1), "width": view.size(first), "bins": view.size("cent_table")}
    return "so-vits-svc" if official else "torchfcpe", facts


def _kmeans(view: View) -> tuple[str, dict[str, Any]]:
    name = next(name for name in view.shapes if name.endswith("cluster_centers_"))
    speakers = [one.removesuffix(".cluster_centers_") for one in view.shapes if one.endswith(".cluster_centers_")]
    return "", {"speakers": speakers, "clusters": view.size(name), "content_width": view.size(name, 1)}


# -- GPT-SoVITS


def _s1(view: View) -> tuple[str, dict[str, Any]]:
    prefix = "model." if view.any(r"^model\.ar_") else ""
    phones = view.size(f"{prefix}ar_text_embedding.word_embeddings.weight")
    facts: dict[str, Any] = {
        "phone_rows": phones,
        "width": view.size(f"{prefix}ar_text_embedding.word_embeddings.weight", 1),
        "layers": view.layers(f"{prefix}h.layers."),
        "tokens": view.size(f"{prefix}ar_predict_layer.weight"),
    }
    if phones == 512:
        return "v1", facts
    facts["note"] = "v3, v4, v2Pro and v2ProPlus share this shape"
    return "v2", facts


def _s2(view: View) -> tuple[str, dict[str, Any]]:
    phones = view.size("enc_p.text_embedding.weight")
    facts: dict[str, Any] = {"phone_rows": phones, "speaker_vector": view.has("sv_emb.weight")}
    facts["sample_rate"] = 32000
    facts["trainable"] = view.any(r"^enc_q\.")
    if facts["speaker_vector"]:
        stated = _stated(view, ("v2Pro", "v2ProPlus"))
        plus = (view.size("dec.conv_pre.weight") or 0) >= 768
        return stated or ("v2ProPlus" if plus else "v2Pro"), facts
    return "v1" if phones == 322 else "v2", facts


def _s2_flow(view: View) -> tuple[str, dict[str, Any]]:
    facts: dict[str, Any] = {"phone_rows": view.size("enc_p.text_embedding.weight")}
    facts["layers"] = view.layers("cfm.estimator.transformer_blocks.")
    return _flow_version(view, facts), facts


def _lora(view: View) -> tuple[str, dict[str, Any]]:
    name = next(name for name in view.shapes if ".lora_A." in name)
    facts: dict[str, Any] = {"lora_rank": view.fields.get("lora_rank", view.size(name))}
    return _flow_version(view, facts), facts


def _flow_version(view: View, facts: dict[str, Any]) -> str:
    version = _stated(view, ("v3", "v4"))
    facts["sample_rate"] = {"v3": 24000, "v4": 48000}.get(version)
    if not version:
        facts["note"] = "v3 and v4 have the same tensors, and nothing in this file says which it is"
    return version or "v3/v4"


def _stated(view: View, among: tuple[str, ...]) -> str:
    """The version by head, config or the md5 of a base model, where names cannot tell."""
    head = HEADS.get(view.head, "").removesuffix(" LoRA")
    for value in (head, view.setting("version"), view.setting("model", "version"), _BASE_MODELS.get(view.head_md5())):
        if value in among:
            return str(value)
    return ""


# -- others


def _rvc(view: View) -> tuple[str, dict[str, Any]]:
    width = view.size("enc_p.emb_phone.weight", 1)
    facts = {
        "content_width": width,
        "speaker_rows": view.size("emb_g.weight"),
        "f0": view.has("enc_p.emb_pitch.weight"),
    }
    facts |= {key: view.fields[key] for key in ("sr", "info") if isinstance(view.fields.get(key), (str, int))}
    return {256: "v1", 768: "v2"}.get(width or 0, ""), facts


RULES: tuple[Rule, ...] = (
    Rule(Kind.RVC, (r"enc_p\.emb_phone\.weight", r"dec\.conv_pre\..*"), _rvc),
    Rule(Kind.SVC, (r"emb_g\.weight", r"emb_uv\.weight", r"enc_p\.f0_emb\.weight", r"dec\.conv_pre\..*"), _svc),
    Rule(
        Kind.SVC_DIFFUSION,
        (r"unit_embed\.weight", r"decoder\.denoise_fn\.input_projection\.weight"),
        _diffusion,
    ),
    Rule(Kind.GSV_S2_LORA, (r"cfm\..*\.lora_A\..*",), _lora),
    Rule(Kind.GSV_S2, (r"cfm\.estimator\..*",), _s2_flow),
    Rule(Kind.GSV_S2, (r"enc_p\.ssl_proj\.weight", r"quantizer\.vq\..*", r"dec\.conv_pre\..*"), _s2),
    Rule(Kind.GSV_S1, (r"(model\.)?ar_text_embedding\..*", r"(model\.)?ar_predict_layer\.weight"), _s1),
    Rule(Kind.SVC_DISCRIMINATOR, (r"discriminators\.0\.convs\.0\..*",), _discriminator),
    Rule(Kind.WAVLM, (r"encoder\.layers\.0\.self_attn\.grep_linear\.weight",), _transformer),
    Rule(
        Kind.CNHUBERT_LARGE,
        (r"feature_extractor\.conv_layers\.1\.2\.1\.weight", r"encoder\.pos_conv\.0\..*"),
        _transformer,
    ),
    Rule(
        Kind.CONTENTVEC,
        (r"feature_extractor\.conv_layers\.0\.2\.weight", r"encoder\.pos_conv\.0\..*", r"post_extract_proj\.weight"),
        _transformer,
    ),
    Rule(Kind.HUBERT_SOFT, (r"feature_extractor\.conv0\.weight", r"positional_embedding\.conv\..*", r"proj\.weight")),
    Rule(Kind.DPHUBERT, (r"feature_extractor\.dummy_weight", r"encoder\.transformer\.layers\.0\..*")),
    Rule(Kind.WHISPER, (r"encoder\.positional_embedding", r"encoder\.blocks\.0\.attn\.query\.weight"), _whisper),
    Rule(Kind.RMVPE, (r"unet\.encoder\.bn\.weight", r"cnn\.weight", r"fc\..*")),
    Rule(Kind.FCPE, (r"cent_table", r"(input_)?stack\.0\.weight"), _fcpe),
    Rule(
        Kind.CREPE,
        (r"conv1_BN\.weight", r"classifier\.weight"),
        lambda view: (_CREPE_SIZES.get(view.size("conv1.weight") or 0, ""), {}),
    ),
    Rule(Kind.GE2E, (r"similarity_weight", r"lstm\.weight_ih_l0", r"linear\.weight")),
    Rule(Kind.NSF_HIFIGAN, (r"m_source\.l_linear\.weight", r"noise_convs\.0\.weight", r"conv_pre\..*"), _nsf),
    Rule(Kind.BIGVGAN, (r"activation_post\.act\.alpha", r"conv_pre\..*"), _nsf),
    Rule(
        Kind.HIFIGAN,
        (r"conv_pre\..*", r"ups\.0\..*", r"resblocks\.0\.convs1\.0\..*", r"conv_post\..*"),
        lambda view: ("v4" if _nsf(view)[1]["mel_bands"] == 100 else "", _nsf(view)[1]),
    ),
    Rule(Kind.ERES2NETV2, (r"layer1\.0\..*", r"fuse34\.local_att\.0\.weight", r"seg_1\.weight")),
    Rule(Kind.AP_BWE, (r"conv_pre_mag\.weight", r"linear_post_pha_i\.weight")),
    Rule(Kind.HF_BERT, (r"(bert\.)?embeddings\.word_embeddings\.weight",), _hf_bert),
    Rule(
        Kind.HF_HUBERT,
        (r"(hubert\.)?feature_projection\.projection\.weight", r"(hubert\.)?encoder\.pos_conv_embed\..*"),
        _hf_hubert,
    ),
    Rule(Kind.KMEANS, (r"(.*\.)?cluster_centers_",), _kmeans),
)
