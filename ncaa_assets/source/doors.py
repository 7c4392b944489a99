"""Where the API is asked: the vendor's doors, the modules behind them, and which door a key opens. No I/O.

One vendor (Highlightly) sells the same API through several doors; a record and its id do not depend on the door. Each
sport is a module of its own. Which doors and modules there are, and which key opens which, was gathered from the
vendor's documentation and from answers that others published (2026).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

# Where college basketball may be listed today; which of the two does is not known. An archive that begins asks both.
COLLEGE_BASKETBALL = ("nba", "basketball")
MODULES = (
    *COLLEGE_BASKETBALL, "american-football", "baseball", "nhl", "football", "hockey", "cricket", "rugby", "handball",
    "volleyball",
)  # fmt: skip
# Their `/matches` take `league`, and answer `leagueName` with 400 (seen); those of the others take `leagueName`.
US_MODULES = {"nba", "american-football", "baseball", "nhl"}

_RAPIDAPI, _DIRECT = "https://sport-highlights-api.p.rapidapi.com", "https://sports.highlightly.net"
_OF_RAPIDAPI = ".rapidapi.com"
_ONE_SPORT = {
    "nba-ncaab-api.p.rapidapi.com": "nba",
    "basketball-highlights-api.p.rapidapi.com": "basketball",
    "nhl-ncaah-api.p.rapidapi.com": "nhl",
    **{f"{module}.highlightly.net": module for module in MODULES},
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Kind(StrEnum):
    """Whose door it is. `OTHER`: a proxy, a test's; what is behind it cannot be told from its address."""

    RAPIDAPI = "RapidAPI"
    DIRECT = "direct"
    OTHER = "other"


def kind_of_key(key: str | None) -> Kind:
    """The door that a key opens, by its shape: a direct key is a UUID; all others are taken for RapidAPI's, which have
    50 characters with `msh` among them (both seen)."""
    return Kind.DIRECT if key is not None and _UUID.fullmatch(key) else Kind.RAPIDAPI


def is_rapidapi_key(key: str) -> bool:
    """Whether a key has the very shape of RapidAPI's."""
    return len(key) == 50 and "msh" in key


@dataclass(frozen=True)
class Door:
    """One way to the API.

    `base` is what a module's name is appended to; or where `only` names the one module that is behind the door, the
    address itself. `whole` is a highlights address of the user's own (`API_URL`), which stands for both. `host` is the
    `X-RapidAPI-Host` header (None: not sent). `named_by` are the settings that name the door, none where the key tells
    it.
    """

    kind: Kind
    base: str
    only: str | None
    whole: str | None
    host: str | None
    named_by: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        key: str | None,
        api_base: str | None = None,
        api_url: str | None = None,
        rapidapi_host: str | None = None,
    ) -> Self:
        """The door that settings name, else the one that the key's shape tells."""
        only: str | None
        if api_url is not None:
            base, only = api_url, module_of(api_url)
        else:
            base = api_base or _base(key, rapidapi_host)
            only = only_module(base)
        name = urlsplit(base).hostname or ""
        host = rapidapi_host or (name if name.endswith(_OF_RAPIDAPI) else None)
        kind = Kind.DIRECT if name.endswith(".highlightly.net") else Kind.OTHER
        if host is not None and _is_of_rapidapi(host) and kind is Kind.OTHER:
            kind = Kind.RAPIDAPI
        given = {"API_URL": api_url, "API_BASE": api_base, "RAPIDAPI_HOST": rapidapi_host}
        named_by = tuple(variable for variable, value in given.items() if value is not None)
        return cls(kind, base.rstrip("/"), only, api_url, host, named_by)

    @property
    def check(self) -> str:
        """What to look at where nothing usable answers, as the middle of a sentence."""
        return f"check {' and '.join(self.named_by) or 'API_MODULE'}"

    @property
    def unset(self) -> str:
        """How to let the key tell the door, as the middle of a sentence."""
        return f"unset {' and '.join(self.named_by)}"

    def highlights(self, module: str) -> str:
        """The address of a module's highlights."""
        return self.whole or f"{self._module(module)}/highlights"

    def matches(self, module: str) -> str | None:
        """The address of a module's matches; None where it cannot be told."""
        if self.whole is None:
            return f"{self._module(module)}/matches"
        start, slash, last = self.whole.rstrip("/").rpartition("/")
        return f"{start}{slash}matches" if last == "highlights" else None

    def _module(self, module: str) -> str:
        return self.base if self.only else f"{self.base}/{module}"


def only_module(address: str) -> str | None:
    """The only module behind an address's host, None where it has several or is not known."""
    return _ONE_SPORT.get((urlsplit(address).hostname or "").lower())


def module_of(address: str) -> str:
    """The module that a whole highlights address is of: the only one of its host, else the path's part before
    `highlights`, else its last part; for an address without a path, its host."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    if known := _ONE_SPORT.get((parts.hostname or "").lower()):
        return known
    path = [part.lower() for part in parts.path.split("/") if part]
    if path and path[-1] == "highlights":
        path.pop()
    return path[-1] if path else (parts.hostname or "").lower()


def _base(key: str | None, rapidapi_host: str | None) -> str:
    if rapidapi_host is not None and _is_of_rapidapi(rapidapi_host):
        return f"https://{rapidapi_host.lower()}"
    return _DIRECT if kind_of_key(key) is Kind.DIRECT else _RAPIDAPI


def _is_of_rapidapi(host: str) -> bool:
    """Whether a host, perhaps with a port, is one of RapidAPI's."""
    return (urlsplit(f"//{host}").hostname or "").endswith(_OF_RAPIDAPI)
