"""Exercises of chapter 11: five optimizer steps that must agree with torch.optim.

The five share cases, probe and judge. What differs is a `_Rule`: torch's own optimizer, which alone decides
what is right, and a recipe of formulas with the known mistakes, each one or two changed lines of it,
which only give a mistake its name.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import CodeType, SimpleNamespace
from typing import Any

import numpy as np
import torch

from course.check.spec import Case, Crash, Exercise, Finding, Observation, ok, wrong

STEPS = 100
RESTART = 50
_DEFAULTS = "the default hyperparameters"
_POSITIONAL = "hyperparameters given by position"
_ZERO = "hyperparameters of zero"
_VIEW = "a transposed, non-contiguous view"
_FLAT_ZERO = "five first gradients of zero"
_REUSE = "a gradient buffer that the caller fills anew"
_TWO = "two parameters in turn, each with its own state"
_AGAIN = f"an empty state again after {RESTART} steps"


@dataclass(frozen=True)
class _Rule:
    """One optimizer step: its oracle, its defaults, its recipe, and the recipe's known mistakes."""

    name: str
    section: str
    torch_name: str
    oracle: Callable[[list[torch.Tensor], dict[str, Any]], torch.optim.Optimizer]
    defaults: dict[str, Any]
    recipe: str
    mistakes: str
    hints: tuple[str, str, str]


# ---------------------------------------------------------------------------------- cases and probe


def _draw(rule: _Rule, rng: np.random.Generator) -> dict[str, Any]:
    """Hyperparameters in the signature's order, with an ε that matters beside the gradients drawn below."""
    b1, b2 = float(rng.uniform(0.5, 0.95)), float(rng.uniform(0.6, 0.97))
    drawn = {
        "lr": float(10 ** rng.uniform(-2.5, -0.8)),
        "momentum": b1,
        "alpha": b2,
        "betas": [b1, b2],
        "eps": float(10 ** rng.uniform(-2, -0.7)),
        "weight_decay": float(rng.uniform(0.05, 0.5)),
    }
    return {name: drawn[name] for name in rule.defaults}


def _cases(rule: _Rule, rng: np.random.Generator) -> list[Case]:
    zero = {"momentum": 0.0, "alpha": 0.0, "betas": [0.0, 0.0], "weight_decay": 0.0}
    plan: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
        ("a vector", (4,), {}),
        # Early and of the same shape, so that a memory outside `state` shows here and does not crash.
        (_AGAIN, (4,), {"restart": RESTART}),
        (_DEFAULTS, (3,), {"hyper": {}}),
        ("a matrix in float32", (2, 3), {"dtype": "float32"}),
        ("a single number (shape ())", (), {}),
        ("one element", (1,), {}),
        (_VIEW, (3, 2), {"view": True}),
        (_ZERO, (3,), {"zero": True}),
        (_POSITIONAL, (3,), {"positional": True}),
        (_TWO, (3,), {"parameters": 2}),
        (_REUSE, (3,), {"reuse": True}),
        ("a learning rate that changes", (3,), {"schedule": True}),
        (_FLAT_ZERO, (3,), {"zeros": 5}),
        ("a CUDA tensor", (3,), {"device": "cuda"}),
    ]
    cases = []
    for label, shape, more in plan:
        hyper = more.pop("hyper", None)
        if hyper is None:
            hyper = _draw(rule, rng)
        if more.get("zero"):
            hyper |= {name: value for name, value in zero.items() if name in hyper}
        # Scales differ between elements, so that no average over them looks right.
        n, dtype = more.get("parameters", 1), more.get("dtype", "float64")
        scale = 10 ** rng.uniform(-1, 0.5, size=(n, 1, *shape))
        if label == _DEFAULTS:
            scale[..., 0] = 3e-8  # of the default ε's own size
        grads = (rng.normal(size=(n, STEPS, *shape)) + 0.3) * scale
        grads[:, : more.get("zeros", 0)] = 0
        lr = np.full(STEPS, hyper.get("lr", rule.defaults["lr"]))
        if more.get("schedule"):
            lr = lr * rng.uniform(0.2, 1.5, size=STEPS)
        # A step count that is a tensor makes 1 − βᵗ a float32, and that is right too.
        tolerance = 1e-4 if label == _DEFAULTS else 1e-5
        if "betas" not in rule.defaults or more.get("zero"):
            tolerance = 1e-9
        start = rng.normal(size=(n, *shape)) * 2
        case = {"label": label, "start": start.astype(dtype), "grads": grads.astype(dtype)}
        tolerance = 2e-4 if dtype == "float32" else tolerance
        cases.append({**case, "hyper": hyper, "lr": lr, "tolerance": tolerance, **more})
    return cases


def _probe(rule: _Rule, names: SimpleNamespace, case: Case) -> Observation:
    """Take the steps; record where each parameter went, and what else the function touched."""
    step = getattr(names, rule.name)
    hyper = dict(case["hyper"])
    if "betas" in hyper:
        hyper["betas"] = tuple(hyper["betas"])

    def tensor(array: np.ndarray) -> torch.Tensor:
        made = torch.tensor(array, device=case.get("device", "cpu"))
        return made.t().contiguous().t() if case.get("view") else made

    params = [tensor(start) for start in case["start"]]
    buffers = [torch.empty_like(p) for p in params]
    states: list[dict[str, Any]] = [{} for _ in params]
    addresses = [p.data_ptr() for p in params]
    paths: list[list[np.ndarray]] = [[] for _ in params]
    grad_kept, returned = True, "none"
    for t in range(STEPS):
        for i, p in enumerate(params):
            if t == case.get("restart"):
                states[i] = {}
            grad = tensor(case["grads"][i][t])
            if case.get("reuse"):
                grad = buffers[i].copy_(grad)
            before = grad.clone()
            if hyper:
                hyper["lr"] = float(case["lr"][t])
            if case.get("positional"):
                out = step(p, grad, states[i], *hyper.values())
            else:
                out = step(p, grad, states[i], **hyper)
            if out is not None:
                returned = type(out).__name__
            grad_kept &= torch.equal(grad, before)
            paths[i].append(p.detach().double().cpu().numpy().copy())
    return {
        "paths": np.array(paths),
        "returned": returned,
        "grad_kept": grad_kept,
        "same_memory": [p.data_ptr() for p in params] == addresses,
    }


# ---------------------------------------------------------------------------------- what is right


def _oracle(rule: _Rule, case: Case) -> np.ndarray:
    """Where torch.optim's own optimizer takes each parameter: (parameters, steps, *shape)."""
    hyper = {**rule.defaults, **case["hyper"]}
    paths = []
    for start, grads in zip(case["start"], case["grads"]):
        p, path = torch.tensor(start, requires_grad=True), []
        for t in range(STEPS):
            if t in (0, case.get("restart")):
                optimizer = rule.oracle([p], hyper)
            optimizer.param_groups[0]["lr"] = float(case["lr"][t])
            p.grad = torch.tensor(grads[t])
            optimizer.step()
            path.append(p.detach().double().numpy().copy())
        paths.append(path)
    return np.array(paths)


def _same(got: np.ndarray, want: np.ndarray, case: Case, tolerance: float = 0.0) -> np.ndarray:
    """For each step, whether two paths are equal, on the scale of how far they have come."""
    finite = np.isfinite(want)
    inner = tuple(range(2, want.ndim))
    equal = (finite == np.isfinite(got)).all(axis=(0, *inner))
    got, want = np.where(finite, got, 0), np.where(finite, want, 0)
    start = case["start"].astype(float)[:, None]
    travel = np.where(finite, np.abs(want - start), 0).max(axis=(0, *inner))
    rounding = 30 * np.finfo(case["start"].dtype).eps * np.abs(want).max(axis=(0, *inner))
    room = (tolerance or case["tolerance"]) * np.maximum.accumulate(travel) + rounding
    return equal & (np.abs(got - want).max(axis=(0, *inner)) <= room)


def _judge(rule: _Rule, cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    place = "returns None and changes param in place"
    still = {c["label"] for c, s in zip(cases, seen) if (s["paths"] == c["start"][:, None]).all()}
    returned = [s["returned"] for s in seen if s["returned"] != "none"]
    if returned:
        yield wrong(
            place,
            f"`{rule.name}` returns a {returned[0]}: it must return None and change `param` in place, "
            "because the caller goes on with the tensor that it handed in.",
        )
    elif len(still) == len(cases):
        yield wrong(
            place,
            "`param` never changed. `param = param - …` only gives the name a new tensor (it is "
            "rebound); change the tensor itself, in place, with `param -= …` or `param.copy_(…)`.",
        )
    elif not all(s["same_memory"] for s in seen):
        yield wrong(
            place,
            "`param` got new memory (`param.data = …` or `set_`), and whoever holds the old one sees "
            "nothing: write into the memory that it has, in place, as `param -= …` does.",
        )
    else:
        yield ok(place)
    changed = {c["label"] for c, s in zip(cases, seen) if not s["grad_kept"]}
    if changed - {_REUSE}:
        yield wrong(
            "leaves grad as it was",
            "You changed `grad` in place. It belongs to the caller, who may still add to it or log it: "
            "work on a copy, or write out of place.",
        )
    else:
        yield (
            wrong("leaves grad as it was", _BY_REFERENCE)
            if changed
            else ok("leaves grad as it was")
        )
    agrees = f"agrees with {rule.torch_name} over {STEPS} steps"
    judged = [(c, s["paths"], _oracle(rule, c)) for c, s in zip(cases, seen)]
    bad = [j for j in judged if not _same(j[1], j[2], j[0]).all()]
    if not bad:
        yield ok(agrees)
    elif changed:
        yield wrong(
            agrees, "The steps are wrong too, maybe because `grad` changed: mend that first."
        )
    else:
        yield wrong(agrees, _name(rule, judged, bad, still))


# ---------------------------------------------------------------------------------- what a mistake is

_BY_REFERENCE = (
    "You keep `grad` by reference: the caller fills the same tensor with the next gradient, and what "
    "you stored changes with it. Store a copy (`grad.clone()`)."
)
_ELSEWHERE = (
    "Something is remembered outside `state`: a parameter with an empty dict does not start afresh. Keep it in `state` "
    "(each parameter brings its own dict), not in a global, an attribute or a default argument."
)
_ONLY = {
    _DEFAULTS: "Only the call without hyperparameters disagrees. Compare the defaults of your signature with the "
    "exercise's; a gradient of 3e-8 is among these, so a fixed ε or a threshold shows here too.",
    _POSITIONAL: "Only hyperparameters given by position disagree: their order in your signature is not the exercise's.",
    _ZERO: "Only hyperparameters of zero disagree: `if momentum` or `x or default` takes 0 for missing, "
    "or something divides by it.",
}
_FORMULAS = {
    "sqrt": np.sqrt,
    "sign": np.sign,
    "maximum": np.maximum,
    "mean": np.mean,
    "exp": np.exp,
}
_FORMULAS |= {"abs": np.abs, "clip": np.clip, "norm": lambda x: np.sqrt(np.sum(x * x))}


@functools.cache
def _lines(recipe: str) -> dict[str, str]:
    parts = (line.partition(" = ") for line in recipe.split("; "))
    return {name.strip(): formula.strip() for name, _, formula in parts}


def _mistakes(rule: _Rule) -> list[tuple[dict[str, str], str]]:
    """The rule's table: a line with changed formulas, then its words, indented."""
    table: list[tuple[dict[str, str], str]] = []
    for line in filter(None, rule.mistakes.splitlines()):
        if line.startswith(" "):
            changes, words = table[-1]
            table[-1] = changes, f"{words} {line.strip()}".strip()
        else:
            table.append((_lines(line), ""))
    return table


@functools.cache
def _compiled(name: str, formula: str) -> CodeType:
    return compile(f"{name} = {formula}", "<recipe>", "exec")


def _program(rule: _Rule, changes: dict[str, str]) -> list[CodeType]:
    """The recipe with changed lines; names that it does not compute, such as lr, are set first."""
    recipe = _lines(rule.recipe)
    first = {name: formula for name, formula in changes.items() if name not in recipe}
    return [_compiled(*line) for line in ({**first, **recipe, **changes}).items()]


def _simulate(rule: _Rule, case: Case, changes: dict[str, str], steps: int = STEPS) -> np.ndarray:
    """Where a recipe with changed lines would take each parameter."""
    program = _program(rule, changes)
    hyper = {**rule.defaults, **case["hyper"]}
    paths = np.full((len(case["start"]), steps, *case["start"].shape[1:]), np.nan)
    for i, (p, grads) in enumerate(zip(case["start"].astype(float), case["grads"].astype(float))):
        kept: dict[str, Any] = {}
        for t in range(steps):
            if t == case.get("restart"):
                kept = {}
            names = {**_FORMULAS, **hyper, "m": 0 * p, "v": 0 * p, "top": 0 * p, "t": 0, **kept}
            names |= {"p": p, "g": grads[t], "lr": float(case["lr"][t])}
            try:
                # Only lines that stand in this file: nothing of the learner's is executed here.
                for line in program:
                    exec(line, names)
            except ZeroDivisionError:
                break
            p, kept = np.asarray(names["p"]), names["keep"]
            paths[i, t] = p
    return paths


def _name(rule: _Rule, judged: list[tuple], bad: list[tuple], still: set[str]) -> str:
    """Words for what went wrong: a known mistake, else what the cases have in common, else where."""
    labels = {case["label"] for case, _, _ in bad}
    table = _mistakes(rule)

    def matches(changes: dict[str, str], where: list[tuple], steps: int = STEPS) -> bool:
        return all(
            _same(got[:, :steps], _simulate(rule, case, changes, steps), case).all()
            for case, got, _ in where
        )

    if labels == {_REUSE}:
        return _BY_REFERENCE
    with np.errstate(all="ignore"):
        for changes, words in table:
            if matches(changes, judged):
                return words
        if all(_same(got, want, case, 3e-3).all() for case, got, want in bad):
            return (
                "Your steps agree with torch's to a few digits only: something is computed in a smaller dtype "
                "than the parameter's. Make what you keep with `torch.zeros_like(param)`, and round nothing."
            )
        if len(labels) == 1 and labels <= _ONLY.keys():
            return _ONLY[labels.pop()]
        if labels == {_VIEW} and labels <= still:
            return (
                "A non-contiguous parameter does not move: `view`, `flatten`, `reshape` or `contiguous` "
                "gave you a copy, and you changed that. Work on `param` itself."
            )
        if labels == {_FLAT_ZERO} and not np.isfinite(bad[0][1]).all():
            return "After gradients of zero your parameter is not finite: something divides by zero there."
        first_right = judged[0][0]["label"] not in labels
        if labels <= {_TWO, _AGAIN} or (first_right and _AGAIN in labels):
            return _ELSEWHERE
        # A mistake may come with another one, or with a memory that goes on from case to case:
        # then only the first case is clean, and names the mistake if there is but one that fits.
        plain = [j for j in bad if j[0]["label"] not in (_TWO, _AGAIN, _REUSE)] or bad
        for where in (plain, judged[:1] if not first_right else []):
            fits = [words for changes, words in table if where and matches(changes, where)]
            if len(set(fits)) == 1 or (fits and where is plain):
                return fits[0]
        for (a, first), (b, second) in itertools.combinations(table, 2):
            if (
                not a.keys() & b.keys()
                and matches({**a, **b}, plain[:1], 2)
                and matches({**a, **b}, bad)
            ):
                return f"Two mistakes at once. {first} {second}"
    if len(judged) > len(bad) and {c["label"] for c, _, _ in judged} - labels == {_DEFAULTS}:
        return (
            "Only the default hyperparameters agree: your code uses constants in place of its arguments, "
            "or an ε stands where it does not belong and is too small by default to be seen."
        )
    return _first_difference(rule, *bad[0])


def _first_difference(rule: _Rule, case: Case, got: np.ndarray, want: np.ndarray) -> str:
    t = int(np.argmin(_same(got, want, case)))
    before = case["start"] if t == 0 else want[:, t - 1]
    right, yours = (want[:, t] - before).ravel(), (got[:, t] - before).ravel()
    k = int(np.abs(np.nan_to_num(yours - right, nan=np.inf)).argmax())
    words = f"With {case['label']}, step {t + 1} is the first that differs from {rule.torch_name}: "
    if not np.isfinite(yours[k]):
        return words + "your parameter is not finite there. Look at what you divide by."
    words += f"`param` should move by {right[k]:.4g} and moves by {yours[k]:.4g}"
    if right[k] != 0:
        ratio = yours[k] / right[k]
        words += f" ({ratio:.3g} times as far" + (", the other way)" if ratio < 0 else ")")
    if t == 0:
        return words + ". Work out this one step by hand: nothing is remembered yet."
    return words + ". The steps before are right, so look at what you keep, or at the step count."


def _explain(case: Case, crash: Crash) -> str | None:
    if crash.type == "KeyError":
        return (
            f"`state` is empty at the first call, and your code reads {crash.message} from it: "
            "use `state.get(…)`, or make the entry when it is missing."
        )
    sizes = "must match the size of tensor", "match the broadcast shape ["
    stray = any(s in crash.message for s in sizes) and "broadcast shape [1]" not in crash.message
    if stray and case["label"] != "a vector":
        return (
            f"What your code remembers has the shape of another parameter ({crash.message}). Keep it in "
            "`state`: each parameter brings its own dict. A global, an attribute or a default argument is "
            "shared by all."
        )
    if crash.type == "ZeroDivisionError":
        return (
            "Your code divides by zero. Does your step count start from 0? The first step is t = 1, so "
            "that 1 − βᵗ is not zero; and a hyperparameter may be 0."
        )
    if "unexpected keyword" in crash.message or "positional argument" in crash.message:
        return f"Your function does not take the arguments of the exercise's signature ({crash.message})."
    if case.get("view") and "view" in crash.message:
        return "`view` needs contiguous memory, and a parameter may be a non-contiguous view: work on `param` itself."
    if case["label"].startswith("a single number"):
        return f"A parameter may be a single number of shape (): your code {crash.words()}."
    return None


# ---------------------------------------------------------------------------------- the five
# Formulas: p, g are param and grad; v, m what is kept; d the direction; q the parameter before the step.

_ANY = """
keep = {}
    Nothing is remembered from step to step: the state is lost, as in plain SGD. Read the old value
    from `state` and store the new one there.
p = q + lr * d
    You walk uphill: the gradient points to where the loss grows. Subtract the step.
lr = 1
    Your step is not scaled by lr: multiply it by lr, or nobody can make it smaller.
lr = lr * lr
    You multiply by lr twice: once is enough.
lr = 2 * lr
    You step twice as far as you should: update `param` once in each call.
lr = lr / 2
    You step half as far as you should: nothing in the formula halves the step.
d = g
    This is plain SGD, lr · grad: what makes this optimizer more than that is missing.
d = sign(g)
    You step by the sign of the gradient only: its size has to count, too.
g = clip(g, -1, 1)
    You clip the gradient: use it as it comes, clipping is the caller's business.
g = g / norm(g)
    You normalise the gradient: use it as it comes, its length is information.
"""
_BUFFER = """
v = momentum * v + (1 - momentum) * g
    You scale the new gradient by (1 − momentum): that is dampened momentum, with smaller steps. Here the
    buffer is momentum · buffer + grad.
v = (1 - momentum) * v + momentum * g
    You swapped the factors: momentum multiplies the old buffer, and the gradient is added as it is.
v = momentum * v + (g if t > 1 else (1 - momentum) * g)
    Your first gradient enters the buffer dampened by (1 − momentum): add it as it is, like the others.
v = v + momentum * g
    momentum multiplies the new gradient; it must multiply the old buffer, so that old gradients fade.
v = momentum * (v + g)
    You multiply the new gradient by momentum too: only the old buffer is scaled, momentum · buffer + grad.
v = v + g
    Your buffer sums up all gradients and forgets nothing: multiply the old buffer by momentum first.
v = v + (g - v) / t
    Your buffer is the mean of all gradients: it is momentum · buffer + grad, which forgets old ones.
v = 0 * g if t == 1 else momentum * v + g
    Your first call does not use its gradient: a buffer of zeros takes the first gradient like any other.
keep = dict(v=d, t=t) if t == 1 else dict(v=v, t=t)
    Your first buffer is the first step's direction: it is the first gradient itself.
keep = dict(v=lr * v, t=t)
    Your step scales the buffer itself by lr, and the next step finds it scaled: multiply out of place.
v = momentum * v + (g if t > 1 else (1 + momentum) * g)
    Your first gradient enters the buffer twice: start from zeros, or add to the buffer from the second call on.
momentum = 0.9
    Your code uses a hard-wired momentum instead of the argument: use what the caller passes.
lr = 0.01
    Your code uses a hard-wired lr instead of the argument: use what the caller passes.
d = v / (1 - momentum**t)
    You correct a bias that this buffer does not have: it is a sum, not an average. Leave the division out.
v = momentum * v + (1 - momentum) * g; d = v / (1 - momentum**t)
    Your buffer is a bias-corrected average, as in Adam: here it is momentum · buffer + grad.
"""
_FOLDED = """
    You fold lr into the buffer. A change of the learning rate then reaches new gradients only; torch keeps
    gradients in the buffer and multiplies by lr when it steps.
"""
_SQUARES = """
d = mh / sqrt(vh + eps)
    ε stands inside the root: add it to the root, √v + ε. Inside, √ε acts as the floor, which is far larger.
d = mh / sqrt(vh + eps**2)
    ε stands inside the root, squared: add it to the root, √v + ε.
d = mh / maximum(root, eps)
    You take the larger of √v and ε: add ε to the root, as torch does.
d = mh / root
    ε is missing: where v is 0 you divide by zero. Add it to the root.
p = q - (lr * mh / root + eps)
    ε is added to the step: add it to the root before you divide (mind the brackets).
d = mh / root + eps
    ε is added to the quotient: add it to the root before you divide (mind the brackets).
d = (mh + eps) / root
    ε is added to the numerator: it belongs to the root below, to keep it from zero.
d = mh / (vh + eps)
    The square root is missing: divide by √v + ε, not by v + ε, or the units do not cancel.
d = mh * root
    You multiply by the root: divide by √v + ε, so that steep directions get small steps.
d = v
    You step along v, the average of squares: step along the gradient, divided by √v + ε.
d = mh
    The division by √v + ε is missing: it is what gives each element its own rate.
eps = sqrt(eps)
    You take the root of ε: add ε itself to √v.
eps = eps * eps
    You square ε: add ε itself to √v.
v = v + g * g
    v sums up all squared gradients: that is Adagrad, whose steps shrink for ever. Here v is an average that
    forgets: BETA · v + (1 − BETA) · grad².
v = b2 * v + g * g
    The factor 1 − BETA of the new square is missing: without it v is a sum, many times too large.
v = (1 - b2) * v + b2 * g * g
    The weights are swapped: BETA multiplies the old v, 1 − BETA the new square.
v = b2 * (v + g * g)
    You multiply the new square by BETA too: its weight is 1 − BETA.
v = (1 - b2) * (v + g * g)
    You multiply the old v by 1 − BETA too: its weight is BETA.
v = b2 * v + (1 - b2) * mean(g * g)
    v is one number for the whole tensor: keep one for each element, without a mean.
v = b2 * v + (1 - b2) * norm(g) ** 2
    v is one number for the whole tensor, made of its norm: square each element by itself.
v = b2 * v + (1 - b2) * abs(g)
    v averages |g|: it averages g², whose root has the gradient's own units.
v = b2 * v + (1 - b2) * g; vh = VHAT; root = abs(vh)
    v averages the gradient, not its square: average grad².
v = g * g if t == 1 else b2 * v + (1 - b2) * g * g
    You start v at the first squared gradient: it starts at 0.
v = b2 * (v if t > 1 else 1 + v) + (1 - b2) * g * g
    You start v at 1: it starts at 0.
v = maximum(v, b2 * v + (1 - b2) * g * g)
    Your v never shrinks: it is an average, and may.
v = g * g
    v is the last squared gradient alone: average it with the old v, BETA · v + (1 − BETA) · grad².
keep = dict(m=m, v=sqrt(v), t=t)
    You store the root of v in `state`, and take it for v in the next step: store v, or square it again.
keep = dict(m=m, v=root + eps, t=t)
    Your step takes the root of v in place, so the next step finds a root: take it out of place.
keep = dict(m=m, v=vh + eps, t=t)
    You store v + ε in `state`, so ε piles up: keep v as it is.
d = g / (root + eps) * sign(g)
    You step along |grad|: the step needs the gradient's sign.
eps = 1e-8
    Your code uses a hard-wired eps instead of the argument: use what the caller passes.
"""
_MOMENTS = """
mh = m; vh = v
    There is no bias correction: m and v start at 0, so the first steps are wrong by a large factor.
    Divide by 1 − β₁ᵗ and 1 − β₂ᵗ.
vh = v
    Bias correction of one moment only: m is corrected, v is not. Divide v by 1 − β₂ᵗ too.
mh = m
    Bias correction of one moment only: v is corrected, m is not. Divide m by 1 − β₁ᵗ too.
keep = dict(m=mh, v=vh, t=t)
    You store the corrected moments in `state`, so the bias correction compounds: correct copies, keep m and v.
keep = dict(m=mh, v=v, t=t)
    You store the corrected m in `state`, so its bias correction compounds: correct a copy, keep m as it is.
keep = dict(m=m, v=vh, t=t)
    You store the corrected v in `state`, so its bias correction compounds: correct a copy, keep v as it is.
mh = m * (1 - b1**t); vh = v * (1 - b2**t)
    Your bias correction multiplies by 1 − βᵗ: divide, the averages are too small at first.
mh = m / (1 - b1 * t); vh = v / (1 - b2 * t)
    Your bias correction multiplies β by t: it is a power, 1 − βᵗ.
mh = m / (1 - b1**t + eps); vh = v / (1 - b2**t + eps)
    ε is added to the bias correction: it belongs to the root, √v̂ + ε, and only there.
vh = v / (1 - b2)
    The power t is missing in the bias correction of v: divide by 1 − β₂ᵗ.
mh = m / (1 - b1)
    The power t is missing in the bias correction of m: divide by 1 − β₁ᵗ.
vh = v / (1 - b1**t)
    Your bias correction uses β₁ for both moments: divide v by 1 − β₂ᵗ.
mh = m / (1 - b2**t)
    Your bias correction uses β₂ for both moments: divide m by 1 − β₁ᵗ.
mh = m / (1 - b2**t); vh = v / (1 - b1**t)
    The betas of the bias correction are swapped: β₁ belongs to m, β₂ to v.
root = sqrt(v) / (1 - b2**t)
    You correct the bias after the root: divide v by 1 − β₂ᵗ first, then take the root.
d = mh * sqrt(1 - b2**t) / (sqrt(v) + eps)
    ε is added before the bias correction of v, which then scales ε too: correct v first, then root, then ε.
d = m * sqrt(1 - b2**t) / (sqrt(v) + eps)
    The folded step size lacks 1/(1 − β₁ᵗ), and ε is scaled with v: correct both moments, then add ε.
mh = m / (1 - b1 ** (t - 1)); vh = v / (1 - b2 ** (t - 1))
    Your step count starts from 0: the first step is t = 1, or 1 − βᵗ is zero there.
mh = m / (1 - b1 ** max(t - 1, 1)); vh = v / (1 - b2 ** max(t - 1, 1))
    Your step count lags by one: count first, then correct; the second step is t = 2.
keep = dict(m=m, v=v)
    Your step count does not advance, or the power t is missing in 1 − βᵗ: keep t in `state` and add 1 in each call.
keep = dict(t=t)
    Nothing is remembered of m and v from step to step, only t: store both in `state`.
keep = dict(m=m, t=t)
    v is not remembered: store it in `state` beside m.
keep = dict(v=v, t=t)
    m is not remembered: store it in `state` beside v.
mh = m / (1 - b1 ** (t + 1)); vh = v / (1 - b2 ** (t + 1))
    Your step count is one ahead: the first step is t = 1.
mh = m / (1 - b1 ** (2 * t)); vh = v / (1 - b2 ** (2 * t))
    Your step count advances by two in each call: add 1.
b1 = betas[1]; b2 = betas[0]
    The betas are swapped: betas[0] belongs to m, betas[1] to v.
b1 = betas[1]
    You use betas[1] for both moments: betas[0] belongs to m.
b2 = betas[0]
    You use betas[0] for both moments: betas[1] belongs to v.
v = b1 * v + (1 - b1) * g * g
    v is averaged with β₁: it has its own, β₂.
m = b2 * m + (1 - b2) * g
    m is averaged with β₂: it has its own, β₁.
m = b1 * m + g; v = b2 * v + g * g
    The factor 1 − β of the new value is missing in both moments: without it they are sums, not averages.
m = b1 * m + g
    The factor 1 − β₁ of the new gradient is missing in m: it is an average, not momentum's sum.
m = (1 - b1) * m + b1 * g; v = (1 - b2) * v + b2 * g * g
    The weights are swapped: the old moment is multiplied by β, the new value by 1 − β.
m = (1 - b1) * m + b1 * g
    The weights of m are swapped: the old m is multiplied by β₁, the gradient by 1 − β₁.
m = g if t == 1 else b1 * m + (1 - b1) * g; v = g * g if t == 1 else b2 * v + (1 - b2) * g * g
    You start the moments at the first gradient: they start at 0, the bias correction makes up for that.
m = g if t == 1 else b1 * m + (1 - b1) * g
    You start m at the first gradient: it starts at 0, the bias correction makes up for that.
m = g
    m is the last gradient alone: average it with the old m, β₁ · m + (1 − β₁) · grad.
mh = g
    You step along grad: step along the corrected average m̂ (without it this is RMSProp).
v = b2 * v + (1 - b2) * m * m
    v averages m²: it averages the square of the gradient itself.
v = b2 * v + (1 - b2) * (g - m) ** 2
    v averages (grad − m)², as in AdaBelief: it averages grad² itself.
vh = maximum(top, v / (1 - b2**t)); keep = dict(m=m, v=v, t=t, top=vh)
    This is AMSGrad: v̂ never shrinks. Here it may, take v̂ of this step.
vh = maximum(top, v) / (1 - b2**t); keep = dict(m=m, v=v, t=t, top=maximum(top, v))
    This is AMSGrad: v never shrinks. Here it may, take v of this step.
v = maximum(b2 * v, abs(g)); d = mh / (v + eps)
    This is Adamax, with a maximum in place of the average of squares.
v = maximum(b2 * v, abs(g) + eps); d = mh / v
    This is Adamax, with a maximum in place of the average of squares.
mh = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    This is NAdam, Adam with Nesterov's look-ahead: step along m̂ alone.
mh = (b1 * m + (1 - b1) * g) / (1 - b1**t)
    This is NAdam, Adam with Nesterov's look-ahead: step along m̂ alone.
betas = (0.9, 0.999)
    Your code uses hard-wired betas instead of the argument: use what the caller passes.
b1 = 0.9
    Your code uses a hard-wired β₁ instead of betas[0]: use what the caller passes.
b2 = 0.999
    Your code uses a hard-wired β₂ instead of betas[1]: use what the caller passes.
lr = 0.001
    Your code uses a hard-wired lr instead of the argument: use what the caller passes.
"""
_DECAY = """
q = p; g = g + weight_decay * p
    You add weight_decay · param to the gradient: that is L2 regularisation, which Adam then divides by √v̂. AdamW's
    decay is decoupled: multiply `param` by 1 − lr · weight_decay, apart from the gradient.
q = p
    There is no weight decay: multiply `param` by 1 − lr · weight_decay as well.
q = p; g = g + lr * weight_decay * p
    You add lr · weight_decay · param to the gradient: L2 regularisation, which Adam then divides by √v̂. Decay `param` itself.
g = g + weight_decay * p
    You decay twice, once decoupled and once as L2 in the gradient: leave the gradient as it comes.
q = p; d = (mh + weight_decay * p) / (root + eps)
    The decay is divided by √v̂ + ε like the gradient: keep it apart, so that each weight decays at one rate.
q = p; m = b1 * m + (1 - b1) * (g + weight_decay * p)
    The decay goes into m, as L2 does, and is divided by √v̂: decay `param` itself, apart from the gradient.
q = p * (1 - weight_decay)
    The decay is not scaled by lr: multiply `param` by 1 − lr · weight_decay, so that a schedule scales both.
q = p * (1 + lr * weight_decay)
    The weights grow: the decay has the wrong sign. Multiply by 1 − lr · weight_decay.
p = q
    Only the decay reaches `param`. `param = param - …` gives the name a new tensor (it is rebound): change the
    tensor itself, in place, with `param -= …`.
q = p; p = (q - lr * d) * (1 - lr * weight_decay)
    The decay comes after the step and shrinks the step as well: decay the old `param`, then step (torch's order).
q = p; p = (q - lr * d) * (1 - weight_decay)
    The decay comes after the step and is not scaled by lr: first multiply `param` by 1 − lr · weight_decay.
p = q - 0.001 * d
    Adam's step uses a hard-wired lr, only the decay uses the argument: use what the caller passes in both.
q = p * (1 - 0.001 * weight_decay)
    The decay uses a hard-wired lr, only Adam's step uses the argument: use what the caller passes in both.
q = p * (1 - lr * lr * weight_decay)
    The decay is scaled by lr twice: the factor is 1 − lr · weight_decay.
q = p * (1 - lr * weight_decay) ** 2
    You decay twice in one call: multiply `param` by 1 − lr · weight_decay once.
q = p; d = mh / (root + eps) + weight_decay
    You add weight_decay itself to the step: it multiplies `param`, as a share that each weight loses.
q = p * (1 - lr - weight_decay)
    The decay subtracts lr and weight_decay one by one: the factor is 1 − lr · weight_decay.
q = p * lr * weight_decay
    You multiply `param` by lr · weight_decay and so erase it: the factor is 1 − lr · weight_decay.
q = p * weight_decay
    You multiply `param` by weight_decay and so erase it: the factor is 1 − lr · weight_decay.
q = p - lr * weight_decay * sign(p)
    The decay subtracts the sign of the weights, as L1 does: subtract lr · weight_decay · param.
q = p - lr * weight_decay * p * p
    The decay subtracts param²: subtract lr · weight_decay · param.
q = p / (1 + lr * weight_decay)
    The decay divides by 1 + lr · weight_decay: torch multiplies by 1 − lr · weight_decay, which is not the same.
q = p * exp(-lr * weight_decay)
    The decay is exponential: torch multiplies by 1 − lr · weight_decay, which is not the same.
q = p * (1 - lr * weight_decay) if t == 1 else p
    You decay at the first step only: do it in each call.
weight_decay = 0.01
    Your code uses a hard-wired weight_decay instead of the argument: use what the caller passes.
"""
_ADAM = _MOMENTS + _SQUARES.replace("BETA", "β₂").replace("VHAT", "v / (1 - b2**t)") + _ANY
_ADAM_RECIPE = (
    "b1 = betas[0]; b2 = betas[1]; t = t + 1; m = b1 * m + (1 - b1) * g; v = b2 * v + (1 - b2) * g * g; "
    "mh = m / (1 - b1**t); vh = v / (1 - b2**t); root = sqrt(vh); d = mh / (root + eps); q = p; "
    "p = q - lr * d; keep = dict(m=m, v=v, t=t)"
)
_MOMENTUM_RECIPE = (
    "t = t + 1; old = v; v = momentum * v + g; d = v; q = p; p = q - lr * d; keep = dict(v=v, t=t)"
)


def _sgd(params: list[torch.Tensor], h: dict[str, Any], nesterov: bool) -> torch.optim.Optimizer:
    # torch refuses nesterov with momentum 0, where both forms are plain SGD.
    return torch.optim.SGD(params, h["lr"], h["momentum"], nesterov=nesterov and h["momentum"] > 0)


_RULES = (
    _Rule(
        name="momentum_step",
        section="Momentum",
        torch_name="torch.optim.SGD(momentum=…)",
        oracle=lambda params, h: _sgd(params, h, nesterov=False),
        defaults={"lr": 0.01, "momentum": 0.9},
        recipe=_MOMENTUM_RECIPE,
        mistakes=f"""
v = momentum * v + lr * g; p = q - d{_FOLDED}{_BUFFER}
d = g + momentum * v
    This is Nesterov momentum: here you step along the buffer alone.
d = old
    You step along the old buffer: update it with this gradient first, then step.
{_ANY}""",
        hints=(
            "Keep one tensor, as large as param, in state. What should it be before the first gradient?",
            "buffer = momentum · buffer + grad, starting from zeros. Then step along the buffer.",
            '`state.setdefault("v", torch.zeros_like(param))` gives the buffer; `mul_` and `add_` change '
            "it in place; `param.sub_(lr * buffer)` changes the parameter itself.",
        ),
    ),
    _Rule(
        name="nesterov_step",
        section="Nesterov momentum: look before you step",
        torch_name="torch.optim.SGD(nesterov=True)",
        oracle=lambda params, h: _sgd(params, h, nesterov=True),
        defaults={"lr": 0.01, "momentum": 0.9},
        recipe=_MOMENTUM_RECIPE.replace("; d = v;", "; d = g + momentum * v;"),
        mistakes=f"""
d = v
    This is plain momentum: Nesterov steps along grad + momentum · buffer, the look-ahead is missing.
v = momentum * v + lr * g; p = q - (lr * g + momentum * v){_FOLDED}
d = g + v
    Your look-ahead adds the whole buffer: it is grad + momentum · buffer.
d = momentum * v
    Your step leaves grad out of the look-ahead: it is grad + momentum · buffer.
d = v + momentum * v
    Your step adds momentum · buffer to the buffer: add it to the gradient, grad + momentum · buffer.
d = v + momentum * old
    You move by momentum · buffer first and then by the new buffer too: the step is grad + momentum · buffer.
d = v + momentum * g
    Your look-ahead scales grad by momentum: it is the buffer that is scaled, grad + momentum · buffer.
d = g - momentum * v
    You subtract the buffer from the gradient: add it, grad + momentum · buffer.
d = old
    You step along the old buffer: update it with this gradient first, then look ahead.
d = (1 - momentum) * g + momentum * v
    The gradient in your step is dampened by (1 − momentum): it is grad + momentum · buffer.
v = momentum * v + (1 - momentum) * g; d = (1 - momentum) * g + momentum * v
    The new gradient is dampened by (1 − momentum) in buffer and step: add it as it is in both.
keep = dict(v=d, t=t)
    You store the look-ahead in `state`: keep the buffer itself, momentum · buffer + grad.
p = q - (lr * g + momentum * v)
    lr scales the gradient only: it scales the whole step, lr · (grad + momentum · buffer).
p = q - (g + lr * momentum * v)
    lr scales the buffer only: it scales the whole step, lr · (grad + momentum · buffer).
{_BUFFER}
{_ANY}""",
        hints=(
            "The buffer is the same as in momentum_step. Only the direction of the step differs.",
            "First update the buffer. Then step along the gradient plus momentum times the new buffer.",
            "Do not store the look-ahead: state keeps the buffer alone.",
        ),
    ),
    _Rule(
        name="rmsprop_step",
        section="RMSProp: a rate for every parameter",
        torch_name="torch.optim.RMSprop",
        oracle=lambda params, h: torch.optim.RMSprop(params, h["lr"], h["alpha"], h["eps"]),
        defaults={"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
        recipe="b2 = alpha; t = t + 1; old = v; v = b2 * v + (1 - b2) * g * g; m = m; vh = v; mh = g; "
        "root = sqrt(vh); d = mh / (root + eps); q = p; p = q - lr * d; keep = dict(v=v, t=t, m=m)",
        mistakes=f"""
{_SQUARES.replace("BETA", "alpha").replace("VHAT", "v")}
vh = v / (1 - b2**t)
    RMSProp has no bias correction: that comes with Adam. Use v as it is.
m = b2 * m + (1 - b2) * g; vh = maximum(v - m * m, 0)
    This is centred RMSProp: do not subtract the squared mean of the gradients.
vh = old
    You divide by the old v: update v with this gradient first, then use it.
m = 0.9 * m + g / (sqrt(v) + eps); d = m
    You add momentum to RMSProp: step along grad / (√v + ε) of this call alone.
p = q - lr / sqrt(t) * d
    You lower lr with the step count: use lr as it comes, schedules are the caller's business.
v = b2 * v + (1 - b2) * g * g + eps; d = mh / root
    ε is added to v and kept, so it piles up inside the root: add it to the root when you divide.
alpha = 0.99
    Your code uses a hard-wired alpha instead of the argument: use what the caller passes.
lr = 0.01
    Your code uses a hard-wired lr instead of the argument: use what the caller passes.
{_ANY}""",
        hints=(
            "Each element gets its own scale: an average of its squared gradients that slowly forgets.",
            "v = alpha · v + (1 − alpha) · grad², from zeros. What do you divide the gradient by?",
            "Divide by √v + ε: the root first, then ε. Nothing corrects the bias here.",
        ),
    ),
    _Rule(
        name="adam_step",
        section="Adam: both at once",
        torch_name="torch.optim.Adam",
        oracle=lambda params, h: torch.optim.Adam(params, h["lr"], tuple(h["betas"]), h["eps"]),
        defaults={"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
        recipe=_ADAM_RECIPE,
        mistakes=_ADAM,
        hints=(
            "Three things live in state: two averages and a count of the steps.",
            "m averages grad with β₁, v averages grad² with β₂, both from zeros; t is 1 in the first call.",
            "Make corrected copies, m / (1 − β₁ᵗ) and v / (1 − β₂ᵗ), keep m and v as they are, and divide by √v̂ + ε.",
        ),
    ),
    _Rule(
        name="adamw_step",
        section="AdamW: decay that is only decay",
        torch_name="torch.optim.AdamW",
        oracle=lambda params, h: torch.optim.AdamW(
            params, h["lr"], tuple(h["betas"]), h["eps"], h["weight_decay"]
        ),
        defaults={"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 1e-2},
        recipe=_ADAM_RECIPE.replace("q = p;", "q = p * (1 - lr * weight_decay);"),
        mistakes=_DECAY + _ADAM,
        hints=(
            "Take your adam_step. The decay never touches the gradient.",
            "Before the step, shrink the parameter by a factor that contains both lr and weight_decay.",
            "`param.mul_(1 - lr * weight_decay)`, then Adam's step with the gradient as it came.",
        ),
    ),
)


def _exercise(rule: _Rule) -> Exercise:
    def judge(cases: list[Case], seen: list[Observation]) -> Iterable[Finding]:
        return _judge(rule, cases, seen)

    return Exercise(
        name=rule.name,
        section=rule.section,
        cases=lambda rng: _cases(rule, rng),
        probe=lambda names, case: _probe(rule, names, case),
        judge=judge,
        hints=rule.hints,
        explain=_explain,
        seconds=20,
    )


EXERCISES = [_exercise(rule) for rule in _RULES]
