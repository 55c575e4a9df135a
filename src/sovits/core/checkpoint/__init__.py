"""The one door to weight files.

``read`` opens any official file without running code in it and without torch; ``inspect`` says what it is; ``match``
pairs its tensors with those a net expects; ``write`` makes our own files. Retrieval indexes: ``read_indexes``.

A file is mapped, so memory grows with what is looked at, not with the file. Replace a weight file that is in use by
renaming another over it, never by writing into it.
"""

from sovits.core.checkpoint.indexes import RetrievalIndex
from sovits.core.checkpoint.kinds import Kind
from sovits.core.checkpoint.limits import Limits
from sovits.core.checkpoint.matching import match
from sovits.core.checkpoint.reading import read, read_indexes
from sovits.core.checkpoint.summary import Summary, inspect
from sovits.core.checkpoint.tensors import LazyTensor, Tensors
from sovits.core.checkpoint.value import Checkpoint, flatten
from sovits.core.checkpoint.writing import write

__all__ = [
    "read",
    "read_indexes",
    "inspect",
    "write",
    "match",
    "flatten",
    "Checkpoint",
    "Kind",
    "LazyTensor",
    "Limits",
    "RetrievalIndex",
    "Summary",
    "Tensors",
]
