"""Run a probe beside the learner's code, and judge what it observed."""

from __future__ import annotations

import contextlib
import io
import linecache
import random
import signal
import sys
import threading
import time
import traceback
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from course.check.plain import NotPlain, decode, encode
from course.check.spec import Case, Crash, Exercise, Finding, Report, Status


class _TookTooLong(BaseException):
    """Not an Exception, so that a learner's `except Exception` does not swallow it."""


def draw(exercise: Exercise, seed: int) -> list[Case]:
    """The exercise's cases for a seed: the same seed gives the same cases."""
    return exercise.cases(np.random.default_rng([seed, zlib.crc32(exercise.name.encode())]))


def probe(exercise: Exercise, names: dict[str, Any], cases: list[Case]) -> list[dict[str, Any]]:
    """Run every case beside the learner's code. Returns plain values, one dict a case:

    {"value": what the probe observed}, {"crash": {type, message, line}}, {"unanswered": True},
    {"timeout": True} or {"skipped": True} (a device that is not there). `names` is the learner's
    namespace. Printed text and warnings of the learner's code are swallowed, random state is kept.
    """
    given = SimpleNamespace(**{n: names[n] for n in exercise.names})
    results: list[dict[str, Any]] = []
    stop = time.monotonic() + exercise.seconds
    for case in cases:
        if not _available(case.get("device", "cpu")):
            results.append({"skipped": True})
            continue
        left = stop - time.monotonic()
        if left <= 0:
            results.append({"timeout": True})
            continue
        try:
            with _quiet(), _as_before(), _limit(left):
                # A copy: what the learner's code does to a case must not reach the judge.
                value = exercise.probe(given, decode(encode(case)))
            results.append({"value": decode(encode(value))})
        except _TookTooLong:
            results.append({"timeout": True})
        except NotPlain as e:
            results.append({"crash": {"type": "TypeError", "message": f"returned {e}", "line": ""}})
        except (Exception, SystemExit) as e:
            if type(e) is NotImplementedError and not str(e):
                results.append({"unanswered": True})
            else:
                results.append({"crash": _crash_of(e)})
    return results


def judge(exercise: Exercise, cases: list[Case], results: list[dict[str, Any]]) -> Report:
    """Decide, from the cases and what a probe observed in them alone."""

    def report(status: Status, message: str = "", **more: Any) -> Report:
        return Report(exercise.name, status, message=message, section=exercise.section, **more)

    if len(results) != len(cases):
        return report("crashed", "Not every case of this check was run.")
    if any("unanswered" in r for r in results):
        return report("unanswered", "Replace `raise NotImplementedError` by your code.")
    if any("timeout" in r for r in results):
        late = next(c for c, r in zip(cases, results) if "timeout" in r)
        return report(
            "timeout",
            f"Stopped after {exercise.seconds:g} s, at: {late['label']}. "
            "Look for a loop that does not end, or one that a tensor operation could replace.",
        )
    crashes = [(c, Crash(**r["crash"])) for c, r in zip(cases, results) if "crash" in r]
    judged = [(c, r["value"]) for c, r in zip(cases, results) if "value" in r]
    findings: list[Finding] = []
    error = ""
    if crashes:
        case, crash = crashes[0]
        named = exercise.explain(case, crash)
        words = named or f"With {case['label']}, your code {crash.words()}."
        findings.append(Finding("runs on every case", False, words))
    if judged:
        try:
            findings += _merge(exercise.judge([c for c, _ in judged], [v for _, v in judged]))
        except Exception as e:
            error = "".join(traceback.format_exception(e))
            findings.append(
                Finding(
                    "returns what the statement asks for",
                    False,
                    "Your code returned something that the check cannot read. "
                    "Compare what it returns with the signature: types and shapes.",
                )
            )
    failing = [f for f in findings if not f.ok]
    if not findings:
        return report("crashed", "No case of this check could be run here.")
    if not failing:
        return report("passed", findings=tuple(findings), judge_error=error)
    # A mistake that the judge could name says more than the exception that it led to,
    # unless the exercise has words for that exception.
    if crashes and not named and len(failing) > 1:
        failing = failing[1:]
    status: Status = "crashed" if crashes and not judged else "failed"
    return report(status, failing[0].words, findings=tuple(findings), judge_error=error)


def run(exercise: Exercise, names: dict[str, Any], seed: int = 0) -> Report:
    """Probe and judge in this process. `names` is the namespace that holds the answer."""
    missing = [n for n in exercise.names if n not in names]
    if missing:
        return Report(
            exercise.name,
            "unanswered",
            message=f"`{missing[0]}` is not defined yet: run the cell that defines it, then this one.",
            section=exercise.section,
        )
    cases = draw(exercise, seed)
    return judge(exercise, cases, probe(exercise, names, cases))


def _merge(findings: Any) -> list[Finding]:
    merged: dict[str, Finding] = {}
    for f in findings:
        if f.property not in merged or (merged[f.property].ok and not f.ok):
            merged[f.property] = f
    return list(merged.values())


def _available(device: str) -> bool:
    if device == "cpu":
        return True
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_available()
    return device == "mps" and torch.backends.mps.is_available()


def _crash_of(error: BaseException) -> dict[str, str]:
    message = " ".join(str(error).split())
    line = ""
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
    here = str(Path(__file__).parents[1])
    for frame in traceback.extract_tb(error.__traceback__):
        library = "site-packages" in frame.filename or frame.filename.startswith(
            (here, sys.prefix, sys.base_prefix, "<frozen")
        )
        if not library:
            line = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
    if isinstance(error, SystemExit):
        message = "your code called exit()"
    return {"type": type(error).__name__, "message": message[:300], "line": line[:160]}


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after `seconds`, where the platform can (main thread, POSIX)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(
        signal, "setitimer"
    ):
        yield
        return

    def late(*_: object) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, late)
    # Again every second, for code that swallows the first.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Sink(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # nbgrader gives no points when a check cell writes to stderr, a mere warning included.
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(_Sink()),
        contextlib.redirect_stderr(_Sink()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _as_before() -> Iterator[None]:
    """Leave random state, grad mode and default dtype as they were."""
    import torch

    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
        torch.set_rng_state(state[2])
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
