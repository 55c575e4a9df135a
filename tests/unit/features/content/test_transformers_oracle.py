"""Our content nets against those of the transformers package: the same random weights, every layer the same numbers.

The oracle's models are built from a config at toy size, so nothing is downloaded. Their tensors are handed over under
the names of the official files and go through our own tables of names and configs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from sovits.features.content import configs, keys  # noqa: E402
from sovits.features.content.hubert import Hubert, HubertConfig, LayerWidths  # noqa: E402
from sovits.features.content.whisper import WhisperConfig, WhisperEncoder, log_mel, mel_bank  # noqa: E402
from sovits.features.pitch.neural import loaded  # noqa: E402
from tests.parity.fill import fill_svc  # noqa: E402

pytestmark = [
    pytest.mark.slow,  # the import alone takes six seconds
    pytest.mark.skipif(
        find_spec("transformers") is None, reason="the oracle is not installed: pip install transformers"
    ),
]

Names = tuple[tuple[str, str], ...]
WIDTH, HEADS, INNER, LAYERS = 32, 2, 48, 3
CHANNELS, POSITIONS, GROUPS = 16, 16, 4
#: Without it little is left of a sound after six convolutions without norm.
GAINS = ((r"feature_extractor\.conv_layers\.[1-6]\.conv\.weight$", 1.7),)

_SHARED: Names = (
    (r"parametrizations\.weight\.original0$", "weight_g"),
    (r"parametrizations\.weight\.original1$", "weight_v"),
)
#: The oracle's names -> those of fairseq's files, and of torchaudio's; an empty name is not in the file.
TO_FAIRSEQ: Names = (
    *_SHARED,
    (r"^masked_spec_embed$", "mask_emb"),
    (r"^(feature_extractor\.conv_layers\.\d+)\.conv\.", r"\1.0."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.layer_norm\.", r"\1.2."),
    (r"^feature_projection\.layer_norm\.", "layer_norm."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (r"^encoder\.pos_conv_embed\.conv\.", "encoder.pos_conv.0."),
    (r"\.attention\.gru_rel_pos_linear\.", ".attention.grep_linear."),
    (r"\.attention\.gru_rel_pos_const$", ".attention.grep_a"),
    (r"\.attention\.rel_attn_embed\.", ".attention.relative_attention_bias."),
    (r"\.attention\.", ".self_attn."),
    (r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"\.feed_forward\.intermediate_dense\.", ".fc1."),
    (r"\.feed_forward\.output_dense\.", ".fc2."),
)
#: The layer norms of the large models sit between two transpositions, as the second of three.
TO_FAIRSEQ_LARGE: Names = ((r"^(feature_extractor\.conv_layers\.\d+)\.layer_norm\.", r"\1.2.1."), *TO_FAIRSEQ)
TO_TORCHAUDIO: Names = (
    *_SHARED,
    (r"^masked_spec_embed$", ""),
    (r"^feature_projection\.", "encoder.feature_projection."),
    (r"^encoder\.(?!feature_projection\.)", "encoder.transformer."),
)

#: ``cfg`` of a fairseq file at toy size.
FAIRSEQ: dict[str, Any] = {
    "conv_feature_layers": f"[({CHANNELS},10,5)] + [({CHANNELS},3,2)] * 4 + [({CHANNELS},2,2)] * 2",
    "encoder_attention_heads": HEADS,
    "encoder_embed_dim": WIDTH,
    "encoder_ffn_embed_dim": INNER,
    "encoder_layers": LAYERS,
    "conv_pos": POSITIONS,
    "conv_pos_groups": GROUPS,
    "extractor_mode": "default",
    "layer_norm_first": False,
}
FAIRSEQ_LARGE = {**FAIRSEQ, "extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
#: 64 frames reach the last bucket, so a sound of two seconds has exact, logarithmic and clamped distances.
RELATIVE = {"relative_position_embedding": True, "num_buckets": 32, "max_distance": 64}
TORCHAUDIO = HubertConfig(
    convolutions=keys.parse_convolutions(FAIRSEQ["conv_feature_layers"]),
    width=WIDTH,
    layers=(LayerWidths(HEADS, WIDTH // HEADS, INNER),) * LAYERS,
    position_kernel=POSITIONS,
    position_groups=GROUPS,
)


def theirs(kind: str, **changes: Any) -> nn.Module:
    """A model of the oracle at toy size with weights that stand out."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        conv_dim=(CHANNELS,) * 7,
        num_conv_pos_embeddings=POSITIONS,
        num_conv_pos_embedding_groups=GROUPS,
        **changes,
    )
    return filled(getattr(transformers, f"{kind}Model")(config))


def filled(net: nn.Module) -> nn.Module:
    """Moderate numbers everywhere: with the oracle's own first weights a layer would hardly change its input."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(torch.from_numpy(fill_svc("oracle", name, tuple(parameter.shape), gains=GAINS)))
    return net.eval()


def tensors(net: nn.Module, names: Names) -> dict[str, np.ndarray]:
    """The state of the oracle under official names."""
    found = {}
    for name, value in net.state_dict().items():
        for pattern, target in names:
            name = re.sub(pattern, target, name)
        if name:
            found[name] = value.numpy()
    return found


def ours(net: nn.Module, names: Names, rules: keys.Rules, config: HubertConfig) -> Hubert:
    """Our net with the oracle's weights, loaded strictly through our own tables."""
    state = {name: torch.from_numpy(np.array(value)) for name, value in keys.rename(tensors(net, names), rules).items()}
    return loaded(lambda: Hubert(config), state, "the oracle")


def sound(samples: int = 33000) -> Tensor:
    """[1, samples]; this many give 102 frames and leave some samples over."""
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (1, samples)).astype(np.float32))


class Seen:
    """What flowed through some modules: the input of the first and the output of each."""

    def __init__(self, layers: Iterator[nn.Module]) -> None:
        self.values: list[Tensor] = []
        for number, layer in enumerate(layers):
            if number == 0:
                layer.register_forward_pre_hook(lambda module, given: self.values.append(given[0]))
            layer.register_forward_hook(
                lambda module, given, made: self.values.append(made[0] if isinstance(made, tuple) else made)
            )


def assert_same(got: Tensor, want: Tensor) -> None:
    """Equal to 1e-5 of the largest value; the values are no constants that anything would meet."""
    assert got.shape == want.shape
    assert float(want.std()) > 0.05
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))


#: Kind of the oracle, its config, and ours: names, rules, config.
FAMILY: dict[str, tuple[str, Mapping[str, Any], Names, keys.Rules, Callable[[], HubertConfig]]] = {
    "base": ("Hubert", {}, TO_FAIRSEQ, keys.FAIRSEQ, lambda: configs.from_fairseq(FAIRSEQ)),
    "large": (
        "Hubert",
        {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True},
        TO_FAIRSEQ_LARGE,
        keys.FAIRSEQ,
        lambda: configs.from_fairseq(FAIRSEQ_LARGE),
    ),
    "torchaudio": ("Hubert", {}, TO_TORCHAUDIO, keys.TORCHAUDIO, lambda: TORCHAUDIO),
    "wavlm": (
        "WavLM",
        {"num_buckets": 32, "max_bucket_distance": 64},
        TO_FAIRSEQ,
        keys.FAIRSEQ,
        lambda: configs.from_wavlm({**FAIRSEQ, **RELATIVE}),
    ),
    "wavlm-large": (
        "WavLM",
        {
            "num_buckets": 32,
            "max_bucket_distance": 64,
            "do_stable_layer_norm": True,
            "feat_extract_norm": "layer",
            "conv_bias": True,
        },
        TO_FAIRSEQ_LARGE,
        keys.FAIRSEQ,
        lambda: configs.from_wavlm({**FAIRSEQ_LARGE, **RELATIVE}),
    ),
}


@pytest.mark.parametrize("member", FAMILY)
def test_every_layer_of_the_hubert_family(member: str) -> None:
    kind, changes, names, rules, config = FAMILY[member]
    oracle = theirs(kind, **changes)
    net = ours(oracle, names, rules, config())
    want, got = Seen(iter(oracle.encoder.layers)), Seen(iter(net.encoder.layers))
    features: list[Tensor] = []
    for model in (oracle, net):
        model.feature_extractor.register_forward_hook(lambda module, given, made: features.append(made))
    with torch.inference_mode():
        last = oracle(sound()).last_hidden_state
    units = net.units(sound()).transpose(1, 2)
    assert last.shape == (1, 102, WIDTH)
    assert_same(features[1], features[0])
    assert len(got.values) == len(want.values) == LAYERS + 1
    for one, other in zip(got.values, want.values, strict=True):
        assert_same(one, other)
    assert_same(units, last)
    # A chosen layer is that layer's own output.
    for number in range(1, LAYERS + 1):
        assert_same(net.units(sound(), layer=number).transpose(1, 2), want.values[number])


def test_every_layer_of_whisper() -> None:
    from transformers import WhisperConfig as TheirConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

    oracle = filled(
        TheirEncoder(
            TheirConfig(d_model=WIDTH, encoder_layers=LAYERS, encoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH)
        )
    )
    names: Names = (
        (r"^embed_positions\.weight$", "positional_embedding"),
        (r"^layer_norm\.", "ln_post."),
        (r"^layers\.", "blocks."),
        (r"\.self_attn\.q_proj\.", ".attn.query."),
        (r"\.self_attn\.k_proj\.", ".attn.key."),
        (r"\.self_attn\.v_proj\.", ".attn.value."),
        (r"\.self_attn\.out_proj\.", ".attn.out."),
        (r"\.self_attn_layer_norm\.", ".attn_ln."),
        (r"\.fc1\.", ".mlp.0."),
        (r"\.fc2\.", ".mlp.2."),
        (r"\.final_layer_norm\.", ".mlp_ln."),
    )
    config = WhisperConfig(width=WIDTH, heads=HEADS, layers=LAYERS)
    state = {name: torch.from_numpy(np.array(value)) for name, value in tensors(oracle, names).items()}
    net = loaded(lambda: WhisperEncoder(config), state, "the oracle")
    want, got = Seen(iter(oracle.layers)), Seen(iter(net.blocks))
    mel = torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, (1, 80, 3000)).astype(np.float32))
    with torch.inference_mode():
        last, units = oracle(mel).last_hidden_state, net(mel)
    for one, other in zip(got.values, want.values, strict=True):
        assert_same(one, other)
    assert_same(units, last)


def test_the_mel_that_whisper_hears() -> None:
    from transformers import WhisperFeatureExtractor

    samples = sound(16000 * 2)[0]
    want = WhisperFeatureExtractor(feature_size=80)(samples.numpy(), sampling_rate=16000)["input_features"][0]
    got = log_mel(torch.nn.functional.pad(samples, (0, 16000 * 28)), mel_bank(80))
    assert got.shape == (80, 3000)
    np.testing.assert_allclose(got.numpy(), np.asarray(want), rtol=0, atol=1e-4)
