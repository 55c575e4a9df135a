"""The closed table of names that official weight files mention in their pickles, and the inert values they become.

A name is in this table because a file of a known project holds it: state dicts of torch, numpy arrays (k-means files),
``argparse`` namespaces, omegaconf containers and the dictionary of fairseq (ContentVec, chinese-hubert), ``HParams``
(GPT-SoVITS), faiss indexes (retrieval). Nothing in the table reaches outside: a builder makes placeholders, lazy
tensors, or plain Python values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sovits.core.checkpoint.limits import Budget, Limits, check
from sovits.core.checkpoint.mapped import printable
from sovits.core.checkpoint.pickles import Buildable, LongText, Name
from sovits.core.checkpoint.tensors import FORMATS, Latin1, LazyTensor, Storage, numpy_format, tensor
from sovits.core.errors import CorruptFileError, UnsafeFileError

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy.core": "numpy._core"}
_PLAIN_TYPES = ("dict", "list", "set", "tuple", "str", "int", "float", "bool", "bytes", "object")
_TORCH_TYPES = (*(name for name in FORMATS if name != "bool"), "bool", "half", "float", "double", "long", "int")

#: Classes of other projects that become a :class:`Foreign`: constructed without code, their state kept as data.
_FOREIGN = re.compile(
    r"""
      utils\.HParams
    | argparse\.Namespace
    | fairseq\.data\.dictionary\.Dictionary
    | fairseq\.dataclass\.constants\.\w+
    | fairseq\.(dataclass\.configs | models\.(hubert|wav2vec)\.\w+ | tasks\.\w+)\.\w+Config
    | fairseq\.(criterions\.\w+ | optim\.[\w.]+)\.\w+Config
    | fairseq\.models\.wav2vec\.\w+\.\w+_CHOICES
    | omegaconf\.(dictconfig\.DictConfig | listconfig\.ListConfig | base\.(ContainerMetadata | Metadata)
        | nodes\.(Any | Boolean | Integer | Float | String | Enum | Bytes | Path)Node)
    | faiss\.swigfaiss(_\w+)?\.Index(IVFFlat | Flat | FlatL2 | FlatIP)
    """,
    re.VERBOSE,
)


class Foreign(Buildable):
    """An object of a class that is not imported: its name, the arguments and the state the file gives it."""

    def __init__(self, title: str, arguments: tuple[Any, ...]) -> None:
        self.title, self.arguments = title, arguments
        self.state: dict[Any, Any] = {}

    def build(self, state: Any) -> None:
        if type(state) is tuple and len(state) == 2:  # (attributes, slots)
            state = {**(state[0] or {}), **(state[1] or {})}
        if type(state) is not dict:
            raise TypeError("a state that is no dictionary")
        self.state = state


class NumpyType(Buildable):
    """A numpy type under construction: text such as ``f4``, then a state that adds the byte order."""

    def __init__(self, text: Any, where: str) -> None:
        if not isinstance(text, str) or not re.fullmatch(r"[fiub]\d{1,2}|\?", text):
            if isinstance(text, str) and text[:1] in "OV|":
                raise UnsafeFileError(f"{where}: an array of objects or records is not read", hint="save plain numbers")
            raise TypeError("a numpy type that weight files do not hold")
        self.dtype = np.dtype(text)

    def build(self, state: Any) -> None:
        if state[1] not in ("<", "|", "=", ">") or any(state[2:5]):
            raise TypeError("a numpy type with fields or an unknown byte order")
        if state[1] == ">":
            raise CorruptFileError("numbers in big-endian order are not supported")


class NumpyArray(Buildable):
    """A numpy array under construction; :attr:`value` is set by its state."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.value: LazyTensor | None = None

    def build(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        if not isinstance(kind, NumpyType):
            raise TypeError("an array without a type")
        if type(data) is list:
            raise UnsafeFileError(f"{self._where}: an array of objects is not read", hint="save plain numbers")
        self.value = numpy_tensor(data, kind, shape, bool(fortran), self._where)


def numpy_tensor(data: Any, kind: NumpyType, shape: Any, fortran: bool, where: str) -> LazyTensor:
    """A lazy tensor over the bytes that a pickle holds for a numpy array."""
    found = numpy_format(kind.dtype, where)
    if isinstance(data, Latin1):
        count = 1
        for size in shape:
            count *= size
        if not count * found.bytes <= len(data.text) <= 2 * count * found.bytes:
            raise CorruptFileError(f"{where}: an array of shape {str(shape)[:80]} does not fit its bytes")
    else:
        count = len(memoryview(data)) // found.bytes
        data = memoryview(data)
    storage = Storage(found, count, data, where)
    if fortran and len(shape) > 1:
        mirrored = tensor(storage, shape[::-1], None, 0, where)
        return LazyTensor(storage, tuple(shape), mirrored.strides[::-1])
    return tensor(storage, shape, None, 0, where)


class Table:
    """The names one file may mention; built per file, because errors name the file."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._names = _names(where)

    def find(self, module: str, name: str) -> Name:
        """The closed-table entry.

        Raises:
            UnsafeFileError: the name is not in the table.
        """
        for old, new in _RENAMED.items():
            if module == old or module.startswith(old + "."):
                module = new + module[len(old) :]
        title = f"{module}.{name}"
        found = self._names.get(title)
        if found is not None:
            return found
        if len(title) < 200 and "." not in name and _FOREIGN.fullmatch(title):
            return Name(title, lambda *arguments: Foreign(title, arguments))
        shown = printable(title, 120)
        raise UnsafeFileError(
            f"{self._where} asks for '{shown}', which official weight files do not hold; nothing was run or loaded",
            hint="get the file from its official source, or have it converted to safetensors by someone you trust",
        )


def _names(where: str) -> dict[str, Name]:
    def size(*values: Any) -> tuple[Any, ...]:
        return tuple(values[0]) if len(values) == 1 and isinstance(values[0], (tuple, list)) else values

    calls: dict[str, Callable[..., Any]] = {
        "collections.OrderedDict": lambda pairs=(): _pairs(pairs),
        "collections.defaultdict": lambda kind=None, pairs=(): _pairs(pairs),
        "builtins.set": lambda items=(): set() if not items else _set(items),
        "torch.Size": size,
        "torch.device": lambda *parts: ":".join(str(part)[:32] for part in parts),
        "torch._utils._rebuild_tensor": lambda storage, offset, shape, strides: _view(
            storage, shape, strides, offset, where
        ),
        "torch._utils._rebuild_tensor_v2": lambda storage, offset, shape, strides, *_: _view(
            storage, shape, strides, offset, where
        ),
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "copyreg._reconstructor": lambda kind, base, state: _reconstruct(kind, state),
        "pathlib.PosixPath": lambda *parts: "/".join(_texts(parts)),
        "pathlib.WindowsPath": lambda *parts: "\\".join(_texts(parts)),
        "_codecs.encode": _encode,
        "numpy.dtype": lambda text, *_: NumpyType(text, where),
        "numpy._core.multiarray._reconstruct": lambda kind, *_: NumpyArray(where),
        "numpy._core.multiarray.scalar": lambda kind, data: _scalar(kind, data, where),
        "numpy._core.numeric._frombuffer": lambda data, kind, shape, order: numpy_tensor(
            data, kind, shape, order == "F", where
        ),
    }
    names = {title: Name(title, call) for title, call in calls.items()}
    mentioned = ["numpy.ndarray", "typing.Any", *(f"builtins.{kind}" for kind in _PLAIN_TYPES if kind != "set")]
    names.update((title, Name(title)) for title in mentioned)
    names.update((f"torch.{kind}", Name(f"torch.{kind}", holds=kind)) for kind in _TORCH_TYPES)
    for storage, held in _STORAGES.items():
        for module in ("torch", "torch.cuda", "torch.storage"):
            names[f"{module}.{storage}"] = Name(f"{module}.{storage}", holds=FORMATS[held])
    return names


def _pairs(pairs: Any) -> dict[Any, Any]:
    if pairs:
        raise TypeError("an ordered dictionary made from pairs")  # pickles fill it by SETITEMS
    return {}


def _set(items: Any) -> list[Any]:
    if type(items) is not list:
        raise TypeError("a set of something that is no list")
    return items


def _texts(parts: tuple[Any, ...]) -> list[str]:
    if not all(isinstance(part, str) for part in parts):
        raise TypeError("a path that is no text")
    return list(parts)


def _view(storage: Any, shape: Any, strides: Any, offset: Any, where: str) -> LazyTensor:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    return tensor(storage, shape, strides, offset, where)


def _reconstruct(kind: Any, state: Any) -> Foreign:
    if not isinstance(kind, Name) or kind.call is None or state is not None:
        raise TypeError("a reconstruction of something that is no known class")
    made = kind.call()
    if not isinstance(made, Foreign):
        raise TypeError("a reconstruction of something that is no known class")
    return made


def _encode(text: Any, codec: Any = "latin1") -> bytes | Latin1:
    if codec not in ("latin1", "latin-1"):
        raise TypeError("a text codec that numpy does not use")
    if isinstance(text, LongText):
        return Latin1(text.data)
    if not isinstance(text, str):
        raise TypeError("bytes of something that is no text")
    return text.encode("latin-1")


def _scalar(kind: Any, data: Any, where: str) -> int | float | bool:
    if not isinstance(kind, NumpyType) or isinstance(data, Latin1):
        raise TypeError("a number without a type")
    value: int | float | bool = numpy_tensor(data, kind, (), False, where).open()[()].item()
    return value


def plain(value: Any, limits: Limits, where: str) -> Any:
    """The tree of a pickle as plain Python values: dict, list, tuple, scalars, text, bytes and :class:`LazyTensor`.

    Placeholders become dictionaries of their state, omegaconf containers their content, enumerations their value.
    Indexes of faiss stay :class:`Foreign`, since a native parser has to look at them.

    Raises:
        CorruptFileError: the tree contains itself.
        LimitExceededError: too deep or too many values, also by repeating one part many times.
    """
    budget = Budget(limits.nodes, "the number of values in it", where)
    inside: set[int] = set()

    def walk(item: Any, depth: int) -> Any:
        budget.spend()
        if isinstance(item, (str, int, float, bytes, type(None), LazyTensor)):
            return item
        check(depth, limits.nesting, "the depth of its values", where)
        if id(item) in inside:
            raise CorruptFileError(f"{where}: a value contains itself")
        inside.add(id(item))
        try:
            return inner(item, depth + 1)
        finally:
            inside.discard(id(item))

    def inner(item: Any, depth: int) -> Any:
        match item:
            case dict():
                return {key: walk(one, depth) for key, one in item.items()}
            case list():
                return [walk(one, depth) for one in item]
            case tuple():
                return tuple(walk(one, depth) for one in item)
            case set():
                return [walk(one, depth) for one in sorted(item, key=repr)]
            case Foreign():
                return foreign(item, depth)
            case NumpyArray():
                return item.value
            case NumpyType():
                return str(item.dtype)
            case Name():
                return item.title
            case memoryview():
                return item
        raise CorruptFileError(f"{where}: a {type(item).__name__} where a plain value belongs")

    def foreign(item: Foreign, depth: int) -> Any:
        if item.title.startswith("faiss."):
            return item
        if item.title.startswith("omegaconf."):
            return walk(item.state.get("_content", item.state.get("_val")), depth)
        if not item.state and len(item.arguments) == 1:
            return walk(item.arguments[0], depth)
        return {str(key): walk(one, depth) for key, one in item.state.items()}

    return walk(value, 0)


def is_mapping(value: Any) -> bool:
    """Whether ``value`` is a non-empty mapping with text keys."""
    return isinstance(value, Mapping) and bool(value) and all(isinstance(key, str) for key in value)
