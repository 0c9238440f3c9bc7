"""What a learner calls in a notebook: `check` and `hint`."""

from __future__ import annotations

import html
import sys
from typing import Any

from course.check.run import run
from course.check.spec import Exercise, Report

REPORT_MIME = "application/vnd.course.report+json"


class CheckFailed(Exception):
    """A check that did not pass. Shows as one line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def check(name: str, *, seed: int = 0) -> None:
    """Check the answer to exercise `name` in the caller's namespace.

    Shows ✓ or ✗ per property, and for a mistake what it is and where to read again.

    Args:
        name: the exercise, e.g. "adam_step".
        seed: draws the cases; another seed gives other cases.

    Raises:
        CheckFailed: the answer is missing or wrong (nbgrader counts an error as no points).
        KeyError: there is no such exercise; the text lists those that are.
    """
    report = run(_find(name), sys._getframe(1).f_globals, seed)
    show(report)
    if not report.passed:
        raise CheckFailed(f"{name}: {report.message}")


def hint(name: str) -> None:
    """Show the three hints of exercise `name`, folded, each inside the one before."""
    exercise = _find(name)
    body = ""
    for i, text in reversed(list(enumerate(exercise.hints, 1))):
        inner = f"<p>{_inline(text)}</p>{body}"
        body = f'<details class="course-hint"><summary>Hint {i}</summary>{inner}</details>'
    _display({"text/html": body, "text/plain": f"Hint 1 of 3: {exercise.hints[0]}"})


def show(report: Report) -> None:
    """Display a report: as text, and as plain data for `course check`."""
    text = report.text()
    colour = "#0a7d4b" if report.passed else "#b3261e"
    style = (
        f"border-left:4px solid {colour};padding:.4em .8em;margin:0;white-space:pre-wrap;"
        "font-family:inherit;background:transparent;color:inherit"
    )
    _display(
        {
            "text/plain": text,
            "text/html": f'<pre style="{style}">{html.escape(text)}</pre>',
            REPORT_MIME: report.plain(),
        }
    )


def _find(name: str) -> Exercise:
    from course.exercises import find

    return find(name)


def _inline(text: str) -> str:
    parts = html.escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))


def _display(bundle: dict[str, Any]) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(bundle["text/plain"])
        return
    if get_ipython() is None:
        print(bundle["text/plain"])
    else:
        display(bundle, raw=True)
