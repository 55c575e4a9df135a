"""Official names of the HuBERT family -> ours, and the configs that go with them. Tables; no net is imported here."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sovits.core.errors import WrongModelError

Arrays = Mapping[str, npt.NDArray[Any]]
Rules = tuple[tuple[str, str | None], ...]

#: Names that training used and encoding does not; ``None`` drops on purpose.
FAIRSEQ: Rules = (
    (r"^(mask_emb|label_embs_concat)$", None),
    (r"^encoder\.layers\.0\.self_attn\.relative_attention_bias\.", "encoder.relative_attention_bias."),
)

SOFT: Rules = (
    (r"^(masked_spec_embed|label_embedding\.weight)$", None),
    (r"^feature_extractor\.conv(\d)\.", r"feature_extractor.conv_layers.\1.0."),
    (r"^feature_extractor\.norm0\.", "feature_extractor.conv_layers.0.2."),
    (r"^feature_projection\.norm\.", "layer_norm."),
    (r"^feature_projection\.projection\.", "post_extract_proj."),
    (r"^positional_embedding\.conv\.", "encoder.pos_conv.0."),
    (r"^norm\.", "encoder.layer_norm."),
    (r"^proj\.", "final_proj."),
    (r"^(encoder\.layers\.\d+)\.linear([12])\.", r"\1.fc\2."),
    (r"^(encoder\.layers\.\d+)\.norm1\.", r"\1.self_attn_layer_norm."),
    (r"^(encoder\.layers\.\d+)\.norm2\.", r"\1.final_layer_norm."),
)

#: torchaudio's scheme (DPHuBERT).
TORCHAUDIO: Rules = (
    (r"^(feature_extractor\.conv_layers\.\d+)\.conv\.", r"\1.0."),
    (r"^(feature_extractor\.conv_layers\.\d+)\.layer_norm\.", r"\1.2."),
    (r"^encoder\.feature_projection\.layer_norm\.", "layer_norm."),
    (r"^encoder\.feature_projection\.projection\.", "post_extract_proj."),
    (r"^encoder\.transformer\.pos_conv_embed\.conv\.", "encoder.pos_conv.0."),
    (r"^encoder\.transformer\.layer_norm\.", "encoder.layer_norm."),
    (r"^encoder\.transformer\.layers\.(\d+)\.attention\.", r"encoder.layers.\1.self_attn."),
    (r"^encoder\.transformer\.layers\.(\d+)\.layer_norm\.", r"encoder.layers.\1.self_attn_layer_norm."),
    (r"^encoder\.transformer\.layers\.(\d+)\.feed_forward\.intermediate_dense\.", r"encoder.layers.\1.fc1."),
    (r"^encoder\.transformer\.layers\.(\d+)\.feed_forward\.output_dense\.", r"encoder.layers.\1.fc2."),
    (r"^encoder\.transformer\.layers\.(\d+)\.final_layer_norm\.", r"encoder.layers.\1.final_layer_norm."),
)


def rename(tensors: Arrays, rules: Rules) -> dict[str, npt.NDArray[Any]]:
    """Apply the first rule that matches each name; a leading ``module.`` is stripped; positions are un-normalised."""
    renamed: dict[str, npt.NDArray[Any]] = {}
    for name, value in tensors.items():
        name = name.removeprefix("module.")
        for pattern, target in rules:
            if re.search(pattern, name):
                name = re.sub(pattern, target, name) if target is not None else ""
                break
        if name:
            renamed[name] = value
    return _fold_positions(_split_projections(renamed))


def _split_projections(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Fused ``in_proj_*`` [3 H, ..] -> query, key, value."""
    out: dict[str, npt.NDArray[Any]] = {}
    for name, value in tensors.items():
        head, found, kind = name.partition("in_proj_")
        if not found:
            out[name] = value
            continue
        for letter, part in zip("qkv", np.split(np.asarray(value), 3), strict=True):
            out[f"{head}{letter}_proj.{kind}"] = part
    return out


def _fold_positions(tensors: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Weight norm of the positional convolution, taken over dim 2 (one gain per tap)."""
    stem = "encoder.pos_conv.0."
    if stem + "weight_v" not in tensors:
        return tensors
    direction = np.asarray(tensors.pop(stem + "weight_v"), np.float32)
    gain = np.asarray(tensors.pop(stem + "weight_g"), np.float32)
    norm = np.sqrt((direction.astype(np.float64) ** 2).sum((0, 1), keepdims=True)).astype(np.float32)
    tensors[stem + "weight"] = direction * (gain / norm)
    return tensors


def parse_convolutions(text: Any) -> tuple[tuple[int, int, int], ...]:
    """``"[(512,10,5)] + [(512,3,2)] * 4"`` -> triples. Read as a syntax tree: the original hands this to ``eval``.

    Raises:
        WrongModelError: anything but lists of integer triples, ``+`` and ``*``.
    """
    if not isinstance(text, str):
        return tuple((int(a), int(b), int(c)) for a, b, c in text)
    refused = WrongModelError(f"conv_feature_layers is not a list of triples: {text[:80]!r}")

    def walk(node: ast.expr) -> list[tuple[int, int, int]]:
        if isinstance(node, ast.List):
            return [triple(item) for item in node.elts]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return walk(node.left) + walk(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Constant):
            times = node.right.value
            if isinstance(times, int) and 0 < times <= 32:
                return walk(node.left) * times
        raise refused

    def triple(node: ast.expr) -> tuple[int, int, int]:
        if isinstance(node, ast.Tuple) and len(node.elts) == 3:
            a, b, c = (item.value if isinstance(item, ast.Constant) else None for item in node.elts)
            if isinstance(a, int) and isinstance(b, int) and isinstance(c, int):
                return a, b, c
        raise refused

    try:
        return tuple(walk(ast.parse(text[:1000], mode="eval").body))
    except (SyntaxError, RecursionError) as error:
        raise refused from error
