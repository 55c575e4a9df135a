"""The serving nets against the nets they are made from: same numbers in float32, a stated gate in bfloat16."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.parity.fill import fill_svc  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from sovits.core.device import Compute, has_fast_bfloat16  # noqa: E402
from sovits.core.rng import SeededNoise  # noqa: E402
from sovits.nets.serving import arrange, serving, serving_type  # noqa: E402
from sovits.nets.serving.convolution import DirectConv, make_conv  # noqa: E402
from sovits.nets.serving.decoder import PlainDecoder, ServingDecoder, even  # noqa: E402
from sovits.nets.serving.layers import pack_layers  # noqa: E402
from sovits.nets.serving.onednn import has_onednn  # noqa: E402
from sovits.nets.serving.toom import ToomConv, tile_of, transforms  # noqa: E402
from sovits.nets.svc.config import SvcConfig  # noqa: E402
from sovits.nets.svc.synthesizer import Synthesizer  # noqa: E402
from sovits.nets.vocoders.hifigan import HifiGan, HifiGanConfig  # noqa: E402

BASE = SvcConfig(
    inter_channels=16,
    hidden_channels=16,
    filter_channels=32,
    n_layers=2,
    upsample_initial_channel=128,
    gin_channels=12,
    ssl_dim=20,
    n_speakers=4,
)
VARIANTS = {
    "base": BASE,
    # 320 channels: wide enough that every kernel takes the Toom-Cook form
    "wide": replace(BASE, upsample_initial_channel=640, upsample_rates=(4, 4), upsample_kernel_sizes=(8, 8)),
    "vol": replace(BASE, vol_embedding=True),
    "snake": replace(BASE, vocoder_name="nsf-snake-hifigan"),
    "resblock2": replace(BASE, resblock="2", resblock_dilation_sizes=((1, 3), (1, 3), (1, 3))),
    "hop441": replace(BASE, upsample_rates=(7, 7, 3, 3), upsample_kernel_sizes=(15, 15, 5, 5)),
    "tiny": replace(BASE, use_depthwise_conv=True, flow_share_parameter=True, n_flow_layer=1),
}
#: The tolerance of golden cases: relative, and of the largest value.
RTOL, ATOL = 1e-4, 1e-5


def filled(net: nn.Module) -> nn.Module:
    """Weights by the rule of the golden cases."""
    state = {
        name: value if name.endswith("filter") else torch.from_numpy(fill_svc("serving", name, tuple(value.shape)))
        for name, value in net.state_dict().items()
    }
    net.load_state_dict(state)
    return net.eval()


def synthesizer(config: SvcConfig) -> Synthesizer:
    net = filled(Synthesizer(config))
    assert isinstance(net, Synthesizer)
    return net


def inputs(config: SvcConfig, frames: int, batch: int = 1) -> dict[str, Tensor]:
    random = np.random.default_rng(frames)
    f0 = 220 * 2 ** random.uniform(-1, 1, (batch, frames)).astype(np.float32)
    voiced = (random.uniform(size=(batch, frames)) > 0.2).astype(np.float32)
    given = {
        "content": random.standard_normal((batch, config.ssl_dim, frames)).astype(np.float32),
        "f0": f0 * voiced,
        "voiced": voiced,
    }
    if config.vol_embedding:
        given["volume"] = random.uniform(size=(batch, frames)).astype(np.float32)
    return {name: torch.from_numpy(value) for name, value in given.items()}


def sing(net: Synthesizer, frames: int, batch: int = 1) -> Tensor:
    speaker = torch.ones(batch, 1, dtype=torch.int64)
    audio, _ = net.infer(**inputs(net.config, frames, batch), speaker=speaker, noise=SeededNoise(3))
    return audio


def assert_same(got: Tensor, want: Tensor) -> None:
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=RTOL, atol=ATOL * float(want.abs().max()))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    "frames", [1, pytest.param(2, marks=pytest.mark.slow), 3, pytest.param(40, marks=pytest.mark.slow)]
)
def test_float32_equals_the_net(name: str, frames: int) -> None:
    net = synthesizer(VARIANTS[name])
    assert_same(sing(serving(net, Compute()), frames), sing(net, frames))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "hop441", "resblock2"])
def test_float32_equals_the_net_over_many_windows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovits.nets.serving.decoder.WINDOW", 64_000)
    net = synthesizer(VARIANTS[name])
    assert_same(sing(serving(net, Compute()), 513), sing(net, 513))


def test_a_batch_is_its_items() -> None:
    net = synthesizer(BASE)
    assert_same(sing(serving(net, Compute()), 9, batch=2), sing(net, 9, batch=2))


def test_speaker_mix_over_time() -> None:
    net = synthesizer(BASE)
    weights = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(4), 11).astype(np.float32))
    got, want = (
        made.infer(**inputs(BASE, 11), speaker=weights, noise=SeededNoise(1))[0]
        for made in (serving(net, Compute()), net)
    )
    assert_same(got, want)


def test_predicted_pitch_is_that_of_the_net() -> None:
    net = synthesizer(BASE)
    speaker = torch.zeros(1, 1, dtype=torch.int64)
    got, want = (
        made.infer(**inputs(BASE, 11), speaker=speaker, noise=SeededNoise(1), predict_f0=True)
        for made in (serving(net, Compute()), net)
    )
    assert_same(got[1], want[1])


@pytest.mark.parametrize("frame_rate_phase", [True, False])
def test_vocoder(frame_rate_phase: bool) -> None:
    config = HifiGanConfig(inputs=20, channels=64, rates=(8, 8), kernels=(16, 16), frame_rate_phase=frame_rate_phase)
    net = filled(HifiGan(config))
    assert isinstance(net, HifiGan)
    mel = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 20, 33)).astype(np.float32))
    f0 = torch.full((1, 33), 330.0)
    with torch.no_grad():
        assert_same(serving(net, Compute())(mel, f0, SeededNoise(2)), net(mel, f0, SeededNoise(2)))


def test_the_loaded_net_is_unchanged() -> None:
    net = synthesizer(BASE)
    before, kept = sing(net, 5), {name: value.clone() for name, value in net.state_dict().items()}
    serving(net, Compute())
    assert list(net.state_dict()) == list(kept)
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())
    assert torch.equal(sing(net, 5), before)


def test_a_net_with_folded_weights_serves_too() -> None:
    from sovits.nets.convolution import fold_weight_norm

    net = synthesizer(BASE)
    want = sing(net, 5)
    # as the door of the engine loads it
    del net.enc_q
    fold_weight_norm(net)
    assert_same(sing(serving(net, Compute()), 5), want)


def test_forms() -> None:
    base, snake = (synthesizer(VARIANTS[name]) for name in ("base", "snake"))
    assert isinstance(serving(base, Compute()).dec, ServingDecoder)
    assert isinstance(serving(snake, Compute(precision="bfloat16")).dec, PlainDecoder)


def log_mel(audio: Tensor) -> Tensor:
    """A plain log-mel of 40 bands at 44.1 kHz, natural logarithm."""
    from sovits.features.mel import MelConfig
    from sovits.features.mel import log_mel as mel

    return mel(audio[:, 0], MelConfig(44100, 2048, 2048, 512, 40, 40.0, 16000.0))


def test_bfloat16_passes_the_gate() -> None:
    net = synthesizer(BASE)
    with torch.no_grad():
        decoder = ServingDecoder(net.dec, torch.bfloat16)
        half = PlainDecoder(net.dec, torch.bfloat16)
        z = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 16, 40)).astype(np.float32))
        given = inputs(BASE, 40)["f0"]
        g = net.speaker(torch.zeros(1, 1, dtype=torch.int64))
        want = net.dec(z, given, SeededNoise(5), g)
        for made in (decoder, half):
            got = made(z, given, SeededNoise(5), g)
            assert got.dtype == torch.float32
            assert not torch.equal(got, want)  # it did compute in bfloat16
            assert float((log_mel(got) - log_mel(want)).abs().mean()) <= 0.02


def test_the_type_follows_precision_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serving_type(Compute()) == torch.float32
    for there, kind in ((True, torch.bfloat16), (False, torch.float32)):
        for place in ("sovits.core.device", "sovits.nets.serving"):
            monkeypatch.setattr(f"{place}.has_fast_bfloat16", lambda there=there: there)
        assert serving_type(Compute(precision="bfloat16")) == kind
        assert serving_type(Compute(precision="auto")) == kind
        assert serving_type(Compute(precision="float32")) == torch.float32
    assert serving_type(Compute("cuda:0", "auto")) == torch.float16
    assert serving_type(Compute("mps", "auto")) == torch.float32
    assert isinstance(has_fast_bfloat16(), bool)


@pytest.mark.parametrize(("size", "dilation"), [(3, 1), (3, 5), (5, 2), (7, 3), (11, 1), (11, 5), (13, 1)])
@pytest.mark.parametrize("form", [ToomConv, DirectConv])
def test_convolutions(form: type[ToomConv] | type[DirectConv], size: int, dilation: int) -> None:
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(24, 16, size, generator=random) / (16 * size) ** 0.5
    bias, x = torch.randn(24, generator=random), torch.randn(tile_of(size) * dilation * 9, 16, generator=random)
    total = torch.randn(len(x), 24, generator=random)
    conv = form(weight, bias, dilation, 0.1)
    active = functional.leaky_relu(x, 0.1).T[None].double()
    padding = (size - 1) * dilation // 2
    want = functional.conv1d(active, weight.double(), bias.double(), 1, padding, dilation)[0].T
    start = total.clone()
    got = conv(x, ready=False)
    np.testing.assert_allclose(got, functional.leaky_relu(want, 0.1), atol=5e-5)
    np.testing.assert_allclose(conv(active[0].T.float().contiguous(), ready=True), got, atol=1e-6)
    added = conv(x, ready=False, total=total)
    np.testing.assert_allclose(added, start + want, atol=5e-5)
    assert torch.equal(added, total)


def test_the_plain_form_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("convolution", "toom", "layers"):
        monkeypatch.setattr(f"sovits.nets.serving.{part}.has_onednn", lambda: False)
    net = synthesizer(VARIANTS["wide"])
    assert_same(sing(serving(net, Compute()), 7), sing(net, 7))


LAYERS = {
    "linear": nn.Linear(160, 120),
    "no bias": nn.Linear(160, 120, bias=False),
    "one tap": nn.Conv1d(160, 120, 1),
    "taps": nn.Conv1d(96, 64, 5, padding=2),
    "stride": nn.Conv1d(96, 64, 3, stride=2),
    "one tap, stride": nn.Conv1d(160, 120, 1, stride=3),
    "dilation": nn.Conv1d(96, 64, 3, padding=4, dilation=4, bias=False),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@torch.no_grad()
def test_packed_layers(name: str, dtype: torch.dtype, error: float) -> None:
    layer = LAYERS[name]
    shape = (2, 50, layer.in_features) if isinstance(layer, nn.Linear) else (2, layer.in_channels, 50)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    net = nn.Sequential(layer)
    want = net(x)
    pack_layers(net, dtype)
    assert type(net[0]) is not type(layer) or not has_onednn()
    got = net(x)
    assert got.dtype == torch.float32 and got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=error * float(want.abs().max()))


def test_small_and_grouped_layers_stay() -> None:
    small, grouped = nn.Linear(8, 8), nn.Conv1d(256, 256, 9, groups=2)
    net = nn.ModuleList([small, grouped])
    pack_layers(net, torch.float32)
    assert net[0] is small and net[1] is grouped


@torch.no_grad()
def test_arranged_image_net() -> None:
    """Batch norm folded, channels last: the same numbers."""
    random = torch.Generator().manual_seed(2)
    norm = nn.BatchNorm2d(6)
    for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        assert value is not None
        value.data = torch.rand(6, generator=random) + 0.5
    net = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), norm, nn.ReLU(), nn.ConvTranspose2d(6, 4, 3, 2)).eval()
    x = torch.randn(2, 3, 20, 12, generator=random)
    want = net(x)
    arrange(net, Compute(precision="bfloat16"), exact=True)
    assert isinstance(net[1], nn.Identity)
    np.testing.assert_allclose(net(x), want, atol=1e-5)


@pytest.mark.parametrize(("tile", "taps"), [(4, 2), (4, 3), (4, 4), (6, 5), (6, 6)])
def test_transforms_are_exact(tile: int, taps: int) -> None:
    out, kernel, before = transforms(tile, taps)
    random = np.random.default_rng(taps)
    w, x = random.standard_normal(taps), random.standard_normal(tile + taps - 1)
    want = np.correlate(x, w, "valid")
    np.testing.assert_allclose(out @ ((kernel @ w) * (before @ x)), want, rtol=1e-10, atol=1e-10)


def test_the_form_follows_the_sizes() -> None:
    for channels, size, kind in ((256, 7, ToomConv), (128, 11, ToomConv), (256, 3, DirectConv), (64, 11, DirectConv)):
        weight = torch.zeros(channels, channels, size)
        assert isinstance(make_conv(weight, torch.zeros(channels), 1, 0.1), kind)
        half = make_conv(weight.bfloat16(), torch.zeros(channels).bfloat16(), 1, 0.1)
        assert isinstance(half, DirectConv)


@pytest.mark.parametrize(("length", "size"), [(1, 5), (5, 5), (6, 5), (1000, 7)])
def test_even_parts(length: int, size: int) -> None:
    parts = list(even(length, size))
    assert parts[0][0] == 0 and parts[-1][1] == length
    assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    sizes = [last - first for first, last in parts]
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1
