"""Speed of the singing nets of full official size on a CUDA GPU: plain float32, half precision, and that as CUDA graphs.

The weights are random, by the rule of the golden cases: speed does not depend on their values, and how the nets sound
is not the question here. ``plain`` is float32 as the net stands: eager torch, weight norm computed in every call.

Measured in a process of its own, by events of the GPU: from the start of a call on an idle GPU to the end of its last
kernel. Every round runs each form once, one after the other. Memory is that of the weights, the first call and, where
there are graphs, their recording.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.report import Bar, Section
from benchmarks.singing import difference, filled, inputs, spread

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "singing-gpu"
NO_GPU = "no GPU on this machine"
#: Seconds of sound in one call, and rounds. The bars are those of the last one.
FULL, QUICK = ((1.0, 20), (5.0, 20), (20.0, 10)), ((1.0, 3),)
GATE = 0.02
#: Forms of the generator and of its decoder alone; the first is what the others are compared with.
FORMS = ("plain", "half", "half, windows", "half, graphs")


@dataclass(frozen=True)
class Form:
    """One form of a net at one length.

    Attributes:
        times: seconds per second of sound, by round. ``ratios``: speed-ups over plain within the round.
        memory: bytes.
        snr, mel: against plain: ratio in dB, mean absolute difference of the log-mel.
    """

    net: str
    form: str
    seconds: float
    times: list[float]
    ratios: list[float]
    memory: int
    snr: float = float("inf")
    mel: float = 0.0


@dataclass(frozen=True)
class Result:
    """What one run found.

    Attributes:
        gpu: name, memory and settings of the device.
        recorded: whether CUDA graphs were recorded; where not, their form ran without.
        stages: seconds of every stage per second of sound, by form, each stage waited for.
    """

    gpu: str
    recorded: bool
    forms: list[Form]
    stages: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Nets:
    """What is measured, on a CPU, with weights: the official sizes by default."""

    generator: Any
    vocoder: Any
    others: Mapping[str, tuple[Any, Callable[[Any, float, str], Callable[[], object]]]]

    @classmethod
    def official(cls) -> Nets:
        """The sizes of official models."""
        from sovits.features.content.hubert import Hubert, HubertConfig
        from sovits.features.pitch.rmvpe import Rmvpe
        from sovits.nets.diffusion.config import DiffusionConfig
        from sovits.nets.diffusion.unit2mel import Unit2Mel
        from sovits.nets.svc.config import SvcConfig
        from sovits.nets.svc.synthesizer import Synthesizer
        from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig

        return cls(
            filled(Synthesizer(SvcConfig())),
            filled(HifiGan(HifiGanConfig(inputs=128, frame_rate_phase=True))),
            {
                "content encoder": (filled(Hubert(HubertConfig(projection=256))), encoding),
                "pitch (RMVPE)": (filled(Rmvpe()), tracking),
                "one step of diffusion": (filled(Unit2Mel(DiffusionConfig(units=768))), denoising),
            },
        )


class Clock:
    """Seconds until a device is done with a call, not until it has been told to do it."""

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")

    def __call__(self, call: Callable[[], object]) -> float:
        """Time one call."""
        import torch

        self.wait()
        if not self._cuda:
            begun = time.perf_counter()
            call()
            return time.perf_counter() - begun
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def wait(self) -> None:
        """Until the device has nothing to do."""
        import torch

        if self._cuda:
            torch.cuda.synchronize()

    def memory(self, work: Callable[[], object]) -> tuple[int, int]:
        """Bytes that ``work`` makes torch take at most, and those it keeps, besides what is taken; none on a CPU."""
        import torch

        if not self._cuda:
            work()
            return 0, 0
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_reserved()
        work()
        torch.cuda.synchronize()
        most = torch.cuda.max_memory_reserved()
        torch.cuda.empty_cache()
        return int(most - before), int(torch.cuda.memory_reserved() - before)


def measure(lengths: Sequence[tuple[float, int]]) -> Result:
    """All of it, in a process of its own, on the first GPU."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.singing_gpu", "--child", json.dumps(lengths)],
        cwd=report.REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    return Result(found["gpu"], found["recorded"], [Form(**form) for form in found["forms"]], found["stages"])


def run(lengths: Sequence[tuple[float, int]], device: str, nets: Nets) -> Result:
    """What :func:`measure` has done in its child process; on a CPU, for tests of it."""
    import torch

    clock = Clock(device)
    forms: list[Form] = []
    stages: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        built = {form: Built(clock, partial(generator, nets.generator, form, device)) for form in FORMS}
        for seconds, rounds in lengths:
            given = on_device(inputs(seconds), device)
            calls = {form: singing(made, form, given, device) for form, made in built.items()}
            forms += compare("generator", seconds, rounds, calls, built, clock)
            parts = decoding(built["plain"], given)
            calls = {form: decode(made, parts) for form, made in built.items()}
            forms += compare("decoder alone", seconds, rounds, calls, built, clock)
        seconds = lengths[-1][0]
        given = on_device(inputs(seconds), device)
        for form, made in built.items():
            stages[form] = stages_of(made, singing(made, form, given, device), seconds, clock)
        for name, (net, prepare) in nets.others.items():
            on_gpu = copy.deepcopy(net).to(device)
            call = prepare(on_gpu, seconds, device)
            for form in ("plain", "half"):
                stages[form][name] = alone(mixed(form, call, device), clock) / seconds
        for form in FORMS:
            vocoder = decoder(nets.vocoder.to(device), form, device)
            call = vocoding(vocoder, given)
            stages[form]["vocoder"] = alone(mixed(form, call, device), clock) / seconds
    recorded = built[FORMS[-1]].net.dec.graphs is not None
    return Result(surroundings(device), recorded, forms, stages)


class Built:
    """A form of the generator, and the memory that it holds: its weights, and its graphs once they are recorded."""

    def __init__(self, clock: Clock, build: Callable[[], Any]) -> None:
        self._clock, self.held = clock, 0
        self.net: Any = None

        def make() -> None:
            self.net = build()

        self.most(make)

    def most(self, work: Callable[[], object]) -> int:
        """Bytes that are taken at most while ``work`` runs, with what is held before."""
        most, kept = self._clock.memory(work)
        most += self.held
        self.held += kept
        return most


def generator(net: nn.Module, form: str, device: str) -> Any:
    """The generator in one form on the device."""
    from sovits.core.device import Compute
    from sovits.nets.serving import serving

    placed: Any = copy.deepcopy(net).to(device)
    if form == "plain":
        return placed
    made = serving(placed, Compute(device, half_of(device)))
    made.dec = decoder(placed.dec, form, device)
    return made


def decoder(net: Any, form: str, device: str) -> Any:
    """A decoder in one form."""
    import torch

    from sovits.nets.serving.decoder import PlainDecoder
    from sovits.nets.serving.graphs import GraphedDecoder

    if form == "plain":
        return net
    plain = PlainDecoder(net, getattr(torch, half_of(device)))
    if form == "half":
        return plain
    return GraphedDecoder(plain) if form == "half, graphs" else GraphedDecoder(plain, graphs=lambda function: function)


def half_of(device: str) -> str:
    """The half precision of a device."""
    return "float16" if device.startswith("cuda") else "bfloat16"


def on_device(values: Mapping[str, Tensor], device: str) -> dict[str, Tensor]:
    """Tensors by name on the device."""
    return {name: value.to(device) for name, value in values.items()}


def mixed(form: str, call: Callable[[], Any], device: str) -> Callable[[], Any]:
    """A call as the engine makes it: in mixed precision unless the form is plain."""
    from sovits.core.device import Compute
    from sovits.features.pitch.neural import computing

    compute = Compute(device, "float32" if form == "plain" else half_of(device))

    def run() -> Any:
        with computing(compute):
            return call()

    return run


def singing(made: Built, form: str, given: Mapping[str, Tensor], device: str) -> Callable[[], Tensor]:
    """A call of the generator, always with the same noise."""
    import torch

    from sovits.core.rng import SeededNoise

    speaker = torch.zeros(1, 1, dtype=torch.int64, device=device)

    def call() -> Tensor:
        audio: Tensor = made.net.infer(given["content"], given["f0"], given["voiced"], speaker, SeededNoise(1))[0]
        return audio

    return mixed(form, call, device)


def decoding(plain: Built, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """What the decoder gets in such a call: latent, excitation, speaker."""
    import torch

    from sovits.core.rng import SeededNoise

    net, noise = plain.net, SeededNoise(1)
    frames = given["f0"].shape[1]
    drawn = torch.from_numpy(noise.normal("latent", (1, net.dec.config.inputs, frames))).to(given["f0"])
    speaker = torch.zeros(1, 1, dtype=torch.int64, device=drawn.device)
    return drawn, net.dec.m_source(given["f0"], net.dec.config.hop, noise), net.speaker(speaker)


def decode(made: Built, parts: tuple[Tensor, Tensor, Tensor]) -> Callable[[], Tensor]:
    """A call of the decoder alone."""
    return lambda: made.net.dec.decode(*parts)


def vocoding(net: Any, given: Mapping[str, Tensor]) -> Callable[[], object]:
    """A call of the vocoder, always with the same noise."""
    from sovits.core.rng import SeededNoise

    return lambda: net(given["mel"], given["f0"], SeededNoise(1))


def encoding(net: Any, seconds: float, device: str) -> Callable[[], object]:
    """A call of the content encoder."""
    import torch

    sound = 0.1 * torch.randn(1, round(16000 * seconds), device=device)
    return lambda: net.units(sound, layer=len(net.encoder.layers))


def tracking(net: Any, seconds: float, device: str) -> Callable[[], object]:
    """A call of RMVPE."""
    import torch

    mel = torch.randn(1, 128, round(100 * seconds), device=device)
    return lambda: net(mel)


def denoising(net: Any, seconds: float, device: str) -> Callable[[], object]:
    """One call of the denoiser of the diffusion model."""
    import torch

    frames = inputs(seconds)["f0"].shape[1]
    x = torch.randn(1, net.config.bins, frames, device=device)
    condition, step = torch.randn(1, net.config.hidden, frames, device=device), torch.full((1,), 50.0, device=device)
    return lambda: net.decoder.denoise_fn(x, step, condition)


def compare(
    net: str,
    seconds: float,
    rounds: int,
    calls: Mapping[str, Callable[[], Tensor]],
    built: Mapping[str, Built],
    clock: Clock,
) -> list[Form]:
    """Time the forms in alternation; the first is what the others are compared with."""
    times: dict[str, list[float]] = {form: [] for form in calls}
    outputs: dict[str, Tensor] = {}
    memory: dict[str, int] = {}

    for form, made in built.items():

        def first(form: str = form) -> None:
            # The first two calls of each are not counted; graphs are recorded in the first.
            outputs[form] = calls[form]().float().cpu()
            calls[form]()

        memory[form] = made.most(first)
    for _round in range(rounds):
        for form, call in calls.items():
            times[form].append(clock(call) / seconds)
    found, plain, want = [], next(iter(times.values())), next(iter(outputs.values()))
    for form, taken in times.items():
        ratios = [base / own for base, own in zip(plain, taken, strict=True)]
        found.append(Form(net, form, seconds, taken, ratios, memory[form], *difference(outputs[form], want)))
    return found


def alone(call: Callable[[], object], clock: Clock, rounds: int = 5) -> float:
    """Median seconds of one call after two that are not counted."""
    for _ in range(2):
        call()
    return statistics.median(clock(call) for _ in range(rounds))


def stages_of(made: Built, call: Callable[[], object], seconds: float, clock: Clock) -> dict[str, float]:
    """Seconds of the parts of the generator per second of sound; the GPU is waited for after each."""
    spent: dict[str, float] = {}
    net, handles = made.net, []
    for name, part in {
        "prior": net.enc_p,
        "source, with its random numbers": net.dec.m_source,
        "decoder": net.dec,
    }.items():
        handles += watch(part, name, spent, clock)
    for flow in net.flow.flows:
        handles += watch(flow, "flow", spent, clock)
    call()
    spent.clear()
    whole = clock(call)
    for handle in handles:
        handle.remove()
    spent["decoder"] -= spent["source, with its random numbers"]
    spent["rest"] = whole - sum(spent.values())
    return {name: value / seconds for name, value in spent.items()}


def watch(part: nn.Module, name: str, spent: dict[str, float], clock: Clock) -> list[Any]:
    """Add the time of a module to ``spent[name]``."""

    def begin(*_: object) -> None:
        clock.wait()
        spent[name] = spent.get(name, 0.0) - time.perf_counter()

    def end(*_: object) -> None:
        clock.wait()
        spent[name] += time.perf_counter()

    return [part.register_forward_pre_hook(begin), part.register_forward_hook(end)]


def surroundings(device: str) -> str:
    """The device and what of torch's settings weighs on it."""
    import torch

    if not device.startswith("cuda"):
        return f"no GPU: '{device}'"
    facts = torch.cuda.get_device_properties(device)
    return (
        f"{facts.name}, {facts.total_memory / (1 << 30):.0f} GiB, {facts.multi_processor_count} multiprocessors, "
        f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}; float32 convolutions "
        f"{'in TF32' if torch.backends.cudnn.allow_tf32 else 'in float32'}, float32 matrix products "
        f"{'in TF32' if torch.backends.cuda.matmul.allow_tf32 else 'in float32'}"
    )


def has_gpu() -> bool:
    """Whether torch is there and sees a CUDA GPU."""
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return torch.cuda.is_available()


def bars(result: Result) -> list[Bar]:
    """The gate of half precision in the form that serves, at every length."""
    return [
        Bar(f"{form.net}, {form.form}, {form.seconds:g} s, log-mel L1", form.mel, "<=", GATE, ".6f")
        for form in result.forms
        if form.form == FORMS[-1]
    ]


def table(result: Result) -> str:
    """Everything else, Markdown."""
    lines = [
        "Random weights by the fill rule, official sizes: a statement on speed, none on sound.",
        "Time of the GPU, forms in alternation; medians (least to most).",
        "",
        f"GPU: {result.gpu}." + ("" if result.recorded else " **No graphs could be recorded.**"),
        "",
        "| net | form | seconds in a call | for 1 s of sound | times plain | SNR (dB) | log-mel L1 | memory (MiB) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for form in result.forms:
        same = form.form == FORMS[0]
        lines.append(
            f"| {form.net} | {form.form} | {form.seconds:g} | {spread([1000 * t for t in form.times], '.3f')} ms |"
            f" {'' if same else spread(form.ratios, '.2f')} | {'' if same else f'{form.snr:.1f}'} |"
            f" {'' if same else f'{form.mel:.6f}'} | {form.memory / (1 << 20):.0f} |"
        )
    names = list(dict.fromkeys(name for row in result.stages.values() for name in row))
    lines += [
        "",
        f"| stage, ms for 1 s of sound | {' | '.join(result.stages)} |",
        f"| --- |{' --- |' * len(result.stages)}",
    ]
    for name in names:
        values = [f"{1000 * row[name]:.3f}" if name in row else "" for row in result.stages.values()]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print bars and tables, keep the result; 1 if a bar is missed. Without a GPU there is nothing to do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.singing_gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run, which is not kept")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if not has_gpu():
        print(NO_GPU)
        return 0
    if given.child:
        found = run([(seconds, rounds) for seconds, rounds in given.child], "cuda", Nets.official())
        print(json.dumps(asdict(found)))
        return 0
    around = report.surroundings()
    result = measure(QUICK if given.quick else FULL)
    section = Section(NAME, tuple(bars(result)), table(result), **around)  # type: ignore[arg-type]
    print(report.body(section))
    if not given.quick:
        report.save(section)
    return 0 if section.met else 1


if __name__ == "__main__":
    sys.exit(main())
