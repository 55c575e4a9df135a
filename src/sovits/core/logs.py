"""Logging set-up. Only entry points (the command line, a server) call :func:`configure`; the library just logs."""

from __future__ import annotations

import logging
import sys

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def get_logger(name: str) -> logging.Logger:
    """The logger of one of our modules; ``name`` is ``__name__``."""
    return logging.getLogger(name)


def configure(verbosity: int = 0) -> None:
    """Send our log records to standard error.

    Args:
        verbosity: -1 errors only, 0 warnings, 1 information, 2 and more debugging.
    """
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root = logging.getLogger("sovits")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
