"""What an archive is a record of: `archive.json`, compared with the settings before anything is written.

Settings that disagree are refused. So sample data never meet real ones, and one league's days never overwrite
another's."""

from typing import TYPE_CHECKING, Self

from pydantic import ConfigDict

from ncaa_assets.failures import ObjectMissing, SettingsError, StoreError, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record import json_text
from ncaa_assets.record.models import NewerVersion, Versioned, parse_document
from ncaa_assets.text import visible

if TYPE_CHECKING:
    from ncaa_assets.settings import Settings

IDENTITY_KEY = "archive.json"

_SET_BY = {"source": "API_URL and RAPIDAPI_KEY", "league": "LEAGUE_NAME", "timezone": "TIMEZONE"}


class Identity(Versioned):
    """The source, league and timezone that an archive is a record of."""

    model_config = ConfigDict(frozen=True)

    source: str
    league: str
    timezone: str

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """The identity that these settings ask for."""
        return cls(source=settings.source, league=settings.league_name, timezone=settings.timezone)

    def check(self, store: ObjectStore) -> bool:
        """Returns whether `store` holds an archive already, and makes sure that it is this one.

        Raises:
            SettingsError: the archive is another's; the message says how to keep both.
            StoreError: `archive.json` cannot be read.
        """
        try:
            data, _ = store.read(IDENTITY_KEY)
        except ObjectMissing:
            return False
        try:
            stored = parse_document(Identity, data)
        except NewerVersion as error:
            raise SettingsError(f"{store.uri(IDENTITY_KEY)}: {error}") from error
        except ValueError as error:
            raise StoreError(
                f"{store.uri(IDENTITY_KEY)} is damaged ({visible(error)}); put back an earlier version of it"
            ) from error
        for name, variable in _SET_BY.items():
            theirs, ours = getattr(stored, name), getattr(self, name)
            if theirs != ours:
                raise SettingsError(
                    f"this archive's {name} is {visible(theirs)!r} but the settings say {ours!r}: nothing was written. "
                    f"To go on with it, set {variable} as before; to keep a second archive, set DATA_DIR (on aws, "
                    f"S3_PREFIX) to another folder. The archive: {store.uri(IDENTITY_KEY)}"
                )
        return True

    def claim(self, store: ObjectStore) -> None:
        """Makes an empty store this archive; elsewhere the same as `check`.

        It is called once a source has answered: a mistyped address must not give its name to an archive.
        """
        if self.check(store):
            return
        try:
            store.write(IDENTITY_KEY, json_text.dumps(self.model_dump(), indent=1) + b"\n", expect=Expect.NOTHING)
        except WriteConflict:
            self.check(store)  # another run was first; it must have meant the same archive
