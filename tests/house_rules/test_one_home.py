"""House rules that an import checker cannot express: one allowed home for each risky thing, seen in the syntax tree."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "sovits"

#: Where torch may be imported at the top: the files that define nets, and what cannot do without them.
NEURAL = (
    "nets/",
    "export/graphs.py",
    "features/content/",
    "features/mel.py",
    "features/pitch/neural.py",
    "features/pitch/rmvpe.py",
    "features/pitch/fcpe.py",
    "features/pitch/crepe.py",
)

#: dotted call or name -> files (relative to the package) that may use it
HOMES: dict[str, frozenset[str]] = {
    "eval": frozenset(),
    "exec": frozenset(),
    "compile": frozenset(),
    "__import__": frozenset(),
    "os.system": frozenset(),
    "os.popen": frozenset(),
    "pickle.load": frozenset(),
    "pickle.loads": frozenset(),
    "yaml.load": frozenset(),
    "torch.load": frozenset(),
    "torch.manual_seed": frozenset(),
    "np.random.seed": frozenset(),
    "random.random": frozenset(),
    "random.seed": frozenset(),
    "torch.rand": frozenset(),
    "torch.randn": frozenset(),
    "torch.randn_like": frozenset({"export/graphs.py"}),  # a random node of the exported graph
    "torch.rand_like": frozenset(),
    "sys.path": frozenset(),
    "os.environ": frozenset({"settings.py"}),
    "os.getenv": frozenset({"settings.py"}),
    "np.random.default_rng": frozenset(),
    "np.random.Generator": frozenset({"core/rng.py"}),
}

#: third-party module -> folders or files that may import it
IMPORTS: dict[str, tuple[str, ...]] = {
    "pickle": ("core/checkpoint/",),
    "soundfile": ("audio/",),
    "av": ("audio/",),
    "soxr": ("audio/",),
    "pyloudnorm": (),
    "pyworld": ("features/pitch/world.py", "engines/"),
    "swift_f0": ("features/pitch/swift.py",),
    "faiss": (),
    "matplotlib": ("pipelines/pictures.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield dotted(node), node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_risky_names_have_one_home(path):
    here = path.relative_to(PACKAGE).as_posix()
    strays = [
        f"{here}:{line} {name}"
        for name, line in uses(tree_of(path))
        if name.replace("numpy.", "np.") in HOMES and here not in HOMES[name.replace("numpy.", "np.")]
    ]
    strays += [
        f"{here}:{line} import {name}"
        for name, line in imports(tree_of(path))
        if name in IMPORTS and not here.startswith(IMPORTS[name])
    ]
    assert not strays


def keywords(tree: ast.Module) -> Iterator[tuple[str, object, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg and isinstance(keyword.value, ast.Constant):
                    yield keyword.arg, keyword.value.value, node.lineno


def test_no_shell_and_no_pickled_arrays():
    strays = [
        f"{path.relative_to(PACKAGE)}:{line} {name}=True"
        for path in modules()
        for name, value, line in keywords(tree_of(path))
        if name in ("shell", "allow_pickle") and value is True
    ]
    assert not strays


def test_torch_is_never_needed_to_import_what_works_without_it():
    """Only files that define nets may import torch at the top; all others do so inside functions."""
    strays = []
    for path in modules():
        here = path.relative_to(PACKAGE).as_posix()
        if here.startswith(NEURAL):
            continue
        for node in tree_of(path).body:
            if isinstance(node, ast.Import | ast.ImportFrom) and any(
                name == "torch" for name, _ in imports(ast.Module([node], []))
            ):
                strays.append(f"{here}:{node.lineno}")
    assert not strays


def test_the_rule_finds_a_planted_stray():
    planted = ast.parse("import os\nos.environ['A']\neval('1')\nf(shell=True)\n")
    found = {name for name, _ in uses(planted)}
    assert {"os.environ", "eval"} <= found
    assert ("shell", True, 4) in set(keywords(planted))
