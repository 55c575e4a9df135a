"""The catalogue of official model files: what each is called, where it lies, and what is known about it.

``catalog.csv`` beside this module is data. A field that is empty there is unknown, and stays so: no size, hash or
licence is made up. A label of a repository is not a licence of each weight in it.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import PurePosixPath
from urllib.parse import quote

from sovits.core.errors import OptionError

#: Where hubs answer. Each may be replaced by mirrors, tried in order.
HUBS: Mapping[str, tuple[str, ...]] = {
    "huggingface": ("https://huggingface.co",),
    "modelscope": ("https://modelscope.cn",),
    "github": ("https://github.com",),
}
#: Files that so-vits-svc takes out of a package; with us they lie in the models folder.
_PLACES = {"crepe-full": "pretrain/crepe/full.pth", "crepe-tiny": "pretrain/crepe/tiny.pth"}
#: What :mod:`sovits.zoo.weights` calls a file, where the catalogue calls it otherwise: errors name the former.
ALIASES = {
    "crepe": "crepe-full",
    "wavlm-base-plus": "wavlmbase+",
    "nsf-hifigan": "nsf-hifigan-44k-model",
    **{f"{name}-onnx": f"onnx-{name}" for name in ("vec256l9", "vec256l12", "vec768l9", "vec768l12", "hubertsoft")},
}
#: A place that can be taken as it is: relative, without remarks in brackets.
_PLAIN_PLACE = re.compile(r"(?!/)[^()\\:]+[^()\\:/]")


@dataclass(frozen=True)
class CatalogFile:
    """One file of the catalogue; empty texts and ``None`` mean that it is not known.

    Attributes:
        name: what ``sovits models pull`` calls it.
        needed_for: what needs it, in words.
        file_name: its official name.
        local_path: where the original project looks for it.
        hub, repo, path, revision: the address, see :meth:`addresses`.
        bytes, sha256, md5: of the file.
        licence, source, note: as collected; ``source`` says who stated what.
    """

    name: str
    needed_for: str
    file_name: str
    local_path: str
    hub: str
    repo: str
    path: str
    revision: str
    bytes: int | None
    sha256: str
    md5: str
    licence: str
    source: str
    note: str

    @property
    def member(self) -> str:
        """Its path inside an archive, if that is what is downloaded; else empty."""
        return "" if "://" in self.path else self.path.partition("#")[2]

    @property
    def archive(self) -> tuple[str, str, str, str]:
        """What is downloaded: hub, repository, path and revision, equal for members of one archive."""
        path = self.path if "://" in self.path else self.path.partition("#")[0]
        return self.hub, self.repo, path, self.revision

    @property
    def place(self) -> str:
        """Where it goes below the models folder: where so-vits-svc and GPT-SoVITS look, if that is one clear place."""
        if self.name in _PLACES:
            return _PLACES[self.name]
        path = self.local_path.partition(" (")[0]
        if not _PLAIN_PLACE.fullmatch(path) or ".." in path or path.startswith((".", "logs/")):
            # `logs/44k/G_0.pth` is the place of every base model: each gets a folder of its own.
            folder = "base" if self.local_path.startswith("logs/") else "other"
            return f"{folder}/{self.name}/{self.file_name}"
        if self.file_name.endswith(".zip") and not path.endswith(".zip"):
            # The place is that of what is inside.
            return str(PurePosixPath(path).with_name(self.file_name))
        return path

    def addresses(self, hubs: Mapping[str, tuple[str, ...]] = HUBS) -> list[str]:
        """URLs of what is downloaded (the archive, for a member), mirrors in order; empty if none is known."""
        hub, repo, path, revision = self.archive
        if not path or path.endswith("/"):
            return []
        if "://" in path:
            return [quote(path, safe="%/:=&?~+!$,;'@()*[]#")]
        # In a path of a hub '=' has to be %3D.
        file = quote(path, safe="/")
        if hub == "huggingface":
            tail = f"{repo}/resolve/{revision or 'main'}/{file}"
        elif hub == "modelscope":
            tail = f"models/{repo}/resolve/{revision or 'master'}/{file}"
        elif hub == "github-release":
            tail = f"{repo}/releases/download/{file}"
        else:
            tail = f"{repo}/raw/{revision or 'HEAD'}/{file}"
        bases = hubs.get(hub if hub in HUBS else "github") or HUBS["github"]
        return [f"{base.rstrip('/')}/{tail}" for base in bases]

    @property
    def page(self) -> str:
        """A page where a person may look for it."""
        hosts = {"huggingface": "https://huggingface.co/", "modelscope": "https://modelscope.cn/models/"}
        return f"{hosts.get(self.hub, 'https://github.com/')}{self.repo}" if self.repo else self.path

    def facts(self) -> str:
        """File name, size and hash, as far as they are known."""
        known = [f"{self.bytes} bytes"] if self.bytes else []
        known += [f"SHA-256 {self.sha256}"] if self.sha256 else []
        return self.file_name + (f" ({', '.join(known)})" if known else "")


@dataclass(frozen=True)
class Catalog:
    """All files by name."""

    files: Mapping[str, CatalogFile] = field(default_factory=dict)

    def find(self, name: str) -> CatalogFile:
        """The file called ``name``, or known by that name to the nets.

        Raises:
            OptionError: no such name; says which are alike, or which are needed for something of that name.
        """
        found = self.files.get(name) or self.files.get(ALIASES.get(name, ""))
        if found is not None:
            return found
        needed = [file.name for file in self.search(name)] if name else []
        alike = needed or difflib.get_close_matches(name, self.files, n=4)
        hint = f"did you mean: {', '.join(alike[:5])}? all names: sovits models list"
        raise OptionError(
            f"no official file is called '{name}'", hint=hint if alike else "all names: sovits models list"
        )

    def search(self, words: str) -> list[CatalogFile]:
        """The files whose purpose or name contains ``words``, whatever the case."""
        wanted = words.casefold()
        return [
            file
            for file in self.files.values()
            if wanted in file.needed_for.casefold() or wanted in file.name.casefold()
        ]

    def members_of(self, file: CatalogFile) -> list[CatalogFile]:
        """All files that come out of the archive of ``file``, itself among them."""
        return [other for other in self.files.values() if other.member and other.archive == file.archive]

    def archive_of(self, file: CatalogFile) -> CatalogFile | None:
        """The entry of the archive that holds ``file``: size and hash of the download, if the catalogue has it."""
        same = (other for other in self.files.values() if not other.member and other.archive == file.archive)
        return next(same, None)

    def addresses(self, file: CatalogFile, hubs: Mapping[str, tuple[str, ...]] = HUBS) -> list[str]:
        """Where to fetch a file: its own addresses, then those of entries with the same SHA-256; empty if none is known."""
        found = file.addresses(hubs)
        if file.sha256 and not file.member:
            for other in self.files.values():
                if other.sha256 == file.sha256 and not other.member:
                    found += [address for address in other.addresses(hubs) if address not in found]
        return found

    def by_hand(self, file: CatalogFile, place: object, hubs: Mapping[str, tuple[str, ...]] = HUBS) -> str:
        """What a person does to get a file to ``place``."""
        addresses = self.addresses(file, hubs)
        steps = f"fetch {addresses[0]}" if addresses else f"look for {file.file_name} at {file.page}"
        if file.member:
            steps += f", take '{file.member}' out of it"
        return f"{steps} and put it at {place}"


def load(text: str) -> Catalog:
    """A catalogue from the text of a CSV file with the columns of ``catalog.csv``."""
    files = {}
    for row in csv.DictReader(text.splitlines()):
        size = row["bytes"]
        files[row["name"]] = CatalogFile(
            name=row["name"],
            needed_for=row["for"],
            file_name=row["file_name"],
            local_path=row["local_path"],
            hub=row["hub"],
            repo=row["repo"],
            path=row["path"],
            revision=row["revision"],
            bytes=int(size) if size else None,
            sha256=row["sha256"].lower(),
            md5=row["md5"].lower(),
            licence=row["licence"],
            source=row["source"],
            note=row["note"],
        )
    return Catalog(files)


@lru_cache(maxsize=1)
def official() -> Catalog:
    """The catalogue that comes with sovits."""
    return load(resources.files("sovits.zoo").joinpath("catalog.csv").read_text(encoding="utf-8"))
