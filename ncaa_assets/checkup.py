"""What a look at one thing comes to: the lines that `ncaa-assets doctor` prints, wherever they are found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Mark(StrEnum):
    """OK; WARN: a backup works, and something should be known; FAIL: it would not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: how it stands, in words for a person, with what to do where it does not stand well.

    `evidence` has the facts behind the words by name, in plain values: bytes, seconds, counts, versions.
    """

    mark: Mark
    name: str
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)
