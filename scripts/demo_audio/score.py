"""The song: words, melody and chords of our own, in C major, three four time."""

from __future__ import annotations

from dataclasses import dataclass

RATE = 44100
TEMPO = 112.0  # beats per minute
BEAT = 60.0 / TEMPO  # seconds
LEAD_IN = 0.62  # seconds before the first beat: a breath, and the guitar's up-beat
BARS = 7  # of three beats
LENGTH = 13.0  # seconds of every track


@dataclass(frozen=True)
class Sung:
    """One sung syllable.

    Attributes:
        text: how it is written.
        sounds: the same in espeak-ng's phoneme letters.
        beat: when its vowel begins, in beats from the first bar line.
        notes: (MIDI note, beats) one after another; more than one is a melisma.
        level: dynamics in dB.
        glide: the vowel is a diphthong: its first part is held, its second comes at the end.
        legato: joined to the next syllable; else the voice lets go and a breath may follow.
    """

    text: str
    sounds: str
    beat: float
    notes: tuple[tuple[int, float], ...]
    level: float
    glide: bool = False
    legato: bool = True

    @property
    def beats(self) -> float:
        """Its whole length in beats."""
        return sum(length for _, length in self.notes)


MELODY = (
    Sung("O", "'oU", 0, ((48, 1.0),), -5.0, glide=True),
    Sung("ver", "v'3:", 1, ((52, 1.0),), -4.5),
    Sung("the", "D'V", 2, ((55, 1.0),), -4.0),
    Sung("ri", "r'I", 3, ((57, 1.0),), -2.5),
    Sung("ver", "v'3:", 4, ((55, 1.45),), -4.0, legato=False),
    Sung("mor", "m'O:", 6, ((57, 1.0),), -3.0),  # codespell:ignore mor
    Sung("ning", "n'IN", 7, ((60, 1.0),), -2.0),
    Sung("is", "'Iz", 8, ((59, 1.0),), -2.0),
    Sung("cal", "k'O:", 9, ((62, 2.0),), -1.5),
    Sung("ling", "l'IN", 11, ((59, 0.7),), -2.0, legato=False),
    Sung("car", "k'a", 12, ((60, 1.0),), -1.5),
    Sung("ry", "r'i:", 13, ((57, 1.0),), -2.5),
    Sung("my", "m'aI", 14, ((52, 1.0),), -3.5, glide=True),
    Sung("voice", "v'OIs", 15, ((50, 1.0),), -4.0, glide=True),
    Sung("to", "t'u:", 16, ((47, 1.0),), -4.5),
    Sung("the", "D'V", 17, ((43, 1.0),), -4.5),
    Sung("sea", "s'i:", 18, ((48, 3.2),), -7.0, legato=False),
)

#: One chord to the bar: (bass note, notes of the guitar and the pad), MIDI.
CHORDS = (
    (36, (48, 55, 60, 64)),  # C
    (33, (52, 57, 60, 64)),  # A minor
    (29, (48, 53, 57, 65)),  # F
    (31, (50, 55, 59, 62)),  # G
    (33, (52, 57, 60, 64)),  # A minor
    (31, (50, 53, 59, 62)),  # G seventh
    (36, (48, 55, 60, 64)),  # C
)

#: What the target voice says.
REFERENCE_TEXT = (
    "Every evening I walk along the harbour, and count the boats as they come home. "
    "The lamps are lit, the gulls are quiet, and someone is always laughing by the old stone wall."
)


def seconds(beat: float) -> float:
    """When a beat falls, in seconds from the start of the recording."""
    return LEAD_IN + beat * BEAT


def hertz(note: float) -> float:
    """Frequency of a MIDI note."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))
