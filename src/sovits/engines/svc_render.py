"""One piece of sound through the nets of a so-vits-svc voice (spec section 4, ``infer``)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from sovits.audio.audio import Samples
from sovits.audio.levels import transfer_envelope
from sovits.audio.resample import sinc_resample
from sovits.core.errors import ResourceError, VoiceError
from sovits.core.memory import give_back_memory, ran_out_of_memory
from sovits.core.progress import Cancel
from sovits.core.rng import FloatArray, Noise
from sovits.engines.svc_checks import check, choose_sampler
from sovits.engines.svc_draws import Phases, PlacedNoise
from sovits.engines.svc_enhancer import enhance, mel_of, vocode
from sovits.engines.svc_pitch import SvcPitch
from sovits.engines.svc_plan import Piece
from sovits.engines.svc_track import Pitch
from sovits.features.alignment import stretch
from sovits.features.loudness import volume
from sovits.options.svc import SvcOptions
from sovits.zoo.svc_voice import SvcVoice

if TYPE_CHECKING:
    from torch import Tensor

_CONTENT_RATE = 16000
#: Seconds: no half of a sound that memory does not suffice for may be shorter; to both sides of the middle, what is
#: faded there and what a half hears beyond that.
_LEAST, _SHARED, _HEARD = 1.0, 0.1, 0.5

T = TypeVar("T")


@dataclass(eq=False)
class _Heard:
    """What the nets read of a piece: the sound at the model's rate, and its features, one column per frame."""

    sound: Samples
    f0: FloatArray
    voiced: FloatArray
    units: FloatArray
    volume: FloatArray
    speaker: Tensor


class Renderer:
    """The nets of a voice under the options of one call.

    Args:
        noise: of the call.

    Raises:
        OptionError, VoiceError: what the options ask for is not there or out of range; said before any work.
    """

    def __init__(
        self, voice: SvcVoice, options: SvcOptions, pitch: SvcPitch, noise: Noise, cancel: Cancel | None = None
    ) -> None:
        self._voice, self._options, self._pitch = voice, options, pitch
        self._noise, self._cancel = noise, cancel or Cancel()
        self._speaker = voice.speaker_id(options.speaker, compat=options.compat)
        self._segment: tuple[int, Noise, Phases] | None = None
        self._too_long = math.inf  # seconds of the shortest piece that memory did not suffice for
        check(voice, options, self._speaker)
        self._sampler = None if options.diffusion == "off" else choose_sampler(voice, options)

    def __call__(self, piece: Piece) -> tuple[Samples, int]:
        """Sound at the model's rate, and its frames.

        What a device has too little memory for is done in halves, and so is everything that is as long afterwards.
        """
        from sovits.features.pitch.neural import computing

        def render() -> tuple[Samples, int]:
            with computing(self._voice.compute):
                return self._render(piece)

        seconds = len(piece.samples) / piece.rate
        if seconds < self._too_long:
            made = self._fitting(render, seconds)
            if made is not None:
                return made
            self._too_long = seconds
        return self._halves(piece)

    def _fitting(self, work: Callable[[], T], seconds: float) -> T | None:
        """What ``work`` on so many seconds of sound gives; ``None`` if memory ran out, and then it is free again."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not ran_out_of_memory(error):
                raise
            if seconds < 2 * _LEAST:
                raise ResourceError(
                    f"the device '{self._voice.compute.device}' has too little memory for this voice",
                    hint="close other programs that use it, or choose another --device",
                ) from error
        give_back_memory()
        return None

    def _halves(self, piece: Piece) -> tuple[Samples, int]:
        """The two halves one after the other, each heard beyond the middle, faded into each other there."""
        hop, rate = self._voice.hop, self._voice.sample_rate
        sound = sinc_resample(piece.samples, piece.rate, rate)
        half, shared, heard = len(sound) // hop // 2, max(1, round(_SHARED * rate / hop)), round(_HEARD * rate / hop)
        left, right = (half - shared) * hop, (half + shared) * hop
        first, _ = self(self._part(piece, sound, 0, half + shared + heard))
        second, _ = self(self._part(piece, sound, half - shared - heard, None))
        second = second[heard * hop :]
        rising = (np.arange(right - left, dtype=np.float32) + 0.5) / (right - left)
        middle = first[left:right] * (1 - rising) + second[: right - left] * rising
        return np.concatenate([first[:left], middle, second[right - left :]]), len(sound) // hop

    def _part(self, piece: Piece, sound: Samples, start: int, stop: int | None) -> Piece:
        """Frames ``start`` to ``stop`` of a piece whose sound was brought to the model's rate."""
        hop, weights, pitch = self._voice.hop, piece.weights, piece.pitch
        return Piece(
            sound[start * hop : None if stop is None else stop * hop],
            self._voice.sample_rate,
            piece.segment,
            piece.frame + start,
            None if weights is None else lambda frames: weights(start + frames)[start:],
            None if pitch is None else pitch.cut(start, stop),
        )

    def _render(self, piece: Piece) -> tuple[Samples, int]:
        voice, options = self._voice, self._options
        sound = piece.samples
        if options.compat == "upstream":  # F9: every piece passes through a 16-bit file
            sound = (np.clip(np.floor(sound * np.float32(32768)), -32768, 32767) / 32768).astype(np.float32)
        sound = sinc_resample(sound, piece.rate, voice.sample_rate)
        frames = len(sound) // voice.hop
        if frames == 0:
            return np.zeros(len(sound), np.float32), 0
        heard = self._listen(sound, frames, piece)
        noise, start = self._place(piece, frames)
        f0 = heard.f0
        if options.diffusion == "alone":
            audio = self._diffused(heard, f0, None, noise, start)
        else:
            audio, f0 = self._generated(heard, noise, start)
            if options.diffusion == "shallow":
                audio = self._diffused(heard, f0, audio, noise, start)
        if self._segment is not None:
            self._segment[2].passed(piece.frame, f0)
        if options.enhance and options.diffusion != "shallow":
            vocoder = voice.vocoder()
            audio = enhance(vocoder, audio, voice.sample_rate, f0, voice.hop, noise, key=options.enhancer_key)
            if vocoder.mel.sample_rate != voice.sample_rate:
                audio = sinc_resample(audio, vocoder.mel.sample_rate, voice.sample_rate)
        if not np.isfinite(audio).all():
            raise VoiceError(
                f"the voice '{voice.name}' gives numbers that are not finite",
                hint="its model is damaged, or was never trained well; with half precision try --precision float32",
            )
        if options.loudness_envelope != 1:
            audio = transfer_envelope(sound, voice.sample_rate, audio, voice.sample_rate, options.loudness_envelope)
        if options.compat == "fixed" and len(audio) < len(sound):
            audio = np.pad(audio, (0, len(sound) - len(audio)))
        return audio, frames

    def _place(self, piece: Piece, frames: int) -> tuple[Noise, FloatArray | None]:
        """Noise and phases of a piece; upstream knows neither place nor past."""
        if self._options.compat == "upstream":
            return self._noise, None
        if self._segment is None or self._segment[0] != piece.segment:
            noise = self._noise.child(f"segment {piece.segment}")
            self._segment = (piece.segment, noise, Phases(noise, self._source_rate(), self._voice.hop))
        return PlacedNoise(self._segment[1], piece.frame, frames), self._segment[2].at(piece.frame)

    def _source_rate(self) -> int:
        if self._voice.generator is not None:
            return self._voice.generator.dec.config.sample_rate
        return self._voice.vocoder().mel.sample_rate

    def _listen(self, sound: Samples, frames: int, piece: Piece) -> _Heard:
        import torch

        voice, options = self._voice, self._options
        self._cancel.check()
        pitch = piece.pitch or self.follow(sound)
        self._cancel.check()
        units = self._mixed(self._units(sound, frames))
        loudness = volume(sound, voice.hop)
        speaker = torch.tensor([[self._speaker]])
        if piece.weights is not None:
            speaker = torch.from_numpy(np.array(piece.weights(frames), np.float32))
        device = voice.compute.device
        shifted = np.asarray(pitch.f0 * np.float32(2.0 ** (options.semitones / 12.0)), np.float32)
        return _Heard(sound, shifted, pitch.voiced, units, loudness, speaker.to(device))

    def follow(self, sound: Samples) -> Pitch:
        """The pitch of a sound at the model's rate, before it is shifted."""
        self._cancel.check()
        hop, rate = self._voice.hop, self._voice.sample_rate
        found = self._fitting(lambda: Pitch(*self._pitch(sound, rate, hop, self._options.compat)), len(sound) / rate)
        if found is not None:
            return found
        half, heard = len(sound) // hop // 2, round(_HEARD * rate / hop)
        first = self.follow(sound[: (half + heard) * hop]).cut(0, half)
        rest = self.follow(sound[(half - heard) * hop :]).cut(heard)
        return Pitch(np.concatenate([first.f0, rest.f0]), np.concatenate([first.voiced, rest.voiced]))

    def _units(self, sound: Samples, frames: int) -> FloatArray:
        """Content of a sound at the model's rate, float32 [width, frames]."""
        at_16k = sinc_resample(sound, self._voice.sample_rate, _CONTENT_RATE)
        return stretch(self._voice.encoder.encode(at_16k, self._cancel).numpy(), frames, self._voice.unit_mode)

    def _mixed(self, units: FloatArray) -> FloatArray:
        """Content [width, frames] pulled to the trained speaker; not while speakers change over time."""
        options, voice = self._options, self._voice
        if not options.retrieval_ratio or options.speaker_tracks:
            return units
        if options.retrieval == "index":
            mixed = voice.indexes[self._speaker].mix(units.T, options.retrieval_ratio, compat=options.compat)
        else:
            assert voice.clusters is not None
            mixed = voice.clusters.mix(units.T, voice.speaker_name(self._speaker), options.retrieval_ratio)
        return np.ascontiguousarray(mixed.T)

    def _generated(self, heard: _Heard, noise: Noise, start: FloatArray | None) -> tuple[Samples, FloatArray]:
        """The generator's sound, and the F0 that it used."""
        import torch

        generator = self._voice.generator
        assert generator is not None
        audio, f0 = generator.infer(
            self._tensor(heard.units),
            self._tensor(heard.f0),
            self._tensor(heard.voiced),
            heard.speaker,
            noise,
            noise_scale=self._options.noise_scale,
            predict_f0=self._options.automatic_f0,
            volume=self._tensor(heard.volume) if generator.emb_vol is not None else None,
            start=None if start is None else torch.from_numpy(start).to(self._voice.compute.device),
        )
        return audio[0, 0].float().cpu().numpy(), f0[0].float().cpu().numpy()

    def _diffused(
        self, heard: _Heard, f0: FloatArray, audio: Samples | None, noise: Noise, start: FloatArray | None
    ) -> Samples:
        """The diffusion model's sound: over ``audio`` (shallow), or from noise alone if there is none."""
        voice, options = self._voice, self._options
        assert voice.diffusion is not None
        assert self._sampler is not None
        vocoder, net = voice.vocoder(), voice.diffusion.net
        units, loudness, mel = heard.units, heard.volume, None
        if audio is not None:
            mel = mel_of(vocoder, audio, voice.sample_rate).transpose(1, 2)
            if voice.generator is not None and voice.generator.emb_vol is None:
                loudness = volume(audio, voice.hop)
            if options.second_encoding:
                units = self._units(audio, units.shape[1])
        condition = net.condition(
            self._tensor(units.T), self._tensor(f0)[..., None], self._tensor(loudness)[..., None], heard.speaker
        )
        sampler, speedup = self._sampler
        found = net.infer(
            condition,
            noise,
            sampler,
            speedup=speedup,
            mel=mel,
            k_step=options.k_step if mel is not None else None,
            tick=self._cancel.check,
        )
        return vocode(vocoder, found.transpose(1, 2), f0, noise, start)

    def _tensor(self, array: FloatArray) -> Tensor:
        """A batch of one on the device."""
        import torch

        return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None].to(self._voice.compute.device)
