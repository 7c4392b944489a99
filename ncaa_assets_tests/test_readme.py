"""The README is true: its settings are the settings, its layout is the layout, its commands are the commands."""

import re
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner

import ncaa_assets
from ncaa_assets.commands.main import main
from ncaa_assets.settings import Settings

PROJECT = Path(ncaa_assets.__file__).parents[1]
README = (PROJECT / "README.md").read_text("utf-8")


def table_after(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its two head lines."""
    lines = iter(README[README.index(heading) :].splitlines())
    table = takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), lines))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table][2:]


def test_every_setting_is_in_the_table_with_its_default() -> None:
    told: dict[str, str] = {}
    for names, defaults, _ in table_after("## Settings"):
        every = re.findall(r"`([A-Z_0-9]+)`", names)
        values = defaults.split(", ") if len(every) > 1 else [defaults]
        told |= dict(zip(every, values, strict=True))
    for name, field in Settings.model_fields.items():
        shown = told[name.upper()].strip("`")
        if field.default in (None, ""):
            assert shown == "none" or not shown.isupper(), name
        elif isinstance(field.default, bool):
            assert shown == str(int(field.default)), name
        elif isinstance(field.default, float):
            assert float(shown) == field.default, name
        else:
            assert shown == str(field.default), name


def test_the_layout_names_every_file_of_the_package() -> None:
    layout = README[README.index("## The layout of the code") :]
    for path in (PROJECT / "ncaa_assets").iterdir():
        if path.name in ("__init__.py", "__pycache__"):
            continue
        name = path.name if path.is_file() else f"{path.name}/"
        assert re.search(rf"^  {re.escape(name)} ", layout, re.MULTILINE), f"{name} is not in the layout"
    for name in re.findall(r"^  ([a-z_]+\.py|[a-z_]+/) ", layout, re.MULTILINE):
        assert (PROJECT / "ncaa_assets" / name).exists(), f"{name} is in the layout but not there"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z]+)", README))))
def test_every_make_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`[^`]*ncaa-assets ([a-z]+ --[a-z]+)", README))))
def test_every_option_that_is_named_exists(option: str) -> None:
    command, name = option.split()
    assert name in CliRunner().invoke(main, [command, "--help"]).output


def test_what_it_costs_adds_up_to_what_was_promised() -> None:
    *parts, together = table_after("**What it costs.**")
    for column, most in ((1, 45), (2, 5)):
        assert float(together[column]) == pytest.approx(sum(float(row[column]) for row in parts))
        assert float(together[column]) < most


@pytest.mark.parametrize("name", sorted(set(re.findall(r"terraform output -raw (\w+)", README))))
def test_every_output_of_terraform_that_is_named_exists(name: str) -> None:
    assert f'output "{name}"' in (PROJECT / "terraform" / "outputs.tf").read_text("utf-8")


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", README)
    assert sorted(pictures) == sorted(f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.png"))
    for name in pictures:
        picture = (PROJECT / name).read_bytes()
        assert picture.startswith(b"\x89PNG"), name
        assert len(picture) < 150_000, f"{name} takes long to load"
