"""``SvcVoice``: a so-vits-svc voice with everything loaded that an engine runs; made from files by one function."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sovits.core import checkpoint
from sovits.core.device import Compute
from sovits.core.errors import OptionError, VoiceError, WrongModelError
from sovits.core.strict import read_mapping
from sovits.features.alignment import MODES
from sovits.features.retrieval import Clusters, Neighbours
from sovits.zoo.svc_files import SvcFiles
from sovits.zoo.tables import CONTENT, content_encoder

if TYPE_CHECKING:
    from sovits.features.content.encoders import ContentEncoder
    from sovits.features.mel import MelConfig
    from sovits.nets.diffusion.unit2mel import Unit2Mel
    from sovits.nets.svc.synthesizer import Synthesizer
    from sovits.nets.vocoders.hifigan import HifiGan
    from sovits.options.svc import Compatibility

DEFAULT_ENCODER = "vec768l12"


@dataclass(frozen=True, eq=False)
class VocoderPart:
    """The NSF-HiFiGAN vocoder and the mel it was trained on."""

    net: HifiGan
    mel: MelConfig


@dataclass(frozen=True, eq=False)
class DiffusionPart:
    """A diffusion model with the sampler that its config names."""

    net: Unit2Mel
    sampler: str | None
    speedup: int


@dataclass(eq=False)
class SvcVoice:
    """A loaded voice. Nothing of a call is kept on it; engines and threads may share it.

    Attributes:
        name: for messages and file names.
        sample_rate, hop: of the model, in Hz and samples.
        speakers: name to number.
        encoder: content encoder. ``unit_mode``: how its frames are stretched to the model's.
        generator: ``None`` for a voice that is a diffusion model alone.
        models: folder of official files, where the vocoder is looked for when it is first needed.
    """

    name: str
    sample_rate: int
    hop: int
    speakers: Mapping[str, int]
    encoder: ContentEncoder
    unit_mode: str = MODES[0]
    generator: Synthesizer | None = None
    diffusion: DiffusionPart | None = None
    clusters: Clusters | None = None
    indexes: Mapping[int | str, Neighbours] = field(default_factory=dict)
    compute: Compute = field(default_factory=Compute)
    models: Path | None = None
    vocoder_part: VocoderPart | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def vocoder(self) -> VocoderPart:
        """The vocoder, loaded on first use.

        Raises:
            MissingWeightsError: its file is not on this machine.
            WrongModelError: it makes another rate than this voice.
        """
        with self._lock:
            if self.vocoder_part is None:
                from sovits.zoo.weights import locate

                self.vocoder_part = vocoder_part(locate("nsf-hifigan", self.models), self.compute)
            return self.vocoder_part

    def speaker_id(self, speaker: str | int | None, *, compat: Compatibility = "fixed") -> int:
        """The number of a speaker given by name or number.

        Args:
            compat: upstream also takes the number one beyond the last.

        Raises:
            VoiceError: there is no such speaker.
        """
        if speaker is None:
            return min(self.speakers.values(), default=0)
        if isinstance(speaker, str) and speaker in self.speakers:
            return self.speakers[speaker]
        if compat == "upstream":
            if isinstance(speaker, int) and len(self.speakers) >= speaker:
                return speaker
        elif str(speaker).isdecimal() and int(speaker) in self.speakers.values():
            return int(speaker)
        known = ", ".join(f"{name} ({number})" for name, number in self.speakers.items())
        raise VoiceError(f"the voice '{self.name}' has no speaker '{speaker}'", hint=f"it has: {known}")

    def speaker_name(self, number: int) -> str:
        """The name behind a number; the number itself where it has none."""
        return next((name for name, value in self.speakers.items() if value == number), str(number))


def load_svc_voice(
    place: Path | SvcFiles,
    compute: Compute | None = None,
    *,
    models: Path | None = None,
    encoder: ContentEncoder | None = None,
    vocoder: Path | None = None,
    name: str = "",
) -> SvcVoice:
    """Load a voice from its folder, or from the files given.

    Args:
        compute: where nets run; the CPU with one thread if not given.
        models: folder of official files (content encoder, vocoder).
        encoder: one that is loaded already, shared between voices; otherwise the one that the config names.
        vocoder: the vocoder's model file, if it does not lie in ``models``.

    Raises:
        PathError, VoiceError: files that are not there.
        WrongModelError: files that do not fit each other; says what was expected and what to do.
        MissingWeightsError: the content encoder is not on this machine.
    """
    files = place if isinstance(place, SvcFiles) else SvcFiles.in_folder(place)
    compute = compute or Compute()
    main = files.model or files.diffusion
    if main is None:
        raise VoiceError("a voice needs a generator or a diffusion model", hint="give a G_*.pth or a model_*.pt")
    made = _Parts(files, compute)
    wanted = made.encoder_name
    # Before the encoder is loaded: one that does not fit need not be on this machine.
    _require_encoder(main, wanted, encoder.dim if encoder else CONTENT.facts(wanted).get("dim"), made.width)
    used = encoder or content_encoder(wanted, models=models, compute=compute)
    _require_encoder(main, wanted, used.dim, made.width)
    voice = SvcVoice(
        name or (place.name if isinstance(place, Path) else main.parent.name),
        made.sample_rate,
        made.hop,
        made.speakers,
        used,
        made.unit_mode,
        made.generator,
        made.diffusion,
        _clusters(files.clusters, made.width),
        _indexes(files.index, made.width),
        compute,
        models,
    )
    if vocoder is not None:
        voice.vocoder_part = vocoder_part(vocoder, compute)
    return voice


def _require_encoder(model: Path, name: str, gives: int | None, reads: int) -> None:
    if gives is not None and gives != reads:
        raise WrongModelError(
            f"{model} reads content of width {reads}, but the encoder '{name}' gives {gives}",
            hint='set "speech_encoder" in its config to the encoder it was trained with',
        )


class _Parts:
    """The nets of a voice and what their configs say, checked against each other."""

    def __init__(self, files: SvcFiles, compute: Compute) -> None:
        from sovits.nets.serving import serving
        from sovits.zoo.building import load_generator

        self.generator: Synthesizer | None = None
        self.diffusion: DiffusionPart | None = None
        data: Mapping[str, Any] = {}
        if files.model is not None:
            path = files.config or files.model.parent / "config.json"
            config = read_mapping(path)
            net, sizes = load_generator(files.model, config, compute, source=str(path))
            self.generator = serving(net, compute)
            data = config["data"]
            self.sample_rate, self.hop, self.width = sizes.sample_rate, sizes.hop, sizes.ssl_dim
            stated = config["model"].get("speech_encoder")
            # a model of 4.0 names no encoder: its width tells
            self.encoder_name = str(stated or ("vec256l9" if sizes.ssl_dim == 256 else DEFAULT_ENCODER))
            self.speakers = _speakers(config.get("spk"), path)
            _require_hop(path, int(data.get("hop_length", sizes.hop)), sizes.hop)
        if files.diffusion is not None:
            path = files.diffusion_config or files.diffusion.parent / "config.yaml"
            config = read_mapping(path)
            data = self._take_diffusion(files.diffusion, config, path, compute, data)
        mode = data.get("unit_interpolate_mode") or MODES[0]
        if mode not in MODES:
            raise OptionError(f"unknown unit_interpolate_mode '{mode}'", hint=f"known: {', '.join(MODES)}")
        self.unit_mode: str = mode

    def _take_diffusion(
        self, model: Path, config: Mapping[str, Any], path: Path, compute: Compute, data: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Load the diffusion model; gives the ``data`` section that counts for the voice."""
        from sovits.nets.serving import arrange
        from sovits.zoo.building import load_diffusion

        net = load_diffusion(model, config, compute, source=str(path))
        arrange(net, compute)
        own, settings = config["data"], config.get("infer") or {}
        self.diffusion = DiffusionPart(net, settings.get("method"), int(settings.get("speedup") or 1))
        rate, hop = int(own.get("sampling_rate", 44100)), int(own.get("block_size", 512))
        if self.generator is None:
            self.sample_rate, self.hop, self.width = rate, hop, net.config.units
            self.encoder_name = str(own.get("encoder") or DEFAULT_ENCODER)
            self.speakers = _speakers(config.get("spk"), path)
            found: Mapping[str, Any] = own
            return found
        for what, ours, theirs in (
            ("content of width", net.config.units, self.width),
            ("a sampling rate of", rate, self.sample_rate),
            ("a hop of", hop, self.hop),
        ):
            if ours != theirs:
                raise WrongModelError(
                    f"the diffusion model {model} does not fit the generator: it has {what} {ours}, "
                    f"the generator {theirs}",
                    hint="give the diffusion model that was trained for this voice",
                )
        return data


def vocoder_part(path: Path, compute: Compute) -> VocoderPart:
    """Load a vocoder with the mel settings of its config."""
    from sovits.features.mel import MelConfig
    from sovits.nets.serving import serving
    from sovits.zoo.building import load_vocoder

    loaded, config = load_vocoder(path, compute)
    net = serving(loaded, compute)
    mel = MelConfig(
        int(config["sampling_rate"]),
        int(config.get("n_fft", 2048)),
        int(config.get("win_size", 2048)),
        int(config.get("hop_size", net.config.hop)),
        int(config["num_mels"]),
        float(config.get("fmin", 40)),
        float(config.get("fmax", 16000)),
    )
    return VocoderPart(net, mel)


def _speakers(table: Any, source: Path) -> dict[str, int]:
    if isinstance(table, Mapping) and all(isinstance(value, int) for value in table.values()):
        return {str(name): int(number) for name, number in table.items()}
    if table is None:
        return {"speaker": 0}
    raise OptionError(f"{source}: 'spk' is no table of names and numbers", hint="give the config of this model")


def _require_hop(path: Path, stated: int, made: int) -> None:
    if stated != made:
        raise WrongModelError(
            f"{path} contradicts itself: hop_length is {stated}, the product of upsample_rates {made}",
            hint="give the config.json that was written when this model was trained",
        )


def _clusters(path: Path | None, width: int) -> Clusters | None:
    if path is None:
        return None
    clusters = Clusters.of(checkpoint.read(path))
    _require_width(path, clusters.width, width)
    return clusters


def _indexes(path: Path | None, width: int) -> dict[int | str, Neighbours]:
    if path is None:
        return {}
    found = {key: Neighbours(index, str(path)) for key, index in checkpoint.read_indexes(path).items()}
    for index in found.values():
        _require_width(path, index.width, width)
    return found


def _require_width(path: Path, found: int, wanted: int) -> None:
    if found != wanted:
        raise WrongModelError(
            f"{path} holds content of width {found}, this voice reads {wanted}",
            hint="give the file that was made with this voice",
        )
