"""Fixtures that several folders use."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sovits.core.rng import SeededNoise

# A run in the background of a script has SIGINT ignored, and its children inherit that: tests that interrupt a command
# would wait for ever. With a handler here, children start with the default again.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def noise() -> SeededNoise:
    """The seeded noise of a test."""
    return SeededNoise(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture
def in_ci() -> bool:
    """Whether this run may not skip what a user's machine may lack."""
    return bool(os.environ.get("CI"))
