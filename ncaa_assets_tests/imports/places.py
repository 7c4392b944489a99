"""What imports are tested with: restored folders of the archive that is kept in the tests, and an earlier pipeline's
leavings."""

import hashlib
import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from ncaa_assets.record import calendar

KEPT = Path(__file__).parents[1] / "archive" / "kept" / "v1" / "folder"
DAYS = ("2025-03-08", "2025-03-09", "2025-03-10")
STORED_AT = "2025-03-10T09:46:40Z"


def restored(layout: str, folder: Path, *, sums: bool = True) -> Path:
    """The kept archive as a restore leaves it, in a layout: `archive`, `days` or `library`."""
    archive = shutil.ignore_patterns(".*")
    if layout == "archive":
        shutil.copytree(KEPT, folder, ignore=archive)
    else:
        for path in sorted(KEPT.rglob("*.json")):
            if not any(part.startswith(".") for part in path.relative_to(KEPT).parts):
                put(folder / "documents" / path.relative_to(KEPT), path.read_bytes())
        for path in sorted([*KEPT.glob("videos/*/*"), *KEPT.glob("processed_videos/*/*")]):
            kind, day, name = path.relative_to(KEPT).parts
            readable = f"{day} Auburn Tigers – Duke Blue Devils ({path.stem}){path.suffix}"
            if layout == "days":
                put(folder / day / ("web" if kind == "processed_videos" else "") / readable, path.read_bytes())
            elif kind == "videos":
                put(folder / "NCAA" / "Season 2024" / f"NCAA S2024E{name}", path.read_bytes())
            else:
                ending = "-thumb.jpg" if path.suffix == ".jpg" else path.suffix
                put(folder / "NCAA" / "Season 2024" / f"{day} NCAA ({path.stem}){ending}", path.read_bytes())
    if sums:
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
            for path in sorted(folder.rglob("*")) if path.is_file()
        ]  # fmt: skip
        (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return folder


def objects(folder: Path) -> dict[str, bytes]:
    """The objects of a local archive, or the files of another folder, by key; without housekeeping, the table and the
    pages, which are made from the rest."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not path.name.startswith("highlights.sqlite") and path.relative_to(folder).parts[0] != "gallery"
    }


def put(path: Path, data: Any, *, at: str = STORED_AT) -> Path:
    """A file with some bytes, or with some JSON, as it was stored at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    seconds = datetime.timestamp(calendar.parse_stamp(at))
    os.utime(path, (seconds, seconds))
    return path


def record(identifier: Any, *, date: str | None = "2025-03-09T23:00:00.000Z", **fields: Any) -> dict[str, Any]:
    """A record of the API, of a game at a time."""
    match = {"id": 7, "homeTeam": {"name": "Duke"}, "awayTeam": {"name": "Auburn"}}
    found = {
        "id": identifier, "type": "VERIFIED", "title": f"Clip {identifier}", "imgUrl": None,
        "url": f"https://host.example/{identifier}.mp4", "match": match if date is None else {**match, "date": date},
    }  # fmt: skip
    return {**found, **fields}


def answer(*records: Any) -> dict[str, Any]:
    """The API's answer of one page."""
    return {"data": list(records), "pagination": {"totalCount": len(records)}, "plan": {"tier": "BASIC"}}


def row(of: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A record as the earlier pipeline wrote it to its table."""
    return {**of, "id": str(of.get("id", of["url"])), "fetch_date": "2025-03-09", **fields}


def typed(value: Any) -> dict[str, Any]:
    """A JSON value as DynamoDB's own JSON has it."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [typed(one) for one in value]}
    return {"M": {name: typed(one) for name, one in value.items()}}


def item(of: dict[str, Any]) -> dict[str, Any]:
    """A row as a line of DynamoDB's export has it."""
    return {"Item": typed(of)["M"]}
