"""What the README promises of pm; all recorded numbers of the trackers: ``test_replay.py``."""

from __future__ import annotations

import numpy as np

from sovits.features.pitch.svc import svc_f0
from tests.parity import golden


def test_pm_keeps_the_promise_of_the_readme() -> None:
    """Within 1e-4 of the recorded values on 99 % of voiced frames, 99 % voicing agreement."""
    case = golden.load("f0_pm")
    f0, voiced = svc_f0(case.ins["wav"], 44100, 512, "pm")
    assert np.mean(voiced == case.outs["uv"]) >= 0.99
    both = (voiced > 0) & (case.outs["uv"] > 0)
    assert np.mean(np.abs(f0[both] / case.outs["f0"][both] - 1) < 1e-4) >= 0.99
