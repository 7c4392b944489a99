"""The lines that `ncaa-assets doctor` prints. The modules that examine a machine, AWS or an instance return them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Mark(StrEnum):
    """OK; WARN: a backup would work, but a person should know of this; FAIL: a backup would not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Line:
    """What was found about one thing, in words for a person, with what to do where it is not well.

    `evidence` has the facts behind the words, by name: bytes, seconds, counts, versions.
    """

    mark: Mark
    name: str
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)
