"""Nothing this program does is reported to anybody: libraries that would report are told not to."""

from __future__ import annotations

import os


def forbid_telemetry() -> None:
    """Call before onnxruntime is first imported: from then on it notes and sends nothing.

    Its builds record events and send them unless the environment says otherwise when it is loaded
    (``disable_telemetry_events`` comes too late).
    """
    os.putenv("ORT_DISABLE_TELEMETRY", "1")
