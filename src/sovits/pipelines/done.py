"""What has been made already: one small record per result, so that a batch can be run again and only does what is new.

The records lie in ``.sovits-done/`` inside the output folder. A result counts as done while the content of the input,
the options, the voice and the engine are the ones it was made with, and the result itself is there unchanged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from sovits.core.atomic import replacing
from sovits.core.errors import OutputError
from sovits.core.hashing import file_hash

FOLDER = ".sovits-done"


class DoneRecords:
    """The records of one output folder.

    Args:
        folder: the output folder; the records of a result in a sub-folder lie here too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _record(self, output: Path) -> Path:
        name = output.relative_to(self._folder).as_posix()
        digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / FOLDER / f"{digest[:32]}.json"

    def holds(self, output: Path, key: str) -> bool:
        """Whether ``output`` was made with ``key`` and has not been touched since."""
        try:
            stored = json.loads(self._record(output).read_text(encoding="utf-8"))
            same = stored["key"] == key and stored["size"] == output.stat().st_size
            return bool(same and stored["sha256"] == file_hash(output))
        except (OSError, ValueError, KeyError, TypeError):
            # No record, no result, or a record that somebody edited: it is made again.
            return False

    def add(self, output: Path, key: str) -> None:
        """Note that ``output`` has been made with ``key``. A record that cannot be written costs only time later."""
        values = {
            "output": output.relative_to(self._folder).as_posix(),
            "key": key,
            "size": output.stat().st_size,
            "sha256": file_hash(output),
        }
        with contextlib.suppress(OutputError), replacing(self._record(output)) as part:
            part.write_text(json.dumps(values, indent=1), encoding="ascii")
