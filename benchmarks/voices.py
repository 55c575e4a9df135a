"""A so-vits-svc voice of official size for measuring: weights by the fill rule, added and found as a user's voice is.

Its files have the names, shapes and wrapping of the official ones; how it sounds says nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "official-size"
#: Manifests of the generator (4.1, vec768l12) and of the content encoder that it reads.
_GENERATOR, _ENCODER = "svc_G_vec768l12", "contentvec"


def own_folders(folder: Path) -> dict[str, str]:
    """The environment with everything of sovits in ``folder``, so that nothing of the user has a say or is touched."""
    places = {"SOVITS_HOME": "home", "SOVITS_MODELS": "models", "SOVITS_VOICES": "voices"}
    return {**os.environ, **{name: str(folder / place) for name, place in places.items()}}


def add_full_size(folder: Path) -> None:
    """Make the official files and add the voice :data:`NAME` with ``sovits voices add``, in :func:`own_folders`.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    from tests.parity import official
    from tests.parity.replay import COMMITTED, Lab

    from sovits.zoo.weights import OFFICIAL

    lab = Lab(COMMITTED, folder / "made")
    place = folder / "models" / OFFICIAL["contentvec"].places[0]
    place.parent.mkdir(parents=True)
    shutil.move(official.write(lab, _ENCODER, "benchmark"), place)
    model = official.write(lab, _GENERATOR, "benchmark").parent
    command: list[str | Path] = [sys.executable, "-m", "sovits", "voices", "add", model, "--name", NAME]
    subprocess.run(command, env=own_folders(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder / "made")
