"""The commands that sentences of ours name: that they work where they are printed, and that one file words them."""

import ast
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ncaa_assets
from ncaa_assets import advice
from ncaa_assets.commands.main import main

PACKAGE = Path(ncaa_assets.__file__).parent
CLONE = PACKAGE.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
COMMANDS = "|".join(main.commands)
# What only advice.py words. `ncaa-assets` before anything else is the program's name, as in "a newer ncaa-assets".
WORDED = re.compile(rf"ncaa-assets ({COMMANDS})\b|\bpip install|\bmake (-|install|ui|backup|clean|watch)|ncaa-assets\[")


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def _docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings and that no person reads, as they read those of assets and commands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            is_read = any(re.search(r"asset|command|schedule|sensor|job", ast.unparse(one)) for one in
                          getattr(node, "decorator_list", ()))  # fmt: skip
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and not is_read:
                found.add(id(first.value))
    return found


def _worded_elsewhere() -> Iterator[str]:
    for path, tree in _modules():
        if path.name == "advice.py" and path.parent == PACKAGE:
            continue
        docstrings = _docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                # What doctor leaves in a bucket may be read years later, anywhere.
                text = node.value.replace('"probe": "of ncaa-assets doctor; may be deleted"', "")
                if WORDED.search(text):
                    yield f"{path.relative_to(CLONE)}:{node.lineno}: {text[:100]}"


def _advised() -> Iterator[tuple[str, list[str]]]:
    """Each command that the source advises: where, and its words, a value known only at run time as a day."""
    for path, tree in _modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("advice.command", "advice.target"):
                continue
            if isinstance(node.args[0], ast.Constant):
                words = [
                    word.value if isinstance(word, ast.Constant) else "2025-03-09"
                    for word in node.args
                    if not isinstance(word, ast.Starred)
                ]
                more = [
                    one.value for word in node.args if isinstance(word, ast.Starred)
                    for one in ast.walk(word) if isinstance(one, ast.Constant) and one.value
                ]  # fmt: skip
                yield f"{path.relative_to(CLONE)}:{node.lineno}", [str(word) for word in (*words, *more)]


ADVISED = dict(_advised())


def test_no_other_file_words_a_command_for_people() -> None:
    assert list(_worded_elsewhere()) == []


@pytest.mark.parametrize("words", [pytest.param(words, id=where) for where, words in ADVISED.items()])
def test_what_is_advised_is_a_command_with_options_that_it_takes(words: list[str]) -> None:
    name, *arguments = words
    command = main.commands[name]
    with click.Context(command, info_name=name) as context:
        command.make_parser(context).parse_args(list(arguments))  # refuses what the command does not know


def test_many_sentences_are_looked_at() -> None:
    assert len(ADVISED) > 20


def _advice(expression: str, *, python: Path | str = sys.executable, cwd: Path, **environment: str) -> str:
    """What `advice` says in a process of its own."""
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != SCRIPTS)
    environment = {"PATH": path, "HOME": str(cwd), **environment}
    code = f"from ncaa_assets import advice; print(advice.{expression})"
    return subprocess.run(
        [str(python), "-c", code], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_in_a_clone_the_path_is_named_and_runs(tmp_path: Path) -> None:
    said = _advice("command('doctor', '--help')", cwd=SCRIPTS.parents[1])
    assert said == f"{SCRIPTS.relative_to(SCRIPTS.parents[1])}/ncaa-assets doctor --help"
    elsewhere = _advice("command('doctor', '--help')", cwd=tmp_path)
    assert elsewhere == f"{SCRIPTS}/ncaa-assets doctor --help"
    environment = {**os.environ, "PATH": os.defpath}
    for line, cwd in ((said, SCRIPTS.parents[1]), (elsewhere, tmp_path)):
        shown = subprocess.check_output(["bash", "-c", line], cwd=cwd, env=environment, text=True)
        assert shown.startswith(f"Usage: {line.removesuffix(' --help')} [OPTIONS]")


def test_where_it_is_on_path_its_name_is_enough(tmp_path: Path) -> None:
    assert _advice("command('ui')", cwd=tmp_path, PATH=f"{SCRIPTS}:/usr/bin:/bin") == "ncaa-assets ui"
    another = tmp_path / "ncaa-assets"
    another.write_text("#!/bin/sh\nexit 3\n")
    another.chmod(0o755)
    assert _advice("command('ui')", cwd=tmp_path, PATH=f"{tmp_path}:/usr/bin:/bin") == f"{SCRIPTS}/ncaa-assets ui"
    assert _advice("command('ui')", cwd=SCRIPTS) == "./ncaa-assets ui"


def test_in_the_image_its_name_is_enough_and_nothing_can_be_installed(tmp_path: Path) -> None:
    assert _advice("command('verify')", cwd=tmp_path, NCAA_ASSETS_IMAGE="1") == "ncaa-assets verify"
    assert "outside the image" in _advice("to_install('pages')", cwd=tmp_path, NCAA_ASSETS_IMAGE="1")


def test_what_strangers_wrote_is_quoted() -> None:
    assert shlex.split(advice.command("forget", "--date", "2025-03-09", "--", "-a; rm -rf $HOME"))[-1] == (
        "-a; rm -rf $HOME"
    )


@pytest.mark.parametrize("extra", ["local", "aws", "s3", "pages", "analysis"])
def test_in_a_clone_make_installs_an_extra(extra: str, tmp_path: Path) -> None:
    if not (CLONE / ".venv").exists() or not (CLONE / ".venv").samefile(sys.prefix):
        pytest.skip("the tests run in another environment than the clone's")
    at_home, elsewhere = (_advice(f"to_install('{extra}')", cwd=cwd) for cwd in (CLONE, tmp_path))
    assert at_home == ("run `make clean install`" if extra == "local" else f"run `make install EXTRAS={extra}`")
    assert elsewhere == at_home.replace("make ", f"make -C {CLONE} ")
    assert extra == "local" or (CLONE / "requirements" / f"{extra}.lock").exists()
    assert _advice("target('ui')", cwd=CLONE) == "make ui"
    line = elsewhere.split("`")[1]  # `-n -W`: what it would do if that had changed
    assert "requirements/" in subprocess.check_output(["bash", "-c", f"{line} -n -W pyproject.toml"], text=True)


@pytest.mark.parametrize("has_pip", [True, False])
def test_of_an_installed_wheel_the_extras_packages_are_named_for_its_python(tmp_path: Path, *, has_pip: bool) -> None:
    """Never `ncaa-assets[pages]`, a name on no index, which anybody could take."""
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    if has_pip:
        (packages / "pip").mkdir()
    (packages / "ncaa_assets").mkdir()
    for name in ("__init__.py", "advice.py"):
        (packages / "ncaa_assets" / name).write_bytes((PACKAGE / name).read_bytes())
    information = packages / "ncaa_assets-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.3\nName: ncaa-assets\nVersion: 0.1.0\n"
        "Requires-Dist: click>=8.1,<9\n"
        'Requires-Dist: yt-dlp[default,deno]>=2026.2.4 ; extra == "pages"\n'
        'Requires-Dist: boto3>=1.40,<2 ; extra == "s3"\n'
    )
    python = environment / "bin" / "python"
    said = _advice("to_install('pages')", python=python, cwd=tmp_path)
    how = "environment/bin/python -m pip install" if has_pip else "uv pip install --python environment/bin/python"
    assert said == f"run `{how} 'yt-dlp[default,deno]>=2026.2.4'`"
    assert _advice("to_reinstall()", python=python, cwd=tmp_path) == "install ncaa-assets again"
