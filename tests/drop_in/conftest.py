"""The command line in a folder of so-vits-svc."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cli, cli

__all__ = ["cli", "official"]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small fake official files; not to be changed."""
    svc_folder = pytest.importorskip("tests.drop_in.svc_folder", reason="needs torch", exc_type=ImportError)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter of torch calls itself the older one
        return svc_folder.complete(tmp_path_factory.mktemp("so-vits-svc"))


@pytest.fixture
def official(made_once: Path, cli: Cli) -> Path:
    """A copy as the working folder."""
    here = Path.cwd()
    shutil.copytree(made_once, here, dirs_exist_ok=True)
    return here
