"""The promise about cancelling, on nets of full official size and a minute of sound: back within five seconds.

The weights are random, by the rule of the golden cases: how long a layer takes does not depend on their values.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from sovits.audio.encode import write  # noqa: E402
from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import CancelledError  # noqa: E402
from sovits.core.progress import Cancel  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.engines.svc_pitch import SvcPitch  # noqa: E402
from sovits.options.pitch import PitchOptions  # noqa: E402
from sovits.options.svc import SvcOptions  # noqa: E402
from sovits.pipelines.convert import convert_file  # noqa: E402
from sovits.zoo.svc_voice import SvcVoice, load_svc_voice  # noqa: E402
from sovits.zoo.voice import Voice  # noqa: E402
from tests.parity import official  # noqa: E402
from tests.parity.golden import SALT  # noqa: E402
from tests.parity.replay import Lab  # noqa: E402
from tests.parity.replay.__main__ import COMMITTED  # noqa: E402
from tests.tiny import sung  # noqa: E402

pytestmark = pytest.mark.slow

#: Seconds of sound, the promise in seconds, and how far into a stage it is cancelled.
SOUND, PROMISE, INTO = 60.0, 5.0, 0.4


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SvcVoice]:
    """A voice of full size on one thread of the CPU, loaded from files as they are published."""
    lab = Lab(COMMITTED, tmp_path_factory.mktemp("made"))
    models, folder = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("voice")

    def place(manifest: str, target: Path) -> None:
        made = official.write(lab, manifest, SALT)
        target.parent.mkdir(parents=True, exist_ok=True)
        made.rename(target)
        for config in made.parent.glob("config.*"):
            config.rename(target.parent / config.name)

    place("svc_G_vec768l12", folder / "G_0.pth")
    place("diffusion_unit2mel", folder / "diffusion" / "model_0.pt")
    place("contentvec", models / "pretrain" / "checkpoint_best_legacy_500.pt")
    place("rmvpe", models / "pretrain" / "rmvpe.pt")
    place("nsf_hifigan", models / "pretrain" / "nsf_hifigan" / "model")
    yield load_svc_voice(folder, Compute(), models=models)
    for made in (models, folder, lab.scratch):  # pytest keeps the folders of its last runs
        shutil.rmtree(made)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute without a pause."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    write(path, sung(SOUND))
    return path


class Announced:
    """A pitch tracker that says when it begins."""

    def __init__(self, inner: SvcPitch, begins: Callable[..., None]) -> None:
        self._inner, self._begins = inner, begins

    @property
    def net(self) -> Any:
        return self._inner.net

    def __call__(self, *given: Any) -> Any:
        self._begins()
        return self._inner(*given)


class Attempt:
    """One conversion that is cancelled :data:`INTO` seconds after the ``count``-th time that a stage begins."""

    def __init__(self, count: int = 1) -> None:
        self.cancel = Cancel()
        self._left = count
        self.at: float | None = None

    def begins(self, *_: object) -> None:
        """The stage begins; a forward pre-hook, too."""
        self._left -= 1
        if self._left == 0:
            threading.Timer(INTO, self._stop).start()

    def _stop(self) -> None:
        self.at = time.monotonic()
        self.cancel.cancel()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the result would go. Afterwards nothing lies there, nor where temporary files go."""
    temporary, target = tmp_path / "temporary", tmp_path / "results"
    temporary.mkdir()
    target.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield target
    assert list(temporary.iterdir()) == []
    assert list(target.iterdir()) == []


#: Stage -> the module whose start is its start (``None``: the pitch tracker), which start counts, and the options.
STAGES: dict[str, tuple[Callable[[SvcVoice], Any] | None, int, dict[str, Any]]] = {
    "pitch, rmvpe": (None, 1, {"method": "rmvpe"}),
    "pitch, harvest": (None, 1, {"method": "harvest"}),
    "content": (lambda voice: voice.encoder.net.feature_extractor, 1, {}),
    "content, transformer": (lambda voice: voice.encoder.net.encoder, 1, {}),
    "generator, prior": (lambda voice: voice.generator.enc_p, 1, {}),
    "generator, decoder": (lambda voice: voice.generator.dec, 1, {}),
    "second window": (lambda voice: voice.generator.dec, 2, {}),
    "diffusion": (lambda voice: voice.diffusion.net.decoder.denoise_fn, 1, {"diffusion": "alone"}),
    "vocoder": (lambda voice: voice.vocoder().net, 1, {"diffusion": "alone", "speedup": 500}),
}


@pytest.mark.parametrize("stage", STAGES)
def test_back_within_five_seconds(stage: str, voice: SvcVoice, song: Path, folder: Path) -> None:
    where, count, values = STAGES[stage]
    attempt = Attempt(count)
    values = dict(values)
    pitch = PitchOptions(method=values.pop("method", "dio"))
    tracker: Any = SvcPitch(pitch, voice.models, voice.compute)
    if where is None:
        tracker = Announced(tracker, attempt.begins)
    engine = SvcEngine(voice, pitch=tracker)
    hook = None if where is None else where(voice).register_forward_pre_hook(attempt.begins)
    options = SvcOptions.build({"pitch": pitch, **values})
    try:
        with pytest.raises(CancelledError):
            convert_file(song, folder / "out.wav", engine, Voice("x"), options, cancel=attempt.cancel)
    finally:
        if hook is not None:
            hook.remove()
    ended = time.monotonic()
    assert attempt.at is not None
    print(f"{stage}: back after {ended - attempt.at:.2f} s")
    assert ended - attempt.at < PROMISE
