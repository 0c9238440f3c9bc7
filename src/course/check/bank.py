"""The bank of right and wrong answers that measures our own checks."""

from __future__ import annotations

import copy
import linecache
import math
import os
import runpy
import tempfile
from dataclasses import dataclass, field
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


@dataclass
class Tally:
    """What the check of one exercise made of its answers in the bank."""

    exercise: str
    right: int = 0
    wrong: int = 0
    false_accepts: int = 0
    false_rejects: int = 0
    unnamed: int = 0
    faults: list[str] = field(default_factory=list)


def tally(answers: list[Answer], seed: int = 0) -> list[Tally]:
    """Run answers through their checks and count what the checks got wrong, by exercise."""
    from course.exercises import find

    tallies: dict[str, Tally] = {}
    for answer in answers:
        t = tallies.setdefault(answer.exercise, Tally(answer.exercise))
        report = trial(find(answer.exercise), answer.code, seed)
        fault = ""
        if isinstance(answer, Right):
            t.right += 1
            if not report.passed:
                t.false_rejects += 1
                fault = "false reject"
        else:
            t.wrong += 1
            if report.passed:
                t.false_accepts += 1
                fault = "false accept"
            elif answer.says.lower() not in report.message.lower():
                t.unnamed += 1
                fault = "unnamed"
        if report.judge_error:
            fault = "judge error"
        if fault:
            t.faults.append(f"{fault}: {answer.exercise}, {answer.label}: {report.message}")
    return list(tallies.values())
