"""Runners of the singing engine: whole conversions, cutting and joining, retrieval, enhancer, loading."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sovits.audio.audio import Audio, MemorySource, Samples
from sovits.audio.overlap import forced_clips, pad_centre
from sovits.core import checkpoint
from sovits.core.device import Compute
from sovits.core.errors import VoiceError
from sovits.engines.svc import SvcEngine
from sovits.engines.svc_enhancer import enhance
from sovits.engines.svc_plan import Model, Piece, Plan
from sovits.features.alignment import stretch
from sovits.features.loudness import volume
from sovits.features.retrieval import Clusters, Neighbours
from sovits.options.pitch import PitchOptions
from sovits.options.svc import SvcOptions
from sovits.zoo.building import load_as_upstream
from sovits.zoo.svc_files import SvcFiles
from sovits.zoo.svc_voice import SvcVoice, load_svc_voice, vocoder_part
from tests.parity import official
from tests.parity.golden import Case
from tests.parity.replay import Lab, Outputs, noise_of, runner

COMPUTE = Compute(threads=2)
_ENCODERS: dict[tuple[Any, ...], Any] = {}
#: Arguments of upstream's ``slice_inference`` -> our options.
_NAMES = {
    "tran": "transpose",
    "slice_db": "slice_db",
    "cluster_infer_ratio": "retrieval_ratio",
    "auto_predict_f0": "automatic_f0",
    "noice_scale": "noise_scale",
    "pad_seconds": "pad_seconds",
    "clip_seconds": "clip_seconds",
    "lg_num": "clip_overlap",
    "lgr_num": "overlap_share",
    "enhancer_adaptive_key": "enhancer_key",
    "k_step": "k_step",
    "loudness_envelope_adjustment": "loudness_envelope",
    "second_encoding": "second_encoding",
    "spk_mix_map": "speaker_tracks",
    "spk": "speaker",
}


def options_of(call: dict[str, Any], switches: dict[str, Any], *, speaker: str | None = None) -> SvcOptions:
    """Options for upstream's arguments of a call, and of the object it is called on."""
    values: dict[str, Any] = {_NAMES[key]: value for key, value in call.items() if key in _NAMES}
    values.setdefault("speaker", speaker)
    values["pitch"] = PitchOptions(method=call.get("f0_predictor", "pm"))
    if switches.get("only_diffusion"):
        values["diffusion"] = "alone"
    elif switches.get("shallow_diffusion"):
        values["diffusion"] = "shallow"
    values["enhance"] = bool(switches.get("nsf_hifigan_enhance"))
    values["retrieval"] = "index" if switches.get("feature_retrieval") else "cluster"
    return SvcOptions.build({**values, "compat": "upstream"})


def pcm(values: np.ndarray) -> Samples:
    """16-bit samples as the loader gives them."""
    return values.astype(np.float32) / np.float32(32768)


def voice_of(case: Case, lab: Lab) -> SvcVoice:
    """The voice of an end-to-end case, loaded from files in official wrapping."""
    args, salt = case.meta["args"], case.meta["salt"]
    model = official.write(lab, args.get("G") or case.meta["manifest"], salt)
    diffusion = official.write(lab, args["diff"], salt) if "diff" in args else None
    clusters = index = None
    if "centers" in case.ins:
        names = {"alpha": case.ins["centers"], "beta": case.ins["centers"] + 1}
        clusters = official.write_clusters(lab.scratch / f"{case.name}.pt", names)
    if "train" in case.ins:
        index = official.write_index(lab.scratch / f"{case.name}.pkl", {1: case.ins["train"]})
    files = SvcFiles(model, model.parent / "config.json", diffusion, None, clusters, index)
    place = lab.scratch / salt / "official" / "pretrain" / "hubert-soft-0d54a1f4.pt"
    if not place.exists():
        place.parent.mkdir(parents=True)
        place.symlink_to(official.write(lab, "hubertsoft", salt))
    key = (lab.scratch, salt)
    if key not in _ENCODERS:
        from sovits.zoo.tables import content_encoder

        _ENCODERS[key] = content_encoder("hubertsoft", models=place.parents[1], compute=COMPUTE)
    return load_svc_voice(
        files, COMPUTE, encoder=_ENCODERS[key], vocoder=official.write(lab, "small/nsf", salt), name=case.name
    )


@runner("e2e")
def e2e(case: Case, lab: Lab) -> Outputs:
    args = case.meta["args"]
    voice = voice_of(case, lab)
    options = options_of(args["call"], args.get("svc", {}), speaker="beta")
    if sampler := args.get("sampler"):
        options = options.model_copy(update={"sampler": sampler["method"], "speedup": sampler["speedup"]})
    seen: dict[str, Any] = {}
    if options.diffusion == "alone":
        _watch_diffusion(voice, seen)
    else:
        _watch_generator(voice, seen)
    sound = Audio.from_mono(pcm(case.ins["wav"]), args.get("sr", 44100))
    audio = SvcEngine(voice).convert(sound, None, options, noise_of(case)).samples[0]
    return {**seen, "audio": audio, "length": [len(audio)], "rate": [voice.sample_rate]}


def _watch_generator(voice: SvcVoice, seen: dict[str, Any]) -> None:
    """Keep what the first piece hands to the generator, and what comes back."""
    net = voice.generator
    assert net is not None
    original = net.infer

    def infer(units: Any, f0: Any, voiced: Any, *rest: Any, **named: Any) -> Any:
        audio, used = original(units, f0, voiced, *rest, **named)
        if not seen:
            seen.update(c=units, f0=f0, uv=voiced, f0_used=used, g_audio_head=audio[0, 0, :8192])
            seen.update({key: value.numpy().copy() for key, value in seen.items()})
        return audio, used

    net.infer = infer  # type: ignore[method-assign]


def _watch_diffusion(voice: SvcVoice, seen: dict[str, Any]) -> None:
    assert voice.diffusion is not None
    net = voice.diffusion.net
    original = net.condition

    def condition(units: Any, f0: Any, *rest: Any) -> Any:
        if not seen:
            seen.update(c=units.transpose(1, 2).numpy().copy(), f0=f0[..., 0].numpy().copy())
            seen["uv"] = None  # the diffusion model does not read it
        return original(units, f0, *rest)

    net.condition = condition  # type: ignore[method-assign]


@runner("slice_inf")
def slice_inf(case: Case, lab: Lab) -> Outputs:
    """The plan around a network that halves its input and adds 0.01."""
    args = case.meta["args"]
    rate, target, hop = args["sr"], args["target"], args["hop"]
    out: dict[str, Any] = {}
    for number, run in enumerate(args["runs"]):
        log: list[list[Any]] = []
        options = options_of(run, {})

        def render(piece: Piece, log: list[list[Any]] = log) -> tuple[Samples, int]:
            sound = np.clip(np.floor(piece.samples * 32768.0), -32768, 32767) / 32768.0
            length = int(len(sound) * target / rate)
            sound = sound[np.floor(np.arange(length) * rate / target).astype(int)] if rate != target else sound
            frames = len(sound) // hop
            row: list[Any] = [len(piece.samples), frames, sum(entry[1] for entry in log)]
            if piece.weights is not None:
                columns = piece.weights(frames)
                row += [list(columns.T.shape), round(float(columns.sum()), 3)]
            log.append(row)
            return (sound[: frames * hop] * 0.5 + 0.01).astype(np.float32), frames

        source = MemorySource(Audio.from_mono(pcm(case.ins["wav"]), rate))
        plan = Plan(source, Model(target, hop), options)
        out[f"audio{number}"] = np.concatenate(list(plan.run(render)))
        out[f"log{number}"] = [json.dumps(log)]
        if plan.table is not None:
            out[f"mix{number}"] = plan.table.T
    return out


@runner("split_list")
def split_list(case: Case, lab: Lab) -> Outputs:
    items = list(range(23))
    calls = ((5, 0), (5, 2), (10, 3), (23, 0))
    splits = [[items[slice(*clip)] for clip in forced_clips(23, *call)] for call in calls]
    rows = [pad_centre(np.arange(1.0, 6.0), 8), pad_centre(np.arange(1.0, 9.0), 6)]
    return {"a": [json.dumps(splits)], "pad": np.stack(rows)}


@runner("speaker_lookup")
def speaker_lookup(case: Case, lab: Lab) -> Outputs:
    voice = SvcVoice("case", 44100, 512, {"alpha": 0, "beta": 1, "gamma": 2}, encoder=None)  # type: ignore[arg-type]
    table = []
    for asked, _ in json.loads(str(case.outs["table"][0])):
        try:
            table.append([asked, voice.speaker_id(asked, compat="upstream")])
        except VoiceError:
            table.append([asked, None])
    return {"table": [json.dumps(table)], "len": [len(voice.speakers)]}


@runner("cluster_")
def cluster(case: Case, lab: Lab) -> Outputs:
    names = [key.removeprefix("centers_") for key in case.ins if key.startswith("centers_")]
    path = official.write_clusters(lab.scratch / "kmeans.pt", {name: case.ins[f"centers_{name}"] for name in names})
    clusters, units = Clusters.of(checkpoint.read(path)), case.ins["c"]
    out: dict[str, Any] = {}
    for name in names:
        labels = clusters.labels(units, name)
        out |= {f"label_{name}": labels, f"center_{name}": clusters.centres[name][labels]}
    for key in case.outs:
        if key.startswith("mix_"):
            _, name, ratio = key.split("_")
            out[key] = clusters.mix(units, name, float(ratio)).T
    return out


@runner("retrieval")
def retrieval(case: Case, lab: Lab) -> Outputs:
    path = lab.scratch / "feature_and_index.pkl"
    path.write_bytes(case.outs["pickle"].tobytes())
    index = next(iter(checkpoint.read_indexes(path).values()))
    near, units = Neighbours(index, str(path)), case.ins["c"]
    scores, ids = near.search(units)
    out: dict[str, Any] = {
        "nprobe": [index.probes],
        "n_ivf": [len(index.centroids)],
        "coarse_centroids": index.centroids,
        "reconstructed": near.vectors,
        "score": scores,
        "ix": ids,
        "retrieved": near.retrieved(units, compat="upstream"),
        "pickle": None,  # the input: its bytes depend on the version of faiss
    }
    for key in case.outs:
        if key.startswith("mix_"):
            out[key] = near.mix(units, float(key.removeprefix("mix_")), compat="upstream")
    return out


@runner("enhancer")
def enhancer(case: Case, lab: Lab) -> Outputs:
    vocoder = vocoder_part(official.write(lab, case.meta["manifest"], case.meta["salt"]), COMPUTE)
    out: dict[str, Any] = {}
    for number, (rate, hop, key, front) in enumerate(case.meta["args"]["settings"]):
        f0 = case.ins["f0"][0, :, 0]
        out[f"audio{number}"] = enhance(
            vocoder, case.ins["audio"][0], rate, f0, hop, noise_of(case), key=key, silence_front=front
        )
        out[f"rate{number}"] = [vocoder.mel.sample_rate]
    return out


@runner("expand")
def expand(case: Case, lab: Lab) -> Outputs:
    found = (key.rpartition("_") for key in case.outs)
    return {f"{mode}_{length}": stretch(case.ins["c"], int(length), mode) for mode, _, length in found}


@runner("volume")
def loudness(case: Case, lab: Lab) -> Outputs:
    y = case.ins["y"][0]
    return {key: volume(y, 512 if key == "v_tensor" else int(key.removeprefix("v"))) for key in case.outs}


@runner("load_partial")
def load_partial(case: Case, lab: Lab) -> Outputs:
    """Upstream's loading of a released half-precision file: everything takes the type of its first tensor."""
    import torch

    manifest = lab.manifest(case.meta["manifest"])
    state = lab.state(case.meta["manifest"], case.meta["salt"])
    released = {name: value.half() for name, value in state.items() if "enc_q" not in name}
    path = lab.scratch / "released_half.pth"
    torch.save({"model": released, "iteration": 0, "optimizer": None, "learning_rate": 0.0001}, path)
    net, found = load_as_upstream(path, manifest["config"])
    return {
        "dtype": [str(net.pre.weight.dtype)],
        "enc_q_dtype": [str(net.enc_q.pre.weight.dtype)],
        "pre": net.pre.weight.detach().float(),
        "iteration": [found.fields["iteration"]],
        "lr": [found.fields["learning_rate"]],
    }
