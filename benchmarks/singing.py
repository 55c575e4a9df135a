"""Speed of the singing nets of full official size: the serving forms against the plain nets, and the other stages.

The weights are random, by the rule of the golden cases: speed does not depend on their values, and how the nets sound
is not the question here. ``plain`` is float32 as the net stands: eager torch, weight norm computed in every call.

Measured with one thread, every length in a process of its own. Every round runs each form once, one after the other, so
that a busy machine weighs on all alike; what counts is processor time, and a ratio is taken within its round.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.report import Bar

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Seconds of sound in one call, and rounds. The bars are those of the middle one, the length of a long phrase.
FULL, QUICK = ((2.0, 5), (10.0, 5), (20.0, 3)), ((1.0, 2),)
BAR_SECONDS = 10.0
#: Requirements: speed-up in float32; in bfloat16 this share of it per bfloat16/float32 ratio r, if r is at least LEAST_R.
FLOAT32_BAR, SHARE, LEAST_R, GATE = 1.4, 0.8, 1.5, 0.02
RATE, HOP = 44100, 512
#: Number formats of the serving forms.
KINDS = ("float32", "bfloat16")
#: Factors of the fill rule, as the manifests of the golden cases have them.
GAINS = (
    (r"(^|\.)(emb_g|f0_emb|emb_uv)\.weight$", 8.0),
    (r"^enc_[pq]\.proj\.weight$", 0.5),
    (r"feature_extractor\.conv_layers\.[1-6]\..*weight$", 1.7),
    (r"\.conv\.3\.weight$", 0.3),
    (r"shortcut\.weight$", 0.7),
    (r"^cnn\.weight$", 0.3),
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Form:
    """One form of a net at one length: processor seconds per second of sound, and speed-ups over plain, by round."""

    net: str
    form: str
    seconds: float
    times: list[float]
    ratios: list[float]
    snr: float = float("inf")
    mel: float = 0.0


@dataclass(frozen=True)
class Result:
    """What one run found.

    Attributes:
        r: float32 time over bfloat16 time of a 256-channel 7-tap convolution of 4000 frames, by round.
        shares: processor seconds of every stage per second of sound, plain and as served, from one pass.
        chain_snr, chain_mel: of encoder and generator together, bfloat16 against float32.
    """

    r: list[float]
    forms: list[Form]
    shares: dict[str, list[float]] = field(default_factory=dict)
    chain_snr: float = float("inf")
    chain_mel: float = 0.0


def measure(lengths: tuple[tuple[float, int], ...], threads: int = 1) -> Result:
    """All of it; every length in a process of its own with that many threads.

    What was allocated before decides how the C library goes about large tensors: calls of one length would change what
    calls of another one cost. The first length is the one at which everything else is looked at, too.
    """
    results = [_child(seconds, rounds, threads, whole=not place) for place, (seconds, rounds) in enumerate(lengths)]
    return replace(
        results[0],
        r=[ratio for result in results for ratio in result.r],
        forms=[form for result in results for form in result.forms],
    )


def _child(seconds: float, rounds: int, threads: int, *, whole: bool) -> Result:
    """What :func:`run` gives in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.singing", "--child", json.dumps([seconds, rounds, whole])],
        cwd=report.REPOSITORY,
        env={**os.environ, **dict.fromkeys(_THREADS, str(threads))},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    return Result(**{**found, "forms": [Form(**form) for form in found["forms"]]})


def run(seconds: float, rounds: int, whole: bool) -> Result:
    """The forms of the generator at one length; with ``whole``, the other nets, stages and the chain as well."""
    import torch

    from sovits.core.device import Compute
    from sovits.nets.serving import serving
    from sovits.nets.svc.config import SvcConfig
    from sovits.nets.svc.synthesizer import Synthesizer
    from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig

    torch.set_grad_enabled(False)
    generator = filled(Synthesizer(SvcConfig()))
    vocoder = filled(HifiGan(HifiGanConfig(inputs=128, frame_rate_phase=True)))
    generators = {"plain": generator, **{kind: serving(generator, Compute(precision=kind)) for kind in KINDS}}
    vocoders = {"plain": vocoder, **{kind: serving(vocoder, Compute(precision=kind)) for kind in KINDS}}
    given, ratios = inputs(seconds), convolution_ratios(rounds)
    calls = {name: singing(net, given) for name, net in generators.items()}
    forms = compare("generator", seconds, rounds, calls)
    if not whole:
        return Result(ratios, forms)
    calls = {name: vocoding(net, given) for name, net in vocoders.items()}
    forms += compare("vocoder", seconds, min(rounds, 3), calls)
    forms += others(seconds, min(rounds, 3))
    return Result(ratios, forms, shares(generators, given, seconds), *chain(generators, seconds))


def filled(net: nn.Module) -> Any:
    """The net with weights by the fill rule."""
    import torch
    from tests.parity.fill import fill_svc

    state = {
        name: torch.from_numpy(fill_svc("benchmark", name, tuple(value.shape), str(value.dtype).split(".")[1], GAINS))
        for name, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net.eval()


def inputs(seconds: float) -> dict[str, Tensor]:
    """Content, a gliding F0 with a pause, and mel frames, the same in every run."""
    import numpy as np
    import torch

    frames = round(seconds * RATE / HOP)
    random = np.random.default_rng(0)
    f0 = 220 * 2 ** (np.sin(np.arange(frames) / 30) / 2)
    f0[: frames // 10] = 0
    values = {
        "content": 0.5 * random.standard_normal((1, 768, frames)),
        "f0": f0[None],
        "voiced": (f0 > 0)[None],
        "mel": random.standard_normal((1, 128, frames)) - 5,
    }
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}


def singing(net: Any, given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    """A call of the generator, always with the same noise."""
    import torch

    from sovits.core.rng import SeededNoise

    speaker = torch.zeros(1, 1, dtype=torch.int64)
    return lambda: net.infer(given["content"], given["f0"], given["voiced"], speaker, SeededNoise(1))[0]


def vocoding(net: Any, given: Mapping[str, Tensor]) -> Callable[[], Tensor]:
    """A call of the vocoder, always with the same noise."""
    from sovits.core.rng import SeededNoise

    return lambda: net(given["mel"], given["f0"], SeededNoise(1))


def compare(net: str, seconds: float, rounds: int, calls: Mapping[str, Callable[[], Tensor]]) -> list[Form]:
    """Time the forms in alternation; the first is what the others are compared with."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    outputs = {name: call() for name, call in calls.items()}  # the first call of each is not counted
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(processor_time(call) / seconds)
    plain, want = next(iter(times.values())), next(iter(outputs.values()))
    made = []
    for name, taken in times.items():
        ratios = [base / own for base, own in zip(plain, taken, strict=True)]
        made.append(Form(net, name, seconds, taken, ratios, *difference(outputs[name], want)))
    return made


def processor_time(call: Callable[[], object]) -> float:
    """Seconds of processor time of this process."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def difference(got: Tensor, want: Tensor) -> tuple[float, float]:
    """Signal-to-noise ratio in dB and, of sound, the mean absolute difference of the log-mel, natural logarithm."""
    import torch

    from sovits.features.mel import MelConfig, log_mel

    error = float((got - want).double().pow(2).mean())
    if error == 0:
        return float("inf"), 0.0
    if want.shape[1] != 1:
        return 10 * math.log10(float(want.double().pow(2).mean()) / error), 0.0
    config = MelConfig(RATE, 2048, 2048, HOP, 128, 40.0, 16000.0)
    snr = 10 * float(torch.log10(want.double().pow(2).mean() / error))
    return snr, float((log_mel(got[:, 0], config) - log_mel(want[:, 0], config)).abs().mean())


def convolution_ratios(rounds: int) -> list[float]:
    """r by round, of the plain ``conv1d``."""
    import torch
    from torch.nn import functional

    x, weight = torch.randn(1, 256, 4000), torch.randn(256, 256, 7)
    halves = x.bfloat16(), weight.bfloat16()
    found = []
    for _ in range(rounds + 2):
        single = processor_time(lambda: functional.conv1d(x, weight, padding=3))
        half = processor_time(lambda: functional.conv1d(*halves, padding=3))
        found.append(single / half)
    return found[2:]


def others(seconds: float, rounds: int) -> list[Form]:
    """Content encoder (ContentVec, 12 layers), pitch tracker (RMVPE) and one step of diffusion, plain and arranged."""
    import torch

    from sovits.features.content.hubert import Hubert, HubertConfig
    from sovits.features.pitch.rmvpe import Rmvpe
    from sovits.nets.diffusion.wavenet import Denoiser

    sound, mel = 0.1 * torch.randn(1, round(16000 * seconds)), torch.randn(1, 128, round(100 * seconds))
    frames = round(seconds * RATE / HOP)
    noisy, condition, step = torch.randn(1, 128, frames), torch.randn(1, 256, frames), torch.tensor([50.0])
    made = []
    for name, net, call, kinds in (
        ("content encoder", Hubert(HubertConfig(projection=256)), lambda net: net.units(sound, layer=12), KINDS),
        ("pitch (RMVPE)", Rmvpe(), lambda net: net(mel), KINDS[:1]),
        ("a diffusion step", Denoiser(128, 20, 512, 256), lambda net: net(noisy, step, condition), KINDS),
    ):
        plain = filled(net)
        forms = {"plain": plain, **{kind: arranged(plain, kind) for kind in kinds}}
        made += compare(name, seconds, rounds, {form: partial(call, net) for form, net in forms.items()})
    return made


def arranged(net: nn.Module, precision: str) -> nn.Module:
    """A copy as it serves."""
    from sovits.core.device import Compute
    from sovits.nets.serving import arrange

    made = copy.deepcopy(net)
    arrange(made, Compute(precision=precision))
    return made


def chain(generators: Mapping[str, Any], seconds: float) -> tuple[float, float]:
    """Encoder and generator both in bfloat16 against both in float32: SNR in dB and log-mel L1."""
    import torch
    from torch.nn import functional

    from sovits.features.content.hubert import Hubert, HubertConfig

    encoder, given = filled(Hubert(HubertConfig())), inputs(seconds)
    sound = 0.1 * torch.randn(1, round(16000 * seconds))
    made = []
    for kind in KINDS:
        units = arranged(encoder, kind).units(sound, layer=12)
        content = functional.interpolate(units, size=given["f0"].shape[1])
        made.append(singing(generators[kind], {**given, "content": content})())
    return difference(made[1], made[0])


def shares(nets: Mapping[str, Any], given: Mapping[str, Tensor], seconds: float) -> dict[str, list[float]]:
    """Processor seconds of the parts of the generator per second of sound, by form."""
    found: dict[str, list[float]] = {}
    for net in nets.values():
        spent: dict[str, float] = {}
        handles = []
        for name, part in {"prior": net.enc_p, "source": net.dec.m_source, "decoder": net.dec}.items():
            handles += watch(part, name, spent)
        for flow in net.flow.flows:
            handles += watch(flow, "flow", spent)
        singing(net, given)()
        spent.clear()
        whole = processor_time(singing(net, given))
        for handle in handles:
            handle.remove()
        spent["decoder"] -= spent["source"]
        spent["rest"] = whole - sum(spent.values())
        for name, value in spent.items():
            found.setdefault(name, []).append(value / seconds)
    return found


def watch(part: nn.Module, name: str, spent: dict[str, float]) -> list[Any]:
    """Add the processor time of a module to ``spent[name]``."""

    def begin(*_: object) -> None:
        spent[name] = spent.get(name, 0.0) - time.process_time()

    def end(*_: object) -> None:
        spent[name] += time.process_time()

    return [part.register_forward_pre_hook(begin), part.register_forward_hook(end)]


def bars(result: Result) -> list[Bar]:
    """The requirements at the length of the bars (the only one of a quick run)."""
    used = [form for form in result.forms if form.net == "generator"]
    length = BAR_SECONDS if any(form.seconds == BAR_SECONDS for form in used) else used[0].seconds
    single, half = (
        next(form for form in used if form.seconds == length and form.form == name) for name in ("float32", "bfloat16")
    )
    r = statistics.median(result.r)
    made = [
        Bar("generator, float32, times plain", statistics.median(single.ratios), ">=", FLOAT32_BAR, ".2f"),
        Bar("generator, float32, log-mel L1", single.mel, "<=", GATE, ".6f"),
    ]
    if r >= LEAST_R:
        limit = round(SHARE * r * FLOAT32_BAR, 2)
        made.append(Bar("generator, bfloat16, times plain", statistics.median(half.ratios), ">=", limit, ".2f"))
    made.append(Bar("generator, bfloat16, log-mel L1", half.mel, "<=", GATE, ".6f"))
    made.append(Bar("encoder and generator, bfloat16, log-mel L1", result.chain_mel, "<=", GATE, ".6f"))
    return made


def table(result: Result) -> str:
    """Everything else, Markdown."""
    lines = [
        "Random weights by the fill rule, official sizes: a statement on speed, none on sound.",
        "One thread, processor time, forms in alternation; medians (least to most).",
        "",
        f"r (bfloat16 over float32, conv1d of 256 channels, 7 taps, 4000 frames): {spread(result.r, '.2f')}.",
        "",
        "| net | form | seconds in a call | processor time for 1 s of sound | times plain | SNR (dB) | log-mel L1 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for form in result.forms:
        same = form.form == "plain"
        lines.append(
            f"| {form.net} | {form.form} | {form.seconds:g} | {spread([1000 * t for t in form.times], '.0f')} ms |"
            f" {'' if same else spread(form.ratios, '.2f')} | {'' if same else f'{form.snr:.1f}'} |"
            f" {f'{form.mel:.6f}' if form.mel else ''} |"
        )
    lines += [
        "",
        "| part of the generator, ms for 1 s of sound | plain | float32 | bfloat16 |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | {' | '.join(f'{1000 * v:.0f}' for v in row)} |" for name, row in result.shares.items()]
    return "\n".join(lines)


def spread(values: list[float], form: str) -> str:
    """Median and range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main(arguments: list[str] | None = None) -> int:
    """Print bars and tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.singing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        print(json.dumps(asdict(run(*given.child))))
        return 0
    around = report.surroundings()
    result = measure(QUICK if given.quick else FULL)
    found = bars(result)
    print(f"{around['date']} UTC, commit {around['commit']}, load before {around['load']}. {around['machine']}.\n")
    print(f"{report.bars_table(tuple(found))}\n\n{table(result)}")
    return 0 if all(bar.met for bar in found) else 1


if __name__ == "__main__":
    sys.exit(main())
