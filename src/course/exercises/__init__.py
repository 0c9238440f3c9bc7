"""What each exercise asks: one module a chapter, `chNN_topic.py`, holding EXERCISES."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import MappingProxyType

from course.check.spec import Exercise


@functools.cache
def chapters() -> tuple[str, ...]:
    """The chapters that have exercises, e.g. ("11_optimizers", …)."""
    names = (m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("ch"))
    return tuple(sorted(n.removeprefix("ch") for n in names))


@functools.cache
def chapter(name: str) -> MappingProxyType[str, Exercise]:
    """The exercises of a chapter by name, in the chapter's order. Raises KeyError."""
    if name not in chapters():
        raise KeyError(f"no exercises for chapter {name!r}; there are: {', '.join(chapters())}")
    module = importlib.import_module(f"course.exercises.ch{name}")
    return MappingProxyType({e.name: e for e in module.EXERCISES})


def find(name: str) -> Exercise:
    """The exercise of that name, in whichever chapter. Raises KeyError that lists the names."""
    known: list[str] = []
    for c in chapters():
        exercises = chapter(c)
        if name in exercises:
            return exercises[name]
        known += exercises
    raise KeyError(f"no exercise {name!r}; there are: {', '.join(known)}")
