"""What a place is, before anything of it is taken in: an archive, or what the earlier pipeline left; and which of an
archive's files are no part of it."""

import re
from collections.abc import Iterator

from ncaa_assets.archive.documents import KINDS
from ncaa_assets.archive.identity import IDENTITY_KEY
from ncaa_assets.archive.kept import KEPT
from ncaa_assets.archive.sums import SUMS
from ncaa_assets.backends.place import Place, PlaceFile
from ncaa_assets.failures import SettingsError
from ncaa_assets.imports.leavings import NotOfPipeline, OfAnArchive, read
from ncaa_assets.record import calendar
from ncaa_assets.record.models import HighlightsDay
from ncaa_assets.text import visible

ROOTS = ("", "documents/")  # where an archive has its documents, and where a restored folder of another layout has them
_OF_ARCHIVE = re.compile(rf"({'|'.join(kind.asset for kind in KINDS)})/([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(\.json$|/)")
_BESIDE = (IDENTITY_KEY, SUMS, KEPT, "gallery/", "dagster-logs/", "highlights.sqlite")


def root_of(place: Place) -> str | None:
    """Where a place has an archive's documents, as the beginning of their paths; None where it is no archive.

    Raises:
        SettingsError: it is one that lacks its `archive.json`.
    """
    for root in ROOTS:
        if place.info(root + IDENTITY_KEY) is not None:
            return root
        for file in place.list(f"{root}{HighlightsDay.asset}/"):
            day = file.path.removeprefix(f"{root}{HighlightsDay.asset}/").removesuffix(".json")
            if calendar.is_day(day) and _is_document(place, file):
                raise SettingsError(
                    f"{visible(place.uri(root))} has an archive's days and no {IDENTITY_KEY}, which says what they are "
                    "of: put it back there, then import it"
                )
    return None


def leavings_in(place: Place, root: str | None) -> Iterator[PlaceFile]:
    """The files that may be the earlier pipeline's, each in every version, the oldest first. An archive may lie beside
    them; in a restored folder all is an archive's.

    Raises:
        SettingsError: an archive lies deeper in the place.
    """
    if root == "documents/":
        return
    if root is None:
        _refuse_inner_archive(place)
    for file in place.versions():
        is_of_archive = _OF_ARCHIVE.match(file.path) is not None or file.path.startswith(_BESIDE)
        if root is None or not is_of_archive:
            yield file


def _refuse_inner_archive(place: Place) -> None:
    """Raises `SettingsError` where an archive lies deeper: its videos would be taken for those of nobody knows what."""
    looked_at: set[str] = set()
    for file in place.list():
        folder, _, name = file.path.rpartition("/")
        above = folder.removesuffix(HighlightsDay.asset)
        is_archive = folder != "" and name == IDENTITY_KEY
        if (
            not is_archive
            and above != folder
            and calendar.is_day(name.removesuffix(".json"))
            and above not in looked_at
        ):
            looked_at.add(above)
            is_archive = _is_document(place, file)
        if is_archive:
            inner = place.uri(above if name != IDENTITY_KEY else folder)
            raise SettingsError(
                f"there is an archive in {visible(inner)}: import it by itself, and then what lies beside it"
            )


def _is_document(place: Place, file: PlaceFile) -> bool:
    try:
        for _ in read(place, file):
            break
    except OfAnArchive:
        return True
    except NotOfPipeline:
        pass
    return False
