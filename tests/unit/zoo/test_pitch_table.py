"""The one door to pitch trackers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sovits.core.errors import OptionError
from sovits.options.pitch import PitchOptions
from sovits.zoo.tables import PITCH, pitch_predictor


def test_the_default_needs_no_weights() -> None:
    name = PitchOptions().method
    assert PITCH.facts(name)["weights"] == ""
    assert PITCH.extra(name) == ""
    pitch_predictor()


def test_an_unknown_method_is_told_the_known_ones() -> None:
    with pytest.raises(OptionError, match="did you mean 'harvest'"):
        pitch_predictor(PitchOptions(method="harvets"))


def test_every_method_that_needs_weights_names_a_known_file(tmp_path: Path) -> None:
    from sovits.zoo.weights import OFFICIAL

    for name in PITCH.names():
        weights = PITCH.facts(name).get("weights")
        assert not weights or weights in OFFICIAL
        assert bool(weights) == (PITCH.extra(name) == "neural")


def test_the_table_imports_no_tracker() -> None:
    code = (
        "import sys, sovits.zoo.tables; "
        "bad = {'torch', 'onnxruntime', 'pyworld', 'swift_f0', 'scipy.signal'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
