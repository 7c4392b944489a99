"""Every environment variable that the project reads: its name, type, default and meaning.

A field's name is the variable's name in lower case. An empty variable counts as unset. A bad value raises a
`SettingsError` of one line, which never repeats a value that may be secret.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ncaa_assets import advice
from ncaa_assets.failures import SettingsError
from ncaa_assets.record import calendar
from ncaa_assets.retry import RetryPolicy
from ncaa_assets.text import visible

# What `archive.json` calls the source: the API, whichever of its doors is asked, or the sample that stands in for it.
VENDOR, SAMPLE = "highlightly", "sample"
# The address in the `.env` of the pipeline that this project grew from. Beside no key it asks for nothing of its own.
_SEEDS_API_URL = "https://sport-highlights-api.p.rapidapi.com/basketball/highlights"
AUTO = "auto"  # API_MODULE: the module that the archive is of, or at its beginning the one that lists games
NO_KEY = (
    "there is no API key: set RAPIDAPI_KEY, or RAPIDAPI_SECRET_ID on aws to the secret that holds it (made-up data are "
    "backed up in a local deployment alone)"
)
# Bytes of the path of a file that SQLite opens: 512, of which it keeps 8 for the ending of a log (`unixFullPathname`).
_MOST_OF_SQLITE = 504
_MOST_OF_NAME = 255  # bytes of one name in a path, on every file system in use
# What a person may call a day, and how many days ago it is. Of these, yesterday alone is over.
DAY_WORDS = {"yesterday": 1, "today": 0, "tomorrow": -1}
SAMPLE_ENDING = "-sample"  # how the names of folders with made-up data end: the archive's and the instance's


_MOST_DIGITS = 9  # of a number of videos


def count_of(value: object) -> int | None:
    """How many videos a person means by a number or `all`: None is all.

    Raises:
        ValueError: it is neither.
    """
    text = str(value).strip().lower()
    if text == "all":
        return None
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) < 1:
        raise ValueError("must be a whole number from 1, or 'all'")
    return int(text)


def _hosts(value: object) -> object:
    if not isinstance(value, str):
        return value
    hosts = []
    for one in (part.strip().lower() for part in value.split(",")):
        try:
            host = str(ip_address(one.removeprefix("[").removesuffix("]")))
        except ValueError:
            host = one
            if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host):
                raise ValueError(
                    "must be names or addresses of hosts, with commas between them and without http://, port or *: "
                    "dagster.example.org,192.168.1.20"
                ) from None
        hosts.append(host)
    return tuple(hosts)


def _day(value: object) -> object:
    # pydantic would read a bare number as seconds since 1970.
    if not isinstance(value, str):
        return value
    try:
        return calendar.parse(value)
    except ValueError:
        raise ValueError("must be a date, written as YYYY-MM-DD") from None


class Settings(BaseModel):
    """The checked settings of one deployment. `Settings.from_environment()` reads them."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    ncaa_deployment: Literal["local", "aws", "s3"] = Field(
        "local", description="where the archive lives: `local`, `aws`, or `s3` for any store of S3's protocol"
    )

    api_module: str = Field(
        AUTO,
        description="the API's module: `nba`, `basketball`, …; `auto`: the one that the archive is of",
    )
    api_base: str | None = Field(None, description="another door to the API: `<API_BASE>/<module>/highlights` is asked")
    matches: bool = Field(True, description="`0`: the day's matches are not asked for")
    api_url: str | None = Field(
        None, description="a whole highlights address of one's own; wins over key, module and `API_BASE`"
    )
    rapidapi_host: str | None = Field(
        None, description="the `X-RapidAPI-Host` header; default: the host that is asked, where it is RapidAPI's"
    )
    rapidapi_key: SecretStr | None = Field(
        None, description="the API key, of either door; without one the sample API answers"
    )
    rapidapi_secret_id: str | None = Field(
        None, description="on aws, the name or ARN of the Secrets Manager secret that holds the key"
    )
    league_name: str = Field("NCAA", min_length=1, description="the league whose highlights are fetched")
    limit: int | None = Field(None, ge=1, description="the most highlights that are kept of a day; unset: all")
    timezone: str = Field("America/New_York", description="the timezone of the game days (an IANA name)")
    start_date: Annotated[date, BeforeValidator(_day)] = Field(date(2024, 11, 1), description="the first partition")
    lookback_days: int = Field(3, ge=1, le=60, description="for how many days each day is fetched again")
    quota_reserve: int = Field(5, ge=0, description="how many of a day's API requests are never spent")

    video_count: Annotated[int | None, BeforeValidator(count_of)] = Field(
        1, description="how many of a day's videos to copy and encode: a number or `all`; 1 is the first video"
    )
    video_concurrency: int = Field(4, ge=1, le=64, description="copies and encodes at a time")
    video_max_bytes: int = Field(2 * 1024**3, ge=1, description="a larger file is refused")
    video_min_bytes_per_second: int = Field(20_000, ge=0, description="a copy slower than this over 60 s is given up")
    video_allow_private_hosts: bool = Field(
        False, description="`1` lets video URLs reach loopback and private addresses (for tests)"
    )
    video_pages: Literal["yt-dlp"] | None = Field(
        None, description="`yt-dlp` copies the videos of web pages too; needs the extra `pages`"
    )
    encode: Literal["always", "needed", "never"] = Field(
        "always",
        description="`needed` keeps or repackages what is web-ready already, `never` makes copies alone",
    )
    video_max_seconds: int = Field(14400, ge=1, description="a longer video is copied, not encoded")
    encode_minutes_a_day: int | None = Field(
        None, ge=1, description="on aws, the most minutes of video that are sent to MediaConvert in one UTC date"
    )
    encode_timeout: int = Field(7200, ge=1, description="the most seconds for one encode")
    retry_count: int = Field(3, ge=0, le=20, description="retries of a request")
    retry_delay: float = Field(30.0, ge=0, le=3600, description="the most seconds between two retries")

    alert_topic_arn: str | None = Field(None, description="the SNS topic that failures are published to (aws only)")
    ui_url: str = Field(
        "http://localhost:3000", description="where people open the Dagster UI; used for links in alerts"
    )
    ui_hosts: Annotated[tuple[str, ...] | None, BeforeValidator(_hosts)] = Field(
        None, description="hosts that the UI answers to, besides those of loopback and that of `UI_URL`"
    )

    data_dir: Path = Field(
        Path("data"), description="the folder of the local archive; of an s3 deployment, where its rows are"
    )

    s3_endpoint_url: str | None = Field(None, description="the address of the store of an s3 deployment")
    s3_bucket_name: str | None = Field(None, description="the bucket of the archive on aws or s3")
    s3_prefix: str = Field("", description="what every key begins with: a folder in the bucket")
    dynamodb_table: str = Field("SportsHighlights", description="the table of the rows on aws")
    mediaconvert_role_arn: str | None = Field(
        None, description="the role with which MediaConvert reads copies and writes outputs"
    )
    mediaconvert_endpoint: str | None = Field(None, description="the account's own endpoint; no longer needed")
    mediaconvert_queue: str | None = Field(None, description="a MediaConvert queue; default: the account's default")

    @field_validator("data_dir")
    @classmethod
    def _a_folder_of_its_own(cls, value: Path) -> Path:
        try:
            place = Path(os.path.abspath(value.expanduser()))  # noqa: PTH100
        except RuntimeError:
            raise ValueError("names the home of a user who does not exist") from None
        if place == Path(place.anchor):
            raise ValueError("must be a folder of its own, not the root of the disk")
        return value

    @field_validator("video_pages")
    @classmethod
    def _has_its_extra(cls, value: str | None) -> str | None:
        if value is not None and find_spec("yt_dlp") is None:
            raise ValueError(f"yt-dlp is not installed: {advice.to_install('pages')}, or unset VIDEO_PAGES")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("must be an IANA time zone such as America/New_York") from error
        return value

    @field_validator("alert_topic_arn")
    @classmethod
    def _a_topic(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+", value):
            raise ValueError("must be an SNS topic's ARN such as arn:aws:sns:us-east-1:123456789012:backup-failures")
        return value

    @field_validator("api_url", "api_base", "ui_url", "s3_endpoint_url")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # the error's text repeats the part that could not be read, which may be a password
            usable = False
        if not usable:
            raise ValueError("must be an http or https address")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must be a bare address, without user name, password, query or fragment")
        return value

    @field_validator("api_module")
    @classmethod
    def _a_module(cls, value: str) -> str:
        if not re.fullmatch("[a-z][a-z0-9-]{0,39}", value.lower()):
            raise ValueError(f"must be a module's name such as nba, basketball or american-football, or {AUTO}")
        return value.lower()

    @field_validator("rapidapi_host")
    @classmethod
    def _bare_host(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]+)?", value):
            raise ValueError("must be a host name alone, such as sport-highlights-api.p.rapidapi.com")
        return value

    @field_validator("rapidapi_key")
    @classmethod
    def _plain_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            check_key(value.get_secret_value())
        return value

    @field_validator("s3_bucket_name")
    @classmethod
    def _bucket_alone(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9._-]{3,255}", value):
            raise ValueError("must be a bucket's name alone; a folder in it goes into S3_PREFIX")
        return value

    @field_validator("s3_prefix")
    @classmethod
    def _a_path(cls, value: str) -> str:
        parts = [part for part in value.split("/") if part]
        if any(part.startswith(".") for part in parts) or "\\" in value or ":" in value:
            raise ValueError("must be a path of plain names, such as backups/ncaa")
        return "/".join(parts)

    @model_validator(mode="after")
    def _complete_for_its_deployment(self) -> Self:
        deployment = self.ncaa_deployment
        if deployment != "aws" and self.rapidapi_secret_id is not None and self.rapidapi_key is None:
            raise ValueError("RAPIDAPI_SECRET_ID is read by NCAA_DEPLOYMENT=aws only: set RAPIDAPI_KEY here")
        if deployment == "aws" and self.s3_endpoint_url is not None:
            raise ValueError("S3_ENDPOINT_URL names a store of its own: unset it, or set NCAA_DEPLOYMENT=s3")
        needed = {"local": (), "aws": ("s3_bucket_name", "mediaconvert_role_arn"), "s3": ("s3_bucket_name",)}[
            deployment
        ]
        for name in needed:
            if getattr(self, name) is None and not (name == "mediaconvert_role_arn" and self.encode == "never"):
                raise ValueError(f"{name.upper()} is unset: NCAA_DEPLOYMENT={deployment} needs it")
        if deployment == "s3":
            self._check_endpoint()
        return self

    def _check_endpoint(self) -> None:
        if self.s3_endpoint_url is None:
            raise ValueError(
                "S3_ENDPOINT_URL is unset: NCAA_DEPLOYMENT=s3 needs the store's address, such as "
                "https://ACCOUNT.r2.cloudflarestorage.com or http://localhost:9000"
            )
        if urlsplit(self.s3_endpoint_url).path.strip("/").rpartition("/")[2] == self.s3_bucket_name:
            raise ValueError(
                "S3_ENDPOINT_URL: must be the store's address without the bucket, which is S3_BUCKET_NAME's to name"
            )

    @model_validator(mode="after")
    def _no_endpoint_without_key(self) -> Self:
        for name in ("API_URL", "API_BASE"):
            if self.uses_sample and getattr(self, name.lower()) not in (None, _SEEDS_API_URL):
                raise ValueError(
                    f"{name} names an endpoint of your own but RAPIDAPI_KEY is unset: set the key (any text, if the "
                    f"endpoint needs none), or unset {name} to use the sample API"
                )
        return self

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The settings in `environ` (default: the process's environment).

        Raises:
            SettingsError: a value cannot be used; the message names the variable and what it must be.
        """
        if environ is None:
            heed_aws_region()
            environ = os.environ
        given = {
            name: environ[name.upper()].strip() for name in cls.model_fields if environ.get(name.upper(), "").strip()
        }
        settings = cls._checked(given)
        settings.dagster_home(environ)  # refuses a place that cannot be used, before anything is written
        if settings.ncaa_deployment == "local":
            _ = settings.archive_dir
        if settings.ncaa_deployment == "s3":
            _ = settings.rows_dir
        return settings

    @classmethod
    def _checked(cls, given: Mapping[str, Any]) -> Self:
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0]).upper() if problem["loc"] else ""
            reason = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            raise SettingsError(f"{name}: {reason}" if name else reason) from None
        return settings

    @property
    def uses_sample(self) -> bool:
        """Whether the sample API answers because there is no key; in a local deployment alone."""
        return self.rapidapi_key is None and self.ncaa_deployment == "local"

    @property
    def lacks_key(self) -> bool:
        """Whether no run can start, because there is no key, and the sample answers in a local deployment alone."""
        return self.ncaa_deployment != "local" and self.rapidapi_key is None and self.rapidapi_secret_id is None

    @property
    def source(self) -> str:
        """What `archive.json` calls the source: `VENDOR` or `SAMPLE`."""
        return SAMPLE if self.uses_sample else VENDOR

    @property
    def retry_policy(self) -> RetryPolicy:
        """How a request is retried: `RETRY_COUNT` and `RETRY_DELAY`."""
        return RetryPolicy(count=self.retry_count, max_delay=self.retry_delay)

    @property
    def archive_dir(self) -> Path:
        """The local archive's absolute folder. Sample data have their own folder beside it.

        Raises:
            SettingsError: no archive can be there.
        """
        place = self._place(self.data_dir)
        _check_place("DATA_DIR", place, longest="highlights.sqlite")
        return place

    @property
    def rows_dir(self) -> Path:
        """The absolute folder of the rows of an s3 deployment: one of its own for each store, bucket and prefix, below
        `DATA_DIR`. A local archive in that folder does not see it.

        Raises:
            SettingsError: no rows can be there.
        """
        bucket, address = self.s3_bucket_name or "", urlsplit(self.s3_endpoint_url or "")
        archive = json.dumps([address.netloc.lower(), address.path.rstrip("/"), bucket, self.s3_prefix])
        name = f"{bucket[:63]}-{hashlib.sha256(archive.encode()).hexdigest()[:8]}"
        place = self._place(self.data_dir) / ".s3" / name
        _check_place("DATA_DIR", place, longest="highlights.sqlite")
        return place

    def dagster_home(self, environ: Mapping[str, str] | None = None) -> Path:
        """The absolute folder of the Dagster instance: `DAGSTER_HOME`, else `.dagster`. Sample data have their own.

        Raises:
            SettingsError: no instance can be there.
        """
        environ = os.environ if environ is None else environ
        place = self._place(Path(environ.get("DAGSTER_HOME") or ".dagster"))
        _check_place("DAGSTER_HOME", place, longest=f"history/runs/{UUID(int=0)}.db")
        # Dagster writes its path into an address of a database, where these would begin something else.
        if "?" in str(place) or unquote(str(place)) != str(place):
            raise SettingsError(
                f"DAGSTER_HOME: Dagster cannot keep databases in {visible(place)}, because the path holds a `?`, or a "
                "`%` with two hexadecimal digits after it; set it to a path without"
            )
        return place

    def _place(self, given: Path) -> Path:
        place = Path(os.path.abspath(given.expanduser()))  # noqa: PTH100 - `absolute` keeps a `..`
        if not self.uses_sample or place.name.endswith(SAMPLE_ENDING):
            return place
        return place.with_name(place.name + SAMPLE_ENDING)

    def sample_folders(self) -> list[Path]:
        """The folders that made-up data are in: the archive's and the instance's, those that are there."""
        return [place for place in (self.archive_dir, self.dagster_home()) if self.uses_sample and place.is_dir()]

    def sample_bytes(self) -> int:
        """What the made-up data take on the disk."""
        files: dict[tuple[int, int], int] = {}  # a file that has two names is there once
        for folder in self.sample_folders():
            for path in folder.rglob("*"):
                with suppress(OSError):  # another process removed it
                    found = path.lstat()
                    files[found.st_dev, found.st_ino] = found.st_size if stat.S_ISREG(found.st_mode) else 0
        return sum(files.values())

    def today(self) -> date:
        """Today's date in `TIMEZONE`."""
        return datetime.now(ZoneInfo(self.timezone)).date()

    def named_day(self, text: str | None) -> date:
        """The day that a person names: as `parse_day`, or by a word of `DAY_WORDS`.

        Raises:
            SettingsError: as `parse_day`.
        """
        ago = DAY_WORDS.get(text.strip().lower()) if text is not None else None
        return self.parse_day(text if ago is None else (self.today() - timedelta(days=ago)).isoformat())

    def parse_day(self, text: str | None) -> date:
        """The day that `text` names as YYYY-MM-DD, or yesterday in `TIMEZONE` for None.

        Raises:
            SettingsError: `text` is no date, or the day is not over yet or before `START_DATE`.
        """
        day = newest = self.today() - timedelta(days=1)
        if text is not None:
            try:
                day = calendar.parse(text)
            except ValueError:
                raise SettingsError(
                    f"{visible(text, most=40)!r} is not a date; write it as YYYY-MM-DD, for example {newest}"
                ) from None
        if text is None and day < self.start_date:
            raise SettingsError(
                f"{day} is before START_DATE ({self.start_date}), and this machine's clock says that today is "
                f"{self.today()}: set the clock, or START_DATE to an earlier day"
            )
        if day > newest:
            raise SettingsError(f"{day} is not over yet in {self.timezone}; the newest day to back up is {newest}")
        if day < self.start_date:
            raise SettingsError(f"{day} is before START_DATE ({self.start_date}); set START_DATE={day} or earlier")
        return day


def _check_place(name: str, place: Path, *, longest: str) -> None:
    """Checks that a folder can hold what is kept in it, of which `longest` is the SQLite file with the longest path.

    Raises:
        SettingsError: it cannot; the message names the setting.
    """
    try:
        path = str(place).encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{name}: {visible(place)} is not in UTF-8; set it to a path that is") from None
    most = _MOST_OF_SQLITE - len(f"/{longest}")
    if len(path) > most:
        raise SettingsError(
            f"{name}: the path {visible(place, most=80)} has {len(path)} bytes, and SQLite opens no file there if it "
            f"has more than {most}; set it to a shorter one"
        )
    if any(len(part) > _MOST_OF_NAME for part in path.split(b"/")):
        raise SettingsError(
            f"{name}: a folder in the path {visible(place, most=80)} has a name of more than {_MOST_OF_NAME} bytes, "
            "which no disk takes; set it to a path of shorter names"
        )


def check_key(text: str) -> None:
    """Checks that an API key can be sent in a header.

    Raises:
        ValueError: it cannot. The message does not repeat the key.
    """
    # Where requests cannot send a header, its error repeats the value, which would put the key into a log.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be plain ASCII without spaces; copy the key again (its value is not shown here)")


def heed_aws_region() -> None:
    """Makes `AWS_REGION` the region of every boto3 client here and in child processes: ours and those of dagster-aws.
    boto3 reads `AWS_DEFAULT_REGION` and the profile alone, and those stand where `AWS_REGION` is unset or empty."""
    region = os.environ.get("AWS_REGION", "").strip() or os.environ.get("AWS_DEFAULT_REGION", "").strip()
    if region:
        os.environ["AWS_DEFAULT_REGION"] = region
    else:  # to boto3, an empty one would hide the profile's
        os.environ.pop("AWS_DEFAULT_REGION", None)


def misspelt() -> list[str]:
    """What the working directory's `.env` sets that is no setting and looks like one, each as a sentence.

    Raises:
        SettingsError: the file exists and cannot be read.
    """
    known = [name.upper() for name in Settings.model_fields]
    sentences = []
    for name in _dotenv():
        if name not in known and (meant := get_close_matches(name.upper(), known, n=1, cutoff=0.85)):
            sentences.append(f".env sets {visible(name, most=40)}, which is no setting; did you mean {meant[0]}?")
    return sentences


def load_dotenv() -> None:
    """Loads the working directory's `.env` into the environment. As with `dagster dev`, the file overrides variables.

    Raises:
        SettingsError: the file exists and cannot be read.
    """
    values = _dotenv()
    try:
        os.environ.update({name: value for name, value in values.items() if value is not None})
    except ValueError as error:  # a NUL, which no variable can hold
        raise _unreadable(error) from error


def _dotenv() -> dict[str, str | None]:
    path = Path.cwd() / ".env"
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        return dotenv_values(path)
    except (OSError, ValueError) as error:  # a ValueError: no UTF-8
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> SettingsError:
    return SettingsError(f".env cannot be read ({error}); it must be a text file in UTF-8")
