"""``Settings``: where sovits keeps its things on this machine. The only reader of the environment.

Every value is settled here once and handed down as an argument; no other module looks at the environment.

============== ========================================== ============================================
value          variable                                   otherwise
============== ========================================== ============================================
``home``       ``SOVITS_HOME``                            the platform's folder for application data
``models``     ``SOVITS_MODELS``, then ``config.*``       ``models`` in ``home``
``voices``     ``SOVITS_VOICES``, then ``config.*``       ``voices`` in ``home``
``offline``    ``SOVITS_OFFLINE``                         off; any value but ``0``, ``no``, ``off``, ``false`` is on
``hubs``       ``HF_ENDPOINT``, ``SOVITS_MODELSCOPE``,    the hubs themselves; several mirrors with commas between them,
               ``SOVITS_GITHUB``                          tried in order
``svc_models`` ``SOVITS_SVC_MODELS``, then ``config.*``   ``models/so-vits-svc`` in the working folder
============== ========================================== ============================================

``config.toml``, ``config.yaml`` or ``config.json`` in ``home`` may name ``models``, ``voices`` and
``svc_models``.

What a library reads from the environment alone is settled here too: :func:`bound_kernel_cache`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from sovits.core.errors import OptionError

_CONFIG_NAMES = ("config.toml", "config.yaml", "config.yml", "config.json")
_CONFIG_KEYS = ("models", "voices", "svc_models")
_SVC_MODELS = Path("models/so-vits-svc")
_KERNEL_CACHE = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY")
#: A pass through the nets of a voice of official size takes about 160 kernels.
_KERNELS = 256
_MIRRORS = {"HF_ENDPOINT": "huggingface", "SOVITS_MODELSCOPE": "modelscope", "SOVITS_GITHUB": "github"}


@dataclass(frozen=True)
class Settings:
    """Folders of this installation.

    Attributes:
        home: where sovits keeps what it needs between runs.
        models: official weight files.
        voices: one folder per voice, found by ``--voice NAME``.
        offline: whether nothing may be fetched.
        hubs: mirrors of ``huggingface``, ``modelscope`` and ``github``; a hub that is not named is itself.
        svc_models: models of so-vits-svc by name, for ``so-vits-infer``.
    """

    home: Path
    models: Path
    voices: Path
    offline: bool = False
    hubs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    svc_models: Path = _SVC_MODELS

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> Settings:
        """Settle all values; no folder is made.

        Args:
            environ: the environment; that of the process if not given, in which :func:`bound_kernel_cache` then works.
            platform: as ``sys.platform``.

        Raises:
            OptionError: the configuration file in ``home`` cannot be parsed or holds an unknown key; or a mirror is no
                http or https address.
        """
        values = os.environ if environ is None else environ
        if environ is None:
            bound_kernel_cache(os.environ)
        home = _path(values.get("SOVITS_HOME")) or default_home(values, platform)
        stored = _stored(home)
        return cls(
            home,
            _path(values.get("SOVITS_MODELS")) or stored.get("models") or home / "models",
            _path(values.get("SOVITS_VOICES")) or stored.get("voices") or home / "voices",
            values.get("SOVITS_OFFLINE", "").strip().lower() not in ("", "0", "no", "off", "false"),
            _mirrors(values),
            _path(values.get("SOVITS_SVC_MODELS")) or stored.get("svc_models") or _SVC_MODELS,
        )


def bound_kernel_cache(environ: MutableMapping[str, str]) -> None:
    """Have oneDNN, which computes for torch on a CPU, keep fewer of the kernels it has made; a user's own number stays.

    It makes its kernels anew for every length of sound, about 160 of them for a voice, and keeps the last 1024 unless
    the environment says otherwise: hundreds of megabytes in a program that converts one recording after the other. It
    looks when the first net runs in a process; later calls change nothing there.
    """
    if not any(name in environ for name in _KERNEL_CACHE):
        environ[_KERNEL_CACHE[0]] = str(_KERNELS)


def default_home(environ: Mapping[str, str], platform: str) -> Path:
    """The platform's folder for application data: XDG, Application Support or local AppData."""
    user = Path.home()
    if platform == "win32":
        return (_path(environ.get("LOCALAPPDATA")) or user / "AppData" / "Local") / "sovits"
    if platform == "darwin":
        return user / "Library" / "Application Support" / "sovits"
    data = environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative values ignored.
    return (Path(data) if data.startswith("/") else user / ".local" / "share") / "sovits"


def _mirrors(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for variable, hub in _MIRRORS.items():
        addresses = tuple(word.strip().rstrip("/") for word in environ.get(variable, "").split(",") if word.strip())
        for address in addresses:
            if not address.startswith(("http://", "https://")):
                raise OptionError(
                    f"{variable} holds '{address}', which is no http or https address",
                    hint=f"for example {variable}=https://hf-mirror.com" if hub == "huggingface" else "",
                )
        if addresses:
            found[hub] = addresses
    return found


def _path(value: object) -> Path | None:
    return Path(str(value)).expanduser() if value else None


def _stored(home: Path) -> dict[str, Path]:
    """What the configuration file in ``home`` says; its relative paths count from ``home``."""
    file = next((home / name for name in _CONFIG_NAMES if (home / name).is_file()), None)
    if file is None:
        return {}
    from sovits.core.strict import read_mapping

    values = read_mapping(file)
    unknown = sorted(set(values) - set(_CONFIG_KEYS))
    if unknown:
        raise OptionError(f"{file}: unknown key '{unknown[0]}'", hint=f"known: {', '.join(_CONFIG_KEYS)}")
    found: dict[str, Path] = {}
    for name, value in values.items():
        path = _path(value) if isinstance(value, str) else None
        if path is None:
            raise OptionError(f"{file}: {name} must be the path of a folder, got {value!r}")
        found[name] = home / path
    return found
