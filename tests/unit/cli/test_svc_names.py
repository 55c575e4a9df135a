"""Where results of ``svc infer`` go, which files it reads, and how speaker tracks are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sovits.core.errors import OptionError, PathError
from sovits.options.pitch import PitchOptions
from sovits.options.svc import SvcOptions
from sovits.pipelines import svc_files
from sovits.pipelines.svc_files import Request, items, named_model, result_name
from sovits.settings import Settings

SPEAKERS = {"bass": 1, "alto": 0}
BOTH = {"0": [[0, 1, 1, 0]], "1": [[0, 0.5, 0, 1], [0.5, 1, 1, 1]]}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw" / "sub").mkdir(parents=True)
    for name in ("a.wav", "b.flac", "sub/c.wav"):
        (tmp_path / "raw" / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SvcOptions(), "song.wav_0key_alto_sovits_pm.flac"),
        (SvcOptions(transpose=-12.0), "song.wav_-12key_alto_sovits_pm.flac"),
        (SvcOptions(automatic_f0=True, transpose=3.0), "song.wav_auto_alto_sovits_pm.flac"),
        (SvcOptions(retrieval_ratio=0.5), "song.wav_0key_alto_0.5_sovits_pm.flac"),
        (SvcOptions(diffusion="shallow", pitch=PitchOptions(method="rmvpe")), "song.wav_0key_alto_sovdiff_rmvpe.flac"),
        (SvcOptions(diffusion="alone", retrieval_ratio=1), "song.wav_0key_alto_1.0_diff_pm.flac"),
    ],
)
def test_names_of_results(options: SvcOptions, expected: str) -> None:
    assert result_name("song.wav", options, "alto", "flac") == expected


def test_a_speaker_from_a_strange_config_stays_in_the_folder() -> None:
    assert "/" not in result_name("a", SvcOptions(), "../../etc/x\n", "wav")


def test_every_recording_in_every_voice() -> None:
    request = Request(SvcOptions(), ("a", "b.flac", "sub/c"), (2.0, -1.0), ("bass", "alto"), suffix="wav")
    made = [(str(item.task.source), item.task.output.name, item.options) for item in items(request, SPEAKERS)]
    assert [row[0] for row in made] == ["raw/a.wav"] * 2 + ["raw/b.flac"] * 2 + ["raw/sub/c.wav"] * 2
    assert [row[1] for row in made] == [
        "a_2key_bass_sovits_pm.wav",
        "a_2key_alto_sovits_pm.wav",
        "b.flac_-1key_bass_sovits_pm.wav",
        "b.flac_-1key_alto_sovits_pm.wav",
        # the list of keys is filled up with its first
        "c_2key_bass_sovits_pm.wav",
        "c_2key_alto_sovits_pm.wav",
    ]
    assert [(row[2].transpose, row[2].speaker) for row in made[2:4]] == [(-1.0, "bass"), (-1.0, "alto")]


def test_no_speaker_named_means_the_first() -> None:
    (item,) = items(Request(SvcOptions(), ("a",)), SPEAKERS)
    assert (item.options.speaker, item.task.output.name) == ("alto", "a_0key_alto_sovits_pm.flac")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.wav", "sub/../../x", "..\\x.wav"])
def test_names_stay_in_raw(name: str) -> None:
    with pytest.raises(OptionError, match="raw"):
        svc_files.recording(name)


def test_a_missing_recording_lists_what_is_there() -> None:
    with pytest.raises(PathError, match=r"raw/x\.wav") as caught:
        svc_files.recording("x")
    assert "a.wav" in caught.value.hint


def test_a_dot_in_a_title_is_no_suffix(folder: Path) -> None:
    (folder / "raw" / "02. song.wav").touch()
    assert svc_files.recording("02. song") == Path("raw/02. song.wav")
    (folder / "raw" / "02. song").touch()
    assert svc_files.recording("02. song") == Path("raw/02. song")
    with pytest.raises(PathError, match=r"no such recording: raw/03\. song "):
        svc_files.recording("03. song")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("spkmix.json", json.dumps(BOTH)),
        ("spkmix.yaml", "0: [[0, 1, 1, 0]]\n1: [[0, 0.5, 0, 1], [0.5, 1, 1, 1]]\n"),
        ("spkmix.py", f"# tracks\nimport os\nspk_mix_map = {BOTH!r}\nspk_mix_map_other = 3\n"),
        ("spkmix.py", "spk_mix_map = {0: [[0., 1., 1., 0.]], 1: [[0., .5, 0., 1.], [.5, 1., 1., 1.]]}\n"),
    ],
)
def test_speaker_tracks(file: str, text: str) -> None:
    Path(file).write_text(text)
    (item,) = items(Request(SvcOptions(), ("a",), mix_tracks=True), SPEAKERS)
    assert item.options.speaker_tracks == {"0": ((0, 1, 1, 0),), "1": ((0, 0.5, 0, 1), (0.5, 1, 1, 1))}
    assert item.options.speaker is None
    assert item.task.output.name == "a_0key_spk_mix_sovits_pm.flac"


def test_one_track_leaves_nothing_to_mix() -> None:
    Path("spkmix.json").write_text(json.dumps({"0": [[0, 1, 1, 1]]}))
    (item,) = items(Request(SvcOptions(), ("a",), speakers=("bass",), mix_tracks=True), SPEAKERS)
    assert (item.options.speaker, item.options.speaker_tracks) == ("bass", None)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("spkmix.json", json.dumps({**BOTH, "1": [[0, 0.4, 0, 1], [0.5, 1, 1, 1]]}), "gap"),
        ("spkmix.json", json.dumps({**BOTH, "1": [[0, 0.9, 0, 1]]}), "ends at 0.9"),
        ("spkmix.json", json.dumps({**BOTH, "1": [[0, 1, -1, 1]]}), "speaker_tracks"),
        ("spkmix.json", "{}", "no table"),
        ("spkmix.py", "spk_mix_map = open('x').read()\n", "cannot be read"),
        ("spkmix.py", "spk_mix_map = {\n", "cannot be read"),
        ("spkmix.py", "other = {}\n", "no table"),
    ],
)
def test_tracks_that_cannot_be_used(file: str, text: str, words: str) -> None:
    Path(file).write_text(text)
    with pytest.raises(OptionError, match=f"^{file}.*{words}"):
        list(items(Request(SvcOptions(), ("a",), mix_tracks=True), SPEAKERS))


def test_a_python_file_of_tracks_never_runs() -> None:
    Path("spkmix.py").write_text(f"open('ran', 'w').close()\nspk_mix_map = {BOTH!r}\n")
    assert svc_files.read_tracks()[0] == Path("spkmix.py")
    assert not Path("ran").exists()


def test_no_tracks_at_all() -> None:
    with pytest.raises(PathError, match=r"spkmix\.json"):
        list(items(Request(SvcOptions(), ("a",), mix_tracks=True), SPEAKERS))


def test_only_the_files_that_are_needed_are_asked_for(folder: Path) -> None:
    def touched(*names: str) -> dict[str, Path]:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return {}

    request = Request(SvcOptions(), ("a",), model=Path("G.pth"), config=Path("c.json"), diffusion=Path("d.pt"))
    with pytest.raises(PathError, match=r"G\.pth") as caught:
        _ = request.files
    assert "-m" in caught.value.hint
    touched("G.pth", "c.json")
    assert (request.files.model, request.files.diffusion, request.files.clusters) == (Path("G.pth"), None, None)
    shallow = Request(SvcOptions(diffusion="shallow"), ("a",), model=Path("G.pth"), config=Path("c.json"))
    with pytest.raises(PathError) as caught:
        _ = shallow.files
    assert "-dm" in caught.value.hint
    pulled = SvcOptions(retrieval_ratio=0.5)
    with pytest.raises(PathError, match="kmeans_10000"):
        _ = Request(pulled, ("a",), model=Path("G.pth"), config=Path("c.json")).files
    touched("logs/44k/kmeans_10000.pt", "logs/44k/feature_and_index.pkl", "own.pt", "d.pt", "d.yaml")
    found = Request(pulled, ("a",), model=Path("G.pth"), config=Path("c.json")).files
    assert (found.clusters, found.index) == (Path("logs/44k/kmeans_10000.pt"), None)
    indexed = SvcOptions(retrieval_ratio=0.5, retrieval="index")
    found = Request(indexed, ("a",), model=Path("G.pth"), config=Path("c.json")).files
    assert (found.clusters, found.index) == (None, Path("logs/44k/feature_and_index.pkl"))
    # -cm is not read while -cr is 0
    unused = Request(SvcOptions(), ("a",), model=Path("G.pth"), config=Path("c.json"), cluster=Path("nowhere.pt"))
    assert unused.files.clusters is None
    alone = Request(SvcOptions(diffusion="alone"), ("a",), diffusion=Path("d.pt"), diffusion_config=Path("d.yaml"))
    assert (alone.files.model, alone.files.diffusion) == (None, Path("d.pt"))


def test_models_by_name(folder: Path) -> None:
    models = folder / "models"
    models.mkdir()
    for name in ("alto.pth", "alto.json", "other.json", "bare.pth"):
        (models / name).touch()
    assert named_model(models, "alto").config == models / "alto.json"
    assert named_model(models, "alto", "other").config == models / "other.json"
    with pytest.raises(PathError, match=r"tenor\.pth") as caught:
        named_model(models, "tenor")
    assert "alto, bare" in caught.value.hint
    with pytest.raises(PathError, match=r"bare\.json"):
        named_model(models, "bare")
    with pytest.raises(PathError, match=r"x\.pth"):
        named_model(folder / "nowhere", "x")


@pytest.mark.parametrize("name", ["", ".", "..", "../alto", "/alto", "a\\b"])
def test_a_name_is_no_path(name: str, folder: Path) -> None:
    with pytest.raises(OptionError, match="no path"):
        named_model(folder, name)
    with pytest.raises(OptionError, match="no path"):
        named_model(folder, "alto", name)


def test_names_of_released_models() -> None:
    assert svc_files.release_name(Path("logs/G_8000.pth"), half=False) == Path("logs/G_8000_release.pth")
    assert svc_files.release_name(Path("logs/G_8000.pth"), half=True) == Path("logs/G_8000_release_half.pth")


def test_official_files_of_the_folder_come_first(folder: Path) -> None:
    """A fresh copy of so-vits-svc has a folder pretrain that holds none."""
    assert svc_files.official_models(Path("/models")) == Path("/models")
    (folder / "pretrain" / "nsf_hifigan").mkdir(parents=True)
    (folder / "pretrain" / "meta.py").touch()
    assert svc_files.official_models(Path("/models")) == Path("/models")
    (folder / "pretrain" / "nsf_hifigan" / "model").touch()
    assert svc_files.official_models(Path("/models")) == Path()


def test_the_folder_of_models_can_be_set(folder: Path) -> None:
    home = {"SOVITS_HOME": str(folder)}
    assert Settings.load(home).svc_models == Path("models/so-vits-svc")
    (folder / "config.toml").write_text('svc_models = "mine"\n')
    assert Settings.load(home).svc_models == folder / "mine"
    assert Settings.load({**home, "SOVITS_SVC_MODELS": "/m"}).svc_models == Path("/m")
