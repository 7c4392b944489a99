"""`ncaa-assets doctor`: says whether a backup would work here and now, and what to do where it would not.

The report is one screen, with a line for each thing that is examined. The command makes one request of the API, and one
more where another module may list what the archive's does not. It creates nothing but, on aws and s3, a probe object
that it removes. A problem with one thing never hides the next."""

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import yaml

from ncaa_assets import __version__, advice, child
from ncaa_assets.archive import reconcile
from ncaa_assets.archive.archive import Archive
from ncaa_assets.archive.month import DAYS, Month, last_month
from ncaa_assets.archive.row_view import RowView
from ncaa_assets.backends.aws import prices
from ncaa_assets.backends.deployments import encode_bounds, read_secret
from ncaa_assets.checkup import Line, Mark
from ncaa_assets.commands import ending
from ncaa_assets.commands.say import say
from ncaa_assets.failures import (
    EncodeFailed,
    ObjectMissing,
    SettingsError,
    SourceDenied,
    SourceError,
    StoreError,
    as_sentence,
    one_line,
)
from ncaa_assets.ports import Page
from ncaa_assets.record.models import HighlightsDay, ProcessedDay, VideosDay
from ncaa_assets.settings import NO_KEY, Settings, load_dotenv, misspelt
from ncaa_assets.source import shape as api_shape
from ncaa_assets.source.open import asked_module, fixed_module, modules_to_try, open_source
from ncaa_assets.source.season import day_with_games
from ncaa_assets.text import SENTENCE, plural, size, visible
from ncaa_assets.video.runtime import find as find_runtime
from ncaa_assets.video.runtime import install_it, to_copy_pages

PYTHONS = ((3, 11), (3, 15))  # the first, and the first that is too new, as in pyproject.toml

_LITTLE_SPACE = 200 * 10**6  # bytes; with less, even one day may not fit
_SEASON = 150  # days, from the first week of November to that of April
# What is said of a day before there is any: documents and rows were measured with 80 clips a day, a clip is assumed.
_CLIPS, _DOCUMENTS_BYTES, _CLIP_BYTES = 80, 800_000, 5 * 60 * 5_000_000 // 8
_LAST_DAYS = 7  # whose clips are counted
_ALIVE_SECONDS = 120  # a daemon's heartbeats are 30 s apart


_COLOURS = {Mark.OK: "green", Mark.WARN: "yellow", Mark.FAIL: "red"}


@click.command()
@ending.json_option
@ending.debug_option
def doctor(as_json: bool, debug: bool) -> None:
    """Says whether a backup would work here and now, and what to do where it would not."""
    answer: ending.Answer = {}
    ending.run(lambda: examine(answer), debug=debug, only_tells=True, answer=answer if as_json else None)


def examine(answer: ending.Answer | None = None) -> int:
    """Examines everything, prints a line for each thing, and returns 1 where anything would stop a backup, else 0. An
    `answer` gets the lines."""
    answer = {} if answer is None else answer
    answer |= {"works": False, "lines": []}
    failed = warned = 0
    say(f"ncaa-assets {__version__}: would a backup work here and now?")
    say()
    for line in lines():
        failed += line.mark is Mark.FAIL
        warned += line.mark is Mark.WARN
        told = {"mark": line.mark.value, "name": line.name, "text": visible(line.text, most=SENTENCE)}
        answer["lines"].append({**told, "evidence": dict(line.evidence)})
        first, *others = _wrapped(line.text)
        say("  ", (f"{line.mark:<5}", _COLOURS[line.mark]), f" {line.name:<12} {first}")
        for text in others:
            say(f"{'':<21}{text}")
    say()
    answer["works"] = not failed
    if failed:
        say(f"No: {plural(failed, 'thing')} would stop it, marked `fail`.", colour="red")
    else:
        say("Yes." + (f" {plural(warned, 'thing')} to know about, marked `warn`." if warned else ""), colour="green")
    return ending.FAILED if failed else ending.DONE


def _wrapped(text: str) -> list[str]:
    """The lines of a text in the right-hand column: wrapped on a terminal, one line in a file or a pipe."""
    text = visible(text, most=SENTENCE)
    if not sys.stdout.isatty():
        return [text]
    width = max(60, shutil.get_terminal_size().columns) - 21
    # A path or a command that is cut could not be pasted.
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]


def lines() -> Iterator[Line]:
    """A line for each thing, in the order in which a person would fix them."""
    yield _python()
    try:
        load_dotenv()
        settings = Settings.from_environment()
    except SettingsError as error:
        yield Line(Mark.FAIL, "settings", str(error))
        return
    yield from _settings(settings)
    opened = functools.cache(lambda: Archive.open(settings))
    if settings.ncaa_deployment == "local":
        yield from _each(
            ("archive", lambda: _archive(opened())), ("disk", lambda: _disk(settings, settings.archive_dir))
        )
        if settings.encode != "never":
            yield from _each(("ffmpeg", lambda: _ffmpeg(settings)))
    elif importlib.util.find_spec("boto3") is None:
        yield Line(Mark.FAIL, "packages", as_sentence(ModuleNotFoundError("No module named 'boto3'")))
        return
    elif settings.ncaa_deployment == "s3":
        from ncaa_assets.backends.s3.doctor import examine_store  # noqa: PLC0415 - such a deployment has boto3

        for line in _each(("store", lambda: examine_store(opened().store))):
            yield line
            if line.mark is Mark.FAIL:  # each of the rest would ask the store first, wait as long, and say the same
                yield Line(Mark.WARN, "rest", "archive, rows, days and API are looked at once the store can be used")
                return
        yield from _each(("archive", lambda: _archive(opened())), ("rows", lambda: _rows(opened())))
        if settings.encode != "never":
            yield from _each(("ffmpeg", lambda: _ffmpeg(settings)))
        yield from _each(("disk", lambda: _disk(settings, Path(tempfile.gettempdir()))))
    else:
        from ncaa_assets.backends.aws.probe import examine_aws  # noqa: PLC0415 - only an aws deployment has boto3

        yield from examine_aws(settings, lambda: opened().store)
        if settings.encode == "needed":
            yield from _each(("ffmpeg", lambda: _ffmpeg(settings)))
        yield from _each(("archive", lambda: _archive(opened())))
    yield from _each(("instance", lambda: _instance(settings)))
    yield from _each(("yesterday", lambda: _yesterday(opened())))
    yield from _each(("clips", lambda: _clips(opened())))
    yield from _each(("month", lambda: _month(opened())))
    yield from _each(("api", lambda: _api(opened())))
    yield from _each(("season", lambda: _season(opened())))


def _each(*examinations: tuple[str, Callable[[], Iterator[Line]]]) -> Iterator[Line]:
    for name, examine_it in examinations:
        try:
            yield from examine_it()
        except Exception as error:  # noqa: BLE001 - a problem with one thing never hides the next
            yield Line(Mark.FAIL, name, as_sentence(error))


def _python() -> Line:
    version = ".".join(map(str, sys.version_info[:3]))
    first, beyond = PYTHONS
    if not first <= sys.version_info[:2] < beyond:
        wanted = f"{first[0]}.{first[1]} to {beyond[0]}.{beyond[1] - 1}"
        return Line(
            Mark.FAIL, "python", f"{version} is not one of {wanted}; make the environment again with one of them"
        )
    return Line(Mark.OK, "python", f"{version} at {sys.prefix}", {"version": version})


def _settings(settings: Settings) -> Iterator[Line]:
    source = "with .env" if (Path.cwd() / ".env").exists() else "no .env here"
    yield Line(
        Mark.OK, "settings",
        f"{settings.ncaa_deployment} ({source}): {settings.league_name}, days of {settings.timezone} since "
        f"{settings.start_date}, {settings.video_count or 'all'} {'video' if settings.video_count == 1 else 'videos'} "
        "a day",
    )  # fmt: skip
    yield from (Line(Mark.WARN, "settings", sentence) for sentence in misspelt())
    if settings.limit is not None:
        text = f"LIMIT={settings.limit}: only that many highlights a day are kept; unset it to keep all"
        yield Line(Mark.WARN, "settings", text)
    if settings.video_pages is not None:  # where it is not installed, the settings are refused
        version = importlib.metadata.version(settings.video_pages)
        yield Line(Mark.OK, "pages", f"videos of web pages by {settings.video_pages} {version}")
        yield from _runtime()
    if settings.lacks_key:
        yield Line(Mark.FAIL, "key", NO_KEY)
    elif settings.uses_sample:
        text = (
            "RAPIDAPI_KEY is unset: a built-in sample answers with made-up games; put your key into .env for real ones"
        )
        yield Line(Mark.WARN, "key", text)


def _runtime() -> Iterator[Line]:
    """The JavaScript runtime for the scripts of web pages."""
    program = find_runtime()
    if program is None:
        text = f"no JavaScript runtime: pages that need one, as YouTube's do, are listed and not copied; {install_it()}"
        yield Line(Mark.WARN, "runtime", text)
        return
    try:
        ended = child.run([program, "--version"], bounds=child.Bounds(seconds=30), check=False)
        trouble = ended.trouble
    except OSError as error:
        trouble = one_line(error)
    if trouble is not None:
        text = f"{program} does not run ({trouble}): pages that need it are listed and not copied; {install_it()}"
        yield Line(Mark.WARN, "runtime", text)
        return
    version = re.match(r"deno (\S+)", ended.stdout.decode("utf-8", "replace"))
    number = version[1] if version else None
    yield Line(Mark.OK, "runtime", f"deno {number or 'of unknown version'} at {program}", {"version": number})


def _archive(archive: Archive) -> Iterator[Line]:
    settings = archive.settings
    identity = archive.stored_identity()
    if identity is None:
        text = f"none in {archive.place} yet; the first backup makes it"
    else:
        module = f"the module {identity.module}" if identity.module else "no module yet"
        text = f"{archive.place} is of {module}, {settings.league_name}, {settings.timezone}"
    if settings.ncaa_deployment == "local":
        place = _nearest(settings.archive_dir)
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            text = f"this user may not write to {place}; fix its permissions, or set DATA_DIR to another folder"
            yield Line(Mark.FAIL, "archive", text)
            return
    yield Line(Mark.OK, "archive", text)
    if identity is not None and not isinstance(archive.table, RowView):
        archive.table.get(["0"])  # any row: whether the table can be used at all


def _rows(archive: Archive) -> Iterator[Line]:
    """The rows of an s3 deployment, which are made from the JSON as soon as anything asks for one."""
    table = archive.table
    if isinstance(table, RowView):
        behind = len(table.behind())
        text = f"in {table.uri()}, a view of the JSON"
        if behind:
            text += f"; those of {plural(behind, 'day')} are made from it at the next command that needs rows"
        yield Line(Mark.OK, "rows", text, {"behind": behind})


def _disk(settings: Settings, folder: Path) -> Iterator[Line]:
    place = _nearest(folder)
    free = shutil.disk_usage(place).free
    text, evidence = f"{size(free)} free at {place}", {"free_bytes": free}
    if free < _LITTLE_SPACE:
        setting = "DATA_DIR" if settings.ncaa_deployment == "local" else "TMPDIR"
        remedy = f"free some space, or set {setting} to another disk"
        yield Line(Mark.FAIL, "disk", f"{text}: too little for a day; {remedy}", evidence)
    elif free < settings.video_max_bytes:
        too_little = f"{text}, less than the largest video that would be copied (VIDEO_MAX_BYTES: "
        yield Line(Mark.WARN, "disk", f"{too_little}{size(settings.video_max_bytes)}); free some space soon", evidence)
    else:
        yield Line(Mark.OK, "disk", text, evidence)


def _ffmpeg(settings: Settings) -> Iterator[Line]:
    from ncaa_assets.backends.deployments import needs_ffmpeg  # noqa: PLC0415
    from ncaa_assets.media.ffmpeg import ffmpeg_program  # noqa: PLC0415

    try:
        program = ffmpeg_program()
    except EncodeFailed:
        if settings.ncaa_deployment != "aws":
            raise
        yield Line(Mark.FAIL, "ffmpeg", needs_ffmpeg())
        return
    try:
        encoders, version = (
            child.run([program, *arguments], bounds=child.Bounds(seconds=30), check=False)
            for arguments in (["-hide_banner", "-encoders"], ["-version"])
        )
        trouble = next((call.trouble for call in (encoders, version) if call.timed_out), None)
    except OSError as error:
        trouble = one_line(error)
    if trouble is not None:
        yield Line(Mark.FAIL, "ffmpeg", f"{program} does not run ({trouble}); set IMAGEIO_FFMPEG_EXE to another")
        return
    listed = encoders.stdout.decode("utf-8", "replace")
    lacking = [name for name in ("libx264", "aac") if not re.search(rf"\b{name}\b", listed)]
    if lacking:
        text = f"{program} cannot encode with {' and '.join(lacking)}; unset IMAGEIO_FFMPEG_EXE, or set it to another"
        yield Line(Mark.FAIL, "ffmpeg", text)
        return
    version_match = re.search(r"ffmpeg version (\S+)", version.stdout.decode("utf-8", "replace"))
    number = version_match[1] if version_match else None
    text = f"{number or 'unknown version'} at {program}"
    if not child.ENDS_WITH_US:
        text += "; on this system it goes on to the end of its file where a `kill -9` ends the run"
    yield Line(Mark.OK, "ffmpeg", text, {"version": number})


def _instance(settings: Settings) -> Iterator[Line]:
    """Where runs are recorded, which was the last, and whether a daemon runs the schedule."""
    home = settings.dagster_home()
    configuration, place = home / "dagster.yaml", _nearest(home)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        text = (
            f"a backup works, but is not recorded in the UI, and the UI does not start: {visible(place)} is no folder "
        )
        text += "that this user may write to; mend that, or set DAGSTER_HOME to another folder"
        yield Line(Mark.WARN, "instance", text)
        return
    if not configuration.exists() or (not (home / "history").exists() and not _has_storage(configuration)):
        yield Line(Mark.OK, "instance", f"none in {home} yet; the first backup makes it")
        return
    from ncaa_assets.runs.instance import examine_instance  # noqa: PLC0415 - Dagster takes seconds to import

    yield from examine_instance(home)


def _has_storage(configuration: Path) -> bool:
    try:
        content = yaml.safe_load(configuration.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return True  # opening the instance will say what is wrong
    return isinstance(content, dict) and any("storage" in str(name) for name in content)


def _yesterday(archive: Archive) -> Iterator[Line]:
    day = (archive.settings.today() - timedelta(days=1)).isoformat()
    if holder := archive.holder(day, wait=False):
        yield Line(Mark.OK, "yesterday", f"{day} is being backed up by {holder}")
        return
    remedy = f"run `{advice.command('backup')}`"
    try:
        highlights = archive.load(HighlightsDay, day)
    except ObjectMissing:
        yield Line(Mark.WARN, "yesterday", f"{day} is not backed up yet; {remedy}")
        return
    last = highlights.backup.fetches[-1] if highlights.backup.fetches else None
    if archive.store.info(VideosDay.key(day)) is None or archive.store.info(ProcessedDay.key(day)) is None:
        yield Line(Mark.WARN, "yesterday", f"{day} was begun and not finished; {remedy}")
    elif last is None or not last.is_whole(archive.settings.limit):
        why = "; ".join(last.problems) if last else "it was never fetched"
        yield Line(Mark.WARN, "yesterday", f"{day} is backed up, but its listing was not read whole ({why}); {remedy}")
    else:
        count = len(highlights.data)
        text = f"{day} is backed up: {plural(count, 'highlight')} ({'; '.join([last.at, *last.problems])})"
        yield Line(Mark.OK, "yesterday", text, {"day": day, "highlights": count, "fetched_at": last.at})


def _clips(archive: Archive) -> Iterator[Line]:
    """How many of the clips of the last days are files and how many web pages, by their addresses: without a
    request."""
    records: list[Any] = []
    for days_ago in range(1, _LAST_DAYS + 1):
        day = (archive.settings.today() - timedelta(days=days_ago)).isoformat()
        with suppress(ObjectMissing, StoreError):  # a damaged day is reported where a day is looked at
            records += [record for record in archive.load(HighlightsDay, day).data if record.get("url")]
    if not records:
        return
    files = api_shape.video_files(records)
    pages = len(records) - files
    evidence = {"clips": len(records), "files": files, "pages": pages}
    text = f"of {plural(len(records), 'clip')} in the last {_LAST_DAYS} days, {files} lead to video files and {pages} "
    text += "to web pages"
    if not files and archive.settings.video_pages is None:
        yield Line(Mark.WARN, "clips", f"{text}, which are listed and not copied; {to_copy_pages()}", evidence)
    else:
        yield Line(Mark.OK, "clips", text, evidence)


def _month(archive: Archive) -> Iterator[Line]:
    """What days like the last ones bring: room on the disk, or dollars."""
    settings = archive.settings
    month = last_month(archive, encode_bounds(settings))
    if settings.ncaa_deployment == "local":
        free = shutil.disk_usage(_nearest(settings.archive_dir)).free
        yield _room(month, free, settings) if month and not settings.uses_sample else _estimate(free, settings)
        return
    if month is None:
        return
    grown = month.copied + month.encoded
    text = f"30 days like the {month.days} of the last {DAYS} that are backed up: {size(grown)} more"
    evidence = {"days": month.days, "bytes": grown}
    if settings.ncaa_deployment == "s3":
        yield Line(Mark.OK, "month", f"{text}, at the prices of the store", evidence)
        return
    encodes = [minutes * prices.ENCODED_MINUTE for minutes in month.minutes]
    # Three runs a day and catch-up took a third of these requests; a large copy goes up in parts of 6 MiB.
    writes, reads = 300 * DAYS + grown / (6 * 1024**2), 2000 * DAYS
    requests = writes / 1000 * prices.THOUSAND_WRITES + reads / 1000 * prices.THOUSAND_READS
    rows = [2 * units * prices.MILLION_ROW_UNITS / 1e6 for units in month.row_units]  # the index takes as many again
    kept = grown / 1e9 * prices.STORED_GIGABYTE
    text += (
        f", {kept:.2f} dollars a month while they are kept; encodes {encodes[0]:.2f} to {encodes[1]:.2f} dollars "
        f"({month.minutes[1]:.0f} minutes at most); rows and requests {rows[0]:.2f} to {rows[1] + requests:.2f}. List "
        f"prices of us-east-1, {prices.MONTH}; what is there already and the deployment itself come on top "
        "(docs/deployment.md)"
    )
    dollars = (encodes[0] + rows[0], encodes[1] + rows[1] + requests)
    yield Line(Mark.OK, "month", text, evidence | {"minutes": month.minutes, "dollars": dollars, "kept_dollars": kept})


def _room(month: Month, free: int, settings: Settings) -> Line:
    """What a day and a season take on the disk, for how long it will do, and what other encodes would save."""
    day, season = month.grown / DAYS, month.grown / DAYS * _SEASON
    text = f"a day takes {size(round(day))} and a season of {_SEASON} days {size(round(season))}, like the "
    text += f"{month.days} of the last {DAYS} that are backed up"
    if season:
        text += f"; the disk will do for {_seasons(free / season)}"
    others = {"always": ["needed", "never"], "needed": ["never"], "never": []}[settings.encode]
    of_month = {"needed": month.spared, "never": month.encoded}
    spared = {mode: round(of_month[mode] / DAYS * _SEASON) for mode in others}
    if any(spared.values()):
        would = " and ".join(f"ENCODE={mode} would save {size(count)}" for mode, count in spared.items())
        text += f". Of a season, {would}"
    evidence = {"days": month.days, "day_bytes": round(day), "season_bytes": round(season), "spared_bytes": spared}
    return Line(Mark.OK, "month", text, evidence)


def _estimate(free: int, settings: Settings) -> Line:
    """The same from a day that is made up: while none of the last days is backed up, and on the sample, whose clips are
    tiny."""
    videos = min(settings.video_count or _CLIPS, _CLIPS)
    copied = videos * _CLIP_BYTES
    day = _DOCUMENTS_BYTES + copied * (1 if settings.encode == "never" else 2)
    season = day * _SEASON
    why = f"none of the last {DAYS} days is backed up, so this is an estimate"
    if settings.uses_sample:
        why = "the sample's clips are tiny, so this is an estimate for real ones"
    text = f"{why}: a day takes {size(day)} and a season of {_SEASON} days {size(season)}"
    text += f", with {plural(videos, 'video')} a day of 5 minutes at 5 Mbit/s"
    text += f"; the disk would do for {_seasons(free / season)}"
    if settings.encode != "never":
        text += f". ENCODE=never, or needed where browsers play the copies, would save {size(copied * _SEASON)} of it"
    return Line(Mark.OK, "month", text, {"days": 0, "day_bytes": day, "season_bytes": season})


def _seasons(count: float) -> str:
    return f"{count:,.0f} seasons" if count >= 10 else f"{count:.1f} seasons"


def _api(archive: Archive) -> Iterator[Line]:
    settings = archive.settings
    if settings.lacks_key:
        return  # the line `key` says so
    if settings.uses_sample:
        yield Line(Mark.OK, "api", "not asked: without a key the sample answers")
        return
    identity = archive.any_identity()
    decided = asked_module(settings) or (identity.module if identity else None)
    module, *others = [decided] if decided else modules_to_try(settings)
    day = day_with_games(module) or (settings.today() - timedelta(days=1)).isoformat()
    try:
        page = _ask(settings, day, module)
    except SourceDenied as error:
        if not others:
            raise
        yield Line(Mark.WARN, "api", f"the module {module} cannot be asked: {error}")
        module, others = others[0], []
        page = _ask(settings, day, module)
    text = f"{page.address} takes the key and answers in {page.seconds:.1f} s"
    yield Line(Mark.OK, "api", text, {"seconds": page.seconds})
    if page.restriction:
        yield Line(Mark.WARN, "plan", f"{page.plan or 'unnamed'}: it limits the answer ({page.restriction})")
    else:
        yield Line(Mark.OK, "plan", page.plan or "the answer does not name it")
    if page.quota_remaining is not None:
        yield _quota(page.quota_remaining, page.quota_limit, settings.quota_reserve)
    if not page.records:
        text = f"the module {module} lists nothing for {day}"
        if others:  # the archive becomes that of the one that lists
            text += f"; {_what_it_lists(settings, day, others[0])}"
        elif day_with_games(module):
            text += f", a day with games: check LEAGUE_NAME ({settings.league_name}), or see with "
            text += f"`{advice.command('source', '--date', day)}` whether another module lists it"
        yield Line(Mark.WARN, "answer", f"{text}; no record could be compared with the shape that is expected")
    yield from _shape(page, settings, day)


def _what_it_lists(settings: Settings, day: str, module: str) -> str:
    """What a module lists for a day, by one request, as a part of a sentence."""
    try:
        return f"{module} lists {_ask(settings, day, module).listed or 'nothing'} for {day}"
    except SourceError as error:
        return f"{module} cannot be asked ({error})"


def _ask(settings: Settings, day: str, module: str) -> Page:
    once = settings.model_copy(update={"retry_count": 0})
    with open_source(once, read_secret=read_secret) as source:
        return source.first_page(day, module)


def _season(archive: Archive) -> Iterator[Line]:
    """Whether days in season that should have games list none; if so, what the other module lists, by one request."""
    settings, identity = archive.settings, archive.any_identity()
    yesterday = (settings.today() - timedelta(days=1)).isoformat()
    compared = reconcile.season(archive.store, yesterday, settings, identity.module if identity else None)
    for finding in compared.findings:
        text = f"{finding.problem}; {finding.remedy}"
        other = reconcile.other_module(identity.module if identity else None)
        if other is not None and fixed_module(settings) is None and not settings.lacks_key:
            text = f"{finding.problem}; {_what_it_lists(settings, yesterday, other)}; {finding.remedy}"
        yield Line(Mark.WARN, "season", text)


def _quota(left: int, limit: int | None, reserve: int) -> Line:
    text = f"{left} of {limit} API requests are left today" if limit is not None else f"{left} API requests are left"
    evidence = {"left": left, "limit": limit, "reserve": reserve}
    if left <= 0:
        return Line(Mark.FAIL, "quota", f"{text}; run the backup tomorrow, or upgrade the plan", evidence)
    if left <= reserve:
        text += f", and QUOTA_RESERVE keeps {reserve}: a day gets its first page at most"
        return Line(Mark.WARN, "quota", text, evidence)
    return Line(Mark.OK, "quota", text, evidence)


def _shape(page: Page, settings: Settings, day: str) -> Iterator[Line]:
    mismatches = api_shape.mismatches(page, day=day, timezone=settings.timezone, league=settings.league_name)
    for mismatch in mismatches:
        yield Line(Mark.WARN, "answer", mismatch)
    if mismatches:
        yield Line(Mark.WARN, "answer", "the API's documentation describes another shape; please report it")
    files = api_shape.video_files(page.records)
    read, listed = len(page.records), page.total or len(page.records)
    kinds = f"{day}: {listed} listed; of the first {read}, {files} lead to video files, "
    kinds += "the others to web pages"
    if not mismatches and page.records:
        evidence = {"listed": listed, "read": read, "video_files": files}
        yield Line(Mark.OK, "answer", f"has the expected shape. {kinds}", evidence)
    if fields := api_shape.new_fields(page):
        yield Line(
            Mark.OK,
            "answer",
            f"new fields, which are kept: {', '.join(visible(name, most=40) for name in fields[:10])}",
        )


def _nearest(place: Path) -> Path:
    """The folder, or the nearest existing folder above it."""
    return next(folder for folder in (place, *place.parents) if folder.exists())
