"""A stored document as bytes: how it is written, with a checksum of its own, and how it is read. No I/O.

The checksum is in the document's first field, `content_sha256`, on a line of its own: the sha256 of the file without
that line, so that everyday tools can compute it. It tells a document that somebody edited, or a disk damaged, in a way
that can still be read. Documents of earlier versions have none and are not judged by it.
"""

import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal

from pydantic import ValidationError

from ncaa_assets.failures import DocumentDamaged
from ncaa_assets.record import json_text
from ncaa_assets.record.fields import DOUBTS, problem_in
from ncaa_assets.record.merge import DEEPEST
from ncaa_assets.record.models import SCHEMA_VERSION, V, Versioned, kind_of
from ncaa_assets.text import visible

CHECKSUM = "content_sha256"

_BEGINS = re.compile(rb'\{\n "' + CHECKSUM.encode() + rb'": "([0-9a-f]{64})",\n')
_DEEPEST = DEEPEST + 10  # levels; a record stands at most seven deep in its document
_NONE = object()
_EDITED = f"its content is not that of its `{CHECKSUM}`: it was edited, or damaged on its disk"


class NewerVersion(ValueError):
    """A stored document was written by a newer version of this project, and is left to it."""


def to_bytes(document: Versioned) -> bytes:
    """A document as it is stored."""
    text = json_text.dumps(document.model_dump(), indent=1) + b"\n"
    return b'{\n "%s": "%s",\n%s' % (CHECKSUM.encode(), hashlib.sha256(text).hexdigest().encode(), text[2:])


def from_bytes(
    kind: type[V], data: bytes, place: str, *, expected: Mapping[str, object] | None = None, otherwise: str = ""
) -> V:
    """A stored document that lies at `place`. `expected` are fields whose values its key says too; `otherwise` is what
    a person can do who has no earlier version of it, as a part of a sentence.

    Raises:
        DocumentDamaged: it is damaged, or a newer version of this project wrote it.
    """
    try:
        document = parse_document(kind, data)
        for name, value in (expected or {}).items():
            if (read := getattr(document, name)) != value:
                raise ValueError(f"{name}: {visible(read, most=40)}, and its name says {value}")
    except NewerVersion as error:
        raise DocumentDamaged(f"{place} is left as it is: {error}, then run the day again") from error
    except ValueError as error:
        raise DocumentDamaged(
            f"{place} is damaged ({visible(error)}). Nothing was changed; put back an earlier version of it (.history/ "
            f"keeps them, as the bucket's versions do{otherwise}), then run the day again"
        ) from error
    return document


def parse_document(kind: type[V], data: bytes) -> V:
    """A stored document as this version writes it: what an older one said otherwise is filled in. Its `doubts` say what
    is wrong with it and harmless.

    Raises:
        NewerVersion: it was written by a newer version of this project.
        ValueError: it is no JSON, or of another shape.
    """
    raw = json_text.loads(data)
    version, doubts, is_as_written = SCHEMA_VERSION, list[str](), False
    if isinstance(raw, dict):
        version = _version(raw.get("schema_version", 1))
        raw["schema_version"] = SCHEMA_VERSION
        is_as_written = _is_as_written(data)
        if raw.pop(CHECKSUM, _NONE) is not _NONE and not is_as_written:
            doubts.append(_EDITED)
    if not is_as_written and json_text.is_deeper(raw, _DEEPEST):
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    try:
        document = kind.model_validate(raw, context={DOUBTS: doubts})
    except ValidationError as error:
        raise ValueError(problem_in(error)) from None
    document._upgrade(version)
    document._doubts = doubts
    return document


def _is_as_written(data: bytes) -> bool:
    """Whether a document begins with its checksum, and the rest has it."""
    begins = _BEGINS.match(data)
    if begins is None:
        return False
    digest = hashlib.sha256(b"{\n")
    digest.update(memoryview(data)[begins.end() :])
    return digest.hexdigest().encode() == begins[1]


_LONGEST_VERSION = 40  # characters; what is longer is no version
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?")


def _version(value: object) -> int:
    """The schema version that a document says it has, judged before anything else of it is read.

    Every version of this project writes a plain integer. A higher number is a newer program's, however it is written
    (9.0, 1e1, "9"): what this code may misread, it refuses. A version that this code knows, written in another way
    (2.0, "2"), was written by no version of it, so the document is damaged.

    Raises:
        NewerVersion: it is one that this version of the project does not know.
        ValueError: it is no version, or one that is written in another way.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= SCHEMA_VERSION:
        return value
    text = str(value).strip() if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else ""
    if len(text) <= _LONGEST_VERSION and _NUMBER.fullmatch(text) and Decimal(text) > SCHEMA_VERSION:
        raise NewerVersion(f"it was written by a newer ncaa-assets (schema version {text}); upgrade this one")
    raise ValueError(f"schema_version: {kind_of(value)}, and not a whole number from 1 to {SCHEMA_VERSION}")
