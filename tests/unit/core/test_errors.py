"""Every error has its own code, keeps its hint across processes, and stands in the drawing."""

from __future__ import annotations

import pickle

import pytest

from sovits.core import errors
from sovits.core.errors import SovitsError


def tree(root: type[SovitsError]) -> list[type[SovitsError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


def test_codes_are_unique_and_drawn():
    kinds = [kind for kind in tree(SovitsError) if kind.__module__ == errors.__name__]
    assert len({kind.code for kind in kinds}) == len(kinds) > 12
    for kind in kinds:
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", [errors.AudioError, errors.CancelledError])
def test_hint_survives_a_process_boundary(kind):
    error = pickle.loads(pickle.dumps(kind("what", hint="do this")))
    assert type(error) is kind
    assert (error.message, error.hint) == ("what", "do this")
    assert str(error) == "what (do this)"
