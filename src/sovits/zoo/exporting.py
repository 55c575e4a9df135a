"""``export``: an imported voice as a model folder of so-vits-svc again, for other programs to open."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from sovits.core import checkpoint
from sovits.core.atomic import output_error
from sovits.core.checkpoint import Checkpoint, Kind
from sovits.core.checkpoint.torchwriting import NumpyArray, write_torch
from sovits.core.errors import OutputError, SovitsError, VoiceError
from sovits.core.progress import SILENT, Cancel, Progress
from sovits.core.strict import read_mapping
from sovits.zoo.cards import CARD_NAME
from sovits.zoo.layout import ModelFiles
from sovits.zoo.voice import Voice

#: The rate that a config states if nothing else is known (spec singing-conversion.md, section 1).
_LEARNING_RATE = 1e-4


def export_upstream(
    voice: Voice, out: Path, *, progress: Progress = SILENT, cancel: Cancel | None = None
) -> list[Path]:
    """Write ``G_0.pth``, ``config.json`` and what else the voice has, in the layout of so-vits-svc 4.1.

    ``diffusion/model_0.pt`` with ``diffusion/config.yaml``, ``kmeans_10000.pt`` and ``feature_and_index.pkl`` (or
    ``feature_and_index.index``) follow where there are such; the card goes along, since consent and licence do not end
    with an export. Names, shapes, number formats and values of all tensors are those of the voice.

    Args:
        voice: one with a trained model.
        out: a folder that does not exist yet or is empty; it appears complete or not at all.

    Returns:
        The files, in the order they are named above.

    Raises:
        VoiceError: the voice has recordings only.
        OutputError: ``out`` holds something, or cannot be written.
    """
    cancel = cancel or Cancel()
    if voice.model is None:
        raise VoiceError(
            f"the voice '{voice.name}' has recordings and no model, so there is nothing to export as so-vits-svc",
            hint="its recordings lie in its folder: sovits voices show",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists and is not an empty folder", hint="choose a new folder")
    beside = out.with_name(f".{out.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        with progress.stage("exporting", None):
            names = _write(voice.model, voice.folder, beside, cancel)
        if out.is_dir():
            out.rmdir()
        beside.rename(out)
    except SovitsError:
        raise
    except OSError as error:
        raise output_error(out, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [out / name for name in names]


def _write(model: ModelFiles, folder: Path | None, out: Path, cancel: Cancel) -> list[str]:
    names = ["G_0.pth", "config.json"]
    write_torch(out / names[0], _generator(checkpoint.read(model.weights), model.config))
    shutil.copyfile(model.config, out / names[1])
    cancel.check()
    if model.diffusion and model.diffusion_config:
        (out / "diffusion").mkdir()
        found = checkpoint.read(model.diffusion)
        step = int(_number(found, "global_step", 0))
        write_torch(out / "diffusion/model_0.pt", {"global_step": step, "model": found.tensors})
        shutil.copyfile(model.diffusion_config, out / "diffusion/config.yaml")
        names += ["diffusion/model_0.pt", "diffusion/config.yaml"]
        cancel.check()
    if model.clusters:
        write_torch(out / "kmeans_10000.pt", _clusters(checkpoint.read(model.clusters)))
        names.append("kmeans_10000.pt")
    if model.index:
        names.append(f"feature_and_index{model.index.suffix}")
        shutil.copyfile(model.index, out / names[-1])
    if folder is not None and (folder / CARD_NAME).is_file():
        shutil.copyfile(folder / CARD_NAME, out / CARD_NAME)
        names.append(CARD_NAME)
    return names


def _generator(found: Checkpoint, config: Path) -> dict[str, Any]:
    """The four fields of a checkpoint; a released model has no optimizer state."""
    settings = read_mapping(config).get("train")
    stated = settings.get("learning_rate") if isinstance(settings, dict) else None
    rate = float(stated) if isinstance(stated, (int, float)) else _LEARNING_RATE
    return {
        "model": found.tensors,
        "iteration": int(_number(found, "iteration", 0)),
        "optimizer": None,
        "learning_rate": float(_number(found, "learning_rate", rate)),
    }


def _number(found: Checkpoint, name: str, default: float) -> float:
    """A number of a checkpoint; in safetensors it stands as text."""
    with contextlib.suppress(TypeError, ValueError):
        return float(found.fields[name]) if name in found.fields else default
    return default


def _clusters(found: Checkpoint) -> dict[str, Any]:
    if found.kind is not Kind.KMEANS:
        raise VoiceError(f"{found.path} holds no k-means centres, it is: {found.kind.label}")
    end = ".cluster_centers_"
    return {
        name.removesuffix(end): {
            "n_features_in_": int(found.tensors.entry(name).shape[1]),
            "_n_threads": 4,
            "cluster_centers_": NumpyArray(np.asarray(found.tensors[name])),
        }
        for name in found.tensors
        if name.endswith(end)
    }
