"""README.md and the pages of docs/ are true: their settings are the settings, their layout is the layout, their
commands are the commands, and every link leads somewhere. So are .env.example and the Makefile's targets."""

import re
import shutil
import subprocess
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner

import ncaa_assets
from ncaa_assets.backends.aws import prices
from ncaa_assets.commands.main import main
from ncaa_assets.record.columns import COLUMNS
from ncaa_assets.runs.results import Result
from ncaa_assets.settings import Settings
from ncaa_assets_tests.loopback.lacking import Lacking

PROJECT = Path(ncaa_assets.__file__).parents[1]
DOCS = PROJECT / "docs"
README = (PROJECT / "README.md").read_text("utf-8")
CONTRIBUTING = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
EVERYTHING = "\n".join(page.read_text("utf-8") for page in PAGES)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def table_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its two head lines."""
    lines = iter(text[text.index(heading) :].splitlines())
    table = takewhile(lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith("|"), lines))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table][2:]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_setting_is_in_the_table_with_its_default() -> None:
    told: dict[str, str] = {}
    for names, defaults, _ in table_after(page("settings.md"), "# Settings"):
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


def test_the_first_env_has_the_defaults_and_begins_with_what_a_fan_sets() -> None:
    lines = re.findall(r"^#(\w+)=(.*)$", (PROJECT / ".env.example").read_text("utf-8"), re.MULTILINE)
    names = [name for name, _ in lines]
    assert names[:3] == ["RAPIDAPI_KEY", "VIDEO_COUNT", "VIDEO_PAGES"]
    assert names[-1] == "DAGSTER_HOME"  # no setting of ours: Dagster reads it
    defaults = {name.upper(): field.default for name, field in Settings.model_fields.items()}
    for name, value in lines[3:-1]:
        default = defaults[name]
        assert value == str(int(default) if isinstance(default, bool) else default), name
    Settings.model_validate({name.lower(): value for name, value in lines[1:-1]})


def test_the_layout_names_every_file_of_the_package() -> None:
    listing = page("code.md").split("```\n")[1]
    named: set[Path] = set()
    folders = [PROJECT / "ncaa_assets"]
    for line in listing.splitlines()[1:]:
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        path = folders[depth - 1] / name.rstrip("/")
        assert path.is_dir() if name.endswith("/") else path.is_file(), f"{name} is in the layout but not there"
        folders[depth:] = [path]
        named.add(path)
    for path in (PROJECT / "ncaa_assets").rglob("*"):
        if path.is_file() and path.name != "__init__.py" and "__pycache__" not in path.parts and path.name != ".env":
            assert path in named, f"{path} is not in the layout"


def test_the_columns_of_the_catalog_are_those_of_the_archives_format() -> None:
    told = " ".join(names for names, *_ in table_after(page("archive-format.md"), "## Rows"))
    of_record = {"title", "url", "type", "source"}
    assert {column.name for column in COLUMNS} == {*re.findall(r"`(\w+)`", told)} | of_record


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z]+)", EVERYTHING))))
def test_every_make_target_that_is_named_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (PROJECT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("DAY=2025-03-09", None),
        *((f"{name}=2025-03-09", "write DAY=2025-03-09 instead of ") for name in ("Day", "day", "DATE")),
        ("2025-03-09", "write DAY=2025-03-09 instead of 2025-03-09"),
        ("FROM=2025-03-01", "a range of days is .venv/bin/ncaa-assets backup --from "),
    ],
)
def test_make_takes_no_misspelt_day_for_yesterday(written: str, told: str | None) -> None:
    program = shutil.which("make")
    if program is None:
        raise Lacking("there is no make; on Debian: apt-get install make")
    shown = subprocess.run([program, "-n", "backup", written], cwd=PROJECT, capture_output=True, text=True, check=False)
    if told is None:
        assert 'backup --date "2025-03-09"' in shown.stdout
    else:
        assert (shown.returncode, shown.stdout) == (2, "")
        assert told in shown.stderr


def test_make_says_what_to_do_where_the_folder_was_moved(tmp_path: Path) -> None:
    if (program := shutil.which("make")) is None:
        raise Lacking("there is no make; on Debian: apt-get install make")
    shutil.copy(PROJECT / "Makefile", tmp_path)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "local.lock").touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    command = tmp_path / ".venv" / "bin" / "ncaa-assets"
    command.write_text("#!/nowhere/.venv/bin/python\n")
    command.chmod(0o755)
    (tmp_path / ".venv" / ".local-ready").touch()
    done = subprocess.run([program, "backup"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        "This folder was moved, or its Python is gone: run `rm -rf .venv`, then the same command again." in done.stderr
    )


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`[^`]*ncaa-assets ([a-z]+ --[a-z]+)", EVERYTHING))))
def test_every_option_that_is_named_exists(option: str) -> None:
    command, name = option.split()
    assert name in CliRunner().invoke(main, [command, "--help"]).output


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_table(command: str) -> None:
    told = " ".join(name for name, _ in table_after(page("operations.md"), "## Commands"))
    assert f"ncaa-assets {command}" in told


def test_what_it_costs_adds_up_to_what_was_promised() -> None:
    *parts, together = table_after(page("deployment.md"), "## What it costs")
    for column, most in ((1, 45), (2, 5)):
        assert float(together[column]) == pytest.approx(sum(float(row[column]) for row in parts))
        assert float(together[column]) < most


def test_the_prices_are_those_of_the_forecast() -> None:
    text = page("deployment.md")
    told = {what: price for what, price, _ in table_after(text, "What is stored and encoded comes on top")}
    writes, reads = prices.THOUSAND_WRITES, prices.THOUSAND_READS
    assert told["copies and encodes in S3"] == f"{prices.STORED_GIGABYTE} a GB"
    assert told["requests to S3"] == f"{writes} a thousand writes, {reads} a thousand reads"
    assert told["writes to DynamoDB"] == f"{prices.MILLION_ROW_UNITS} a million units"
    assert told["encodes by MediaConvert"].startswith(f"about {prices.ENCODED_MINUTE} a minute of HD")
    assert f"list prices of {prices.MONTH}" in text


@pytest.mark.parametrize("name", sorted(set(re.findall(r"terraform output -raw (\w+)", EVERYTHING))))
def test_every_output_of_terraform_that_is_named_exists(name: str) -> None:
    assert f'output "{name}"' in (PROJECT / "terraform" / "outputs.tf").read_text("utf-8")


def test_the_pictures_are_there_and_load_fast() -> None:
    """The bytes of a picture's kind, and a size that a phone loads in a moment."""
    begins = {".png": b"\x89PNG", ".webp": b"RIFF", ".gif": b"GIF8"}
    there = {path for path in DOCS.iterdir() if path.suffix in begins}
    reference = r'!\[[^]]*\]\(([^)]*)\)|<img src="([^"]*)"'
    shown = {
        page.parent / (name or tag) for page in PAGES for name, tag in re.findall(reference, page.read_text("utf-8"))
    }
    assert {path.resolve() for path in shown} == there
    for path in there:
        assert path.read_bytes().startswith(begins[path.suffix]), path.name
        assert path.stat().st_size < (300_000 if path.suffix == ".png" else 1_500_000), (
            f"{path.name} takes long to load"
        )


def test_the_readme_is_taken_in_at_once() -> None:
    assert len(README.splitlines()) <= 150
    assert len(re.sub(r"```mermaid.*?```|\]\([^)]*\)", "", README, flags=re.DOTALL).split()) <= 1200


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_between_the_pages_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\[[^]]*\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = path if not name else path.parent / name
        assert there.exists(), f"{path.name} links to {name}"
        if anchor:
            assert anchor in anchors(there.read_text("utf-8")), f"{path.name} links to {target}"


def test_the_readme_leads_to_every_page() -> None:
    linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", README)}
    assert {f"docs/{found.name}" for found in DOCS.glob("*.md")} | {
        page.name for page in PROJECT.glob("*.md") if page.name != "README.md"
    } <= linked


def test_every_page_that_a_message_names_exists() -> None:
    named: set[str] = set()
    for folder, ending in (("ncaa_assets", "*.py"), ("terraform", "*.tf*"), (".", "Dockerfile"), (".", ".env.example")):
        for path in (PROJECT / folder).rglob(ending) if folder != "." else [PROJECT / ending]:
            named |= set(re.findall(r"docs/[a-z-]+\.md", path.read_text("utf-8")))
    assert named, "the search finds the pointers"
    assert {name for name in named if not (PROJECT / name).exists()} == set()


def test_the_workflow_runs_every_python_that_the_package_admits() -> None:
    admitted = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (PROJECT / "pyproject.toml").read_text("utf-8"))
    assert admitted is not None
    workflow = (PROJECT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    tested = re.findall(r'"3\.(\d+)"', workflow)
    assert [int(minor) for minor in tested] == list(range(int(admitted[1]), int(admitted[2])))


def test_every_way_that_a_day_can_come_out_is_in_the_glossary() -> None:
    words = [word for word, _ in table_after(CONTRIBUTING, "How a day can come out")]
    assert words == [result.value for result in Result]


def test_the_glossary_names_each_word_once() -> None:
    words = [word for word, _ in table_after(CONTRIBUTING, "## Words")]
    assert len(words) == len(set(words))
    assert {"record", "highlight", "day", "lease", "manifest", "outcome"} <= set(words)
