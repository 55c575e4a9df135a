"""Write beside, then rename: a reader sees the old file or the new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import secrets
from collections.abc import Iterator
from pathlib import Path

from sovits.core.errors import OutputError


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path in the target's folder; on success it replaces ``target``, on any failure it is removed.

    The temporary name keeps the suffix of the target, because encoders choose their format by it.

    Raises:
        OutputError: the folder cannot be made or written, a folder or device is in the way, or the disk is full.
    """
    try:
        if target.exists() and not target.is_file():
            # A device such as /dev/stdout would be replaced by a plain file where the user may do so.
            raise FileExistsError(errno.EEXIST, "exists")
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(target, error) from error
    beside = target.with_name(f".{target.stem[:40]}.{secrets.token_hex(6)}.part{target.suffix}")
    try:
        yield beside
        beside.replace(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def output_error(target: Path, error: OSError) -> OutputError:
    """The friendly form of an operating-system error met while writing ``target``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"the disk is full, cannot write {target}", hint="free some space or choose another folder")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {target}", hint="choose a folder that you may write to")
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return OutputError(f"cannot write {target}: a folder or file is in the way", hint="choose another output path")
    return OutputError(f"cannot write {target}: {error.strerror or error}")
