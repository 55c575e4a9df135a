"""How soon a conversion with a trained voice comes to its weights, and what it imports on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sovits.audio.audio import Audio
from sovits.audio.encode import write
from sovits.audio.io import probe
from tests import sounds

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

#: Seconds of processor time, the start of the interpreter included.
BAR = 3.0
#: Big packages that a conversion has no use for: oracles of tests, tools, what reads kinds of files that are not there.
NEVER = {
    "accelerate", "datasets", "fairseq", "faiss", "gradio", "huggingface_hub", "IPython", "lightning", "librosa",
    "matplotlib", "numba", "onnx", "onnxruntime", "pandas", "pyloudnorm", "pytest", "safetensors", "sklearn",
    "swift_f0", "tensorboard", "tensorflow", "torchaudio", "torchcrepe", "torchfcpe", "torchvision",
    "transformers",
}  # fmt: skip
#: Runs the command until ``name`` of ``module`` is called, which is when the first net gets its numbers. Prints the
#: processor time and the packages that are there; to the end if there is no name.
_RUN = """
import importlib, json, os, sys, time
module, name, *arguments = sys.argv[1:]

def tell(*_, **__):
    found = sorted({one.split(".")[0] for one in sys.modules})
    print(json.dumps([time.process_time(), found, "sovits.nets.svc.synthesizer" in sys.modules]), flush=True)
    os._exit(0)

from sovits.cli.main import run
if name:
    setattr(importlib.import_module(module), name, tell)
code = run(arguments)
assert code == 0 and not name, f"the command ended with {code}"
tell()
"""


@pytest.fixture
def song(tmp_path: Path) -> Path:
    sound = sounds.vowel(220.0, 0.5, 22050)
    write(tmp_path / "song.wav", Audio.from_mono(sound.samples, sound.sample_rate))
    return tmp_path / "song.wav"


def started(folder: Path, place: str, voice: str) -> tuple[float, set[str], bool]:
    """Processor time, packages, and whether the nets are among what was imported."""
    module, _, name = place.partition(":")
    arguments = ("convert", "song.wav", "sung.wav", "--voice", voice, "--device", "cpu")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, module, name, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    taken, packages, nets = json.loads(done.stdout.splitlines()[-1])
    return taken, set(packages), nets


def check(folder: Path, place: str, voice: str) -> None:
    """Of a few starts the quickest counts: a busy machine slows some of them down."""
    quickest = float("inf")
    for _ in range(3):
        taken, packages, nets = started(folder, place, voice)
        assert nets, "it stopped before the nets were imported"
        assert not packages & NEVER
        quickest = min(quickest, taken)
        if quickest < BAR:
            return
    raise AssertionError(f"{quickest:.2f} s of processor time until the first weights")


def test_the_tiny_voice_comes_to_its_weights_in_three_seconds(song: Path) -> None:
    check(song.parent, "sovits.zoo.tiny:filled", "tiny")


def test_a_voice_in_a_folder_comes_to_its_weights_in_three_seconds(song: Path) -> None:
    from tests.unit.zoo import fakes

    fakes.model(song.parent / "alto")
    check(song.parent, "sovits.zoo.building:assemble", "alto")


def test_a_whole_conversion_imports_nothing_else_that_is_big(song: Path) -> None:
    _, packages, _ = started(song.parent, "", "tiny")
    assert not packages & NEVER
    assert probe(song.parent / "sung.wav").duration == pytest.approx(0.5, abs=0.01)
