"""Pulling content towards the trained speaker: nearest k-means centre, or the eight nearest training frames.

Both mix frame by frame (spec, section 4). The files are read by the checkpoint door; here are plain arrays. faiss is
not needed for a search: an "IVF,Flat" index is its vectors, its coarse centres, and which list each vector lies in.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sovits.core.checkpoint import Checkpoint, Kind, RetrievalIndex
from sovits.core.errors import VoiceError, WrongModelError
from sovits.core.rng import FloatArray, IntArray
from sovits.features.pitch.postprocess import Compat

NEIGHBOURS = 8
#: What a search gives where a list holds fewer vectors than asked for: no id, and this squared distance.
NOTHING, FAR = -1, np.finfo(np.float32).max
_BLOCK = 1 << 22  # float32 values of one distance table


@dataclass(frozen=True, eq=False)
class Clusters:
    """k-means centres by speaker name, float32 [centres, width] each."""

    centres: Mapping[str, FloatArray]
    source: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Clusters:
        """From a k-means file.

        Raises:
            WrongModelError: another kind of file.
        """
        if checkpoint.kind is not Kind.KMEANS:
            raise WrongModelError(f"{checkpoint.path} holds no k-means centres, it is: {checkpoint.kind.label}")
        end = ".cluster_centers_"
        return cls(
            {
                name.removesuffix(end): np.asarray(value, np.float32)
                for name, value in checkpoint.tensors.items()
                if name.endswith(end)
            },
            str(checkpoint.path),
        )

    @property
    def width(self) -> int:
        """Width of the content they were made of."""
        return int(next(iter(self.centres.values())).shape[1])

    def labels(self, units: FloatArray, speaker: str) -> IntArray:
        """The nearest centre of each frame of units [frames, width], int64 [frames].

        Raises:
            VoiceError: no centres for this speaker, or another width.
        """
        centres = self.centres.get(speaker)
        if centres is None:
            raise VoiceError(
                f"{self.source} has no centres for the speaker '{speaker}'", hint=f"it has: {', '.join(self.centres)}"
            )
        _require_width(units, centres.shape[1], self.source)
        found = [_squared(block, centres).argmin(axis=1) for block in _blocks(units, len(centres))]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def mix(self, units: FloatArray, speaker: str, ratio: float) -> FloatArray:
        """``ratio`` of the nearest centre and the rest of the frame itself; [frames, width] -> the same shape."""
        if not ratio:
            return units
        nearest = self.centres[speaker][self.labels(units, speaker)]
        return np.asarray(np.float32(ratio) * nearest + np.float32(1 - ratio) * units, np.float32)


class Neighbours:
    """A retrieval index of one speaker.

    Args:
        index: as the checkpoint door gives it.
        source: the file, for messages.
    """

    def __init__(self, index: RetrievalIndex, source: str) -> None:
        if index.metric != "squared distance":
            raise WrongModelError(f"{source}: an index of the metric '{index.metric}', wanted squared distance")
        self.source = source
        self.vectors = np.asarray(index.vectors, np.float32)
        self.centroids = np.asarray(index.centroids, np.float32)
        self.probes = int(index.probes)
        lists = np.asarray(index.list_of)
        order = np.argsort(lists, kind="stable") if len(self.centroids) else np.arange(len(self.vectors))
        edges = np.searchsorted(lists[order], np.arange(len(self.centroids) + 1)) if len(self.centroids) else [0]
        self._members = [order[a:b] for a, b in itertools.pairwise(edges)] or [order]

    @property
    def width(self) -> int:
        """Width of the content it was made of."""
        return int(self.vectors.shape[1])

    def search(self, units: FloatArray, count: int = NEIGHBOURS) -> tuple[FloatArray, IntArray]:
        """The nearest vectors of each frame, the nearest first.

        Args:
            units: float32 [frames, width].

        Returns:
            squared distances float32 [frames, count] and ids int64 of the same shape.

        Raises:
            VoiceError: units of another width.
        """
        _require_width(units, self.width, self.source)
        scores = np.full((len(units), count), FAR, np.float32)
        ids = np.full((len(units), count), NOTHING, np.int64)
        for frames, members in self._candidates(units):
            vectors = self.vectors[members]
            for frame in frames.tolist():
                distance = _exact(units[frame], vectors)
                best = np.argsort(distance, kind="stable")[:count]
                scores[frame, : len(best)] = distance[best]
                ids[frame, : len(best)] = members[best]
        return scores, ids

    def _candidates(self, units: FloatArray) -> list[tuple[IntArray, IntArray]]:
        """Frames that look into the same lists, with the ids in those lists."""
        if not len(self.centroids):
            return [(np.arange(len(units)), self._members[0])]
        probes = min(self.probes, len(self.centroids))
        groups: dict[tuple[int, ...], list[int]] = {}
        for frame, row in enumerate(units):
            near = np.argsort(_exact(row, self.centroids), kind="stable")[:probes]
            groups.setdefault(tuple(near.tolist()), []).append(frame)
        return [
            (np.asarray(frames), np.concatenate([self._members[number] for number in lists]))
            for lists, frames in groups.items()
        ]

    def retrieved(self, units: FloatArray, *, compat: Compat = "fixed") -> FloatArray:
        """The weighted mean of the nearest vectors, weights (1 / squared distance)^2; [frames, width].

        Args:
            compat: a frame that is itself in the index divides by zero upstream and becomes NaN (F4); here such
                vectors take all the weight.
        """
        scores, ids = self.search(units)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weights = np.square(1 / scores)
            if compat == "fixed":
                hit = scores == 0
                weights = np.where(hit.any(axis=1, keepdims=True), hit.astype(np.float32), weights)
            weights = weights / weights.sum(axis=1, keepdims=True)
        return np.asarray((self.vectors[ids] * weights[..., None]).sum(axis=1), np.float32)

    def mix(self, units: FloatArray, ratio: float, *, compat: Compat = "fixed") -> FloatArray:
        """``ratio`` of :meth:`retrieved` and the rest of the frame itself; [frames, width] -> the same shape."""
        if not ratio:
            return units
        found = self.retrieved(units, compat=compat)
        return np.asarray(np.float32(ratio) * found + np.float32(1 - ratio) * units, np.float32)


def _require_width(units: FloatArray, width: int, source: str) -> None:
    if units.shape[1] != width:
        raise VoiceError(
            f"{source} holds content of width {width}, this voice's encoder gives {units.shape[1]}",
            hint="use the file that was made with this voice",
        )


def _blocks(units: FloatArray, against: int) -> list[FloatArray]:
    return np.array_split(units, max(1, len(units) * against // _BLOCK + 1))


def _squared(units: FloatArray, others: FloatArray) -> FloatArray:
    """Squared distances up to a term that all others share, by one product; [frames, others]."""
    return np.asarray(np.square(others).sum(axis=1) - 2 * (units @ others.T), np.float32)


def _exact(row: FloatArray, others: FloatArray) -> FloatArray:
    """Squared distances of one frame [width] to others [n, width]; by differences, so an exact hit is exactly 0."""
    return np.asarray(np.square(others - row).sum(axis=1), np.float32)
