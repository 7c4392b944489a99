"""What was imported and is in no day, under `imported/`, with what is known of it: files for their bytes, and records
that tell no game day."""

from typing import Any

from ncaa_assets.failures import DocumentDamaged
from ncaa_assets.record.fields import Name, Sha256, Time
from ncaa_assets.record.models import Versioned
from ncaa_assets.record.written import from_bytes
from ncaa_assets.stored import Count, Stored

KEPT = "imported/"
ABOUT = ".about.json"  # what the name of a kept file is followed by, in the key of what is known of it


class KeptFile(Versioned):
    """`imported/SHA/….json` beside a file that was kept: where it came from and when it was stored there, its size and
    sha256, what kind of file it is by its first bytes, and why it is in no day."""

    place: Name
    stored_at: Time
    key: Name
    bytes: Count
    sha256: Sha256
    looks_like: Name
    reason: Name


class KeptRecord(Stored):
    """A record that is in no day, why, and the day for which it was asked, where something said so."""

    record: Any
    reason: Name
    asked_for: str | None


class KeptRecords(Versioned):
    """`imported/records/….json`: the records of one file that are in no day; where the file lay, when it was stored
    there, and its sha256."""

    place: Name
    stored_at: Time
    sha256: Sha256
    records: list[KeptRecord]


def recorded_sha256(about: bytes | None, key: str) -> str | None:
    """The sha256 that is recorded of a kept file, by what is known of it; None where that is missing or damaged."""
    try:
        known = None if about is None else from_bytes(KeptFile, about, key + ABOUT, expected={"key": key})
    except DocumentDamaged:
        return None
    return None if known is None else known.sha256
