"""What an exercise is: its cases, a probe, a judge, and the words for what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

Case = dict[str, Any]
Observation = dict[str, Any]
Status = Literal["passed", "failed", "unanswered", "crashed", "timeout"]


@dataclass(frozen=True)
class Finding:
    """One property of an answer: did it hold, and if not, which mistake it is."""

    property: str
    ok: bool
    words: str = ""


def ok(property: str) -> Finding:
    """The property holds."""
    return Finding(property, True)


def wrong(property: str, words: str) -> Finding:
    """The property does not hold; `words` name the mistake, say why it matters and what to do."""
    return Finding(property, False, words)


@dataclass(frozen=True)
class Crash:
    """An exception in the learner's code: its type, its text, and the line that raised it."""

    type: str
    message: str = ""
    line: str = ""

    def words(self) -> str:
        """One sentence for the learner."""
        text = f"{self.type}: {self.message}" if self.message else self.type
        return f"raised {text}" + (f" at `{self.line}`" if self.line else "")


def _no_words(case: Case, crash: Crash) -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What one exercise asks.

    Data flows one way: `cases` draws plain values, `probe` feeds one case to the learner's code and
    returns plain values, `judge` decides from the cases and those values alone. Probe and judge may
    run in different processes; nothing but plain values (see `course.check.plain`) crosses.
    """

    name: str
    """The grade_id of the answer cell."""
    section: str
    """Heading in the chapter that explains what the exercise asks."""
    cases: Callable[[np.random.Generator], list[Case]]
    """Draws the cases. Each has a "label" in words; one with "device" is skipped where that is absent."""
    probe: Callable[[SimpleNamespace, Case], Observation]
    """Runs one case beside the learner's code. Observes; decides nothing."""
    judge: Callable[[list[Case], list[Observation]], Iterable[Finding]]
    """Decides from all cases that did not crash and what was observed in them."""
    hints: tuple[str, str, str]
    """Three steps, each giving away more than the one before."""
    needs: tuple[str, ...] = ()
    """Names that the answer must define; (name,) when empty."""
    explain: Callable[[Case, Crash], str | None] = _no_words
    """Words for an exception that is a known mistake."""
    seconds: float = 10.0
    """Time for all cases together."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the answer must define."""
        return self.needs or (self.name,)


@dataclass(frozen=True)
class Report:
    """The outcome of one check."""

    exercise: str
    status: Status
    findings: tuple[Finding, ...] = ()
    message: str = ""
    section: str = ""
    judge_error: str = field(default="", compare=False)
    """Set when the judge itself failed on what it was given: wrong for the learner, a defect for us."""

    @property
    def passed(self) -> bool:
        """Whether all properties hold."""
        return self.status == "passed"

    def plain(self) -> dict[str, Any]:
        """The report as plain values, for JSON."""
        return {
            "exercise": self.exercise,
            "status": self.status,
            "message": self.message,
            "section": self.section,
            "findings": [[f.property, f.ok, f.words] for f in self.findings],
        }

    def text(self) -> str:
        """The report as the learner reads it."""
        if self.passed:
            lines = [f"✓ {self.exercise}: all right"]
        else:
            lines = [f"✗ {self.exercise}: {_HEADLINES[self.status]}"]
        for f in self.findings:
            lines.append(f"  {'✓' if f.ok else '✗'} {f.property}")
        if self.message:
            lines += ["", f"  {self.message}"]
        if not self.passed and self.status != "unanswered":
            lines.append(f'  Read “{self.section}” again, or run hint("{self.exercise}").')
        return "\n".join(lines)


_HEADLINES = {
    "failed": "not yet",
    "unanswered": "not answered yet",
    "crashed": "your code stopped with an error",
    "timeout": "your code took too long",
}
