"""The registries: names that a user can choose, and the modules behind them, imported on first use only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sovits.core.device import Compute
from sovits.core.registry import Entry, Registry
from sovits.features.pitch.contour import PitchPredictor
from sovits.features.pitch.sampling import Checked
from sovits.options.pitch import PitchOptions

if TYPE_CHECKING:
    from sovits.features.content.encoders import ContentEncoder

#: Pitch trackers. A factory is called ``factory(options, weights, compute)``. Facts: ``low`` and ``high``, what the
#: tracker can hear at most, in Hz (options narrow it); ``weights``, the name of the official file it needs, or nothing.
PITCH: Registry[PitchPredictor] = Registry(
    "pitch predictor",
    {
        "swift": Entry("sovits.features.pitch.swift:create", {"low": 46.875, "high": 2093.75, "weights": ""}),
        "dio": Entry("sovits.features.pitch.world:create_dio", {"low": 20.0, "high": 4000.0, "weights": ""}),
        "harvest": Entry("sovits.features.pitch.world:create_harvest", {"low": 20.0, "high": 4000.0, "weights": ""}),
        "pm": Entry("sovits.features.pitch.praat:create", {"low": 20.0, "high": 4000.0, "weights": ""}),
        "crepe": Entry(
            "sovits.features.pitch.crepe:create", {"low": 32.7, "high": 1975.5, "weights": "crepe"}, extra="neural"
        ),
        "rmvpe": Entry(
            "sovits.features.pitch.rmvpe:create", {"low": 31.7, "high": 2006.0, "weights": "rmvpe"}, extra="neural"
        ),
        "fcpe": Entry(
            "sovits.features.pitch.fcpe:create", {"low": 32.7, "high": 1975.5, "weights": "fcpe"}, extra="neural"
        ),
    },
    group="sovits.pitch",
)

_ENCODERS = "sovits.features.content.encoders"

#: Content encoders by the names that configs use as ``speech_encoder``; called ``factory(weights, compute)``.
#: Facts: ``dim``, the width of the features; ``weights``, the name of the official file.
CONTENT: Registry[ContentEncoder] = Registry(
    "content encoder",
    {
        name: Entry(f"{_ENCODERS}:{factory}", {"dim": dim, "weights": weights}, extra="neural")
        for name, factory, dim, weights in (
            ("vec768l12", "vec768l12", 768, "contentvec"),
            ("vec256l9", "vec256l9", 256, "contentvec"),
            ("hubertsoft", "hubertsoft", 256, "hubertsoft"),
            ("whisper-ppg", "whisper", 1024, "whisper-medium"),
            ("whisper-ppg-large", "whisper", 1280, "whisper-large-v2"),
            ("cnhubertlarge", "cnhubertlarge", 1024, "cnhubertlarge"),
            ("dphubert", "dphubert", 768, "dphubert"),
            ("wavlmbase+", "wavlm", 768, "wavlm-base-plus"),
            ("vec256l9-onnx", "onnx_256", 256, "vec256l9-onnx"),
            ("vec256l12-onnx", "onnx_256", 256, "vec256l12-onnx"),
            ("vec768l9-onnx", "onnx_768", 768, "vec768l9-onnx"),
            ("vec768l12-onnx", "onnx_768", 768, "vec768l12-onnx"),
            ("hubertsoft-onnx", "onnx_256", 256, "hubertsoft-onnx"),
        )
    },
    group="sovits.content",
)


def content_encoder(name: str, *, models: Path | None = None, compute: Compute | None = None) -> ContentEncoder:
    """The content encoder of a name, loaded and ready; share it between calls and threads.

    Raises:
        OptionError: an unknown name.
        MissingDependencyError: torch is not installed.
        MissingWeightsError: the weight file is not there; says which file goes where.
        CheckpointError: the file holds something else.
    """
    factory = CONTENT.factory(name)
    weights = None
    if file := CONTENT.facts(name).get("weights", ""):
        from sovits.zoo.weights import locate

        weights = locate(file, models)
    compute = compute or Compute()
    made = factory(weights, compute)
    if made.net is not None:
        from sovits.nets.serving import arrange

        arrange(made.net, compute)
    return made


def pitch_predictor(
    options: PitchOptions | None = None, *, models: Path | None = None, compute: Compute | None = None
) -> PitchPredictor:
    """The tracker that ``options.method`` names, loaded and ready; share it between calls and threads.

    Args:
        options: the defaults if not given.
        models: folder of official weight files; those inside installed packages are found as well.
        compute: where nets run; the CPU with one thread if not given.

    Raises:
        OptionError: an unknown method, or options that it cannot follow.
        MissingDependencyError: a package that is not installed.
        MissingWeightsError: a weight file that is not there; says which file goes where.
    """
    options = options or PitchOptions()
    factory = PITCH.factory(options.method)
    name = PITCH.facts(options.method).get("weights", "")
    weights = None
    if name:
        from sovits.zoo.weights import locate

        weights = locate(name, models)
    compute = compute or Compute()
    made = factory(options, weights, compute)
    net = getattr(made, "net", None)
    if net is not None:
        from sovits.nets.serving import arrange

        # F0 is what the ear is most exact about: a bfloat16 has steps of several cents.
        arrange(net, compute, exact=True)
    return Checked(made, options.method)
