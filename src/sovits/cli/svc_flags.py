"""The flags of so-vits-svc 4.1's inference as one table, read the way its own parser reads them.

``-n``, ``-t`` and ``-s`` take several values, long names may be shortened, ``-t -3`` is a number. What a flag means
for the conversion is a field of :class:`~sovits.options.svc.SvcOptions`, which also holds its default.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import typer

from sovits.core.errors import OptionError
from sovits.options.svc import SvcOptions
from sovits.pipelines.svc_files import Request

Kind = Literal["text", "number", "switch", "texts", "numbers"]
Method = Literal["crepe", "pm", "dio", "harvest", "rmvpe", "fcpe"]

#: Confidence of a voiced frame of the trackers that have one; it is also what they take where nothing is said.
_THRESHOLD = 0.05


@dataclass(frozen=True)
class OfficialFlag:
    """One flag.

    Attributes:
        short, long: its two names, with dashes.
        help: what it means.
        field: dotted field of :class:`SvcOptions` that it sets; empty for what belongs to files.
        kind: how its values are read.
        sets: what a switch puts into the field.
        default: where the field has none.
    """

    short: str
    long: str
    help: str
    field: str = ""
    kind: Kind = "text"
    sets: Any = True
    default: Any = None

    @property
    def name(self) -> str:
        """Its name in the parsed result."""
        return self.long.lstrip("-")

    @property
    def stated_default(self) -> Any:
        """The default that help tells."""
        if self.field and self.default is None:
            return official_default(self.field)
        return self.default


def official_default(field: str) -> Any:
    """The default of a dotted field of :class:`SvcOptions`."""
    value: Any = SvcOptions()
    for step in field.split("."):
        value = getattr(value, step)
    return value


FLAGS = (
    OfficialFlag("-m", "--model_path", "the model, G_*.pth", default="logs/44k/G_37600.pth"),
    OfficialFlag("-c", "--config_path", "its config.json", default="logs/44k/config.json"),
    OfficialFlag("-cl", "--clip", "cut pieces to this length in seconds; 0: at silence only", "clip_seconds", "number"),
    OfficialFlag("-n", "--clean_names", "recordings in the folder raw, .wav where no suffix is given", kind="texts"),
    OfficialFlag(
        "-t",
        "--trans",
        "semitones for each recording; where there are fewer numbers, the first one holds",
        "transpose",
        "numbers",
    ),
    OfficialFlag("-s", "--spk_list", "speakers by name or number; the model's first if not given", "speaker", "texts"),
    OfficialFlag("-a", "--auto_predict_f0", "let the model write the melody: speech only", "automatic_f0", "switch"),
    OfficialFlag(
        "-cm",
        "--cluster_model_path",
        "k-means centres or retrieval index; not read while -cr is 0 "
        "[default: logs/44k/kmeans_10000.pt, with -fr logs/44k/feature_and_index.pkl]",
    ),
    OfficialFlag(
        "-cr", "--cluster_infer_ratio", "how far content is pulled to the speaker, 0 to 1", "retrieval_ratio", "number"
    ),
    OfficialFlag("-lg", "--linear_gradient", "cross-fade of cut pieces in seconds", "clip_overlap", "number"),
    OfficialFlag("-f0p", "--f0_predictor", "pitch tracker", "pitch.method"),
    OfficialFlag("-eh", "--enhance", "pass the result through the NSF enhancer", "enhance", "switch"),
    OfficialFlag(
        "-shd", "--shallow_diffusion", "refine the result by shallow diffusion", "diffusion", "switch", "shallow"
    ),
    OfficialFlag(
        "-usm",
        "--use_spk_mix",
        "blend speakers over time, by the tracks in spkmix.json, spkmix.yaml or spkmix.py of this folder",
        kind="switch",
    ),
    OfficialFlag(
        "-lea",
        "--loudness_envelope_adjustment",
        "1 keeps the result's loudness, 0 takes the source's",
        "loudness_envelope",
        "number",
    ),
    OfficialFlag(
        "-fr", "--feature_retrieval", "pull by the retrieval index, not by k-means", "retrieval", "switch", "index"
    ),
    OfficialFlag("-dm", "--diffusion_model_path", "diffusion model", default="logs/44k/diffusion/model_0.pt"),
    OfficialFlag("-dc", "--diffusion_config_path", "its config", default="logs/44k/diffusion/config.yaml"),
    OfficialFlag("-ks", "--k_step", "steps of shallow diffusion", "k_step", "number"),
    OfficialFlag("-se", "--second_encoding", "encode once more before shallow diffusion", "second_encoding", "switch"),
    OfficialFlag(
        "-od", "--only_diffusion", "the diffusion model alone, without -m and -c", "diffusion", "switch", "alone"
    ),
    OfficialFlag("-sd", "--slice_db", "level in dB below which sound is silence", "slice_db", "number"),
    OfficialFlag("-d", "--device", "cpu, cuda, cuda:N or mps; a GPU where there is one if not given"),
    OfficialFlag("-ns", "--noice_scale", "randomness of articulation and tone", "noise_scale", "number"),
    OfficialFlag("-p", "--pad_seconds", "silence around each piece in seconds", "pad_seconds", "number"),
    OfficialFlag("-wf", "--wav_format", "format of the results", default="flac"),
    OfficialFlag(
        "-lgr", "--linear_gradient_retain", "share of the cross-fade that is faded", "overlap_share", "number"
    ),
    OfficialFlag(
        "-eak", "--enhancer_adaptive_key", "shift of the enhancer's range in semitones", "enhancer_key", "number"
    ),
    OfficialFlag(
        "-ft",
        "--f0_filter_threshold",
        "confidence of a voiced frame, for crepe, rmvpe and fcpe",
        "pitch.threshold",
        "number",
        default=_THRESHOLD,
    ),
)

#: Listed here and there, never a flag of 4.1: accepted, without effect.
IDLE = ("-lge",)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an :class:`OptionError`, and leaves as typer does."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message, hint=f"see: {self.prog} --help")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise typer.Exit(status)


def parser(program: str) -> argparse.ArgumentParser:
    """The parser of the whole table."""
    made = _Parser(
        program,
        description="Sing with a so-vits-svc model; every flag as in so-vits-svc 4.1.",
        epilog="Results: results/NAME_KEY_SPEAKER[_RATIO]_KIND_TRACKER.FORMAT. Official files are looked for in the "
        "folder pretrain where it holds one, else in the models folder.",
    )
    for flag in FLAGS:
        help_text = flag.help.replace("%", "%%")
        rest: dict[str, Any] = {"dest": flag.name, "default": None, "help": help_text}
        if flag.kind == "switch":
            rest["action"] = "store_true"
        else:
            rest |= {"metavar": "NUMBER" if flag.kind in ("number", "numbers") else "TEXT"}
            if flag.kind in ("texts", "numbers"):
                rest["nargs"] = "+"
            if flag.stated_default is not None:
                rest["help"] = f"{help_text} [default: {flag.stated_default}]"
        if flag.short == "-f0p":
            rest["choices"] = get_args(Method)
            rest["metavar"] = "NAME"
            rest["help"] = f"{help_text}: {', '.join(get_args(Method))} [default: {flag.stated_default}]"
        made.add_argument(flag.short, flag.long, **rest)
    made.add_argument(*IDLE, dest="idle", nargs="?", const="", default=None, help=argparse.SUPPRESS)
    return made


def parse(arguments: Sequence[str], program: str = "sovits svc infer") -> tuple[Request, bool]:
    """Arguments of the command line to what is asked for.

    Returns:
        The request, and whether a flag without effect was among them.

    Raises:
        OptionError: an unknown flag, a missing or a wrong value; names the flag.
        typer.Exit: help was asked for and printed.
    """
    given = vars(parser(program).parse_args(list(arguments)))
    if not given["clean_names"]:
        raise OptionError("no recording was named", hint="name one in the folder raw: -n song.wav -t 0 -s SPEAKER")
    places = {flag.name: given[flag.name] or flag.default for flag in FLAGS if not flag.field}
    transposes = tuple(_number(text, "-t (trans)") for text in given["trans"] or ["0"])
    request = Request(
        options=_options(given),
        names=tuple(given["clean_names"]),
        transposes=transposes,
        speakers=tuple(given["spk_list"] or ()),
        model=Path(places["model_path"]),
        config=Path(places["config_path"]),
        diffusion=Path(places["diffusion_model_path"]),
        diffusion_config=Path(places["diffusion_config_path"]),
        cluster=Path(places["cluster_model_path"]) if places["cluster_model_path"] else None,
        mix_tracks=bool(given["use_spk_mix"]),
        suffix=str(places["wav_format"]).lower().lstrip("."),
        device=places["device"] or "auto",
    )
    return request, given["idle"] is not None


def _options(given: dict[str, Any]) -> SvcOptions:
    """The option value of all flags that were given; speaker and key differ from result to result and come later."""
    values: dict[str, Any] = {}
    for flag in FLAGS:
        value = given[flag.name]
        if not flag.field or flag.kind in ("texts", "numbers") or not _is_given(value):
            continue
        target = values
        *steps, last = flag.field.split(".")
        for step in steps:
            target = target.setdefault(step, {})
        target[last] = flag.sets if flag.kind == "switch" else value
    values.setdefault("pitch", {}).setdefault("method", official_default("pitch.method"))
    try:
        return SvcOptions.build(values, where="command line")
    except OptionError as error:
        raise OptionError(_with_flags(error.message), hint=error.hint) from error


def _is_given(value: Any) -> bool:
    return value is not None and value is not False


def _with_flags(message: str) -> str:
    """A message about fields, with the flags that set them."""
    for flag in FLAGS:
        if flag.field:
            message = message.replace(f" {flag.field}:", f" {flag.short} ({flag.field}):")
    return message


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise OptionError(f"command line: {name}: give a number of semitones, got '{text}'") from None
    try:
        SvcOptions.build({"transpose": value}, where="command line")
    except OptionError as error:
        raise OptionError(error.message.replace("transpose", name, 1), hint=error.hint) from error
    return value
