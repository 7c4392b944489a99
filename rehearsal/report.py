"""The rehearsal's report: printed line by line as the rehearsal goes on, and kept in docs/rehearsal.md.

Of what fails, the output is printed too: Terraform's, and that of the containers that ended badly.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PLACE = Path(__file__).parents[1] / "docs" / "rehearsal.md"


@dataclass
class Line:
    """One stage or drill: what was done, what was expected, and what was seen. `failed` says why it failed."""

    what: str
    expected: str
    seen: str = ""
    seconds: float = 0.0
    failed: str = ""


@dataclass
class Report:
    """Everything that the report holds."""

    stages: list[Line] = field(default_factory=list)
    drills: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    memory: list[tuple[str, float, int]] = field(default_factory=list)  # role, MiB in use at most, MiB of its task
    began: float = field(default_factory=time.monotonic)
    output: Callable[[float], str] = lambda _: ""  # what the containers said that ended badly since a moment

    @property
    def failures(self) -> list[Line]:
        return [line for line in [*self.stages, *self.drills] if line.failed]

    @contextmanager
    def _line(self, lines: list[Line], what: str, expected: str) -> Iterator[Line]:
        line = Line(what, expected)
        lines.append(line)
        began, since = time.monotonic(), time.time()
        print(f"{began - self.began:5.0f} s  {what} …", flush=True)
        try:
            yield line
        except Exception as error:
            line.failed = " ".join(f"{type(error).__name__}: {error}".split())[:600]
            print("\n".join(["", *traceback.format_exception(error), self.output(since)]), flush=True)
            raise
        finally:
            line.seconds = time.monotonic() - began
            now = time.monotonic() - self.began
            print(f"{now:5.0f} s  {what}: {'FAILED: ' if line.failed else ''}{line.failed or line.seen}", flush=True)

    def stage(self, what: str) -> AbstractContextManager[Line]:
        """A step that later ones depend on: if it fails, the rehearsal ends."""
        return self._line(self.stages, what, "")

    def drill(self, what: str, expected: str) -> AbstractContextManager[Line]:
        return self._line(self.drills, what, expected)

    def text(self) -> str:
        """The report as Markdown."""
        ended = time.monotonic() - self.began
        lines = [
            "# The last rehearsal",
            "",
            "`make rehearsal` deploys all of this project on one machine and lets things go wrong; it wrote this page."
            " Times are of two cores that share everything.",
            "",
            f"{'Everything came out as expected' if not self.failures else f'{len(self.failures)} FAILED'}, in"
            f" {ended / 60:.1f} minutes.",
            "",
            *[f"- {note}" for note in self.notes],
            "",
            "| stage | seconds | what was seen |",
            "|---|---|---|",
            *[f"| {one.what} | {one.seconds:.0f} | {_cell(one)} |" for one in self.stages],
            "",
            "| drill | expected end | seconds | what was seen |",
            "|---|---|---|---|",
            *[f"| {one.what} | {one.expected} | {one.seconds:.0f} | {_cell(one)} |" for one in self.drills],
            "",
            "| task | MiB in use at most | MiB that Terraform gives it | share |",
            "|---|---|---|---|",
            *[f"| {role} | {used:.0f} | {limit} | {used / limit:.0%} |" for role, used, limit in self.memory],
        ]
        return "\n".join(lines) + "\n"


def _cell(line: Line) -> str:
    return (f"**FAILED**: {line.failed}" if line.failed else line.seen).replace("|", "\\|")
