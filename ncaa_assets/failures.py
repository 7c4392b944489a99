"""Every error that a person can meet.

An error's message is one sentence that says what happened and what to do next; the command line prints it unchanged.
`explained` puts errors of the machine and of libraries into such a sentence, wherever one may surface. What is worth
another attempt is decided in `retry.py`.
"""

import errno
import re
from collections.abc import Callable, Iterable, Iterator

from ncaa_assets import advice
from ncaa_assets.text import LINE, visible


class BackupError(Exception):
    """Base of all errors whose message is written for the person who runs the backup.

    The message is one visible line from the start, because it may quote what strangers wrote, and programs of others
    print it too: Dagster in its tracebacks, Python in its own.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message, most=LINE))


class SettingsError(BackupError):
    """A setting has a value that cannot be used, or settings contradict one another or the archive."""


class SourceError(BackupError):
    """The highlights API did not give a usable answer.

    Attributes:
        transient: whether the same request may succeed later without anybody changing anything.
        retry_after: the seconds that the server asked us to wait, or None.
    """

    def __init__(self, message: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after


class SourceDenied(SourceError):
    """The API does not let this key ask for this, or has nothing at this address: no passing state of its own."""


class QuotaSpent(SourceError):
    """Today's API requests are used up: no other day can be fetched either."""


class QuotaKept(SourceError):
    """What is left of today's API requests is kept (`QUOTA_RESERVE`), so the API was not asked."""


class StoreError(BackupError):
    """The object store or the table could not be read or written."""


class Shortage(StoreError):
    """This process or its machine has too little of something: file descriptors, memory, processes."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class PlaceUnreadable(StoreError):
    """What is to be imported cannot be read; the archive itself can be."""


class TableUnusable(StoreError):
    """The table of rows cannot be used, whichever row is asked for."""


class DocumentDamaged(StoreError):
    """A stored document cannot be read: it is damaged, or a newer version of this project wrote it."""


class NewerArchive(DocumentDamaged, SettingsError):
    """`archive.json` was written by a newer version of this project: this program has to be upgraded."""


class StoreBusy(StoreError):
    """The store took only part of the work, or its answer broke off: another attempt may help."""


class WriteConflict(StoreError):
    """A conditional write found something other than the version that it expected."""


class LeaseHeld(BackupError):
    """Another run holds the day."""


class LeaseLost(BackupError):
    """This run held the day and lost it: it did not renew its lease in time."""


class VideoRefused(BackupError):
    """This URL will never become a stored video, however often it is asked: a page, a file of another kind, a 404 …

    Attributes:
        kind: `page` for a web page, `unresolved` for a page in which no video was found, `runtime` for one that needs a
            JavaScript runtime where there is none, `unsafe` for an address that is never connected to, `gone` for a
            refusal by the host, `not-video` for other bytes, `too-large`.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class CopyFailed(BackupError):
    """A copy broke for a passing reason: another attempt may succeed."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EncodeFailed(BackupError):
    """The encoder could not make an output for a passing reason, or for one that a person can mend: another attempt may
    succeed."""


class EncodeRefused(BackupError):
    """This copy will never become an output with these settings, however often it is tried.

    Attributes:
        kind: `broken` for a file that the encoder cannot read, `too-long`, `too-large` (its picture) and `too-many`
            (its frames) for one that is past the bounds, `waits` for one that is made another day because the minutes
            of this one are used up.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class RunEnded(BackupError):
    """The run was ended while this was under way. What it had written is taken back."""


class UiEnded(BackupError):
    """A process that the UI needs has ended by itself."""


class AlertNotSent(BackupError):
    """An alert about a failure did not reach the topic that takes alerts."""


def explained(error: BaseException) -> BackupError | None:
    """An error of this machine or of a library as one whose sentence says what to do; None for an error that nobody
    foresaw. A `BackupError` in its chain of causes is that sentence already."""
    causes = list(_causes(error))
    ours = next((cause for cause in causes if isinstance(cause, BackupError)), None)
    return ours or explained_words(f"{_class_of(cause)}: {cause}" for cause in causes)


def explained_words(causes: Iterable[str]) -> BackupError | None:
    """The same for an error of which only the words are left: of it and of each of its causes, as a traceback's last
    line has them."""
    for words in causes:
        name, _, message = words.partition(": ")
        for kinds, says, as_ours in _EXPLANATIONS:
            if re.fullmatch(kinds, name.strip()) and (found := re.match(says, message.strip())):
                return as_ours(found)
    return None


def as_sentence(error: BaseException, *, debug: bool = False) -> str:
    """Any error as one sentence that says what to do. For one that nobody foresaw, it points to `--debug` unless that
    is on."""
    ours = explained(error)
    if ours is not None:
        return str(ours)
    return unforeseen(f"{type(error).__name__}: {visible(error, most=500)}", debug=debug)


def unforeseen(what: str, *, debug: bool) -> str:
    """The sentence about an error that nobody foresaw."""
    how = "" if debug else " with what --debug prints of it"
    return f"unexpected {what}; what was stored is kept: run it again, and if it comes again, report it{how}"


# What Python, the system and the libraries say, and what it means to a person. Their words are matched from their
# beginning, because a stranger's text may follow.
_Ours = Callable[[re.Match[str]], BackupError]
_ANY = r"[\w.]+"
_EXTRA_OF = {
    **dict.fromkeys(("boto3", "botocore", "dagster_aws", "dagster_postgres", "psycopg2"), "aws"),
    **dict.fromkeys(("yt_dlp", "yt_dlp_ejs", "deno"), "pages"),
    "imageio_ffmpeg": "local",
    "pyarrow": "analysis",
}


def _numbered(*numbers: int) -> str:
    """A pattern for the message of an `OSError` with one of these numbers; its group `file` is the file's name."""
    return rf"\[Errno (?:{'|'.join(map(str, numbers))})\] [^:]*(?:: (?P<file>.+))?"


def _file_in(found: re.Match[str]) -> str:
    return f" ({visible(found['file'], most=200)})" if found["file"] else ""


def _lacks_package(found: re.Match[str]) -> BackupError:
    package = found[1].partition(".")[0]
    extra = _EXTRA_OF.get(package)
    if package == "psycopg":  # what SQLAlchemy takes for Postgres where nothing else is named
        return SettingsError(
            "the package psycopg is not installed; in dagster.yaml, set the `scheme` of `postgres_db` to "
            f"postgresql+psycopg2, and for that {advice.to_install('aws')}"
        )
    if extra is not None:
        how = advice.to_install(extra)
        if package in ("boto3", "botocore"):
            how += "; for a store that is not AWS's, the extra `s3` is enough"
    else:
        how = f"its installation is not whole: {advice.to_reinstall()}"
    return SettingsError(f"the package {visible(package, most=80)} is not installed; {how}")


_EXPLANATIONS: tuple[tuple[str, str, _Ours], ...] = (
    (
        _ANY, _numbered(errno.EMFILE, errno.ENFILE),
        lambda _: Shortage(
            "too many files are open at once for this process or this machine; allow more (`ulimit -n 4096`), or set "
            "VIDEO_CONCURRENCY lower, then run it again"
        ),
    ),
    (
        _ANY, rf"can't start new thread|{_numbered(errno.ENOMEM)}",
        lambda _: _no_memory(),
    ),
    (r"MemoryError", r"", lambda _: _no_memory()),
    (r"BlockingIOError", _numbered(errno.EAGAIN), lambda _: _no_memory()),  # from fork
    (
        r"ModuleNotFoundError", r"No module named '([^']+)'", _lacks_package,
    ),
    (
        _ANY, r"\[Errno \d+\] No usable temporary directory found",
        lambda _: SettingsError(
            "there is no folder for temporary files that can be written and has room; set TMPDIR to one"
        ),
    ),
    (
        _ANY, _numbered(errno.ENOSPC, errno.EDQUOT),
        lambda found: StoreError(
            f"a disk is full{_file_in(found)}; free some space, in the folder for temporary files too (TMPDIR), then "
            "run it again (nothing was stored half)"
        ),
    ),
    (
        _ANY, _numbered(errno.EROFS),
        lambda found: StoreError(
            f"something has to be written on a read-only file system{_file_in(found)}; set DATA_DIR, DAGSTER_HOME or "
            "TMPDIR to a folder that can be written"
        ),
    ),
    (
        r"FileNotFoundError", rf"\[Errno {errno.ENOENT}\] No such file or directory$",  # of no file: from os.getcwd
        lambda _: SettingsError(
            "the folder that this was started in was deleted; change to a folder that exists, then run it again"
        ),
    ),
    (
        r"RuntimeError", r"Could not determine home directory",
        lambda _: SettingsError(
            "this user has no home folder; set HOME, or write DATA_DIR and DAGSTER_HOME as whole paths without `~`"
        ),
    ),
    (
        r"OSError", r"Could not find (?:a suitable|the) TLS (?:CA )?\w+ \w+, invalid path: (.*)",
        lambda found: SettingsError(
            f"the file of trusted certificates {visible(found[1], most=200)} is missing; correct REQUESTS_CA_BUNDLE, "
            "CURL_CA_BUNDLE or SSL_CERT_FILE, or unset it"
        ),
    ),
    (
        r"PermissionError", _numbered(errno.EACCES, errno.EPERM),
        lambda found: StoreError(
            f"this user may not read or write something{_file_in(found)}; mend its permissions, then run it again"
        ),
    ),
    (
        _ANY, _numbered(errno.EIO),
        lambda found: StoreError(
            f"a disk cannot be read or written{_file_in(found)}; it may be failing: see the system's log"
        ),
    ),
    (
        r"(?:sqlalchemy\.exc|sqlite3|dagster_shared|alembic\..*)\.\w+Error", r"(?s)(.*)",
        lambda found: StoreError(
            f"a database cannot be used ({visible(found[1], most=200)}); run `{advice.command('doctor')}`, which says "
            f"what is wrong with Dagster's, or `{advice.command('verify')}` for the archive's, then run it again"
        ),
    ),
)  # fmt: skip


def _no_memory() -> BackupError:
    return Shortage(
        "this machine gives it no more memory or processes; end other programs, raise the limits (`ulimit -v`, "
        "`ulimit -u`), or set VIDEO_CONCURRENCY lower, then run it again"
    )


def _class_of(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it wraps, from the outside in."""
    pending, seen = [error], set[int]()
    while pending and len(seen) < 30:
        cause = pending.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [
            cause.__cause__,
            None if cause.__suppress_context__ else cause.__context__,
            getattr(cause, "reason", None),
        ]
        pending += [part for part in (*inner, *cause.args) if isinstance(part, BaseException)]


def one_line(error: BaseException | None) -> str:
    """An error as one short line: its own message where it was written for people, else its innermost cause.

    requests wraps urllib3's errors, which wrap the socket's; only the last says what happened.
    """
    if error is None:
        return "unknown error"
    if isinstance(error, BackupError):
        return visible(error)
    error = _innermost(error)
    text = visible(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    for _ in range(10):
        parts = [getattr(error, "reason", None), *error.args, error.__cause__]
        deeper = next((part for part in parts if isinstance(part, BaseException) and part is not error), None)
        if deeper is None:
            break
        error = deeper
    return error
