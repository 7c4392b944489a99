"""Programs that stand in strings and in the documentation: each import of ours in them must resolve.

Neither mypy nor ruff reads those, and many of them run only in slow tests, in `make bench` or in a reader's hands.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
CODE = sorted(path for folder in ("ncaa_assets", "ncaa_assets_tests", "bench", "rehearsal", "docs")
              for path in (PROJECT / folder).rglob("*.py"))  # fmt: skip
PROSE = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"), PROJECT / "Dockerfile", PROJECT / "Makefile"])
IMPORT = re.compile(r"\bfrom ((?:ncaa_assets|ncaa_assets_tests|bench|rehearsal)(?:\.\w+)*) import (\([^)]*\)|[\w, ]+)")


def texts(path: Path) -> Iterator[str]:
    if path.suffix != ".py":
        yield path.read_text("utf-8")
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def imports(path: Path) -> Iterator[tuple[str, str]]:
    for text in texts(path):
        for module, names in IMPORT.findall(text):
            for name in names.strip("()").split(","):
                if name.strip():
                    yield module, name.split()[0]


def resolves(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(
    "path", [path for path in [*CODE, *PROSE] if path.exists() and any(imports(path))],
    ids=lambda path: path.relative_to(PROJECT).as_posix(),
)  # fmt: skip
def test_each_import_of_ours_in_a_text_resolves(path: Path) -> None:
    assert [f"from {module} import {name}" for module, name in imports(path) if not resolves(module, name)] == []


@pytest.mark.parametrize(
    ("module", "name", "is_there"),
    [("ncaa_assets.child", "run", True), ("ncaa_assets.video", "pages", True), ("ncaa_assets.child", "ran", False),
     ("ncaa_assets.child", "run.x", False), ("ncaa_assets.no_such", "run", False)],
)  # fmt: skip
def test_what_is_not_there_does_not_resolve(module: str, name: str, is_there: bool) -> None:
    assert resolves(module, name) is is_there
