"""The bank of right and wrong answers that measures our own checks."""

from __future__ import annotations

import copy
import linecache
import math
import os
import runpy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.check.run import run
from course.check.spec import Exercise, Report


@dataclass(frozen=True)
class Right:
    """An answer that must be accepted."""

    exercise: str
    label: str
    code: str


@dataclass(frozen=True)
class Wrong:
    """An answer that must be rejected, and the words by which the feedback must name its mistake."""

    exercise: str
    label: str
    code: str
    says: str


Answer = Right | Wrong


def load(path: Path) -> list[Answer]:
    """The answers in one file of `tests/mistakes/`."""
    return list(runpy.run_path(str(path))["ANSWERS"])


def trial(exercise: Exercise, code: str, seed: int = 0) -> Report:
    """Run `code` as a notebook's answer cell would run, and check it."""
    import numpy as np
    import torch
    from torch import nn
    from torch.nn import functional as F

    names: dict[str, Any] = {"__name__": "__main__", "torch": torch, "nn": nn, "F": F, "np": np}
    names |= {"math": math, "copy": copy, "os": os, "tempfile": tempfile, "Path": Path}
    file = f"<answer to {exercise.name}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    try:
        exec(compile(code, file, "exec"), names)
    except Exception as e:
        message = f"The answer's cell stopped with {type(e).__name__}: {e}"
        return Report(exercise.name, "crashed", message=message, section=exercise.section)
    return run(exercise, names, seed)


def faults(answers: list[Answer], seed: int = 0) -> Iterator[tuple[str, Answer, Report]]:
    """What the checks got wrong: ("false accept" | "false reject" | "unnamed" | "judge error", …)."""
    from course.exercises import find

    for answer in answers:
        report = trial(find(answer.exercise), answer.code, seed)
        if report.judge_error:
            yield "judge error", answer, report
        if isinstance(answer, Right):
            if not report.passed:
                yield "false reject", answer, report
        elif report.passed:
            yield "false accept", answer, report
        elif answer.says.lower() not in report.message.lower():
            yield "unnamed", answer, report
