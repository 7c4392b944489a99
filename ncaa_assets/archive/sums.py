"""`SHA256SUMS`: what the files of a folder are verified with, as `sha256sum -c` reads it. `restore` writes it, and
`import` finds files by it."""

from collections.abc import Iterator

SUMS = "SHA256SUMS"


def sums_line(path: str, sha256: str) -> str:
    """The line of a file, with its end."""
    return f"{sha256}  {path}\n"


def sums_in(text: str) -> Iterator[tuple[str, str]]:
    """The path and the sha256 of each line that has both, in their order."""
    for line in text.split("\n"):
        digest, _, path = line.removesuffix("\r").partition("  ")
        if len(digest) == 64 and path:
            yield path, digest
