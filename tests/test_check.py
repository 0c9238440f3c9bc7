"""The machinery of checking: what crosses, what is caught, what the learner is told."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course.check import Exercise, observe, ok, wrong
from course.check.bank import Right, Wrong, trial
from course.check.plain import NotPlain, decode, encode, to_plain
from course.check.run import draw, probe, run


def _cases(rng):
    return [
        {"label": "a few numbers", "x": rng.normal(size=4)},
        {"label": "one number", "x": rng.normal(size=1)},
        {"label": "on the GPU", "x": np.ones(2), "device": "cuda"},
    ]


def _probe(names, case):
    x = torch.tensor(case["x"], device=case.get("device", "cpu"))
    return {"got": observe(names.double(x))}


def _judge(cases, seen):
    for case, s in zip(cases, seen):
        if s["got"]["kind"] != "tensor":
            yield wrong("returns a tensor", f"returned a {s['got']['kind']}")
            continue
        yield ok("returns a tensor")
        got = s["got"]["array"]
        right = np.allclose(got, 2 * case["x"])
        squared = np.allclose(got, case["x"] ** 2)
        words = "you squared" if squared else "not twice the input"
        yield ok("doubles") if right else wrong("doubles", words)


DOUBLE = Exercise(
    name="double",
    section="Doubling",
    cases=_cases,
    probe=_probe,
    judge=_judge,
    hints=("a", "b", "c"),
    explain=lambda case, crash: "no item()" if "item" in crash.line else None,
    seconds=0.5,
)


def status(code: str) -> tuple[str, str]:
    report = trial(DOUBLE, code)
    assert not report.judge_error
    return report.status, report.message


def test_a_right_answer_passes_with_every_property_reported():
    report = trial(DOUBLE, "def double(x): return 2 * x")
    assert report.passed and [f.property for f in report.findings] == [
        "returns a tensor",
        "doubles",
    ]


@pytest.mark.parametrize(
    ("code", "expected", "says"),
    [
        ("def double(x): return x**2", "failed", "you squared"),
        ("def double(x): pass", "failed", "returned a none"),
        ("def double(x): raise NotImplementedError", "unanswered", "NotImplementedError"),
        ("def double(x): raise NotImplementedError()", "unanswered", "NotImplementedError"),
        ("x = 1", "unanswered", "`double` is not defined"),
        ("def double(x): return 1 / 0", "crashed", "ZeroDivisionError: division by zero"),
        ("def double(x): return x.item() * 2", "failed", "no item()"),
        ("def double(x):\n    while True: pass", "timeout", "does not end"),
        (
            "def double(x):\n  while True:\n    try: x = x\n    except Exception: pass",
            "timeout",
            "0.5 s",
        ),
        ("def double(x): raise SystemExit", "crashed", "exit()"),
        ("def double(x): return 2 *", "crashed", "SyntaxError"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(code, expected, says):
    got, message = status(code)
    assert got == expected and says in message


def test_a_crash_names_the_learners_own_line():
    _, message = status("def double(x):\n    y = x.reshape(3, 5)\n    return y")
    assert "`y = x.reshape(3, 5)`" in message


def test_a_device_that_is_absent_is_skipped_and_one_that_is_there_is_used():
    results = probe(DOUBLE, {"double": lambda x: 2 * x}, draw(DOUBLE, 0))
    assert results[2] == {"skipped": True} or torch.cuda.is_available()


def test_same_seed_same_cases_other_seed_other_cases():
    a, b, c = draw(DOUBLE, 0), draw(DOUBLE, 0), draw(DOUBLE, 1)
    assert np.array_equal(a[0]["x"], b[0]["x"]) and not np.array_equal(a[0]["x"], c[0]["x"])


def test_what_the_answer_does_to_its_case_does_not_reach_the_judge():
    assert trial(DOUBLE, "def double(x):\n    y = 2 * x\n    x.zero_()\n    return y").passed


def test_the_answers_prints_and_warnings_are_swallowed(capfd):
    def double(x):
        print("noise")
        warnings.warn("noise", stacklevel=1)
        return 2 * x

    assert run(DOUBLE, {"double": double}).passed
    assert capfd.readouterr() == ("", "")


def test_random_state_grad_mode_and_default_dtype_are_kept():
    def double(x):
        torch.manual_seed(1)
        np.random.seed(1)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return 2 * x

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    assert run(DOUBLE, {"double": double}).passed
    assert torch.equal(torch.rand(1), expected)
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_no_alarm_is_left_behind():
    run(DOUBLE, {"double": lambda x: 2 * x})
    time.sleep(0.6)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | hnp.arrays(
        st.sampled_from(["bool", "int64", "uint8", "float16", "float32", "float64"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements={"allow_nan": False},
    ),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3),
    max_leaves=8,
)


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return (
            type(b) is np.ndarray
            and a.dtype == b.dtype
            and a.shape == b.shape
            and a.tobytes() == b.tobytes()
        )
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


@given(plain)
def test_plain_values_survive_the_crossing(value):
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, {"$array": 1}, 1j, np.array(["a"]), np.array([object()]), {1, 2}, b"x"],
)
def test_nothing_else_crosses(value):
    with pytest.raises(NotPlain):
        encode(value)


def test_depth_and_digits_are_bounded():
    deep: list = []
    for _ in range(50):
        deep = [deep]
    with pytest.raises(NotPlain):
        to_plain(deep)
    with pytest.raises(NotPlain):
        encode(10**2000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 5000,
        '{"$array": ["float64", [2], "AAAA"]}',
        '{"$array": ["object", [1], "AAAAAAAAAAA="]}',
        '{"$array": ["float64", [-1], ""]}',
        '{"$array": ["float64"]}',
        '{"$array": 3}',
        '{"$array": ["float64", [99999999999999], ""]}',
    ],
)
def test_malformed_text_is_refused_not_executed(text):
    with pytest.raises(NotPlain):
        decode(text)


def test_observe_describes_without_deciding():
    assert observe(None) == {"kind": "none"}
    assert observe(True) == {"kind": "bool", "value": True}
    t = observe(torch.ones(2, 3, dtype=torch.bfloat16))
    assert (t["dtype"], t["shape"], t["array"].dtype.name) == ("bfloat16", [2, 3], "float32")
    assert observe(torch.ones(1, requires_grad=True) * 2)["has_graph"]
    assert observe(np.float32(1.5))["kind"] == "numpy scalar"
    assert observe((1, [2.0]))["items"][1]["items"][0] == {"kind": "float", "value": 2.0}
    assert observe(open)["kind"] == "object"


def test_bank_entries_are_plain_data():
    assert Right("a", "b", "c").code == "c" and Wrong("a", "b", "c", says="d").says == "d"
