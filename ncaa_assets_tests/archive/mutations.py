"""What can be wrong in a JSON document: every place of it, set to what nobody expects there."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

from ncaa_assets.record import json_text

Path = tuple[str | int, ...]

MISSING, TWICE = "missing", "twice"
_RAW = "a text that stands for JSON of another kind: "


def raw(text: str) -> str:
    """A value that `text_of` writes word for word."""
    return _RAW + text


DAY, OTHER_DAY = "2025-03-09", "2025-03-08"
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, 0.5, raw("-0"), raw("1e400"), raw("1e-400"), raw("1e999999"),
    raw("NaN"), raw("-Infinity"), raw("9" * 5000), raw("1.50"), "", " ", "x", "0", "-1", "true", "null", "\0", "\ud800",
    "x\nALERT forged\x1b[31m\u202e", "x" * 1_000_000, "..", "../../outside", "/etc/passwd", "C:\\x", "archive.json",
    f"highlights/{DAY}.json", f"videos/{DAY}.json", f"videos/{DAY}/../{OTHER_DAY}/1.mp4", f"videos/{OTHER_DAY}/1.mp4",
    f"processed_videos/{OTHER_DAY}/1.mp4", f"processed_videos/{DAY}/1.jpg", DAY, OTHER_DAY, "2025-13-01", "9999-12-31",
    "2099-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2025-03-10T06:00:00+00:00", "2025-03-10T06:00:00",
    "2025-02-30T06:00:00Z", "0" * 64, "a" * 63, "f" * 16, "http://127.0.0.1:1/x", "file:///etc/passwd",
    [], {}, [[]], [None], {"": None}, {"id": {}}, raw("[" * 900 + "]" * 900), raw('{"a":1,"a":2}'),
]  # fmt: skip


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, found by walking it, so that a new field is among them by itself."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, part in value.items():
            yield from places(part, (*path, name))
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from places(part, (*path, at))


def mutations(document: Any, *, each: int | None = None, seed: int = 0) -> list[tuple[str, Any]]:
    """The mutations of a document, each with a name: all of them, or so many of `each` place, the same for a seed."""
    by_place: dict[Path, list[tuple[str, Any]]] = {}
    for path, name, mutated in _every(document):
        by_place.setdefault(path, []).append((name, mutated))
    chance = random.Random(seed)  # noqa: S311 - the same ones each time
    chosen = by_place.values() if each is None else (chance.sample(some, each) for some in by_place.values())
    return [mutation for some in chosen for mutation in some]


def _every(document: Any) -> Iterator[tuple[Path, str, Any]]:
    """Each mutation with its place and its name. One that changes nothing is left out."""
    everywhere = list(places(document))
    by_name: dict[str | int, list[Any]] = {}
    for path in everywhere:
        by_name.setdefault(path[-1], []).append(_at(document, path))
    for path in everywhere:
        now = _at(document, path)
        name = ".".join(map(str, path))
        others = [other for other in by_name[path[-1]] if other != now]
        for value in [*VALUES, *others[:2], *others[-1:]]:
            if value != now or type(value) is not type(now):
                yield path, f"{name} = {_shown(value)}", _with(document, path, value)
        if isinstance(now, str) and DAY in now:
            yield path, f"{name} of another day", _with(document, path, now.replace(DAY, OTHER_DAY))
        yield path, f"{name} {MISSING}", _without(document, path)
        if isinstance(path[-1], int):
            yield path, f"{name} {TWICE}", _doubled(document, path)


def text_of(document: Any) -> bytes:
    """A mutated document as its file has it."""
    text = json_text.dumps(document, indent=1).decode() + "\n"
    return re.sub(f'"{_RAW}((?:[^"\\\\]|\\\\.)*)"', lambda found: json.loads(f'"{found[1]}"'), text).encode()


def _shown(value: Any) -> str:
    return str(value)[:40].encode("unicode_escape").decode()


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _copied(document: Any, path: Path) -> tuple[Any, Any]:
    """A copy of a document, as deep as a path goes, and the part of it that holds the last step."""
    copy = part = document.copy()
    for step in path[:-1]:
        part[step] = part[step].copy()
        part = part[step]
    return copy, part


def _with(document: Any, path: Path, value: Any) -> Any:
    copy, part = _copied(document, path)
    part[path[-1]] = value
    return copy


def _without(document: Any, path: Path) -> Any:
    copy, part = _copied(document, path)
    del part[path[-1]]
    return copy


def _doubled(document: Any, path: Path) -> Any:
    copy, part = _copied(document, path)
    part.insert(path[-1], part[path[-1]])
    return copy
