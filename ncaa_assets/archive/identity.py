"""What an archive is a record of: `archive.json`, compared with the settings before anything is written.

Settings that disagree are refused. So sample data never meet real ones, and one league's days never overwrite
another's. The door to the API is no part of it: a record and its id are the same through every door. The module is, and
an archive may be moved from one to another."""

from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from ncaa_assets import advice
from ncaa_assets.failures import DocumentDamaged, NewerArchive, ObjectMissing, SettingsError, WriteConflict
from ncaa_assets.ports import Expect, ObjectStore
from ncaa_assets.record.calendar import now
from ncaa_assets.record.fields import Name, Time
from ncaa_assets.record.models import Versioned
from ncaa_assets.record.written import NewerVersion, from_bytes, to_bytes
from ncaa_assets.settings import SAMPLE, SAMPLE_ENDING, VENDOR, Settings
from ncaa_assets.source.doors import module_of
from ncaa_assets.source.open import asked_module
from ncaa_assets.stored import Stored
from ncaa_assets.text import visible

IDENTITY_KEY = "archive.json"

# What every archive was of that was begun before the sample had modules.
_SAMPLE_MODULE = "basketball"
_SET_BY = {"source": "RAPIDAPI_KEY", "league": "LEAGUE_NAME", "timezone": "TIMEZONE"}


class Move(Stored):
    """One move of an archive to another module of its source: when, and from which to which."""

    at: Time
    before: Name
    after: Name


class Identity(Versioned):
    """The source, module, league and timezone that an archive is a record of. `module` is None while no module has
    listed anything; `moves` are those between modules, oldest first."""

    model_config = ConfigDict(frozen=True)

    source: Name
    module: Name | None
    league: Name
    timezone: Name
    moves: list[Move] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _module_of_its_address(cls, given: Any) -> Any:
        """Until archives knew modules, the source of a real one was the address of its highlights."""
        if not isinstance(given, dict) or "module" in given or not isinstance(given.get("source"), str):
            return given
        source = given["source"]
        if source == SAMPLE:
            return {**given, "module": _SAMPLE_MODULE}
        return {**given, "source": VENDOR, "module": module_of(source)}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The identity that these settings ask for; its module is None where they leave it to the archive.

        Raises:
            SettingsError: they name two modules.
        """
        return cls(
            source=settings.source,
            module=asked_module(settings),
            league=settings.league_name,
            timezone=settings.timezone,
        )

    @property
    def founding_module(self) -> str | None:
        """The module of records that name none: the one that the archive began with."""
        return self.moves[0].before if self.moves else self.module

    def stored(self, store: ObjectStore, *, any_module: bool = False) -> "Identity | None":
        """What `store` is an archive of, None where it holds none yet. Makes sure that it is what these settings ask
        for; with `any_module`, whatever module it is of.

        Raises:
            SettingsError: the archive is another's; the message says how to keep both.
            StoreError: `archive.json` cannot be read.
        """
        found = self._read(store)
        if found is None:
            return None
        self._compare(found[0], store, any_module=any_module)
        return found[0]

    def claim(self, store: ObjectStore, module: str | None) -> "Identity":
        """Makes an empty store this archive, of a module (None: still undecided), and an undecided archive that of the
        module; any other stays as it is, and is written anew where it was edited. Returns what it is then.

        It is called once a source has answered: a mistyped address must not give its name to an archive.

        Raises:
            SettingsError: the archive is another's.
        """
        while True:
            found = self._read(store)
            if found is not None:
                self._compare(found[0], store, any_module=False)
                is_decided = found[0].module is not None or module is None
                if is_decided and not found[0].doubts:
                    return found[0]
                module = found[0].module or module
            begun = (found[0] if found else self).model_copy(update={"module": module})
            try:
                begun._write(store, expect=found[1] if found else Expect.NOTHING)
            except WriteConflict:
                continue  # another run was first; it must have meant the same archive
            return begun

    def take(self, store: ObjectStore, data: bytes, *, writes: bool = True) -> "Identity":
        """Makes an empty store the archive that `data`, the `archive.json` of another one, describes, word for word;
        and one that is an earlier state of it, the later one. Any other stays as it is. Returns what it is then, or
        without `writes` what it would be.

        Raises:
            SettingsError: the settings ask for something else than the archive, or than what is imported is of.
            DocumentDamaged: one of the two documents cannot be read.
        """
        theirs = from_bytes(Identity, data, f"the {IDENTITY_KEY} that is to be imported")
        for name, variable in _SET_BY.items():
            if (value := getattr(theirs, name)) != (ours := getattr(self, name)):
                raise SettingsError(
                    f"the {name} of what is to be imported is {visible(value)!r} but the settings say {ours!r}: "
                    f"nothing was written. Set {variable} as it was there"
                )
        while True:
            found = self._read(store)
            if found is not None:
                self._compare(found[0], store, any_module=True)
                if not found[0]._is_earlier_state_of(theirs, store):
                    return found[0]
            if not writes:
                return theirs
            try:
                store.write(IDENTITY_KEY, data, expect=found[1] if found else Expect.NOTHING)
            except WriteConflict:
                continue  # another process was first
            return theirs

    def _is_earlier_state_of(self, other: "Identity", store: ObjectStore) -> bool:
        """Whether this archive would go on as the other did.

        Raises:
            SettingsError: the two began with different modules, so a record that names none means another in each.
        """
        began, others = self.founding_module, other.founding_module
        if None not in (began, others) and began != others:
            raise SettingsError(
                f"this archive began with the module {visible(began)!r}, and what is to be imported with "
                f"{visible(others)!r}: nothing was written. To keep it as a second archive, set DATA_DIR (on aws, "
                f"S3_PREFIX) to another folder. The archive: {store.uri(IDENTITY_KEY)}"
            )
        count = len(self.moves)
        return (
            (other.module, other.moves) != (self.module, self.moves)
            and other.moves[:count] == self.moves
            and (self.module is None or len(other.moves) > count)
        )

    def move(self, store: ObjectStore, module: str) -> "Identity":
        """Moves the archive to a module, which begins it where the store holds none, and returns what it is then.

        Raises:
            SettingsError: the archive is another's.
            WriteConflict: another process changed `archive.json` at the same moment.
        """
        found = self._read(store)
        if found is not None:
            self._compare(found[0], store, any_module=True)
        before = found[0] if found else self
        was = before.module if found else None
        moves = [*before.moves, Move(at=now(), before=was, after=module)] if was not in (None, module) else before.moves
        after = before.model_copy(update={"module": module, "moves": moves})
        after._write(store, expect=found[1] if found else Expect.NOTHING)
        return after

    def _compare(self, stored: "Identity", store: ObjectStore, *, any_module: bool) -> None:
        for name, variable in _SET_BY.items():
            theirs, ours = getattr(stored, name), getattr(self, name)
            if theirs != ours:
                how = f"set {variable} as before"
                if theirs == SAMPLE:
                    how = f"unset {variable}, and let the name of its folder end in {SAMPLE_ENDING}"
                raise SettingsError(
                    f"this archive's {name} is {visible(theirs)!r} but the settings say {ours!r}: nothing was written. "
                    f"To go on with it, {how}; to keep a second archive, set DATA_DIR (on aws, "
                    f"S3_PREFIX) to another folder. The archive: {store.uri(IDENTITY_KEY)}"
                )
        if not any_module and stored.module is not None and self.module not in (None, stored.module):
            move = advice.command("source", "--use", self.module)
            raise SettingsError(
                f"this archive is of the module {visible(stored.module)!r} but the settings ask for {self.module!r}: "
                f"nothing was written. To move it, run `{move}`; to go on with it, "
                "unset what names the other (API_MODULE, API_BASE or API_URL); to keep a second archive, set DATA_DIR "
                f"(on aws, S3_PREFIX) to another folder. The archive: {store.uri(IDENTITY_KEY)}"
            )

    def _write(self, store: ObjectStore, *, expect: str | Expect) -> None:
        store.write(IDENTITY_KEY, to_bytes(self), expect=expect)

    @staticmethod
    def _read(store: ObjectStore) -> "tuple[Identity, str] | None":
        try:
            data, version = store.read(IDENTITY_KEY)
        except ObjectMissing:
            return None
        try:
            return from_bytes(Identity, data, store.uri(IDENTITY_KEY)), version
        except DocumentDamaged as error:
            if isinstance(error.__cause__, NewerVersion):
                raise NewerArchive(str(error)) from error.__cause__
            raise
