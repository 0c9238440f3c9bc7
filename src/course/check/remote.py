"""The probe's side of a check whose judge sits in another process (see `course.grade`)."""

from __future__ import annotations

import sys
from typing import Any

from course.check.face import _display, _find
from course.check.plain import NotPlain, decode, encode
from course.check.run import probe

OBSERVED_MIME = "application/vnd.course.observed+json"


def call(name: str, cases: list[dict[str, Any]]) -> str:
    """Source of a cell that probes exercise `name` on `cases` and sends back what it observed."""
    return (
        f"from course.check.remote import answer as _answer\n_answer({name!r}, {encode(cases)!r})"
    )


def answer(name: str, cases: str) -> None:
    """Probe the exercise in the caller's namespace; display the observations as plain data."""
    names = sys._getframe(1).f_globals
    exercise = _find(name)
    missing = [n for n in exercise.names if n not in names]
    result: dict[str, Any]
    if missing:
        result = {"missing": missing[0]}
    else:
        result = {"results": probe(exercise, names, decode(cases))}
    try:
        text = encode(result)
    except NotPlain as e:
        text = encode({"missing": f"{name} ({e})"})
    _display({OBSERVED_MIME: {"text": text}, "text/plain": f"probed {name}"})
