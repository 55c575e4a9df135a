"""Content encoders from .onnx files: a net of ours written as such a file, found under its official name, and heard."""

from __future__ import annotations

import _thread
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import sovits  # noqa: E402
from sovits.audio.audio import Samples  # noqa: E402
from sovits.audio.encode import write  # noqa: E402
from sovits.audio.io import read  # noqa: E402
from sovits.core.device import Compute  # noqa: E402
from sovits.core.errors import CancelledError, CorruptFileError, MissingWeightsError, WrongModelError  # noqa: E402
from sovits.core.progress import Cancel  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.engines.svc import SvcEngine  # noqa: E402
from sovits.export.onnx import GraphFile, write_graph  # noqa: E402
from sovits.features.content.encoders import HubertUnits, OnnxUnits  # noqa: E402
from sovits.features.content.hubert import Hubert, HubertConfig, LayerWidths  # noqa: E402
from sovits.zoo.svc_voice import load_svc_voice  # noqa: E402
from sovits.zoo.tables import CONTENT, content_encoder  # noqa: E402
from sovits.zoo.tiny import filled  # noqa: E402
from tests.parity import official  # noqa: E402
from tests.parity.golden import SALT  # noqa: E402
from tests.parity.replay import Lab  # noqa: E402
from tests.parity.replay.__main__ import COMMITTED  # noqa: E402
from tests.security import forge  # noqa: E402
from tests.tiny import PITCH, options, sung  # noqa: E402

#: Name in configs -> its file, the layer that is taken, and whether it is projected to 256.
FILES = {
    "vec256l9-onnx": ("vec-256-layer-9.onnx", 1, True),
    "vec256l12-onnx": ("vec-256-layer-12.onnx", 2, True),
    "vec768l9-onnx": ("vec-768-layer-9.onnx", 1, False),
    "vec768l12-onnx": ("vec-768-layer-12.onnx", 2, False),
    "hubertsoft-onnx": ("hubert-soft.onnx", 2, True),
}
#: The official width, and little else: two layers, few channels.
CONFIG = HubertConfig(
    convolutions=((16, 10, 5), *((16, 3, 2),) * 4, *((16, 2, 2),) * 2),
    layers=(LayerWidths(2, 16, 64),) * 2,
    position_kernel=8,
    projection=256,
)


class Graph(nn.Module):
    """A net in the layout of the files: float [1, 1, samples] -> [1, frames, width]."""

    def __init__(self, net: Hubert, layer: int, project: bool) -> None:
        super().__init__()
        self.net, self.layer, self.project = net, layer, project

    def forward(self, sound: Tensor) -> Tensor:
        net = self.net
        features = net.feature_extractor(sound[:, 0]).transpose(1, 2)
        x: Tensor = net.encoder(net.post_extract_proj(net.layer_norm(features)), self.layer)
        return net.final_proj(x) if self.project and net.final_proj is not None else x


def write_encoder(net: nn.Module, path: Path) -> Path:
    sound = torch.zeros(1, 1, 256 * 2)
    axes = {"source": {2: "samples"}, "embed": {1: "frames"}}
    write_graph(GraphFile(net, (sound,), ("source",), "embed", axes), path)
    return path


@pytest.fixture(scope="module")
def net() -> Hubert:
    return filled(lambda: Hubert(CONFIG), SeededNoise(0).child("onnx encoder"))


@pytest.fixture(scope="module")
def models(net: Hubert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the five files at their official places."""
    folder = tmp_path_factory.mktemp("models")
    for file, layer, project in FILES.values():
        write_encoder(Graph(net, layer, project), folder / "pretrain" / file)
    return folder


def torch_twin(net: Hubert, name: str) -> HubertUnits:
    _, layer, project = FILES[name]
    return HubertUnits(net, Compute(), layer=layer, project=project)


def noise(samples: int) -> Samples:
    return np.random.default_rng(0).normal(0, 0.2, samples).astype(np.float32)


def test_these_are_all_of_them() -> None:
    assert set(FILES) == {name for name in CONTENT.names() if name.endswith("-onnx")}


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_the_units_of_its_net(name: str, net: Hubert, models: Path) -> None:
    encoder, twin = content_encoder(name, models=models), torch_twin(net, name)
    assert encoder.dim == CONTENT.facts(name)["dim"] == twin.dim
    for length in (512, 16000 * 3 + 77, 400, 10):  # only the first is the one that was traced
        got, want = encoder.encode(noise(length)), twin.encode(noise(length))
        assert (got.dtype, got.shape) == (torch.float32, want.shape)
        torch.testing.assert_close(got, want, rtol=0, atol=2e-5 * float(want.abs().max()))
    assert float(encoder.encode(noise(16000)).std(dim=1).mean()) > 1e-3  # it hears, it is no constant


def test_layers_differ(models: Path) -> None:
    one, other = (content_encoder(f"vec768l{layer}-onnx", models=models).encode(noise(8000)) for layer in (9, 12))
    assert float((one - other).abs().max()) > 0.1


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """The folder of a small voice whose config names an ONNX encoder of 256 values."""
    model = official.write(Lab(COMMITTED, tmp_path / "official"), "small/svc_soft", SALT)
    folder = tmp_path / "voice"
    folder.mkdir()
    shutil.copy(model, folder / "G_800.pth")
    config = json.loads((model.parent / "config.json").read_text())
    config["model"]["speech_encoder"] = "vec256l9-onnx"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_voice_sings_through_it(voice: Path, net: Hubert, models: Path, tmp_path: Path) -> None:
    sound = sung(0.6)
    with_file = SvcEngine(load_svc_voice(voice, models=models))
    with_net = SvcEngine(load_svc_voice(voice, encoder=torch_twin(net, "vec256l9-onnx")))
    got, want = (one.convert(sound, None, options(), SeededNoise(0)) for one in (with_file, with_net))
    assert isinstance(with_file.loaded.encoder, OnnxUnits)
    assert got.length == want.length == sound.length
    assert np.abs(want.samples).max() > 1e-3
    np.testing.assert_allclose(got.samples, want.samples, rtol=0, atol=1e-3 * np.abs(want.samples).max())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_from_file_to_file(precision: str, voice: Path, models: Path, tmp_path: Path) -> None:
    write(tmp_path / "song.wav", sung(1.2))
    loaded = sovits.load_voice(voice, models=models, device="cpu", precision=precision)
    seconds = loaded.convert_file(tmp_path / "song.wav", tmp_path / "sung.wav", pitch=PITCH)
    made = read(tmp_path / "sung.wav")
    assert (made.duration, seconds) == (pytest.approx(1.2, abs=1e-3), pytest.approx(1.2, abs=1e-3))
    assert np.abs(made.samples).max() > 1e-3


def test_a_missing_file_says_what_goes_where(voice: Path, tmp_path: Path) -> None:
    empty = tmp_path / "models"
    with pytest.raises(MissingWeightsError) as found:
        load_svc_voice(voice, models=empty)
    said = str(found.value)
    assert "'vec256l9-onnx' is not on this machine: vec-256-layer-9.onnx" in said
    assert f"put it at {empty / 'pretrain' / 'vec-256-layer-9.onnx'}" in said
    assert "NaruseMioShirakana/MoeSS-SUBModel" in said


def placed(folder: Path, name: str, content: bytes) -> Path:
    """A models folder with these bytes as the file of an encoder."""
    path = folder / "pretrain" / FILES[name][0]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("cut", "text"),
    [
        (lambda data: data[: len(data) // 2], "truncated or no ONNX model"),
        (lambda data: data[:40] + bytes(len(data) - 40), "truncated or no ONNX model"),
        # passes the walk: the runtime knows no such operator
        (lambda data: forge.onnx_model(forge.onnx_tensor("w", np.ones(2, np.float32)), operator="Touch"), "Touch"),
        (lambda data: data.replace(b"Gelu", b"Gulu").replace(b"Erf", b"Arf"), "refused by onnxruntime"),
    ],
    ids=["cut", "zeros", "operator", "edited"],
)
def test_a_damaged_file(cut: object, text: str, models: Path, tmp_path: Path) -> None:
    data = (models / "pretrain" / FILES["vec768l12-onnx"][0]).read_bytes()
    assert callable(cut)
    folder = placed(tmp_path, "vec768l12-onnx", cut(data))
    with pytest.raises(CorruptFileError, match=rf"vec-768-layer-12\.onnx.*{text}"):
        content_encoder("vec768l12-onnx", models=folder)


def test_the_file_of_another_width(models: Path, tmp_path: Path) -> None:
    data = (models / "pretrain" / FILES["vec256l12-onnx"][0]).read_bytes()
    folder = placed(tmp_path, "vec768l12-onnx", data)
    with pytest.raises(
        WrongModelError, match=r"vec-768-layer-12\.onnx gives features of shape .*256\], expected \[1, frames, 768\]"
    ):
        content_encoder("vec768l12-onnx", models=folder)


def test_a_width_that_shows_when_it_runs(tmp_path: Path) -> None:
    """A graph may leave its width open; then the first sound tells."""

    class Open(nn.Module):
        def forward(self, sound: Tensor) -> Tensor:
            return sound.transpose(1, 2)  # as many frames as samples, one value each

    path = tmp_path / "pretrain" / FILES["vec256l9-onnx"][0]
    axes = {"source": {1: "channels", 2: "samples"}, "embed": {1: "frames", 2: "width"}}
    write_graph(GraphFile(Open(), (torch.zeros(1, 1, 800),), ("source",), "embed", axes), path)
    encoder = content_encoder("vec256l9-onnx", models=tmp_path)
    with pytest.raises(WrongModelError, match=r"vec-256-layer-9\.onnx gives features of shape \[1, 800, 1\]"):
        encoder.encode(noise(800))


def test_a_graph_that_takes_something_else(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, sound: Tensor) -> Tensor:
            return sound.reshape(1, -1, 256)

    path = tmp_path / "pretrain" / FILES["vec256l9-onnx"][0]
    axes = {"source": {1: "samples"}, "embed": {1: "frames"}}
    write_graph(GraphFile(Flat(), (torch.zeros(1, 2560),), ("source",), "embed", axes), path)
    with pytest.raises(
        WrongModelError, match=r"takes tensor\(float\) of shape \[1, 'samples'\], expected float \[1, 1,"
    ):
        content_encoder("vec256l9-onnx", models=tmp_path)


def test_a_graph_that_cannot_run_a_length(tmp_path: Path) -> None:
    class Even(nn.Module):
        def forward(self, sound: Tensor) -> Tensor:
            return sound.reshape(1, -1, 256)

    write_encoder(Even(), tmp_path / "pretrain" / FILES["vec256l9-onnx"][0])
    encoder = content_encoder("vec256l9-onnx", models=tmp_path)
    with pytest.raises(WrongModelError, match=r"vec-256-layer-9\.onnx cannot encode 777 samples"):
        encoder.encode(noise(777))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    torch.save({"model": {"emb_g.weight": torch.ones(2, 2)}}, tmp_path / "other")
    folder = placed(tmp_path / "models", "vec256l9-onnx", (tmp_path / "other").read_bytes())
    with pytest.raises(WrongModelError, match=r"vec-256-layer-9\.onnx is a file of another kind.*wanted ONNX"):
        content_encoder("vec256l9-onnx", models=folder)


class Long(nn.Module):
    """Many nodes, each of which takes a while for 3000 rows; a row is 256 samples.

    Args:
        rows: how often every row is taken.
        most: samples that are heard.
    """

    def __init__(self, rows: int = 1, most: int = 1_000_000) -> None:
        super().__init__()
        self.rows, self.most = rows, most

    def forward(self, sound: Tensor) -> Tensor:
        x = sound[:, :, : self.most].reshape(1, -1, 256).repeat(1, self.rows, 1)
        for _ in range(60):
            x = torch.softmax(x @ x.transpose(1, 2), dim=2) @ x
        return x


@pytest.mark.slow
def test_a_run_stops_when_it_is_told_to(tmp_path: Path) -> None:
    """The runtime has no layers to watch: it is stopped between two nodes, by a token or by Ctrl-C."""
    write_encoder(Long(), tmp_path / "pretrain" / FILES["vec256l9-onnx"][0])
    encoder = content_encoder("vec256l9-onnx", models=tmp_path)
    before, cancel = Cancel(), Cancel()
    before.cancel()
    with pytest.raises(CancelledError):
        encoder.encode(noise(2560), before)
    for stop, error in ((cancel.cancel, CancelledError), (_thread.interrupt_main, KeyboardInterrupt)):
        threading.Timer(0.5, stop).start()
        begun = time.monotonic()
        with pytest.raises(error):
            encoder.encode(noise(256 * 3000), cancel if error is CancelledError else None)
        assert 0.4 <= time.monotonic() - begun < 5
    assert encoder.encode(noise(2560)).shape == (256, 10)  # the session is as good as before


@pytest.mark.slow
def test_a_conversion_stops_inside_the_encoder(voice: Path, tmp_path: Path) -> None:
    models = tmp_path / "slow"
    write_encoder(Long(rows=60, most=12800), models / "pretrain" / FILES["vec256l9-onnx"][0])
    engine = SvcEngine(load_svc_voice(voice, models=models))
    cancel = Cancel()
    threading.Timer(1.0, cancel.cancel).start()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        engine.convert(sung(0.6), None, options(), SeededNoise(0), cancel=cancel)
    assert time.monotonic() - begun < 6
