"""The answers of the API for one day: its records and its matches, and how completely they came."""

from dataclasses import dataclass, field, replace
from typing import Any

from ncaa_assets.record import json_text
from ncaa_assets.record.models import ImportedFrom


@dataclass(frozen=True)
class Fetch:
    """The records of one day as one module of the API listed them, without repeats, and how completely they came.

    Where the API lists a highlight twice with different contents, both are here. `rejected` has the text of what is no
    record that can be read, and why.

    Two properties are judged apart. `whole`: the listing was read to its end, or as far as the user's LIMIT or plan
    allows. `complete` is stricter: it is also without any doubt, so that what it does not list is gone. `problems` says
    in sentences what stands in the way of either, for people to read; `gaps` are those of them that keep it from being
    whole. `is_short`: it was read to its end, and the API had announced more. `limited`: nothing but the user's own
    LIMIT kept it from being complete. `ids` are those of the records, as text. `quota_remaining` and `quota_limit` are
    API requests a day, from the last answer's headers. `imported`: this program did not fetch it, but imported it from
    there.
    """

    at: str
    module: str
    records: list[Any]
    query: dict[str, str]
    whole: bool
    complete: bool
    total_count: int | None
    requests: int
    ids: frozenset[str] = frozenset()
    rejected: list[tuple[str, str]] = field(default_factory=list)
    limited: bool = False
    is_short: bool = False
    quota_limit: int | None = None
    quota_remaining: int | None = None
    problems: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    imported: ImportedFrom | None = None

    def counts_as_whole(self, why: str) -> "Fetch":
        """The same fetch, whose listing was short by the API's own miscount; `why` says how that is known."""
        problems = [f"{problem} ({why})" if problem in self.gaps else problem for problem in self.problems]
        return replace(self, whole=True, problems=problems, gaps=[])

    def is_not_whole(self, why: str) -> "Fetch":
        """The same fetch, which is not all that the day needs; `why` is a sentence."""
        return replace(self, whole=False, complete=False, problems=[*self.problems, why], gaps=[*self.gaps, why])

    def with_earlier(self, earlier: "Fetch") -> "Fetch":
        """The same fetch with what another one, of the same listing and just before, had and it has not."""
        contents = {json_text.dumps(record, sort_keys=True) for record in self.records}
        also = [record for record in earlier.records if json_text.dumps(record, sort_keys=True) not in contents]
        return replace(
            self,
            records=[*self.records, *also],
            rejected=[*self.rejected, *(entry for entry in earlier.rejected if entry not in self.rejected)],
            ids=self.ids | earlier.ids,
            requests=self.requests + earlier.requests,
        )


@dataclass(frozen=True)
class Matches:
    """The matches of one day as they came, without repeats by id; `problems` says in sentences what did not come or
    could not be read. `quota_remaining` is API requests today, from the last answer's headers."""

    at: str
    records: list[dict[str, Any]]
    requests: int
    quota_remaining: int | None = None
    problems: list[str] = field(default_factory=list)
