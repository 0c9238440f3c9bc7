"""Every wrong answer of the bank loses its points with words that name it; every right one keeps them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from course.check.bank import Answer, Right, Wrong, load, trial
from course.exercises import chapter, chapters, find

BANK = sorted((Path(__file__).parent / "mistakes").glob("*.py"))
ANSWERS = [a for path in BANK for a in load(path)]
FIVE_WRONG = {
    *("momentum_step", "nesterov_step", "rmsprop_step", "adam_step", "adamw_step"),
    *("train_step", "evaluate"),
}


def name(answer: Answer) -> str:
    kind = "right" if isinstance(answer, Right) else "wrong"
    return f"{answer.exercise}-{kind}-{answer.label}"


@pytest.mark.slow
@pytest.mark.parametrize("answer", [a for a in ANSWERS if isinstance(a, Wrong)], ids=name)
def test_wrong_answers_are_rejected_and_named(answer):
    report = trial(find(answer.exercise), answer.code)
    assert not report.judge_error
    assert not report.passed
    assert answer.says.lower() in report.message.lower()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("answer", [a for a in ANSWERS if isinstance(a, Right)], ids=name)
def test_right_answers_are_accepted_whatever_the_cases(answer, seed):
    report = trial(find(answer.exercise), answer.code, seed)
    assert not report.judge_error
    assert report.passed, report.text()


def test_every_chapter_with_exercises_has_a_bank():
    assert [p.stem for p in BANK] == list(chapters())


@pytest.mark.parametrize("exercise", [e for c in chapters() for e in chapter(c)])
def test_the_bank_is_large_enough(exercise):
    kinds = Counter(type(a) for a in ANSWERS if a.exercise == exercise)
    assert kinds[Right] >= 2
    assert kinds[Wrong] >= (5 if exercise in FIVE_WRONG else 3)


@pytest.mark.parametrize("exercise", [e for c in chapters() for e in chapter(c)])
def test_the_stub_is_unanswered_and_nothing_at_all_is_too(exercise):
    e = find(exercise)
    stub = "".join(f"def {n}(*args, **kwargs):\n    raise NotImplementedError\n" for n in e.names)
    assert trial(e, stub).status == "unanswered"
    assert trial(e, "").status == "unanswered"


@pytest.mark.parametrize("exercise", [e for c in chapters() for e in chapter(c)])
def test_hints_are_three_and_give_no_whole_answer(exercise):
    hints = find(exercise).hints
    assert len(set(hints)) == 3 and all(20 < len(h) < 400 for h in hints)
