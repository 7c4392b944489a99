"""What is left of a day's API requests, kept in the archive's store, where all runs see it: one object a key.

Every request takes one of what is left before it is made, and the header of its answer then says what is left in
truth. So runs beside and after one another stop at `QUOTA_RESERVE` together, whoever starts them. What was noted is
believed until the next 00:00 UTC, when the API counts anew, or for an hour, whichever is sooner; after that one request
finds out.
"""

import hashlib
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from ncaa_assets.failures import ObjectMissing, QuotaKept, StoreError, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record import calendar
from ncaa_assets.stored import Count
from ncaa_assets.text import plural

log = logging.getLogger(__name__)

QUOTA = ".quota/"

_BELIEVED_FOR = timedelta(hours=1)
_LONGEST_PAUSE = 0.2  # seconds, after another run wrote meanwhile


class RequestsLeft(BaseModel):
    """How many requests are left today, and when the API last said so."""

    left: Count
    at: datetime

    @property
    def is_believed(self) -> bool:
        """Whether it still says something."""
        at, now = self.at.astimezone(UTC), datetime.now(UTC)
        return not calendar.is_to_come(at, now=now) and now - at < _BELIEVED_FOR and at.date() == now.date()


class Quota:
    """The requests that one key may make through one door; `reserve` of them are never spent.

    It is bookkeeping: where the store fails, it says so in the log, and the request is made. A store that is broken
    fails the day's own writes.
    """

    def __init__(self, store: ObjectStore, *, address: str, key: str, reserve: int) -> None:
        """`address` is the door's. RapidAPI counts each of its doors by itself."""
        # The key cannot be told from its fingerprint: 64 of the 256 bits of a hash.
        fingerprint = hashlib.sha256(f"{urlsplit(address).netloc}\n{key}".encode()).hexdigest()[:16]
        self._store, self._key, self._reserve = store, f"{QUOTA}{fingerprint}.json", reserve
        self._taken: str | None = None  # the version that the last request's take wrote
        self._taken_at = datetime.now(UTC)

    def left(self) -> int | None:
        """How many requests are left today, None where that is not known."""
        try:
            known, _ = self._read()
        except StoreError as error:
            _warn(error)
            return None
        return None if known is None else known.left

    def take(self) -> None:
        """Takes one request of what is left, for a request that is about to be made.

        Raises:
            QuotaKept: what is left is kept.
        """
        self._taken_at = datetime.now(UTC)

        def one_less(known: RequestsLeft | None, _: str | Expect) -> RequestsLeft | None:
            if known is None:
                return None  # the request finds out
            if known.left <= self._reserve:
                raise QuotaKept(why_not(known.left, self._reserve))
            return known.model_copy(update={"left": known.left - 1})

        self._taken = self._change(one_less)

    def heard(self, left: int | None) -> None:
        """Notes how many requests the answer to the one that was taken last says are left (None: it does not say). It
        counts from when that was made: an answer that comes after 00:00 UTC may be of the day before."""
        if left is None:
            return

        def as_heard(known: RequestsLeft | None, version: str | Expect) -> RequestsLeft:
            # Where another run took one since, this answer may not count it yet.
            now_left = min(left, known.left) if known is not None and version != self._taken else left
            return RequestsLeft(left=now_left, at=self._taken_at)

        self._taken = self._change(as_heard)

    def _change(self, change: Callable[[RequestsLeft | None, str | Expect], RequestsLeft | None]) -> str | None:
        """Writes what `change` makes of what is believed and of its version, and returns the version that it has then;
        None where that is nothing, or where the store fails. Where another run wrote meanwhile, it begins anew."""
        try:
            while True:
                known, version = self._read()
                changed = change(known, version)
                if changed is None:
                    return None
                try:
                    return self._write(changed, version)
                except WriteConflict:
                    time.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - jitter
        except StoreError as error:
            _warn(error)
            return None

    def _read(self) -> tuple[RequestsLeft | None, str | Expect]:
        """What is believed, and the version of what is stored."""
        try:
            data, version = self._store.read(self._key)
        except ObjectMissing:
            return None, Expect.NOTHING
        try:
            known = RequestsLeft.model_validate_json(data)
        except ValidationError:
            return None, version
        return (known if known.is_believed else None), version

    def _write(self, requests: RequestsLeft, expect: str | Expect) -> str:
        data = requests.model_dump_json().encode()
        return self._store.write(self._key, data, expect=expect, keep_replaced=False)


def why_not(left: int, reserve: int) -> str:
    """The sentence about a request that is not made, with what to do."""
    otherwise = "set QUOTA_RESERVE lower" if left else "an hour after you upgraded the plan"
    return f"{what_is_left(left, reserve)}; run it again tomorrow, or {otherwise}"


def what_is_left(left: int, reserve: int) -> str:
    """The same without what to do."""
    return f"{plural(left, 'API request')} {'is' if left == 1 else 'are'} left today and QUOTA_RESERVE keeps {reserve}"


def _warn(error: StoreError) -> None:
    log.warning("how many API requests are left today cannot be noted: %s", error)
