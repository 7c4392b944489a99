"""Every error that a person can meet.

An error's message is one sentence that says what happened and what to do next; the command line prints it unchanged.
What is worth another attempt is decided in `retry.py`.
"""

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


class StoreError(BackupError):
    """The object store or the table could not be read or written."""


class ObjectMissing(StoreError):
    """There is no object under this key."""


class DocumentDamaged(StoreError):
    """A stored document cannot be read: it is damaged, or a newer version of this project wrote it."""


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
