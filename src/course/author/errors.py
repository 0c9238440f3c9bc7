"""What can be wrong with a chapter, in one line each."""

from __future__ import annotations

from pathlib import Path


class AuthorError(Exception):
    """One or more defects. `lines` holds one line of text for each; `done` what was written anyway."""

    def __init__(self, *lines: str, done: tuple[Path, ...] = ()) -> None:
        self.lines = tuple(" ".join(str(line).split()) for line in lines)
        self.done = done
        super().__init__("\n".join(self.lines))


class UnknownChapter(AuthorError, KeyError):
    """There is no chapter of that name."""

    __str__ = Exception.__str__
