"""Whisper large-v2 at its full size from a file as OpenAI lays it out: float16, encoder and decoder, 3.1 GB."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sovits.features.content.encoders import WhisperUnits  # noqa: E402
from sovits.zoo.tables import content_encoder  # noqa: E402
from tests.parity.fill import fill_svc  # noqa: E402
from tests.parity.golden import SALT  # noqa: E402
from tests.parity.replay.__main__ import COMMITTED  # noqa: E402


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Path]:
    """A models folder with the file; the encoder's weights by rule, zeros in the decoder, which is never run."""
    manifest = json.loads((COMMITTED / "whisper_large_v2.json").read_text(encoding="utf-8"))
    state = {}
    for name, (shape, kind) in manifest["tensors"].items():
        if name.startswith("encoder."):
            state[name] = torch.from_numpy(fill_svc(SALT, name, shape, kind, manifest.get("fill_gain", ())))
        else:
            state[name] = torch.zeros(shape, dtype=getattr(torch, kind))
    path = tmp_path / manifest["format"]["file_name"]
    path.parent.mkdir(parents=True)
    torch.save({"dims": manifest["config"], "model_state_dict": state}, path)
    assert path.stat().st_size > 2 * sum(math.prod(shape) for shape, _ in manifest["tensors"].values())
    del state
    yield tmp_path
    path.unlink()  # pytest keeps the folders of its last runs


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_large_encoder_loads_and_hears_a_second(models: Path) -> None:
    encoder = content_encoder("whisper-ppg-large", models=models)
    assert isinstance(encoder, WhisperUnits)
    config = encoder.net.config
    assert (config.width, config.heads, config.layers, config.mels) == (1280, 20, 32, 80)
    units = encoder.encode(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32))
    assert units.shape == (encoder.dim, 50) == (1280, 50)
    assert torch.isfinite(units).all()
    assert 0.1 < float(units.std()) < 10
    assert float(units.std(dim=1).mean()) > 1e-2  # one frame is not like the next
