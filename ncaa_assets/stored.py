"""The base of everything that a stored document is made of, and the numbers in it."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0, le=2**53)]
"""How many there are of something, such as bytes; any JSON reader holds it exactly."""

Amount = Annotated[float, Field(ge=0, le=2**53, allow_inf_nan=False)]
"""How much there is of something, such as seconds."""


class Stored(BaseModel):
    """A document, or a part of one. Fields that this version does not know are kept when it is written again."""

    model_config = ConfigDict(extra="allow")

    def keep_unknown(self, earlier: Self) -> None:
        """Takes over the fields of the entry that this one replaces which this version does not know, in the parts of
        both too."""
        assert self.model_extra is not None  # noqa: S101 - it is a dict wherever extra fields are allowed
        for name, value in (earlier.model_extra or {}).items():
            self.model_extra.setdefault(name, value)
        for name in type(self).model_fields:
            ours, theirs = getattr(self, name), getattr(earlier, name)
            if isinstance(ours, Stored) and isinstance(theirs, Stored):
                ours.keep_unknown(theirs)
