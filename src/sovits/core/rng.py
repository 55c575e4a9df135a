"""The one home of randomness: every draw goes through a :class:`Noise` that is passed as an argument.

``SeededNoise`` gives independent named streams from one seed, so adding a draw in one place does not move the draws
of another. ``ZeroNoise`` and ``ShapeNoise`` are the two rules under which the recorded numbers in the parity tests were made.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Protocol

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class Noise(Protocol):
    """A source of named random streams. One instance belongs to one call: it is not shared between threads."""

    def child(self, name: str) -> Noise:
        """An independent source for a part of the work (a chunk, a file, a speaker)."""

    def normal(self, name: str, shape: Shape) -> FloatArray:
        """Standard normal draws, float32 of ``shape``."""

    def uniform(self, name: str, shape: Shape, low: float = 0.0, high: float = 1.0) -> FloatArray:
        """Uniform draws on [low, high), float32 of ``shape``."""

    def integers(self, name: str, shape: Shape, low: int, high: int) -> IntArray:
        """Uniform integers on [low, high), int64 of ``shape``."""

    def permutation(self, name: str, count: int) -> IntArray:
        """A permutation of ``0 .. count-1``."""

    def exponential(self, name: str, shape: Shape) -> FloatArray:
        """Exponential draws of rate one, float32 of ``shape``."""


class SeededNoise:
    """Named PCG64 streams; the same seed and the same sequence of draws on a name give the same bytes everywhere.

    Args:
        seed: any integer. ``path`` is the chain of :meth:`child` names and part of every stream's key.
    """

    def __init__(self, seed: int, path: str = "") -> None:
        self.seed = int(seed)
        self.path = path
        self._streams: dict[str, np.random.Generator] = {}

    def child(self, name: str) -> SeededNoise:
        return SeededNoise(self.seed, f"{self.path}/{name}")

    def _stream(self, name: str) -> np.random.Generator:
        stream = self._streams.get(name)
        if stream is None:
            digest = hashlib.sha256(f"{self.seed}:{self.path}:{name}".encode()).digest()
            stream = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
            self._streams[name] = stream
        return stream

    def normal(self, name: str, shape: Shape) -> FloatArray:
        return self._stream(name).standard_normal(shape, dtype=np.float32)

    def uniform(self, name: str, shape: Shape, low: float = 0.0, high: float = 1.0) -> FloatArray:
        draws = self._stream(name).random(shape, dtype=np.float32)
        return (draws * np.float32(high - low) + np.float32(low)).astype(np.float32, copy=False)

    def integers(self, name: str, shape: Shape, low: int, high: int) -> IntArray:
        return self._stream(name).integers(low, high, size=shape, dtype=np.int64)

    def permutation(self, name: str, count: int) -> IntArray:
        return self._stream(name).permutation(count).astype(np.int64, copy=False)

    def exponential(self, name: str, shape: Shape) -> FloatArray:
        return self._stream(name).standard_exponential(shape, dtype=np.float32)


class ZeroNoise:
    """The recorded rule "zero": normals are 0, uniforms and integers their lower bound, permutations the identity.

    Args:
        exponential_value: what an exponential draw gives (0 on the singing side, 1 on the speech side, where a zero
            would divide by zero in the sampler).
    """

    def __init__(self, exponential_value: float = 0.0) -> None:
        self.exponential_value = exponential_value

    def child(self, name: str) -> Noise:
        return self

    def normal(self, name: str, shape: Shape) -> FloatArray:
        return np.zeros(shape, np.float32)

    def uniform(self, name: str, shape: Shape, low: float = 0.0, high: float = 1.0) -> FloatArray:
        return np.full(shape, low, np.float32)

    def integers(self, name: str, shape: Shape, low: int, high: int) -> IntArray:
        return np.full(shape, low, np.int64)

    def permutation(self, name: str, count: int) -> IntArray:
        return np.arange(count, dtype=np.int64)

    def exponential(self, name: str, shape: Shape) -> FloatArray:
        return np.full(shape, self.exponential_value, np.float32)


class ShapeNoise(ZeroNoise):
    """The recorded rule "shape": as :class:`ZeroNoise`, but a normal draw depends on its shape (and the salt) alone."""

    def __init__(self, salt: str, exponential_value: float = 0.0) -> None:
        super().__init__(exponential_value)
        self.salt = salt

    def normal(self, name: str, shape: Shape) -> FloatArray:
        key = f"{self.salt}:noise:" + "x".join(str(size) for size in shape)
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        return np.asarray(generator.standard_normal(shape)).astype(np.float32)
