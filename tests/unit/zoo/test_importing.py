"""Model folders of every shape become voices, and what does not fit is refused with the names of the files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import pytest

from sovits.core import checkpoint
from sovits.core.checkpoint import Kind
from sovits.core.errors import (
    AudioError,
    CorruptFileError,
    OptionError,
    OutputError,
    PathError,
    UnsafeFileError,
    VoiceError,
    WrongModelError,
)
from sovits.core.hashing import file_hash
from sovits.core.progress import Cancel
from sovits.zoo import library
from sovits.zoo.cards import Consent, content_hash
from sovits.zoo.importing import Statement, add
from sovits.zoo.voice import find, open_folder
from tests import sounds
from tests.parity.fill import state_svc
from tests.unit.cli.conftest import store
from tests.unit.zoo import fakes

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    return tmp_path / "voices"


def same(one: Path, other: Path) -> None:
    """All tensors are equal, bit by bit, with their stored formats."""
    left, right = checkpoint.read(one).tensors, checkpoint.read(other).tensors
    assert set(left) == set(right)
    for name in left:
        assert left.entry(name).stored == right.entry(name).stored
        np.testing.assert_array_equal(left[name], right[name])


def test_a_complete_model_folder(tmp_path: Path, voices: Path) -> None:
    source = fakes.complete(tmp_path / "logs")
    statement = Statement("CC-BY-4.0", "a friend", Consent(text="yes, for songs", by="Ann", date="2026-01-02"), "beta")
    voice = add([source], voices, name="ann", statement=statement, now=NOW)
    assert voice.name == "ann"
    assert voice.folder == voices / "ann"
    assert sorted(item.name for item in voices.iterdir()) == ["ann"]
    model, card = voice.model, voice.card
    assert model is not None
    assert card is not None
    same(source / "G_1000.pth", model.weights)
    assert model.config.read_bytes() == (source / "config.json").read_bytes()
    assert model.diffusion is not None
    assert model.diffusion_config is not None
    same(source / "diffusion" / "model_800.pt", model.diffusion)
    assert model.clusters is not None
    same(source / "kmeans_10000.pt", model.clusters)
    assert checkpoint.read(model.clusters).facts["speakers"] == ["alpha", "beta.2"]
    assert model.index is not None
    assert checkpoint.read(model.index).kind is Kind.RETRIEVAL
    assert (card.kind, card.version, card.encoder, card.sample_rate) == ("so-vits-svc", "4.1", "vec256l9", 44100)
    assert (card.licence, card.source, card.speaker) == ("CC-BY-4.0", "a friend", "beta")
    assert card.speakers == {"alpha": 0, "beta": 1}
    assert card.consent == statement.consent
    assert card.created == "2026-11-21T12:00:00Z"
    assert card.content == content_hash(card.files)
    assert not library.damaged(voices / "ann", card)
    by_name = {file.name: file for file in card.files}
    assert by_name["model.safetensors"].original == "G_1000.pth"
    assert by_name["model.safetensors"].original_sha256 == file_hash(source / "G_1000.pth")
    assert voice == find("ann", voices) == open_folder(voices / "ann")
    assert voice.speaker == "beta"


def test_half_precision_stays_and_can_be_asked_for(tmp_path: Path, voices: Path) -> None:
    half = add([fakes.model(tmp_path / "half", half=True)], voices)
    assert half.model is not None
    assert checkpoint.read(half.model.weights).tensors.entry("pre.weight").stored == "float16"
    made = add([fakes.model(tmp_path / "full")], voices, store_as="float16")
    assert made.model is not None
    assert checkpoint.read(made.model.weights).tensors.entry("pre.weight").stored == "float16"


def test_flat_folders_with_other_names(tmp_path: Path, voices: Path) -> None:
    folder = tmp_path / "flat"
    fakes.generator(folder / "ann.pth")
    fakes.settings(folder / "ann_settings.json")
    (folder / "notes.json").write_text('{"a": 1}')
    fakes.diffusion(folder / "shallow.pt")
    fakes.diffusion_settings(folder / "diffusion.yaml")
    voice = add([folder], voices)
    assert voice.model is not None
    assert voice.model.diffusion is not None
    assert voice.name == "flat"


def test_one_of_several_generators_by_its_file(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "logs")
    fakes.generator(folder / "G_2000.pth")
    with pytest.raises(VoiceError, match=r"2 files .*G_1000\.pth.*G_2000\.pth"):
        add([folder], voices)
    voice = add([folder / "G_2000.pth"], voices, name="ann")
    assert voice.card is not None
    assert voice.card.files[0].original == "G_2000.pth"
    assert find(str(folder / "G_2000.pth"), voices).model is not None


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_archives(tmp_path: Path, voices: Path, suffix: str) -> None:
    source = fakes.complete(tmp_path / "my voice")
    (source / "run.bat").write_text("rm")
    archive = tmp_path / f"ann{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in source.rglob("*"):
                packed.write(file, file.relative_to(tmp_path))
    else:
        mode = {".tar": "w", ".tar.gz": "w:gz", ".tar.xz": "w:xz"}[suffix]
        with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
            tar.add(source, "./voice")
    voice = add([archive], voices, keep_original=True)
    assert voice.name == "ann"
    assert voice.model is not None
    same(source / "G_1000.pth", voice.model.weights)
    assert voice.folder is not None
    kept = sorted(item.name for item in (voice.folder / "original").iterdir())
    assert kept == ["G_1000.pth", "kmeans_10000.pt", "model_800.pt"]
    assert not list(voice.folder.rglob("run.bat"))
    assert not [item for item in voice.folder.iterdir() if item.name.startswith(".")]


def test_recordings_become_a_voice_of_clips(tmp_path: Path, voices: Path) -> None:
    takes = tmp_path / "takes"
    takes.mkdir()
    one = store(takes / "a.wav", sounds.vowel(150.0, 0.3, 16000))
    store(takes / "b.wav", sounds.vowel(160.0, 0.3, 16000))
    voice = add([takes], voices, name="ann")
    assert voice.card is not None
    assert voice.card.kind == "clips"
    assert voice.model is None
    assert [clip.name for clip in voice.references] == ["001-a.wav", "002-b.wav"]
    assert voice.references[0].read_bytes() == one.read_bytes()
    assert find("ann", voices) == voice
    twice = add([one, takes / "b.wav"], voices, name="otto")
    assert len(twice.references) == 2


def test_text_is_no_recording(tmp_path: Path, voices: Path) -> None:
    fake = tmp_path / "fake.wav"
    fake.write_text("no sound")
    with pytest.raises(AudioError, match=r"fake\.wav"):
        add([fake], voices)
    (tmp_path / "read.me").write_text("text")
    with pytest.raises(VoiceError, match=r"read\.me is neither a recording nor a model"):
        add([store(tmp_path / "a.wav", sounds.vowel(150.0, 0.3, 16000)), tmp_path / "read.me"], voices)
    assert list(voices.iterdir()) == []


def test_a_model_among_recordings_is_not_passed_over(tmp_path: Path, voices: Path) -> None:
    clip = store(tmp_path / "a.wav", sounds.vowel(150.0, 0.3, 16000))
    (tmp_path / "empty").mkdir()
    for folder in (fakes.model(tmp_path / "logs"), tmp_path / "empty"):
        with pytest.raises(VoiceError, match=f"{folder.name} is no folder of recordings"):
            add([clip, folder], voices)
    assert list(voices.iterdir()) == []


def test_a_name_that_is_taken(tmp_path: Path, voices: Path) -> None:
    first = add([fakes.model(tmp_path / "one")], voices, name="ann")
    assert first.card is not None
    with pytest.raises(VoiceError, match="there is a voice 'ann' already"):
        add([tmp_path / "one"], voices, name="ann")
    fakes.model(tmp_path / "two", half=True)
    second = add([tmp_path / "two"], voices, name="ann", replace_existing=True)
    assert second.card is not None
    assert second.card.content != first.card.content
    assert [item.name for item in voices.iterdir()] == ["ann"]


def test_a_failure_leaves_the_old_voice_and_nothing_else(tmp_path: Path, voices: Path) -> None:
    add([fakes.model(tmp_path / "one")], voices, name="ann")
    before = (voices / "ann" / "card.json").read_bytes()
    with pytest.raises(WrongModelError):
        add([fakes.rvc(tmp_path / "rvc.pth")], voices, name="ann", replace_existing=True)
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Exception, match="cancelled"):
        add([tmp_path / "one"], voices, name="ann", replace_existing=True, cancel=cancel)
    assert (voices / "ann" / "card.json").read_bytes() == before
    assert [item.name for item in voices.iterdir()] == ["ann"]


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "/etc/x", "a\\b", "a:b", ".x", "-x", "x\n", "a" * 101, "nul"]
)
def test_names_that_no_voice_can_have(voices: Path, name: str) -> None:
    with pytest.raises(OptionError, match="cannot be the name"):
        library.folder_of(name, voices)


def test_other_kinds_are_named(tmp_path: Path, voices: Path) -> None:
    fakes.rvc(tmp_path / "a" / "voice.pth")
    with pytest.raises(WrongModelError, match=r"voice\.pth is: RVC model") as rvc:
        add([tmp_path / "a"], voices)
    assert "another project" in rvc.value.hint
    fakes.gpt_sovits(tmp_path / "b" / "s1.ckpt")
    with pytest.raises(WrongModelError, match=r"s1\.ckpt is: GPT-SoVITS s1") as gsv:
        add([tmp_path / "b" / "s1.ckpt"], voices)
    assert "speak" in gsv.value.hint


def test_configs_that_do_not_belong(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    config = folder / "config.json"

    def attempt(values: object) -> pytest.ExceptionInfo[BaseException]:
        config.write_text(values if isinstance(values, str) else json.dumps(values))
        with pytest.raises((WrongModelError, VoiceError)) as caught:
            add([folder], voices)
        assert str(config) in str(caught.value)
        return caught

    assert "ssl_dim is 768 in the config and 256 in the model" in str(attempt(fakes.config(768)).value)
    assert "gin_channels is 5" in str(attempt(fakes.config(gin_channels=5)).value)
    assert "n_speakers is 4" in str(attempt(fakes.config(rows=4)).value)
    assert "speech_encoder is 'vec768l12'" in str(attempt(fakes.config(speech_encoder="vec768l12")).value)
    assert "'spk'" in str(attempt({**fakes.config(), "spk": {"alpha": 3}}).value)
    assert "'spk'" in str(attempt({**fakes.config(), "spk": ["alpha"]}).value)
    assert "no 'model' and 'data' sections" in str(attempt({"version": "v2"}).value)
    assert "not valid json" in str(attempt("{").value)
    config.unlink()
    with pytest.raises(VoiceError, match=r"holds no config\.json"):
        add([folder], voices)


def test_a_config_of_the_time_of_4_0(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    old = fakes.config()
    del old["model"]["speech_encoder"]
    fakes.settings(folder / "config.json", old)
    card = add([folder], voices).card
    assert card is not None
    assert (card.version, card.encoder) == ("4.0", "vec256l9")


def test_several_configs(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    fakes.settings(folder / "config.json").rename(folder / "a.json")
    fakes.settings(folder / "b.json")
    with pytest.raises(VoiceError, match=r"2 configs: .*a\.json.*b\.json"):
        add([folder], voices)
    (folder / "b.json").rename(folder / "G_1000.json")
    assert add([folder], voices).model is not None


def test_parts_of_another_model(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    fakes.index(folder / "x.index", 768)
    with pytest.raises(WrongModelError, match=r"x\.index .* has width 768, the content of the model has 256"):
        add([folder], voices)
    (folder / "x.index").unlink()
    fakes.clusters(folder / "kmeans_10000.pt", 768)
    with pytest.raises(WrongModelError, match=r"kmeans_10000\.pt .* has width 768"):
        add([folder], voices)
    (folder / "kmeans_10000.pt").unlink()
    fakes.diffusion(folder / "model_0.pt", 768)
    with pytest.raises(VoiceError, match=r"model_0\.pt needs its config"):
        add([folder], voices)
    fakes.diffusion_settings(folder / "diffusion.yaml", 256)
    with pytest.raises(WrongModelError, match=r"diffusion\.yaml does not belong"):
        add([folder], voices)
    fakes.diffusion_settings(folder / "diffusion.yaml", 768)
    with pytest.raises(WrongModelError, match=r"model_0\.pt .* has width 768, the generator has 256"):
        add([folder], voices)


def test_broken_files(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    whole = (folder / "G_1000.pth").read_bytes()
    (folder / "G_1000.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError, match=r"G_1000\.pth"):
        add([folder], voices)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(folder / "G_1000.pth", "in/G_1000.pth")
        packed.write(folder / "config.json", "in/config.json")
    with pytest.raises(CorruptFileError, match=r"a\.zip \(in/G_1000\.pth\)"):
        add([archive], voices)
    with pytest.raises(PathError, match="no such file or folder"):
        add([tmp_path / "nowhere"], voices)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VoiceError, match="holds no model file"):
        add([tmp_path / "empty"], voices)


def test_an_unknown_speaker(tmp_path: Path, voices: Path) -> None:
    with pytest.raises(VoiceError, match="no speaker 'gamma'") as caught:
        add([fakes.model(tmp_path / "m")], voices, statement=Statement(speaker="gamma"))
    assert "alpha, beta" in caught.value.hint


def test_a_folder_that_was_never_imported(tmp_path: Path, voices: Path) -> None:
    voice = find(str(fakes.complete(tmp_path / "logs")), voices)
    assert voice.card is None
    assert voice.model is not None
    assert voice.model.weights.name == "G_1000.pth"
    assert voice.model.clusters is not None
    with pytest.raises(VoiceError, match="no recordings and no model"):
        (tmp_path / "empty").mkdir()
        find(str(tmp_path / "empty"), voices)


def test_an_imported_voice_without_its_model(tmp_path: Path, voices: Path) -> None:
    voice = add([fakes.model(tmp_path / "m")], voices, name="ann")
    assert voice.model is not None
    assert voice.card is not None
    voice.model.config.write_text("{}")
    assert [file.name for file in library.damaged(voices / "ann", voice.card)] == ["config.json"]
    voice.model.weights.unlink()
    with pytest.raises(VoiceError, match=r"lacks its model\.safetensors"):
        find("ann", voices)


def test_a_voices_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        add([fakes.model(tmp_path / "m")], tmp_path / "file" / "voices")


def test_removal_stays_inside(tmp_path: Path, voices: Path) -> None:
    add([fakes.model(tmp_path / "m")], voices, name="ann")
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "file").write_text("x")
    (voices / "link").symlink_to(keep)
    (voices / "ann" / "inside").symlink_to(keep)
    for name in ("../keep", str(keep), "..", ".", ""):
        with pytest.raises(OptionError):
            library.remove(name, voices)
    with pytest.raises(VoiceError, match="no voice 'otto'"):
        library.remove("otto", voices)
    library.remove("link", voices)
    library.remove("ann", voices)
    assert (keep / "file").read_text() == "x"
    assert list(voices.iterdir()) == []


def test_listing_and_licences(tmp_path: Path, voices: Path) -> None:
    fakes.model(tmp_path / "m")
    add([tmp_path / "m"], voices, name="b", statement=Statement(licence="MIT"))
    add([tmp_path / "m"], voices, name="a")
    (voices / "loose").mkdir()
    store(voices / "loose" / "x.wav", sounds.vowel(150.0, 0.3, 16000))
    shutil.copytree(voices / "a", voices / "broken")
    (voices / "broken" / "card.json").write_text("{")
    assert [row.name for row in library.listing(voices)] == ["a", "b", "broken", "loose"]
    assert [row.name for row in library.listing(voices, licence="mit")] == ["b"]
    assert [row.name for row in library.listing(voices, licence="unstated")] == ["a", "broken", "loose"]
    assert "not valid json" in library.listing(voices)[2].problem
    assert library.listing(tmp_path / "nowhere") == []


def test_an_index_in_the_pickle_of_so_vits_svc(tmp_path: Path, voices: Path) -> None:
    folder = fakes.model(tmp_path / "m")
    made = faiss.read_index(str(fakes.index(tmp_path / "lone.index")))
    (folder / "feature_and_index.pkl").write_bytes(pickle.dumps({0: made, 1: made}))
    voice = add([folder], voices)
    assert voice.model is not None
    assert voice.model.index == voices / "m" / "retrieval.pkl"
    assert list(checkpoint.read_indexes(voice.model.index)) == [0, 1]


def test_nets_load_strictly_from_an_imported_voice(tmp_path: Path, voices: Path, repository: Path) -> None:
    """A small model of official layout: every tensor of the net is there after the way through safetensors."""
    torch = pytest.importorskip("torch")
    from sovits.core.device import Compute
    from sovits.zoo.building import load_generator

    manifest = json.loads((repository / "tests/parity/data/svc/manifest/small/svc_tiny.json").read_text())
    state = {name: torch.from_numpy(value) for name, value in state_svc(manifest, "voices").items()}
    folder = tmp_path / "m"
    fakes.settings(folder / "config.json", manifest["config"])
    torch.save({"model": state, "iteration": 1, "optimizer": None, "learning_rate": 1e-4}, folder / "G_100.pth")
    voice = add([folder], voices)
    assert voice.model is not None
    same(folder / "G_100.pth", voice.model.weights)
    load_generator(voice.model.weights, manifest["config"], Compute())


def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(tmp_path: Path, voices: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = fakes.model(tmp_path / "m")
    (folder / "kmeans_10000.pt").write_bytes(pickle.dumps({"alpha": Hostile()}))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    for path in (folder, Path(archive)):
        with pytest.raises(UnsafeFileError, match=r"kmeans_10000\.pt"):
            add([path], voices)
    assert not (tmp_path / "ran").exists()
    assert list(voices.iterdir()) == []
