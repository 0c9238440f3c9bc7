"""Checking an answer: a probe runs beside the learner's code, a judge decides from plain values."""

from course.check.face import CheckFailed, check, hint
from course.check.plain import observe
from course.check.spec import Case, Crash, Exercise, Finding, Observation, Report, ok, wrong

__all__ = [
    "Case",
    "CheckFailed",
    "Crash",
    "Exercise",
    "Finding",
    "Observation",
    "Report",
    "check",
    "hint",
    "observe",
    "ok",
    "wrong",
]
