"""onnxruntime keeps no record of its use: neither in our process nor in the child that parses files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.security import forge

TRACK = """
import numpy as np
from sovits.zoo.tables import pitch_predictor
pitch_predictor().track(np.zeros(16000, np.float32), 16000, 160)
"""
READ = """
import sys
from pathlib import Path
from sovits.core.checkpoint import inspect
from sovits.core.errors import CorruptFileError
try:
    inspect(Path(sys.argv[1]))
except CorruptFileError:  # what it says of a model without a graph
    pass
"""


@pytest.mark.parametrize("code", [TRACK, READ])
def test_nothing_is_noted(tmp_path: Path, code: str) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(forge.onnx_model(b""))
    home = tmp_path / "home"
    home.mkdir()
    environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code, model], env={**environ, "HOME": str(home)}, check=True)
    assert not [path for path in home.rglob("*") if "icrosoft" in str(path)]
