"""Strict matching of the tensors a net expects with those a file holds: nothing is left over or kept silently."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sovits.core.checkpoint.mapped import printable
from sovits.core.checkpoint.tensors import LazyTensor
from sovits.core.checkpoint.value import Checkpoint
from sovits.core.errors import WrongModelError

_LISTED = 8


def match(
    expected: Mapping[str, tuple[int, ...]],
    checkpoint: Checkpoint,
    *,
    optional_groups: Iterable[str] = (),
    ignore: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
) -> dict[str, LazyTensor]:
    """Pair every expected tensor with the one in the file.

    Args:
        expected: name to shape, as the net has them.
        optional_groups: prefixes such as ``enc_q.`` that a file has whole or not at all; a group that the file lacks
            is left out of the result.
        ignore: prefixes of tensors in the file that the net does not use.
        rename: name in the file to the net's name, for the names that differ.

    Returns:
        The net's name to the lazy tensor of the file.

    Raises:
        WrongModelError: names that are missing or left over, and shapes that differ, all listed.
    """
    renamed = rename or {}
    prefixes = tuple(ignore)
    held = {
        renamed.get(name, name): checkpoint.tensors.entry(name)
        for name in checkpoint.tensors
        if not (prefixes and name.startswith(prefixes))
    }
    absent = tuple(group for group in optional_groups if not any(name.startswith(group) for name in held))
    wanted = {name: shape for name, shape in expected.items() if not (absent and name.startswith(absent))}
    missing = [f"{name} {list(shape)}" for name, shape in wanted.items() if name not in held]
    surplus = [name for name in held if name not in wanted]
    differing = [
        f"{name} is {list(held[name].shape)}, expected {list(shape)}"
        for name, shape in wanted.items()
        if name in held and held[name].shape != tuple(shape)
    ]
    problems = [
        f"{len(names)} {what}: " + ", ".join(map(printable, names[:_LISTED])) + (" …" if len(names) > _LISTED else "")
        for what, names in (("missing", missing), ("left over", surplus), ("of another shape", differing))
        if names
    ]
    if problems:
        known = f"{checkpoint.kind.label} {checkpoint.version}".strip()
        raise WrongModelError(
            f"{checkpoint.path} does not fit; tensors " + "; ".join(problems),
            hint=f"the file is: {known}; see: sovits models inspect",
        )
    return {name: held[name] for name in wanted}
