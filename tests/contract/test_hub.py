"""``Hub.pull`` against a hub that cuts, lies, refuses and dawdles."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sovits.core.errors import (
    CancelledError,
    CorruptFileError,
    LimitExceededError,
    MissingWeightsError,
    OptionError,
    OutputError,
)
from sovits.core.progress import Cancel, Stage
from sovits.zoo.catalog import HUBS, Catalog, load, official
from sovits.zoo.downloads import Patience
from sovits.zoo.hub import RECORD, Hub
from sovits.zoo.weights import OFFICIAL
from tests.contract import hub_server
from tests.contract.hub_server import HubServer

CONTENT = np.random.default_rng(3).integers(0, 256, 300_000, np.uint8).tobytes()
OTHER = CONTENT[::-1]
SHA = hashlib.sha256(CONTENT).hexdigest()
MODEL, EXTRA = CONTENT[:5000], b"{}"
MODEL_SHA = hashlib.sha256(MODEL).hexdigest()
COLUMNS = "name,for,kind,file_name,local_path,hub,repo,path,revision,bytes,sha256,md5,licence,source,note\n"
PATH = "/ann/voice/resolve/main/sub/a%3Db.pt"
QUICK = Patience(attempts=3, wait=0.0, timeout=5.0)


def catalog(**hashes: str) -> Catalog:
    """One file on huggingface, one of unknown hash, an archive on github and two members of it."""
    rows = [
        f"enc,so-vits-svc vec,,a=b.pt,pretrain/enc.pt,huggingface,ann/voice,sub/a=b.pt,,{len(CONTENT)},{SHA},,,,",
        f"twin,so-vits-svc vec,,a=b.pt,pretrain/twin.pt,modelscope,otto/copy,a.pt,,,{SHA},,,,",
        "unknown,anything,,u.pt,pretrain/u.pt,huggingface,ann/voice,u.pt,abc123,,,,,,",
        f"zip,vocoder,,pack.zip,pretrain/voc/model,github-release,ann/pack,v1/pack.zip,,,{hashes.get('zip', '')},,,,",
        f"model,vocoder,,model,pretrain/voc/model,github-release,ann/pack,v1/pack.zip#in/model,,5000,{MODEL_SHA},,,,",
        "config,vocoder,,config.json,pretrain/voc/config.json,github-release,ann/pack,v1/pack.zip#in/config.json,,,,,,,",
        "nowhere,anything,,n.pt,pretrain/n.pt,huggingface,ann/lost,,,,,,,,",
        "folder,anything,,Data/,./Data,huggingface,ann/data,Data/,,,,,,,",
    ]
    return load(COLUMNS + "\n".join(rows))


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server.serving() as found:
        found.files[PATH] = CONTENT
        yield found


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def hub(models: Path, server: HubServer, patience: Patience = QUICK, **given: object) -> Hub:
    hubs = dict.fromkeys(HUBS, (server.url,))
    return Hub(models, **{"catalog": catalog(), "hubs": hubs, "patience": patience, **given})  # type: ignore[arg-type]


def left(models: Path) -> set[str]:
    """All files in the models folder but locks and the record."""
    return {
        str(path.relative_to(models))
        for path in models.rglob("*")
        if path.is_file() and path.name != RECORD and ".locks" not in path.parts
    }


def test_a_file_arrives_in_its_place(models: Path, server: HubServer) -> None:
    found = hub(models, server).pull("enc")
    assert found.path == models / "pretrain/enc.pt"
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.bytes, found.fetched, found.first_seen) == (SHA, len(CONTENT), True, False)
    assert left(models) == {"pretrain/enc.pt"}
    again = hub(models, server).pull("enc")
    assert not again.fetched
    assert len(server.asked) == 1


def test_cut_connections_are_continued(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.cuts_after(100_000), hub_server.cuts_after(50_000), hub_server.cuts_after(1)]
    assert hub(models, server).pull("enc").sha256 == SHA
    spans = [span for _, span in server.asked]
    assert spans == ["", "bytes=100000-", "bytes=150000-", "bytes=150001-"]


def test_a_stalling_server_is_left_and_asked_again(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.stalls_after(1000, 1.0)]
    assert hub(models, server, Patience(3, 0.0, 0.2)).pull("enc").sha256 == SHA


def test_a_slow_server_is_waited_for(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.drips(6, 0.08)]
    assert hub(models, server, Patience(1, 0.0, 0.3)).pull("enc").sha256 == SHA
    assert len(server.asked) == 1


def test_a_second_run_continues_the_first(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.cuts_after(120_000), hub_server.answers(503)]
    with pytest.raises(MissingWeightsError, match=r"'enc': .*503"):
        hub(models, server, Patience(attempts=1, wait=0.0)).pull("enc")
    assert not (models / "pretrain/enc.pt").exists()
    server.behaviours.clear()
    assert hub(models, server).pull("enc").sha256 == SHA
    assert server.asked[-1] == (PATH, "bytes=120000-")
    assert left(models) == {"pretrain/enc.pt"}


@pytest.mark.parametrize("behaviour", [hub_server.ignores_ranges])
def test_a_server_without_ranges(models: Path, server: HubServer, behaviour: hub_server.Behaviour) -> None:
    server.behaviours[PATH] = [hub_server.cuts_after(120_000), behaviour]
    assert hub(models, server).pull("enc").path.read_bytes() == CONTENT


def test_another_part_than_asked_for_is_not_joined(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.cuts_after(120_000), hub_server.sends_another_part]
    with pytest.raises(MissingWeightsError, match="another part"):
        hub(models, server).pull("enc")
    assert not (models / "pretrain/enc.pt").exists()


def test_wrong_bytes_are_not_kept(models: Path, server: HubServer) -> None:
    server.files[PATH] = OTHER
    with pytest.raises(CorruptFileError) as caught:
        hub(models, server).pull("enc")
    assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
    assert SHA in str(caught.value)
    assert left(models) == set()


def test_a_wrong_size_is_refused_before_anything_is_fetched(models: Path, server: HubServer) -> None:
    server.files[PATH] = CONTENT + b"x"
    with pytest.raises(MissingWeightsError, match=r"offers 300001 bytes, the catalogue says 300000"):
        hub(models, server).pull("enc")
    assert left(models) == set()


def test_more_bytes_than_promised(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.sends_without_length(CONTENT + b"x")]
    with pytest.raises(LimitExceededError, match="more than 300,000 bytes"):
        hub(models, server).pull("enc")
    assert not (models / "pretrain/enc.pt").exists()


def test_a_file_without_end(models: Path, server: HubServer) -> None:
    server.behaviours["/ann/voice/resolve/abc123/u.pt"] = [hub_server.sends_without_length(CONTENT)]
    with pytest.raises(LimitExceededError, match="more than 1,000 bytes"):
        hub(models, server, Patience(1, 0.0, 5.0, largest=1000)).pull("unknown")


@pytest.mark.parametrize(("code", "words"), [(403, "forbidden"), (404, "no such file"), (401, "login"), (410, "gone")])
def test_refusals_are_final_and_say_what_to_do(models: Path, server: HubServer, code: int, words: str) -> None:
    server.behaviours[PATH] = [hub_server.answers(code)] * 5
    server.behaviours["/models/otto/copy/resolve/master/a.pt"] = [hub_server.answers(code)] * 5
    with pytest.raises(MissingWeightsError, match=f"{code}.*{words}") as caught:
        hub(models, server).pull("enc")
    assert len(server.asked) == 2  # each address once
    assert f"fetch {server.url}{PATH} and put it at {models / 'pretrain/enc.pt'}" in caught.value.hint
    assert left(models) == set()


def test_a_busy_server_is_asked_again(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.answers(429, Retry_After="0"), hub_server.answers(500)]
    assert hub(models, server).pull("enc").sha256 == SHA


def test_the_same_file_elsewhere_is_found_by_its_hash(models: Path, server: HubServer) -> None:
    del server.files[PATH]
    server.files["/models/otto/copy/resolve/master/a.pt"] = CONTENT
    assert hub(models, server).pull("enc").path == models / "pretrain/enc.pt"


def test_half_from_one_mirror_half_from_the_next(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.cuts_after(200_000), hub_server.answers(404)]
    server.files["/models/otto/copy/resolve/master/a.pt"] = CONTENT
    assert hub(models, server).pull("enc").sha256 == SHA
    assert server.asked[-1][1] == "bytes=200000-"


def test_mirrors_are_tried_in_order(models: Path, server: HubServer) -> None:
    hubs = {"huggingface": ("http://127.0.0.1:1", server.url)}
    assert hub(models, server, hubs=hubs).pull("enc").sha256 == SHA


def test_redirects(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.redirects(f"{server.url}/cdn/x")]
    server.files["/cdn/x"] = CONTENT
    assert hub(models, server).pull("enc").sha256 == SHA


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_to_other_schemes_are_not_followed(models: Path, server: HubServer, target: str) -> None:
    server.behaviours["/ann/voice/resolve/abc123/u.pt"] = [hub_server.redirects(target)] * 3
    with pytest.raises(MissingWeightsError, match=r"not (followed|allowed)"):
        hub(models, server).pull("unknown")
    assert left(models) == set()


def test_endless_redirects(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.redirects(f"{server.url}{PATH}")] * 40
    with pytest.raises(MissingWeightsError, match="302"):
        hub(models, server).pull("enc")


def test_other_schemes_are_not_asked(models: Path, server: HubServer) -> None:
    with pytest.raises(MissingWeightsError, match="only http and https"):
        hub(models, server, hubs={"huggingface": ("file:///etc",)}).pull("unknown")


def test_two_processes_fetch_once(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.drips(4, 0.1)]
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(hub(models, server).pull("enc").fetched)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(found) == [False, False, True]
    assert len(server.asked) == 1
    assert (models / "pretrain/enc.pt").read_bytes() == CONTENT


class Stopper(Stage):
    """Asks to stop once something came."""

    def __init__(self, cancel: Cancel) -> None:
        self.cancel = cancel

    def stage(self, name: str, total: float | None = None, unit: str = "") -> Stage:
        return self

    def advance(self, amount: float = 1.0) -> None:
        if amount:
            self.cancel.cancel()


def test_a_cancelled_download_can_be_continued(models: Path, server: HubServer) -> None:
    server.behaviours[PATH] = [hub_server.drips(10, 0.02)]
    cancel = Cancel()
    with pytest.raises(CancelledError):
        hub(models, server).pull("enc", cancel=cancel, progress=Stopper(cancel))
    assert not (models / "pretrain/enc.pt").exists()
    held = (models / "pretrain/.enc.part").stat().st_size
    assert 0 < held < len(CONTENT)
    assert hub(models, server).pull("enc").sha256 == SHA
    assert server.asked[-1][1] == f"bytes={held}-"


def test_trust_on_first_use(models: Path, server: HubServer) -> None:
    path = "/ann/voice/resolve/abc123/u.pt"
    server.files[path] = CONTENT
    first = hub(models, server).pull("unknown")
    assert first.first_seen
    assert first.sha256 == SHA
    row = json.loads((models / RECORD).read_text())["unknown"]
    assert (row["sha256"], row["bytes"], row["address"]) == (SHA, len(CONTENT), f"{server.url}{path}")
    first.path.unlink()
    second = hub(models, server).pull("unknown")
    assert (second.fetched, second.first_seen) == (True, False)
    second.path.unlink()
    server.files[path] = OTHER
    with pytest.raises(CorruptFileError, match="as fetched before") as caught:
        hub(models, server).pull("unknown")
    assert RECORD in caught.value.hint
    assert left(models) == set()
    second.path.write_bytes(OTHER)
    with pytest.raises(OutputError, match="not 'unknown'"):
        hub(models, server).pull("unknown")


def test_bytes_of_another_address_are_not_joined_without_a_hash(models: Path, server: HubServer) -> None:
    with hub_server.serving() as second:
        path = "/ann/voice/resolve/abc123/u.pt"
        server.files[path], second.files[path] = OTHER, CONTENT
        server.behaviours[path] = [hub_server.cuts_after(100_000), hub_server.answers(403)]
        found = hub(models, server, hubs={"huggingface": (server.url, second.url)}).pull("unknown")
        assert found.path.read_bytes() == CONTENT


def test_another_file_in_the_place(models: Path, server: HubServer) -> None:
    place = models / "pretrain/enc.pt"
    place.parent.mkdir(parents=True)
    place.write_bytes(OTHER)
    with pytest.raises(OutputError, match="not 'enc'"):
        hub(models, server).pull("enc")
    assert place.read_bytes() == OTHER
    assert hub(models, server).pull("enc", replace=True).fetched
    assert place.read_bytes() == CONTENT


def packed(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"in/{name.replace('_', '.')}", data)
    return sink.getvalue()


ZIP = "/ann/pack/releases/download/v1/pack.zip"


def test_members_of_an_archive(models: Path, server: HubServer) -> None:
    server.files[ZIP] = packed(model=MODEL, config_json=EXTRA)
    found = hub(models, server).pull("model")
    assert found.path.read_bytes() == MODEL
    assert left(models) == {"pretrain/voc/model", "pretrain/voc/config.json"}
    assert not hub(models, server).pull("config").fetched
    assert len(server.asked) == 1


def test_an_archive_with_a_wrong_member(models: Path, server: HubServer) -> None:
    server.files[ZIP] = packed(model=OTHER[:5000])
    with pytest.raises(CorruptFileError, match="wrong content"):
        hub(models, server).pull("model")
    server.files[ZIP] = packed(model=OTHER)
    with pytest.raises(CorruptFileError, match="larger than 5000"):
        hub(models, server).pull("model")
    server.files[ZIP] = packed(config_json=EXTRA)
    with pytest.raises(CorruptFileError, match="holds no 'in/model'"):
        hub(models, server).pull("model")
    server.files[ZIP] = packed(model=MODEL)[:-40]
    with pytest.raises(CorruptFileError, match="damaged"):
        hub(models, server).pull("model")
    server.files[ZIP] = packed(model=MODEL)
    with pytest.raises(CorruptFileError, match="expected 0000"):
        hub(models, server, catalog=catalog(zip="0000")).pull("model")
    assert left(models) == set()


def test_offline(models: Path, server: HubServer) -> None:
    offline = hub(models, server, offline=True)
    with pytest.raises(MissingWeightsError) as caught:
        offline.pull("enc")
    assert str(caught.value) == (
        f"offline: the official file 'enc' is not in its place: a=b.pt (300000 bytes, SHA-256 {SHA}) "
        f"(fetch {server.url}{PATH} and put it at {models}/pretrain/enc.pt)"
    )
    with pytest.raises(MissingWeightsError, match=r"pack\.zip, take 'in/model' out of it and put it at"):
        offline.pull("model")
    assert server.asked == []
    assert not models.exists()
    (models / "pretrain").mkdir(parents=True)
    (models / "pretrain/enc.pt").write_bytes(CONTENT)
    assert not offline.pull("enc").fetched


def test_what_has_no_address(models: Path, server: HubServer) -> None:
    with pytest.raises(MissingWeightsError, match="no address is known for 'nowhere'") as caught:
        hub(models, server).pull("nowhere")
    assert caught.value.hint == f"look for n.pt at https://huggingface.co/ann/lost and put it at {models}/pretrain/n.pt"
    with pytest.raises(MissingWeightsError, match="is a folder"):
        hub(models, server).pull("folder")
    with pytest.raises(OptionError, match="no official file is called 'encc'"):
        hub(models, server).pull("encc")


def test_a_full_disk(models: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match="needs 300,000 more bytes"):
        hub(models, server).pull("enc")
    assert not (models / "pretrain/enc.pt").exists()


def test_a_models_folder_that_cannot_be_written(tmp_path: Path, server: HubServer) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        hub(tmp_path / "file", server).pull("enc")


def test_a_broken_record(models: Path, server: HubServer) -> None:
    models.mkdir()
    (models / RECORD).write_text("[]")
    server.files["/ann/voice/resolve/abc123/u.pt"] = CONTENT
    with pytest.raises(OptionError, match="cannot be read"):
        hub(models, server).pull("unknown")


def test_the_catalogue_that_comes_with_sovits() -> None:
    found = official()
    assert len(found.files) == 340
    for file in found.files.values():
        assert not Path(file.place).is_absolute()
        assert ".." not in Path(file.place).parts
        assert not file.sha256 or len(file.sha256) == 64
        assert all(address.startswith(("http://", "https://")) for address in file.addresses())
    rmvpe = found.find("rmvpe")
    assert rmvpe.place == "pretrain/rmvpe.pt"
    assert rmvpe.addresses() == ["https://github.com/yxlllc/RMVPE/releases/download/230917/rmvpe.zip"]
    assert rmvpe.member == "model.pt"
    s1 = next(file for file in found.files.values() if "epoch=12" in file.path and file.hub == "huggingface")
    assert "epoch%3D12" in s1.addresses()[0]
    places = {found.find(name).place for name in ("svc-base-vec768l12-G0", "svc-base-vec256l9-G0")}
    assert places == {"base/svc-base-vec768l12-G0/G_0.pth", "base/svc-base-vec256l9-G0/G_0.pth"}
    assert "contentvec" in [file.name for file in found.search("vec768l12")]
    with pytest.raises(OptionError, match="no official file") as caught:
        found.find("vec768l12")
    assert "contentvec" in caught.value.hint


def test_what_nets_look_for_is_in_the_catalogue() -> None:
    """A pulled file lies where it is looked for first, and so does one that does as well."""
    for name, file in OFFICIAL.items():
        assert file.places[0] == official().find(name).place
        assert len(set(file.places)) == len(file.places)
        assert all(official().find(other).place in file.places for other in file.equals)


def test_ctrl_c_leaves_a_part_to_continue_and_no_file(tmp_path: Path, server: HubServer) -> None:
    """The real command in a process of its own, interrupted while bytes come."""
    file = official().find("contentvec-hubert-base")
    assert file.bytes is not None
    path = file.addresses({"huggingface": ("",)})[0]
    server.behaviours[path] = [hub_server.promises(file.bytes, CONTENT, 5.0)]
    environment = {**os.environ, "SOVITS_HOME": str(tmp_path), "HF_ENDPOINT": server.url}
    command = [sys.executable, "-m", "sovits", "models", "pull", file.name]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    part = tmp_path / "models" / "pretrain" / f".{file.name}.part"
    for _ in range(400):
        if part.is_file() and part.stat().st_size == len(CONTENT):
            break
        time.sleep(0.025)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "sovits: interrupted\n")
    assert part.read_bytes() == CONTENT
    assert left(tmp_path / "models") == {f"pretrain/.{file.name}.part", f"pretrain/.{file.name}.part.json"}
