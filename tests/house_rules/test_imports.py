"""`import sovits` is light, every module imports on its own, and public names resolve."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import sovits
from tests.house_rules.test_one_home import NEURAL, PACKAGE

HEAVY = ("torch", "scipy", "matplotlib", "onnxruntime", "av", "soundfile", "faiss", "pydantic", "typer")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import sovits") & set(HEAVY)


def test_public_names_resolve():
    for name in sovits.__all__:
        assert getattr(sovits, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sovits.nonsense  # noqa: B018


def test_every_module_imports_without_torch():
    """The plain install has no torch: every module but the nets must import without it."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        here = path.relative_to(PACKAGE).as_posix()
        if here.startswith(NEURAL) or path.name == "__main__.py":
            continue
        names.append("sovits." + here.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    code = (
        "import importlib, sys\n"
        "sys.modules['torch'] = None\n"
        f"for name in {names!r}:\n    importlib.import_module(name)\n"
        "print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "fine", done.stderr[-2000:]
    assert len(names) > 20
