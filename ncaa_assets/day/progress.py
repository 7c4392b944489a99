"""How the outcomes of a step are recorded while it works, for copies and encodes alike."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ncaa_assets.archive.archive import HeldDay
from ncaa_assets.failures import BackupError
from ncaa_assets.record.models import Document

# What was made is recorded at once, so that a kill has nothing made twice. What only was refused can be asked again: it
# is recorded together, because each record writes the whole manifest.
TOGETHER_SECONDS = 5.0


class Progress:
    """When a day's manifest is saved while outcomes are noted in it. `manifest` gives it with all that is noted."""

    def __init__(self, held: HeldDay, manifest: Callable[[], Document]) -> None:
        self._held, self._manifest = held, manifest
        self._saved_at = float("-inf")
        self._is_noted = False

    def note(self, *, made: bool) -> None:
        """Saves the manifest, to which an outcome was added: at once where something was `made`, else where it was not
        saved for a while."""
        self._is_noted = True
        if made or time.monotonic() - self._saved_at >= TOGETHER_SECONDS:
            self.save()

    def save(self) -> None:
        """Saves the manifest now.

        Raises:
            StoreError: the store cannot be written.
            LeaseLost: this run no longer holds the day.
        """
        self._held.save(self._manifest())
        self._saved_at, self._is_noted = time.monotonic(), False

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Saves what is noted when the `with` ends, also where an error ends it, which is raised all the same."""
        try:
            yield
        except BaseException:
            if self._is_noted:
                with suppress(BackupError):  # the store that failed fails again, and the error says so already
                    self.save()
            raise
        self.save()
