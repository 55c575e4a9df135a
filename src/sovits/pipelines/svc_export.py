"""ONNX graphs of so-vits-svc models, read and written where the original's exporter does."""

from __future__ import annotations

from pathlib import Path

from sovits.core.device import Compute
from sovits.core.errors import OptionError, PathError
from sovits.core.strict import read_mapping

FOLDER = Path("checkpoints")
MODEL, CONFIG = "model.pth", "config.json"


def export(
    name: str, diffusion: Path | None = None, diffusion_config: Path | None = None, *, folder: Path = FOLDER
) -> list[Path]:
    """Export ``<folder>/<name>/model.pth`` and, where one is given, a diffusion model.

    Args:
        diffusion, diffusion_config: both or none.

    Returns:
        The files that were written.

    Raises:
        OptionError: a name that is a path; one of the diffusion files without the other.
        PathError: no such folder or file.
        WrongModelError: files of another kind, or sizes that the layout has no place for.
    """
    if not name or Path(name).name != name:
        raise OptionError(f"-n takes the name of a folder in {folder}, got '{name}'", hint="for example: -n alto")
    if (diffusion is None) != (diffusion_config is None):
        raise OptionError("a diffusion model and its config belong together", hint="give both -dm and -dc")
    place = folder / name
    model, config = place / MODEL, place / CONFIG
    for path in (model, config):
        if not path.is_file():
            raise PathError(f"no such file: {path}", hint=f"put {MODEL} and {CONFIG} into {place}")
    from sovits.export.onnx import export_diffusion, export_svc
    from sovits.zoo.building import load_diffusion, load_generator

    compute = Compute()
    settings = read_mapping(config)
    net, _ = load_generator(model, settings, compute, source=str(config))
    made = list(export_svc(net, settings, folder, name))
    if diffusion is not None and diffusion_config is not None:
        refined = load_diffusion(diffusion, read_mapping(diffusion_config), compute, source=str(diffusion_config))
        made += export_diffusion(refined, place, name)
    return made
