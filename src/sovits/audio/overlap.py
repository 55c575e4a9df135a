"""Joining pieces that overlap: cross-fades, SOLA, and the streaming helpers of every chunked engine.

A chunked engine cuts its input with :func:`overlapping`, turns each piece into sound and joins the results with a
:class:`CrossfadeJoiner`; both work on streams and hold about one piece. The remaining joins are those of so-vits-svc
(:func:`forced_clips`, :class:`ClipJoiner`) and GPT-SoVITS (:class:`SolaJoiner`, :func:`best_offset`). All joiners work
alike: ``push(piece)`` gives what is finished, ``finish()`` the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from sovits.audio.audio import Samples
from sovits.audio.windows import Fade, fade_in, fade_out, hann
from sovits.core.errors import AudioError

T = TypeVar("T", bound=np.generic)
Array = npt.NDArray[np.floating[Any]]

SOLA_SEARCH = 320  # samples that GPT-SoVITS lets a piece slide


def crossfade(tail: Samples, head: Samples, shape: Fade) -> Samples:
    """Fade from ``tail`` to ``head``, both [..., time] of one length."""
    length = tail.shape[-1]
    mixed: Samples = tail * fade_out(length, shape) + head * fade_in(length, shape)
    return mixed


def overlapping(blocks: Iterable[Samples], size: int, overlap: int) -> Iterator[Samples]:
    """Cut a stream into pieces of ``size`` samples, each starting ``overlap`` samples before the end of the last.

    Args:
        blocks: [channels, time], of any lengths.
        size, overlap: in samples, ``0 <= overlap < size``.

    Yields:
        [channels, size]; the last piece may be shorter, but has at least one sample more than the overlap, unless it is
        the only one.
    """
    if not 0 <= overlap < size:
        raise AudioError(f"an overlap of {overlap} samples does not fit pieces of {size}")
    parts: list[Samples] = []
    held = fresh = 0  # samples in ``parts``, and those of them that no piece has had yet
    for block in blocks:
        parts.append(block)
        held += block.shape[-1]
        fresh += block.shape[-1]
        if held < size:
            continue
        joined = np.concatenate(parts, axis=-1)
        start = 0
        while held - start >= size:
            yield joined[..., start : start + size]
            start += size - overlap
        parts = [joined[..., start:].copy()]
        held -= start
        fresh = held - overlap
    if fresh > 0:
        yield np.concatenate(parts, axis=-1)


class CrossfadeJoiner:
    """Joins pieces that overlap by a fixed number of samples; where they do not, samples pass untouched.

    If the pieces are cuts of one sound (:func:`overlapping`), the joined output is that sound again: bit by bit outside
    the overlaps, within the rounding of float32 inside, provided the fade adds up to 1 in amplitude.

    Args:
        overlap: in samples; every piece but a lone one must be at least this long.
        shape: ``linear`` for two renderings of one sound, ``equal_power`` for unlike material.
    """

    def __init__(self, overlap: int, shape: Fade = "linear") -> None:
        self.overlap = overlap
        self.shape: Fade = shape
        self._tail: Samples | None = None

    def push(self, piece: Samples) -> Samples:
        """Take [..., time] and give the samples that no later piece can change."""
        if self._tail is not None and self.overlap:
            if min(piece.shape[-1], self._tail.shape[-1]) < self.overlap:
                raise AudioError(f"a piece of {piece.shape[-1]} samples is shorter than the overlap of {self.overlap}")
            mixed = crossfade(self._tail, piece[..., : self.overlap], self.shape)
            piece = np.concatenate([mixed, piece[..., self.overlap :]], axis=-1)
        done, self._tail = _split(piece, self.overlap)
        return done

    def finish(self) -> Samples:
        """Give what is still held; nothing but an empty array if there was no piece."""
        tail, self._tail = self._tail, None
        return tail if tail is not None else np.zeros((1, 0), np.float32)


def forced_clips(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """so-vits-svc's cutting of a long segment (spec section 4, step 3): pieces start every ``size`` samples, but each
    after the first starts ``overlap`` samples earlier and is that much longer.

    Returns:
        ``(start, stop)`` of each piece.
    """
    return [(max(0, start - overlap), min(start + size, length)) for start in range(0, length, size)]


def pad_centre(samples: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Zeros on both sides of [time] up to ``length``, the odd one on the right; what is longer stays as it is."""
    missing = max(0, length - samples.shape[0])
    return np.pad(samples, (missing // 2, missing - missing // 2))


class ClipJoiner:
    """so-vits-svc's cross-fade of forced clips (spec section 4, step 5): linear, over the middle of the overlap.

    Of ``overlap`` samples, ``r = int(overlap * ratio)`` are faded with weights from 0 to 1, both included; of the rest,
    half is dropped from the start of the new piece and half from the end of the old one.

    Args:
        overlap: in samples ("lg_size").
        ratio: "lgr", above 0 and at most 1; 1 fades over the whole overlap.
    """

    def __init__(self, overlap: int, ratio: float) -> None:
        self._faded = int(overlap * ratio)
        self._skipped = (overlap - self._faded) // 2
        self._held = overlap - self._skipped  # the faded part and what is dropped after it
        self._weights = np.linspace(0.0, 1.0, self._faded)
        self._tail: Array | None = None

    def push(self, piece: Array) -> Array:
        """Take mono [time] and give the samples that no later piece can change."""
        if self._tail is not None:
            head = piece[self._skipped : self._skipped + self._faded]
            old = self._tail[: self._faded]
            if old.shape[0] < self._faded or head.shape[0] < self._faded:
                raise AudioError(f"a clip of {piece.shape[0]} samples is shorter than the overlap with its neighbour")
            mixed = old * (1.0 - self._weights) + head * self._weights
            piece = np.concatenate([mixed, piece[self._skipped + self._faded :]])
        done, self._tail = _split(piece, self._held)
        return done

    def finish(self) -> Array:
        """Give what is still held, with the part that a further piece would have replaced."""
        tail, self._tail = self._tail, None
        return tail if tail is not None else np.zeros(0)


class SolaJoiner:
    """GPT-SoVITS's join (synchronised overlap-add; spec section 6): each piece slides to where it fits the last one
    best, and is then faded in with the halves of a Hann window. Every join shortens the sound by the offset it found.

    Args:
        overlap: in samples.
        search: how far a piece may slide, in samples.
    """

    def __init__(self, overlap: int, search: int = SOLA_SEARCH) -> None:
        self.overlap = overlap
        self.search = search
        window = hann(2 * overlap)
        self._rising, self._falling = window[:overlap], window[overlap:]
        self._tail: Samples | None = None

    def push(self, piece: Samples) -> Samples:
        """Take mono float32 [time] and give the samples that no later piece can change."""
        if self._tail is not None:
            if piece.shape[0] < self.overlap + self.search or self._tail.shape[0] < self.overlap:
                raise AudioError(
                    f"a piece of {piece.shape[0]} samples is too short to be joined: "
                    f"the overlap is {self.overlap} and it may slide by {self.search}"
                )
            piece = piece[sola_offset(self._tail, piece[: self.overlap + self.search]) :]
            mixed = self._tail * self._falling + piece[: self.overlap] * self._rising
            piece = np.concatenate([mixed, piece[self.overlap :]])
        done, self._tail = _split(piece, self.overlap)
        return done

    def finish(self) -> Samples:
        """Give what is still held."""
        tail, self._tail = self._tail, None
        return tail if tail is not None else np.zeros(0, np.float32)


def sola_offset(tail: Samples, head: Samples) -> int:
    """Where in ``head`` the sound of ``tail`` goes on best: the first largest of ``sum(a b) / sqrt(sum(b^2) + 1e-8)``.

    Args:
        tail: [time], the overlap.
        head: [time + search].
    """
    products, energies = _sliding(tail, head)
    return int(np.argmax(products / np.sqrt(energies + 1e-8)))


def best_offset(reference: Samples, search: Samples) -> tuple[int, Samples]:
    """Where ``reference`` is found in ``search``: the first largest normalised correlation (GPT-SoVITS streaming).

    Returns:
        the offset, and the correlation at every offset, float32 [search - reference + 1], in -1..1.
    """
    products, energies = _sliding(reference, search)
    scores = products / np.sqrt(np.maximum(energies * float(np.square(reference, dtype=np.float64).sum()), 1e-16))
    return int(np.argmax(scores)), scores.astype(np.float32)


def _sliding(short: Samples, long: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Product of ``short`` with, and energy of, each stretch of its length in ``long``."""
    products = np.correlate(long.astype(np.float64), short.astype(np.float64), "valid")
    stretches = np.lib.stride_tricks.sliding_window_view(np.square(long, dtype=np.float64), short.shape[0])
    return products, stretches.sum(axis=-1)


def _split(piece: npt.NDArray[T], held: int) -> tuple[npt.NDArray[T], npt.NDArray[T]]:
    """Samples that are finished, and the last ``held`` ones (a copy, so that the piece can be freed)."""
    edge = max(0, piece.shape[-1] - held)
    return piece[..., :edge], piece[..., edge:].copy()
