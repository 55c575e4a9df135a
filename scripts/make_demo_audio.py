"""Make the demo's recordings: ``python scripts/make_demo_audio.py [FOLDER]``.

Needs the program ``espeak-ng`` (1.51 was used; Debian: ``apt-get install espeak-ng``) beside the project's own
dependencies. It speaks the syllables; everything after that is ours: WORLD analysis, melody, resynthesis, the band. The
same version of the program and of the packages gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
from demo_audio.band import play
from demo_audio.reference import say
from demo_audio.score import RATE
from demo_audio.singing import sing
from demo_audio.speech import Array

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "src" / "sovits" / "demo_data"
CEILING = 0.9  # of the mix, so that voice and accompaniment can simply be added


def main(folder: Path) -> None:
    """Write vocals.flac, accompaniment.flac and reference.flac into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    vocals, band, reference = sing(), play(), say()
    scale = min(1.0, CEILING / float(np.abs(vocals + band).max()))
    for name, samples in (("vocals", vocals * scale), ("accompaniment", band * scale), ("reference", reference)):
        path = folder / f"{name}.flac"
        _write(path, samples)
        size = path.stat().st_size / 1024
        print(f"{path}: {samples.shape[-1] / RATE:.2f} s, peak {np.abs(samples).max():.2f}, {size:.0f} KiB")


def _write(path: Path, samples: Array) -> None:
    rounded = np.round(samples * 32767.0).astype(np.int16)
    soundfile.write(path, rounded.T, RATE, subtype="PCM_16", format="FLAC", compression_level=1.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
