"""A decoder in windows of a few fixed lengths: the samples of one pass, from calls of few shapes.

A convolutional decoder hears only so far to both sides. What a window gives further than that from its ends is what one
pass gives; and at the ends of the sound a window ends with it, so that the zeros with which the net pads its
convolutions are where they are in one pass. That is why nothing is ever padded to a length: behind padded frames the
biases of the net would sound, and the last samples before them would change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from sovits.core.windows import Window
from sovits.nets.activations import AntiAliasedSnake
from sovits.nets.convolution import NormConv1d, NormConvTranspose1d
from sovits.nets.vocoders.hifigan import HifiGan

#: Input [1, inputs, T], excitation [1, 1, T * hop], condition [1, conditioning, 1 or T] or ``None`` -> [1, 1, T * hop].
Decode = Callable[[Tensor, Tensor, Tensor | None], Tensor]
#: Samples to either side that one sample of an anti-aliased snake depends on: two filters of 12 taps at twice the rate.
_SNAKE = 5


def cover(frames: int, sizes: Sequence[int], reach: int) -> list[Window]:
    """Windows in order that keep every frame once and are as long as one of ``sizes``.

    The next window is the one that keeps most for what it computes.

    Args:
        frames: of the sound, at least 1.
        sizes: ascending, each more than twice ``reach``.
        reach: frames beside an end of a window that are kept only where the sound ends too.

    Returns:
        One window over everything if the sound is shorter than every size.
    """
    fitting = [size for size in sizes if size <= frames]
    if not fitting:
        return [Window(0, frames, 0, frames)]
    found: list[Window] = []
    done = 0
    while done < frames:
        begin = max(0, done - reach)
        ends = {size: frames if begin + size >= frames else begin + size - reach for size in fitting}
        size = max(ends, key=lambda size: (ends[size] - done) / size)
        start = min(begin, frames - size)
        found.append(Window(start, start + size, done, ends[size]))
        done = ends[size]
    return found


def in_windows(
    decode: Decode, windows: Sequence[Window], x: Tensor, source: Tensor, g: Tensor | None, hop: int
) -> Tensor:
    """What ``decode`` gives for the whole, made window by window.

    Args:
        windows: of :func:`cover`. ``x``, ``source``, ``g``: as :data:`Decode` has them, of the whole.

    Returns:
        [1, 1, T * hop] in the number format of ``source``.
    """
    made = source.new_empty(1, 1, x.shape[2] * hop)
    for window in windows:
        frames = slice(window.start, window.stop)
        samples = slice(window.start * hop, window.stop * hop)
        condition = g if g is None or g.shape[2] == 1 else g[:, :, frames]
        found = decode(x[:, :, frames], source[:, :, samples], condition)
        kept = slice((window.first - window.start) * hop, (window.last - window.start) * hop)
        made[:, :, window.first * hop : window.last * hop] = found[:, :, kept]
    return made


def reach(net: HifiGan) -> int:
    """Frames beside an end of a window where the output may differ from that of a longer one."""
    wrong = _padding(net.conv_pre)  # rows at the rate of the stage, counted from the end
    count = len(net.config.resblock_kernels)
    for i, (snake, up, from_source) in enumerate(zip(net.snakes, net.ups, net.noise_convs, strict=True)):
        assert isinstance(up, NormConvTranspose1d)
        assert isinstance(from_source, nn.Conv1d)
        wrong = (wrong + _reach(snake) - 1) * up.stride + up.kernel().shape[2] - up.padding
        wrong = max(wrong, -(-from_source.kernel_size[0] // from_source.stride[0]))
        wrong += max(_reach(block) for block in net.resblocks[i * count : (i + 1) * count])
    if net.snake_post is not None:
        wrong += _reach(net.snake_post)
    return -(-(wrong + _padding(net.conv_post)) // net.config.hop)


def _reach(part: nn.Module) -> int:
    """Rows to either side that a row depends on, of modules that run one after the other."""
    modules = list(part.modules())
    snakes = sum(isinstance(module, AntiAliasedSnake) for module in modules)
    return sum(_padding(module) for module in modules if isinstance(module, NormConv1d)) + snakes * _SNAKE


def _padding(conv: NormConv1d) -> int:
    return conv.padding
