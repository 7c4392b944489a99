"""The shell blocks of the documents can be pasted as they are into bash and into zsh, the default of macOS: they have
no comments, which zsh runs, no patterns, which it refuses, and no program of the venv as if it were on PATH."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets_tests.loopback.lacking import Lacking

PROJECT = Path(ncaa_assets.__file__).parents[1]
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(re.sub(r"^ {1,4}", "", block, flags=re.MULTILINE) if indent else block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (indent, block) in enumerate(
        re.findall(r"^( *)```(?:sh|bash|shell|zsh|console)\n(.*?)^ *```", page.read_text("utf-8"), re.M | re.S), 1
    )
]
OF_THE_VENV = {"ncaa-assets", "dagster", "dg", "pip", "python", "pytest", "ruff", "mypy", "yt-dlp"}


def unquoted(script: str) -> str:
    """The script with `_` for each character that a quote or a backslash keeps from the shell."""
    kept: list[str] = []
    inside: list[str] = [""]  # what closes the quotes and `$(` that are open here
    for part in re.findall(r"\\.|\$\(|.", script, re.DOTALL):
        hidden = False
        if part == inside[-1] != "":
            inside.pop()
        elif inside[-1] == "'":
            hidden = True
        elif part == "$(":
            inside.append(")")
        elif part == '"' or (part == "'" and inside[-1] != '"'):
            inside.append(part)
        else:
            hidden = part.startswith("\\") or (inside[-1] == '"' and part != "\n")
        kept.append("_" * len(part) if hidden else part)
    return "".join(kept)


def commands(script: str) -> list[str]:
    """The first word of each command."""
    joined = script.replace("\\\n", " ")
    words = [part.split() for part in re.split(r"\n|&&|\|\|?|;|\$\(", unquoted(joined))]
    assigned = re.compile(r"\w+=")
    return [next((word for word in part if not assigned.match(word)), "") for part in words]


def test_what_a_quote_keeps_from_the_shell_is_told_from_what_it_does_not() -> None:
    assert unquoted("""a 'b#' "c[$(d '[' e)]" f\\#[""") == """a '__' "__$(d '_' e)_" f__["""
    assert commands("A=1 make x && .venv/bin/y | z\n") == ["make", ".venv/bin/y", "z", ""]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_holds_nothing_that_one_shell_reads_otherwise(block: str) -> None:
    seen = unquoted(block.replace("\\\n", " "))
    assert not re.search(r"(^|\s)#", seen), "a comment, which zsh runs"
    assert not re.search(r"[\[\]?*]", seen), "a pattern, which zsh refuses where it matches nothing"
    assert "…" not in seen, "something to fill in, which is no command"
    assert not re.search(r"(^|\s)=\w|<\w+>", seen)
    assert "!" not in block.replace("'!'", ""), "the history of an interactive shell"
    assert not OF_THE_VENV & set(commands(block)), "a program of the venv, as if it were on PATH"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_both_shells_can_read_every_block(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        raise Lacking(f"there is no {shell}; on Debian: apt-get install {shell}")
    for number, block in enumerate(BLOCKS):
        (tmp_path / str(number)).write_text(block.values[0], "utf-8")  # type: ignore[arg-type]
        read = subprocess.run([program, "-n", str(tmp_path / str(number))], capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, ""), block.id
