"""An error's text as a log line shows it, and as the sentence that a person reads."""

import errno
import sqlite3
import sys

import pytest

from ncaa_assets.failures import (
    BackupError,
    SettingsError,
    Shortage,
    SourceError,
    StoreError,
    as_sentence,
    explained,
    one_line,
)
from ncaa_assets.runs.dagster_private import serializable_error_info_from_exc_info
from ncaa_assets.runs.outcome import RunError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SourceError("the key is not subscribed"), "the key is not subscribed"),
        (ConnectionResetError(104, "Connection reset by peer"), "ConnectionResetError: [Errno 104] Connection reset"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (None, "unknown error"),
    ],
)
def test_an_error_is_one_line(error: BaseException | None, text: str) -> None:
    assert one_line(error).startswith(text)
    assert "\n" not in one_line(error)


def _raised(code: str) -> Exception:
    try:
        exec(code, {})  # noqa: S102 - what Python itself says is what is to be understood
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError(f"{code} raised nothing")


def _wrapped(error: Exception) -> Exception:
    try:
        raise RuntimeError("a library wraps it") from error
    except RuntimeError as wrapped:
        return wrapped


KNOWN: list[tuple[Exception, type[BackupError], str]] = [
    (OSError(errno.EMFILE, "Too many open files", "/x"), Shortage, "`ulimit -n 4096`"),
    (OSError(errno.ENFILE, "Too many open files in system"), Shortage, "`ulimit -n 4096`"),
    (MemoryError(), Shortage, "no more memory or processes"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), Shortage, "no more memory or processes"),
    (RuntimeError("can't start new thread"), Shortage, "no more memory or processes"),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), Shortage, "no more memory or processes"),
    (ModuleNotFoundError("No module named 'boto3'"), SettingsError, " install EXTRAS=aws`; for a store"),
    (ModuleNotFoundError("No module named 'botocore.config'"), SettingsError, " install EXTRAS=aws`; for a store"),
    (ModuleNotFoundError("No module named 'dagster_postgres'"), SettingsError, " install EXTRAS=aws`"),
    (ModuleNotFoundError("No module named 'yt_dlp'"), SettingsError, " install EXTRAS=pages`"),
    (ModuleNotFoundError("No module named 'imageio_ffmpeg'"), SettingsError, " clean install`"),
    (ModuleNotFoundError("No module named 'psycopg'"), SettingsError, "postgresql+psycopg2"),
    (_raised("import no_such_package_at_all"), SettingsError, "its installation is not whole"),
    (OSError(errno.ENOSPC, "No space left on device", "/full"), StoreError, "a disk is full ('/full'); free some"),
    (OSError(errno.EROFS, "Read-only file system", "/full"), StoreError, "read-only file system"),
    (OSError(errno.EIO, "Input/output error"), StoreError, "may be failing"),
    (PermissionError(errno.EACCES, "Permission denied", "/x"), StoreError, "this user may not read or write"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), SettingsError, "was deleted; change to a folder"),
    (RuntimeError("Could not determine home directory."), SettingsError, "set HOME"),
    (
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"),
        SettingsError, "set TMPDIR to one",
    ),
    (
        OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /no/such.pem"),
        SettingsError, "/no/such.pem is missing; correct REQUESTS_CA_BUNDLE",
    ),
    (sqlite3.OperationalError("database is locked"), StoreError, "a database cannot be used (database is locked)"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "says"), KNOWN)
def test_what_a_machine_or_a_library_says_becomes_a_sentence_with_what_to_do(
    error: Exception, kind: type[BackupError], says: str
) -> None:
    for raised in (error, _wrapped(error)):
        assert type(explained(raised)) is kind
        assert says in as_sentence(raised)
        # The same where only the words are left, as an error inside a run arrives.
        try:
            raise raised
        except Exception:  # noqa: BLE001
            inside = serializable_error_info_from_exc_info(sys.exc_info())
        assert as_sentence(raised) == RunError.of("", inside).sentence(debug=False)


def test_a_sentence_of_ours_wins_over_what_caused_it() -> None:
    try:
        raise StoreError("the folder is gone; make it again") from OSError(errno.EMFILE, "Too many open files")
    except StoreError as error:
        assert as_sentence(_wrapped(error)) == "the folder is gone; make it again"


@pytest.mark.parametrize(
    "text", ["[Errno 24] Too many open files", "can't start new thread", "No module named 'boto3'"]
)
def test_a_strangers_text_that_looks_like_such_words_stays_unforeseen(text: str) -> None:
    error = ValueError(f"a title: {text}")
    assert explained(error) is None
    assert as_sentence(error).startswith("unexpected ValueError: a title: ")


def test_what_nobody_foresaw_says_what_to_do_next() -> None:
    said = as_sentence(ValueError("odd\nlines"))
    assert said == (
        "unexpected ValueError: odd lines; what was stored is kept: run it again, and if it comes again, report it "
        "with what --debug prints of it"
    )
    assert as_sentence(ValueError("odd"), debug=True).endswith("and if it comes again, report it")
