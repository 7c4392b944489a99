"""No path leads around the places where outside texts are made safe: to a terminal, a log or a page of the UI."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ncaa_assets

PACKAGE = Path(ncaa_assets.__file__).parent
ROOT = PACKAGE.parent

# One way around each place, as somebody might write it in a hurry.
WAYS_AROUND = {
    "print(title)": "T201",
    "import click\nclick.echo(title)": "TID251",
    "import click\nclick.secho(title, fg='red')": "TID251",
    "from click import echo\necho(title)": "TID251",
    "import click\nclick.confirm(title)": "TID251",
    "import sys\nsys.stdout.write(title)": "TID251",
    "import sys\nsys.stderr.write(title)": "TID251",
    "from rich import print as show\nshow(title)": "TID251",
    "import dagster as dg\ndg.MetadataValue.md(title)": "TID251",
    "import dagster as dg\ndg.MetadataValue.url(title)": "TID251",
    "from dagster import MetadataValue\nMetadataValue.text(title)": "TID251",
    "import dagster as dg\ndg.MarkdownMetadataValue(title)": "TID251",
}


@pytest.mark.parametrize("code", WAYS_AROUND)
@pytest.mark.parametrize("room", ["commands", "defs/assets", "runs", "day"])
def test_lint_refuses_every_other_way_to_print_and_to_make_metadata(code: str, room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", f"ncaa_assets/{room}/new.py", "-"],
        input=f'"""A module."""\n\n{code}\n', cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert WAYS_AROUND[code] in done.stdout


def calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """The calls in the package of what goes by one of these names."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and name_of(node.func) in names:
                yield path, node


def name_of(called: ast.expr) -> str:
    while isinstance(called, ast.Subscript):
        called = called.value
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def test_all_that_dagsters_pages_show_of_a_run_passes_metadata_py() -> None:
    """What Dagster shows of an event: its metadata, and a check's description, which is rendered as Markdown."""
    seen = 0
    for path, call in calls(
        "MaterializeResult", "AssetCheckResult", "AssetMaterialization", "AssetObservation", "ObserveResult", "Output"
    ):
        for keyword in call.keywords:
            if keyword.arg in ("metadata", "description"):
                assert isinstance(keyword.value, ast.Call), f"{path}:{call.lineno}"
                maker = name_of(keyword.value.func)
                assert maker == ("shown" if keyword.arg == "metadata" else "escaped"), f"{path}:{call.lineno}"
                seen += 1
    assert seen == 5, "an asset's metadata, and those of two kinds of checks, with their descriptions"
    for path, call in calls("add_output_metadata", "add_asset_metadata", "add_metadata", "log_event"):
        (given,) = call.args
        assert isinstance(given, ast.Call), f"{path}:{call.lineno}"
        assert name_of(given.func) == "shown", f"{path}:{call.lineno}"


# What a message of ours may begin with besides its own words: days, counts, and names that are in quotes where they
# could be anything (`text.called`).
_BEGINNINGS = {
    "day", "kind.key(self.day)", "run.tags[PARTITION_TAG]", "self._held.day", "name", "work.name",
    "called(request.video.id)",
    "highlight.label",
    "task.label", "candidate.highlight.label", "plural(len(intents), 'job')", "what",
}  # fmt: skip


def test_no_message_begins_with_an_outside_text() -> None:
    for path, call in calls("debug", "info", "warning", "error", "exception", "critical"):
        if not isinstance(call.func, ast.Attribute) or ast.unparse(call.func.value) not in ("log", "context.log"):
            continue
        message = call.args[0]
        if isinstance(message, ast.Constant) and str(message.value).startswith("%"):
            assert ast.unparse(call.args[1]) in _BEGINNINGS, f"{path}:{call.lineno}"
        elif not isinstance(message, ast.Constant):
            assert path.name == "server.py", f"{path}:{call.lineno}"


def test_markdown_is_made_in_one_module() -> None:
    assert {path.name for path, _ in calls("Markdown")} == {"metadata.py"}
