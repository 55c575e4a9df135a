"""Fake weights by rule: the value of a tensor follows from a salt, its name, its shape and its dtype alone.

The golden cases of the nets were made with such weights, so no pretrained file is needed to compare with them.
:func:`fill_svc` is the rule of the singing side, :func:`fill_gsv` that of the speech side. They differ where the plain
rule would let a deep transformer collapse or a vocoder saturate, so that a mistake would go unseen.

A *manifest* is the JSON description of an official file: ``tensors`` maps each name to ``[shape, dtype]``;
:func:`state_svc` and :func:`state_gsv` give all arrays of one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Gains = Sequence[Sequence[Any]]

_ONE, _TENTH, _TWENTIETH = np.float32(1.0), np.float32(0.1), np.float32(0.05)


def draw(salt: str, name: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """The standard normal numbers behind a tensor: drawn in float64, rounded to float32."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}:{name}".encode())))
    return np.asarray(generator.standard_normal(tuple(shape))).astype(np.float32)


def fill_svc(salt: str, name: str, shape: Sequence[int], dtype: str = "float32", gains: Gains = ()) -> Array:
    """A tensor of the singing side (so-vits-svc and the nets around it).

    Args:
        name: key of the official state dict without wrapper prefixes; for tied weights the canonical name.
        gains: the manifest's ``fill_gain``, rows of ``[pattern, factor, ...]``; every pattern found in the name counts.
    """
    if name.endswith("num_batches_tracked") or not dtype.startswith("float"):
        return np.zeros(tuple(shape), np.int64 if dtype.startswith("float") else dtype)
    n = draw(salt, name, shape)
    if name.endswith(("weight_g", "running_var")):
        value = np.abs(_ONE + _TENTH * n)
    elif name.endswith("running_mean"):
        value = _TENTH * n
    elif len(shape) >= 2:
        value = n / np.float32(np.sqrt(np.prod(shape[1:], dtype=np.float64)))
    elif len(shape) == 1 and name.endswith(("weight", "gamma", "alpha", "scale")):
        value = _ONE + _TENTH * n
    else:
        value = _TWENTIETH * n
    factor = 1.0
    for row in gains:
        if re.search(row[0], name):
            factor *= float(row[1])
    if factor != 1.0:
        value = value * np.float32(factor)
    return np.ascontiguousarray(value, dtype=dtype)


def fill_gsv(salt: str, name: str, shape: Sequence[int], dtype: str = "float32") -> Array:
    """A tensor of the speech side (GPT-SoVITS and the nets around it), float32; ``name`` as in the official file.

    Half precision is up to the caller: cases whose ``meta.rounding`` says so use ``value.astype(float16)``.
    """
    if not dtype.startswith(("float", "bfloat")):
        return np.zeros(tuple(shape), dtype)
    if name.endswith("num_batches_tracked"):
        return np.zeros(tuple(shape), np.float32)
    if name.endswith("_codebook.inited"):
        return np.ones(tuple(shape), np.float32)
    n = draw(salt, name, shape)
    if name == "conv_post.weight_g":
        value = _TWENTIETH * np.abs(_ONE + _TENTH * n)
    elif name.endswith(("weight_g", "running_var", "_codebook.cluster_size")):
        value = np.abs(_ONE + _TENTH * n)
    elif name.endswith("running_mean"):
        value = _TENTH * n
    elif name.endswith(("embeddings.weight", "embedding.weight", "_codebook.embed", "_codebook.embed_avg")):
        value = n
    elif name.endswith(("emb_rel_k", "emb_rel_v")):
        value = np.float32(0.3) * n
    elif len(shape) >= 2:
        value = n * (_fan_gain(name) / np.sqrt(np.float64(np.prod(shape[1:]))))
    elif len(shape) == 1 and name.endswith(("weight", "gamma", "alpha", "scale", "act.beta")):
        value = _ONE + _TENTH * n
    else:
        value = _TWENTIETH * n
    return np.ascontiguousarray(value, dtype=np.float32)


def _fan_gain(name: str) -> float:
    if name.endswith("in_proj_weight"):
        return 2.0
    return 0.25 if name.endswith(("out_proj.weight", "linear2.weight")) else 1.0


def state_svc(manifest: Mapping[str, Any], salt: str) -> dict[str, Array]:
    """All tensors of a manifest of the singing side, in its order; aliases share one array."""
    alias = manifest.get("alias", {})
    constants = manifest.get("constant_buffers", {})
    gains = manifest.get("fill_gain", ())
    filled: dict[str, Array] = {}
    for name, (shape, dtype) in manifest["tensors"].items():
        canonical = alias.get(name, name)
        if canonical not in filled:
            if canonical in constants:
                filled[canonical] = _constant(constants[canonical], shape, dtype)
            else:
                filled[canonical] = fill_svc(salt, canonical, shape, dtype, gains)
        filled[name] = filled[canonical]
    return {name: filled[name] for name in manifest["tensors"]}


def state_gsv(manifest: Mapping[str, Any], salt: str, *, edits: Iterable[Mapping[str, Any]] = ()) -> dict[str, Array]:
    """All tensors of a manifest of the speech side, float32 (integers as they are), in its order.

    Args:
        edits: rows of ``{"name", "row", "factor"}`` as some cases list them in ``meta``: one row is multiplied.
    """
    constants = manifest.get("constant_buffers", {})
    filled: dict[str, Array] = {}
    for name, (shape, dtype) in manifest["tensors"].items():
        if name in constants:
            filled[name] = np.asarray(constants[name]["values"], np.float32).reshape(tuple(shape))
        else:
            filled[name] = fill_gsv(salt, name, shape, dtype)
        for edit in edits:
            if edit["name"] == name:
                filled[name][edit["row"]] *= edit["factor"]
    return filled


def _constant(rule: Mapping[str, Any], shape: Sequence[int], dtype: str) -> Array:
    """A buffer whose value is a formula."""
    kind = rule["kind"]
    if kind == "values":
        value = np.asarray(rule["values"], np.float64)
    elif kind == "diffusion":
        value = diffusion_table(rule["table"], rule["timesteps"], rule.get("max_beta", 0.02))
    elif kind == "whisper_positions":
        value = whisper_positions(*shape)
    elif kind == "zeros":
        value = np.zeros(tuple(shape))
    else:
        raise ValueError(f"unknown constant buffer kind {kind!r}")
    return np.ascontiguousarray(value.reshape(tuple(shape)), dtype=dtype)


def diffusion_table(table: str, timesteps: int, max_beta: float = 0.02) -> npt.NDArray[np.float32]:
    """One of the DDPM tables of linear betas from 1e-4 to ``max_beta`` (Ho et al. 2020, equations 4 to 7)."""
    beta = np.linspace(1e-4, max_beta, timesteps)
    kept = np.cumprod(1.0 - beta)
    before = np.concatenate([[1.0], kept[:-1]])
    variance = beta * (1.0 - before) / (1.0 - kept)
    tables = {
        "betas": beta,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": np.sqrt(kept),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1.0 - kept),
        "log_one_minus_alphas_cumprod": np.log(1.0 - kept),
        "sqrt_recip_alphas_cumprod": np.sqrt(1.0 / kept),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1.0 / kept - 1.0),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
        "posterior_mean_coef1": beta * np.sqrt(before) / (1.0 - kept),
        "posterior_mean_coef2": (1.0 - before) * np.sqrt(1.0 - beta) / (1.0 - kept),
    }
    return tables[table].astype(np.float32)


def whisper_positions(length: int, channels: int) -> npt.NDArray[np.float32]:
    """Sinusoids of Whisper's encoder, float32 [length, channels]: sines, then cosines."""
    half = channels // 2
    rates = np.exp(np.float32(-np.log(10000.0) / (half - 1)) * np.arange(half, dtype=np.float32))
    angles = np.arange(length, dtype=np.float32)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
