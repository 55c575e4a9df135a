"""Every container that official files use, read back to the very numbers that were put in."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.security import forge

from sovits.core.checkpoint import Kind, Limits, flatten, inspect, match, read, read_indexes
from sovits.core.errors import (
    CorruptFileError,
    LimitExceededError,
    PathError,
    UnsafeFileError,
    WrongModelError,
)

RNG = np.random.default_rng(0)
ARRAYS = {
    "a.weight": RNG.standard_normal((3, 4)).astype(np.float32),
    "a.bias": RNG.standard_normal(5).astype(np.float16),
    "steps": np.arange(6).reshape(2, 3),
    "flags": np.array([True, False, True]),
    "scalar": np.array(2.5),
    "none": np.zeros((0, 7), np.float32),
}


def tensors() -> dict[str, forge.Tensor]:
    return {name: forge.Tensor(array) for name, array in ARRAYS.items()}


@pytest.fixture
def save(tmp_path: Path):
    return forge.save(tmp_path)


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.shape == wanted.shape and found.dtype == wanted.dtype and np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("container", "data"),
    [
        ("torch zip", forge.torch_zip({"model": tensors(), "iteration": 3})),
        ("torch legacy", forge.torch_legacy({"model": tensors(), "iteration": 3})),
    ],
)
def test_torch_files_give_back_numbers_and_fields(save, container, data):
    checkpoint = read(save("misleading.txt", data))
    assert checkpoint.container == container
    assert checkpoint.fields == {"iteration": 3}
    assert list(checkpoint.tensors) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert same(checkpoint.tensors[name], array), name


def test_tar_files_of_torch_0_1(save):
    held = {name: ARRAYS[name] for name in ("a.weight", "a.bias", "steps")}
    checkpoint = read(save("old.pt", forge.torch_tar(held)))
    assert checkpoint.container == "torch tar"
    assert all(same(checkpoint.tensors[name], array) for name, array in held.items())


@pytest.mark.parametrize(("head", "version"), [("05", "v2Pro"), ("06", "v2ProPlus"), ("00", "v1"), ("01", "v2")])
def test_two_byte_heads_of_gpt_sovits(save, head, version):
    names = ["enc_p.ssl_proj.weight", "quantizer.vq.layers.0._codebook.embed", "dec.conv_pre.weight"]
    names += ["sv_emb.weight"] if "Pro" in version else []
    weight = {name: forge.Tensor(np.ones((2, 2), np.float16)) for name in names}
    rows = {"v1": 322}.get(version, 732)
    weight["enc_p.text_embedding.weight"] = forge.Tensor(np.ones((rows, 2), np.float16))
    state = forge.Pickle().encode({"train": {"seed": 1}, "version": "x"})
    config = forge.name("utils", "HParams") + b")\x81" + state + b"b"
    checkpoint = read(save("x.pth", forge.torch_zip({"weight": weight, "config": config}, head=head.encode())))
    assert (checkpoint.head, checkpoint.kind, checkpoint.version) == (head, Kind.GSV_S2, version)
    assert checkpoint.config == {"train": {"seed": 1}, "version": "x"}
    assert same(checkpoint.tensors["dec.conv_pre.weight"], np.ones((2, 2), np.float16))


def test_arrays_are_views_of_the_file_and_read_only(save):
    checkpoint = read(save("m.pth", forge.torch_zip({"model": tensors()})))
    array = checkpoint.tensors["a.weight"]
    assert not array.flags.writeable
    assert not array.flags.owndata


def test_strided_and_shared_storages(save):
    base = np.arange(12, dtype=np.float32)
    value = {
        "transposed": forge.Tensor(base, shape=(4, 3), strides=(1, 4)),
        "part": forge.Tensor(base, shape=(2,), strides=(3,), offset=5),
        "expanded": forge.Tensor(base[:1], shape=(5,), strides=(0,)),
    }
    checkpoint = read(save("m.pth", forge.torch_zip(value)))
    assert same(checkpoint.tensors["transposed"], base.reshape(3, 4).T)
    assert same(checkpoint.tensors["part"], base[[5, 8]])
    assert same(checkpoint.tensors["expanded"], np.zeros(5, np.float32))


def test_bfloat16_becomes_float32_exactly(save):
    wanted = np.array([1.0, -2.5, 3.140625, np.inf, 1e-30], np.float32)
    bits = (wanted.view(np.uint32) >> 16).astype(np.uint16)
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    checkpoint = read(
        save("m.pth", forge.torch_zip({"w": forge.Tensor(bits, storage="BFloat16Storage", strides=(1,))}))
    )
    assert same(checkpoint.tensors["w"], exact)
    assert checkpoint.tensors.entry("w").stored == "bfloat16"


def test_known_foreign_containers_become_plain_values(save):
    encode = forge.Pickle().encode

    def made(module: str, kind: str, state: object) -> bytes:
        return forge.name(module, kind) + b")\x81" + encode(state) + b"b"

    content = {"_metadata": None, "_content": {"rate": made("omegaconf.nodes", "AnyNode", {"_val": 50})}}
    value = {
        "args": made("argparse", "Namespace", {"arch": "hubert"}),
        "cfg": made("omegaconf.dictconfig", "DictConfig", content),
        "task_state": {"dictionaries": [made("fairseq.data.dictionary", "Dictionary", {"symbols": ["<s>"]})]},
        "path": forge.call("pathlib", "PosixPath", encode("logs"), encode("x")),
        "model": {"w": forge.Tensor(np.ones(2, np.float32))},
    }
    fields = read(save("m.pt", forge.torch_zip(value))).fields
    assert fields["args"] == {"arch": "hubert"}
    assert fields["cfg"] == {"rate": 50}
    assert fields["task_state"] == {"dictionaries": [{"symbols": ["<s>"]}]}
    assert fields["path"] == "logs/x"


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_kmeans_file_with_numpy_arrays_as_text(save, core):
    centres = RNG.standard_normal((6, 4)).astype(np.float32)
    speaker = {"n_features_in_": 4, "_n_threads": 2, "cluster_centers_": numpy_pickle(centres, core)}
    checkpoint = read(save("kmeans_10000.pt", forge.torch_zip({"anna": speaker})))
    assert checkpoint.kind is Kind.KMEANS
    assert checkpoint.facts == {"speakers": ["anna"], "clusters": 6, "content_width": 4}
    assert same(checkpoint.tensors["anna.cluster_centers_"], centres)


def test_long_numpy_arrays_are_decoded_only_when_opened(save):
    centres = RNG.standard_normal((1000, 500)).astype(np.float32)  # 2 MB: more than a text may have
    data = (
        forge.PROTOCOL
        + forge.Pickle().encode({"bob": {"cluster_centers_": numpy_pickle(centres, "numpy.core")}})
        + b"."
    )
    checkpoint = read(save("kmeans.pkl", data))
    assert checkpoint.container == "pickle"
    assert same(checkpoint.tensors["bob.cluster_centers_"], centres)


def numpy_pickle(array: np.ndarray, core: str) -> bytes:
    """An array in pickle protocol 2, as numpy writes it."""
    encode = forge.Pickle().encode
    empty = forge.call("_codecs", "encode", forge.text("b"), forge.text("latin1"))
    made = forge.call(f"{core}.multiarray", "_reconstruct", forge.name("numpy", "ndarray"), encode((0,)), empty)
    kind = (
        forge.call("numpy", "dtype", forge.text("f4"), b"\x89", b"\x88")
        + encode((3, "<", None, None, None, -1, -1, 0))
        + b"b"
    )
    raw = forge.call("_codecs", "encode", forge.text(array.tobytes().decode("latin-1")), forge.text("latin1"))
    return made + forge.bundle(encode(1), encode(array.shape), kind, b"\x89", raw) + b"b"


def test_module_prefix_of_data_parallel_is_dropped(save):
    value = {f"module.{name}": item for name, item in tensors().items()}
    assert list(read(save("m.pt", forge.torch_zip(value))).tensors) == list(ARRAYS)


def test_npy_and_npz(save, tmp_path):
    for order in "CF":
        array = np.asarray(ARRAYS["a.weight"], order=order)
        np.save(tmp_path / "x.npy", array)
        assert same(read(tmp_path / "x.npy").tensors["value"], array)
    for saver in (np.savez, np.savez_compressed):
        saver(tmp_path / "x.npz", **{name: array for name, array in ARRAYS.items() if name != "none"})
        checkpoint = read(tmp_path / "x.npz")
        assert all(same(checkpoint.tensors[name], ARRAYS[name]) for name in checkpoint.tensors)
        assert len(checkpoint.tensors) == 5


def test_retrieval_index(save):
    vectors = RNG.standard_normal((7, 3)).astype(np.float32)
    order = np.array([4, 0, 6, 1, 2, 3, 5])
    centroids = RNG.standard_normal((2, 3)).astype(np.float32)
    index = forge.inverted_index(centroids, [(order[:3], vectors[order[:3]]), (order[3:], vectors[order[3:]])])
    path = save("feature_and_index.pkl", forge.retrieval_pickle({0: index, 5: index}, "faiss.swigfaiss_avx2"))
    checkpoint = read(path)
    assert checkpoint.kind is Kind.RETRIEVAL
    assert checkpoint.facts["speakers"] == [0, 5]
    found = read_indexes(path)[5]
    assert same(found.vectors, vectors)
    assert same(found.centroids, centroids)
    assert found.list_of.tolist() == [0 if place in order[:3] else 1 for place in range(7)]
    assert (found.probes, found.metric) == (1, "squared distance")
    lone = read_indexes(save("added.index", forge.flat_index(vectors)))[0]
    assert same(lone.vectors, vectors)
    assert lone.centroids.shape == (0, 3)


def test_index_written_by_faiss_itself(save):
    faiss = pytest.importorskip("faiss")
    vectors = RNG.standard_normal((400, 16)).astype(np.float32)
    index = faiss.index_factory(16, "IVF10,Flat")
    index.train(vectors)
    index.add(vectors)
    index.nprobe = 3
    raw = faiss.serialize_index(index).tobytes()
    found = read_indexes(save("f.pkl", forge.retrieval_pickle({2: raw})))[2]
    assert same(found.vectors, vectors)
    assert same(found.centroids, index.quantizer.reconstruct_n(0, 10))
    assert found.probes == 3
    nearest = ((vectors[:, None] - found.centroids[None]) ** 2).sum(-1).argmin(1)
    assert np.mean(nearest == found.list_of) > 0.99


@pytest.mark.parametrize("limits", [Limits(native_seconds=0.001), Limits(native_bytes=20 << 20)])
def test_the_child_process_is_limited_in_time_and_memory(save, limits):
    path = save("a.onnx", forge.onnx_model(forge.onnx_tensor("w", np.ones((4, 3), np.float32))))
    with pytest.raises(LimitExceededError, match="parsing took"):
        inspect(path, limits=limits)


def test_an_index_that_is_none_is_named(save):
    with pytest.raises(WrongModelError, match="holds no retrieval index"):
        read_indexes(save("m.pth", forge.torch_zip({"model": tensors()})))


def test_the_config_beside_the_file_decides_between_4_0_and_4_1(save):
    names = {
        "emb_g.weight": (2, 8),
        "emb_uv.weight": (2, 4),
        "enc_p.f0_emb.weight": (256, 4),
        "dec.conv_pre.bias": (3,),
        "pre.weight": (4, 256, 5),
        "f0_decoder.proj.bias": (1,),
    }
    path = save(
        "G_0.pth",
        forge.torch_zip({"model": {key: forge.Tensor(np.zeros(size, np.float32)) for key, size in names.items()}}),
    )
    assert read(path).version == "4.0/4.1"
    assert read(path, config={"model": {"ssl_dim": 256}}).version == "4.0"
    assert read(path, config={"model": {"speech_encoder": "vec256l9"}}).version == "4.1"


def test_match_lists_everything_that_does_not_fit(save):
    checkpoint = read(save("m.pth", forge.torch_zip({"model": tensors()})))
    shapes = checkpoint.tensors.shapes
    assert list(match(shapes, checkpoint)) == list(shapes)
    wrong = {**shapes, "a.bias": (9,), "enc_q.w": (1,), "b": (1,)}
    del wrong["steps"]
    with pytest.raises(WrongModelError) as caught:
        match(wrong, checkpoint, optional_groups=["enc_q."])
    message = caught.value.message
    assert "1 missing: b [1]" in message
    assert "1 left over: steps" in message
    assert "a.bias is [5], expected [9]" in message
    assert "enc_q" not in message
    del wrong["b"], wrong["a.bias"], wrong["enc_q.w"]
    found = match({**wrong, "renamed": (5,)}, checkpoint, ignore=["steps"], rename={"a.bias": "renamed"})
    assert found["renamed"].shape == (5,)


def test_half_a_group_is_missing_not_optional(save):
    checkpoint = read(save("m.pth", forge.torch_zip({"model": tensors()})))
    with pytest.raises(WrongModelError, match=r"a\.other"):
        match({**checkpoint.tensors.shapes, "a.other": (1,)}, checkpoint, optional_groups=["a."])


def test_flatten_names_by_path():
    checkpoint_fields = {"state": {0: {"step": 1}}, "groups": [{"lr": 0.1}]}
    assert flatten(checkpoint_fields) == {}


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(PathError, match="no such file"):
        read(tmp_path / "absent.pth")
    with pytest.raises(PathError, match="folder"):
        read(tmp_path)
    with pytest.raises(PathError, match="regular"):
        read(Path("/dev/zero"))
    with pytest.raises(PathError):
        read(Path("nul\0byte"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS"),
        (b"just some text\n", "no weight file"),
        (b"07\x03\x04" + bytes(60), "version that is not known"),
    ],
)
def test_what_is_no_weight_file_is_said_to_be_none(save, data, words):
    with pytest.raises(CorruptFileError, match=words):
        read(save("x.pth", data))


def test_other_globals_are_named_in_the_refusal(save):
    with pytest.raises(UnsafeFileError, match=r"'sklearn\.cluster\._kmeans\.KMeans'"):
        read(save("k.pkl", forge.PROTOCOL + forge.name("sklearn.cluster._kmeans", "KMeans") + b")\x81."))


def test_messages_show_the_path_but_no_control_characters(save):
    with pytest.raises(CorruptFileError) as caught:
        read(save("голос 声 '$(x)'\x1b[2J.pth", b"nothing"))
    assert "голос 声 '$(x)'\\x1b[2J.pth" in caught.value.message


def test_torchscript_is_refused(save):
    program = forge.plain_zip({"m/data.pkl": b"\x80\x02N.", "m/constants.pkl": b"\x80\x02).", "m/code/m.py": b"1"})
    with pytest.raises(UnsafeFileError, match="TorchScript"):
        read(save("m.pt", program))


def test_limits_can_be_lowered_and_raised(save):
    path = save("m.pth", forge.torch_zip({"model": tensors()}))
    for limits in (Limits(file_bytes=100), Limits(members=3), Limits(pickle_operations=20), Limits(nodes=3)):
        with pytest.raises(LimitExceededError, match="limit"):
            read(path, limits=limits)
    packed = save("z.npz", forge.plain_zip({"a.npy": bytes(1 << 20)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(LimitExceededError):
        read(packed, limits=Limits(unpacked_bytes=1000))


def test_the_door_imports_neither_torch_nor_native_parsers():
    code = "import sys, sovits.core.checkpoint; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "faiss", "onnxruntime", "safetensors"} & set(run.stdout.split())


def test_files_written_by_torch(save, tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    held = {
        "model": {**module.state_dict(), "half": torch.randn(4).half(), "brain": torch.randn(4).bfloat16()},
        "optimizer": optimizer.state_dict(),
        "learning_rate": 1e-4,
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    for legacy in (False, True):
        torch.save(held, tmp_path / "t.pth", _use_new_zipfile_serialization=not legacy)
        checkpoint = read(tmp_path / "t.pth")
        for name, value in held["model"].items():
            assert np.array_equal(
                checkpoint.tensors[name], value.float().detach().numpy().astype(checkpoint.tensors[name].dtype)
            )
        moments = flatten(checkpoint.fields["optimizer"])
        assert np.array_equal(moments["state.0.exp_avg"].open(), optimizer.state_dict()["state"][0]["exp_avg"].numpy())
        assert checkpoint.fields["learning_rate"] == 1e-4
    (tmp_path / "old.tar").write_bytes(forge.torch_tar({"w": ARRAYS["a.weight"]}))
    assert torch.equal(torch.load(tmp_path / "old.tar", weights_only=False)["w"], torch.from_numpy(ARRAYS["a.weight"]))
