"""Exercises of chapter 11: five optimizer steps that must agree with torch.optim.

The five share their cases, probe and judge. What differs stands in `_RULES`: the oracle from torch.optim,
the hyperparameters, and the known mistakes, each a setting of one simulator (`_wrong_step`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from course.check.spec import Case, Crash, Exercise, Finding, Observation, ok, wrong

STEPS = 100
_REUSE = "a gradient buffer that the caller fills anew"
_BY_REFERENCE = (
    "You keep `grad` by reference: the caller fills the same tensor with the next gradient, and what you "
    "stored changes with it. Store a copy (`grad.clone()`)."
)
_ELSEWHERE = (
    "The first parameter is right, those that come later are not: something is remembered outside `state`. Keep it "
    "in the dict that each parameter brings, not in a global, an attribute or a default argument."
)
_SIGNATURE = {
    "momentum": {"lr": 0.01, "momentum": 0.9},
    "nesterov": {"lr": 0.01, "momentum": 0.9},
    "rmsprop": {"lr": 0.01, "alpha": 0.99, "eps": 1e-8},
    "adam": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    "adamw": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 1e-2},
}


@dataclass(frozen=True)
class _Rule:
    """One optimizer: torch's own, the properties' words, and its known mistakes."""

    kind: str
    torch_name: str
    oracle: Callable[..., torch.optim.Optimizer]
    mistakes: tuple[tuple[dict[str, Any], str], ...]


# ---------------------------------------------------------------------------------- cases


def _draw_hyper(kind: str, rng: np.random.Generator, which: str) -> dict[str, Any]:
    if which == "defaults":
        return {}
    hyper: dict[str, Any] = {"lr": float(10 ** rng.uniform(-2.5, -0.8))}
    if kind in ("momentum", "nesterov"):
        hyper["momentum"] = 0.0 if which == "zero" else float(rng.uniform(0.5, 0.97))
        return hyper
    # Large enough to matter beside gradients of the size drawn below.
    hyper["eps"] = float(10 ** rng.uniform(-2, -0.7))
    if kind == "rmsprop":
        hyper["alpha"] = 0.0 if which == "zero" else float(rng.uniform(0.6, 0.97))
        return hyper
    b1, b2 = rng.uniform(0.5, 0.95), rng.uniform(0.6, 0.97)
    hyper["betas"] = [0.0, 0.0] if which == "zero" else [float(b1), float(b2)]
    if kind == "adamw":
        hyper["weight_decay"] = 0.0 if which == "zero" else float(rng.uniform(0.05, 0.5))
    return hyper


def _cases(kind: str, rng: np.random.Generator) -> list[Case]:
    # label, shape, dtype, hyperparameters, more
    plan: list[tuple[str, tuple[int, ...], str, str, dict[str, Any]]] = [
        ("a vector", (4,), "float64", "drawn", {}),
        ("the default hyperparameters", (3,), "float64", "defaults", {}),
        ("a matrix in float32", (2, 3), "float32", "drawn", {}),
        ("a single number (shape ())", (), "float64", "drawn", {}),
        ("one element", (1,), "float64", "drawn", {}),
        ("a transposed, non-contiguous view", (3, 2), "float64", "drawn", {"view": True}),
        ("hyperparameters of zero", (3,), "float64", "zero", {}),
        (
            "two parameters in turn, each with its own state",
            (3,),
            "float64",
            "drawn",
            {"two": True},
        ),
        (_REUSE, (3,), "float64", "drawn", {"reuse": True}),
        ("a learning rate that changes", (3,), "float64", "drawn", {"schedule": True}),
        ("five first gradients of zero", (3,), "float64", "drawn", {"zeros": 5}),
        ("a CUDA tensor", (3,), "float64", "drawn", {"device": "cuda"}),
    ]
    cases = []
    for label, shape, dtype, which, more in plan:
        hyper = _draw_hyper(kind, rng, which)
        n = 2 if more.get("two") else 1
        # Scales differ between elements and steps, so that no wrong average looks right.
        scale = 10 ** rng.uniform(-1, 0.5, size=(n, 1, *shape))
        if which == "defaults":
            # A gradient of ε's own size shows which ε the defaults hold.
            scale[..., 0] = 3e-8
        grads = rng.normal(size=(n, STEPS, *shape)) * scale + 0.3 * scale
        grads[:, : more.get("zeros", 0)] = 0
        lr = np.full(STEPS, hyper.get("lr", _SIGNATURE[kind]["lr"]))
        if more.get("schedule"):
            lr = lr * rng.uniform(0.2, 1.5, size=STEPS)
        start = rng.normal(size=(n, *shape)) * 2
        cases.append(
            {
                "label": label,
                "dtype": dtype,
                "start": start.astype(dtype),
                "grads": grads.astype(dtype),
                "hyper": hyper,
                "lr": lr,
                # A step count that is a tensor makes 1 − βᵗ a float32, and that is right too.
                "tolerance": 1e-4 if kind in ("adam", "adamw") else 1e-8,
                **more,
            }
        )
    return cases


# ---------------------------------------------------------------------------------- probe


def _probe(function: str, names: SimpleNamespace, case: Case) -> Observation:
    """Take the steps; record where each parameter went, and what else the function touched."""
    step = getattr(names, function)
    device = case.get("device", "cpu")
    hyper = dict(case["hyper"])
    if "betas" in hyper:
        hyper["betas"] = tuple(hyper["betas"])
    params, states, buffers = [], [], []
    for start in case["start"]:
        p = torch.tensor(start, device=device)
        if case.get("view"):
            p = p.t().contiguous().t()
        params.append(p)
        states.append({})
        buffers.append(torch.empty_like(p))
    addresses = [p.data_ptr() for p in params]
    paths: list[list[Any]] = [[] for _ in params]
    kept_grad, returned = True, "none"
    for t in range(STEPS):
        for i, p in enumerate(params):
            grad = torch.tensor(case["grads"][i][t], device=device)
            if case.get("view"):
                grad = grad.t().contiguous().t()
            if case.get("reuse"):
                grad = buffers[i].copy_(grad)
            before = grad.clone()
            if hyper:
                hyper["lr"] = float(case["lr"][t])
            out = step(p, grad, states[i], **hyper)
            if out is not None:
                returned = type(out).__name__
            kept_grad &= torch.equal(grad, before)
            paths[i].append(p.detach().double().cpu().numpy().copy())
    return {
        "paths": np.array(paths),
        "returned": returned,
        "kept_grad": kept_grad,
        "same_storage": [p.data_ptr() for p in params] == addresses,
        "state_used": all(isinstance(s, dict) and len(s) > 0 for s in states),
    }


# ---------------------------------------------------------------------------------- judge


def _hyper(kind: str, case: Case) -> dict[str, Any]:
    return {**_SIGNATURE[kind], **case["hyper"]}


def _oracle(rule: _Rule, case: Case) -> np.ndarray:
    """Where torch.optim's own optimizer takes each parameter, in the case's dtype."""
    hyper = _hyper(rule.kind, case)
    paths = []
    for start, grads in zip(case["start"], case["grads"]):
        p = torch.tensor(start, requires_grad=True)
        optimizer = rule.oracle([p], hyper)
        path = []
        for t in range(STEPS):
            optimizer.param_groups[0]["lr"] = float(case["lr"][t])
            p.grad = torch.tensor(grads[t])
            optimizer.step()
            path.append(p.detach().double().numpy().copy())
        paths.append(path)
    return np.array(paths)


def _wrong_step(
    kind: str,
    p: np.ndarray,
    g: np.ndarray,
    s: dict[str, Any],
    h: dict[str, Any],
    t: int,
    f: dict[str, Any],
) -> np.ndarray:
    """One step of a wrong variant; `f` says what is wrong. Returns the new parameter.

    Used only to put a name to a mistake, never to decide whether an answer is right.
    """
    fixed = _SIGNATURE[kind]
    h = {**h, **{k: fixed[k] for k in f.get("hard_wired", ())}}
    lr, sign = h["lr"], -1.0
    if f.get("uphill"):
        sign = 1.0
    if f.get("sgd"):
        return p - lr * g
    if f.get("sign_sgd"):
        return p - lr * np.sign(g)
    zero = np.zeros_like(p)
    if kind in ("momentum", "nesterov"):
        mu = h["momentum"]
        old = zero if f.get("no_state") else s.get("v", zero)
        if f.get("dampened"):
            v = mu * old + (1 - mu) * g
        elif f.get("folded"):
            v = mu * old + lr * g
        elif f.get("first_dampened"):
            v = mu * old + g if t > 1 else (1 - mu) * g
        elif f.get("swapped"):
            v = old + mu * g
        elif f.get("scaled_all"):
            v = mu * (old + g)
        else:
            v = mu * old + g
        s["v"] = v
        look = f.get("look", "nesterov" if kind == "nesterov" else "none")
        d = {
            "none": v,
            "nesterov": g + mu * v,
            "old": g + mu * old,
            "no_mu": g + v,
            "no_grad": mu * v,
            "twice": v + mu * v,
            "grad_only": g,
            "dampened_mix": (1 - mu) * g + mu * v,
        }[look]
        if f.get("keep_look"):
            s["v"] = d
        return p + sign * d * (1.0 if f.get("folded") else (lr * lr if f.get("lr_twice") else lr))
    eps = h["eps"]
    if kind == "rmsprop":
        a = h["alpha"]
        if f.get("swapped"):
            a = 1 - a
        old = zero if f.get("no_state") else s.get("v", zero)
        g2 = np.abs(g) if f.get("abs") else (g * g).mean() if f.get("mean") else g * g
        if f.get("first_as_is") and t == 1:
            v = g2 + zero
        elif f.get("adagrad"):
            v = old + g2
        elif f.get("undamped"):
            v = a * old + g2
        else:
            v = a * old + (1 - a) * g2
        s["v"] = v
        if f.get("stale"):
            v = old
        if f.get("corrected"):
            v = v / (1 - a**t) if a else v
        if f.get("centred"):
            s["m"] = a * s.get("m", zero) + (1 - a) * g
            v = np.maximum(v - s["m"] ** 2, 0)
        return p + sign * lr * g / _denominator(v, eps, f)
    b1, b2 = h["betas"]
    if f.get("betas_swapped"):
        b1, b2 = b2, b1
    wd = h.get("weight_decay", 0.0)
    decay = f.get("decay", "decoupled")
    if decay == "l2":
        g = g + wd * p
    if decay == "decoupled":
        p = p * (1 - lr * wd)
    if decay == "unscaled":
        p = p * (1 - wd)
    if decay == "grows":
        p = p * (1 + lr * wd)
    if f.get("only_decay"):
        return p
    if f.get("hard_step"):
        lr = fixed["lr"]
    if decay == "hard_lr":
        p = p * (1 - fixed["lr"] * wd)
    if decay == "squared_lr":
        p = p * (1 - lr * lr * wd)
    m0, v0 = (zero, zero) if f.get("no_state") else (s.get("m", zero), s.get("v", zero))
    g2 = (g * g).mean() if f.get("mean") else np.abs(g) if f.get("abs") else g * g
    m = b1 * m0 + (g if f.get("undamped") else (1 - b1) * g)
    v = v0 + g2 if f.get("adagrad") else b2 * v0 + (g2 if f.get("undamped") else (1 - b2) * g2)
    if f.get("weights_swapped"):
        m, v = (1 - b1) * m0 + b1 * g, (1 - b2) * v0 + b2 * g2
    if f.get("first_as_is") and t == 1:
        m, v = g, g2 + zero
    if f.get("m_in_v"):
        v = b2 * v0 + (1 - b2) * m * m
    if f.get("adamax"):
        v = np.maximum(b2 * v0, np.abs(g) + eps)
    s["m"], s["v"] = m, v
    count = {"from_zero": t - 1, "stuck": 1, "ahead": t + 1}.get(f.get("count", ""), t)
    c1, c2 = 1 - b1**count, 1 - b2**count
    correct = f.get("correct", "both")
    with np.errstate(all="ignore"):
        mh = m / c1 if correct in ("both", "first", "compounding") else m
        vh = v / c2 if correct in ("both", "second", "compounding") else v
        if correct == "times":
            mh, vh = m * c1, v * c2
        if correct == "compounding":
            s["m"], s["v"] = mh, vh
        if correct == "same":
            mh, vh = m / c1, v / c1
        if f.get("amsgrad"):
            s["top"] = np.maximum(s.get("top", zero), vh)
            vh = s["top"]
        if f.get("adamax"):
            d = mh / v
        elif f.get("g_for_m"):
            d = g / _denominator(vh, eps, f)
        elif f.get("nadam"):
            d = (b1 * mh + (1 - b1) * g / c1) / _denominator(vh, eps, f)
        elif f.get("eps_uncorrected"):
            d = (mh * math.sqrt(c2)) / (np.sqrt(v) + eps)
        else:
            d = mh / _denominator(vh, eps, f)
        if decay == "in_update":
            d = d + wd
        if decay == "after_lr_step":
            return (p + sign * lr * d) * (1 - lr * wd)
        if decay == "after_wd":
            return (p + sign * lr * d) * (1 - wd)
        if decay == "inside_not_lr":
            return p + sign * lr * d - wd * p
        return p + sign * lr * d


def _denominator(v: np.ndarray, eps: float, f: dict[str, Any]) -> np.ndarray:
    where = f.get("eps_at", "outside")
    if where == "inside":
        return np.sqrt(v + eps)
    if where == "inside_squared":
        return np.sqrt(v + eps * eps)
    if where == "max":
        return np.maximum(np.sqrt(v), eps)
    if where == "none":
        return np.sqrt(v)
    if f.get("no_root"):
        return v + eps
    return np.sqrt(v) + eps


def _simulate(kind: str, case: Case, flaw: dict[str, Any]) -> np.ndarray:
    hyper = _hyper(kind, case)
    count = len(case["start"])
    p = [x.astype(float).copy() for x in case["start"]]
    shared: dict[str, Any] = {}
    states = [shared] * count if flaw.get("shared") else [{} for _ in range(count)]
    paths: list[list[np.ndarray]] = [[] for _ in p]
    calls = 0
    with np.errstate(all="ignore"):
        for t in range(1, STEPS + 1):
            for i in range(count):
                calls += 1
                h = {**hyper, "lr": float(case["lr"][t - 1])}
                n = calls if flaw.get("shared") else t
                g = case["grads"][i][t - 1].astype(float)
                for _ in range(2 if flaw.get("step_twice") else 1):
                    p[i] = np.asarray(_wrong_step(kind, p[i], g, states[i], h, n, flaw))
                paths[i].append(p[i].copy())
    return np.array(paths)


def _close(a: np.ndarray, b: np.ndarray, case: Case) -> bool:
    """Equal up to rounding, on the scale of how far the parameter travelled."""
    if a.shape != b.shape or not np.isfinite(b).all():
        return False
    start = case["start"].astype(float)[:, None]
    scale = np.abs(a - start).max() + 1e-3 * np.abs(a).max() + 1e-12
    tolerance = 2e-4 if case["dtype"] == "float32" else case["tolerance"]
    return bool(np.abs(a - b).max() <= tolerance * scale)


def _judge(rule: _Rule, cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    name = f"{rule.kind}_step"
    agrees = f"agrees with {rule.torch_name} over {STEPS} steps"
    returned = [s["returned"] for s in seen if s["returned"] != "none"]
    if returned:
        yield wrong(
            "returns None and changes param in place",
            f"`{name}` returns a {returned[0]}: it must return None and change `param` in place, "
            "because the caller goes on with the tensor that it handed in.",
        )
    elif all(_still(c, s) for c, s in zip(cases, seen)):
        yield wrong(
            "returns None and changes param in place",
            "`param` never changed. `param = param - …` only gives the name a new tensor (it is rebound); "
            "change the tensor itself, in place, with `param -= …`, `param.sub_(…)` or `param.copy_(…)`.",
        )
        return
    elif not all(s["same_storage"] for s in seen):
        yield wrong(
            "returns None and changes param in place",
            "`param` got new memory (`param.data = …` or `set_`): write into the memory that it has, in place, "
            "or whoever else holds it sees nothing.",
        )
    else:
        yield ok("returns None and changes param in place")
    changed = {c["label"] for c, s in zip(cases, seen) if not s["kept_grad"]}
    if not changed:
        yield ok("leaves grad as it was")
    elif changed == {_REUSE}:
        yield wrong("leaves grad as it was", _BY_REFERENCE)
    else:
        yield wrong(
            "leaves grad as it was",
            "You changed `grad` in place. It belongs to the caller (autograd adds to it, others log it): "
            "work on a copy, or write out of place.",
        )
    judged = [(c, s["paths"], _oracle(rule, c)) for c, s in zip(cases, seen)]
    bad = [(c, got, want) for c, got, want in judged if not _close(want, got, c)]
    if not bad:
        yield ok(agrees)
        return
    words = _name(rule, cases, seen, judged, bad)
    yield wrong(agrees, words)


def _still(case: Case, seen: Observation) -> bool:
    return bool((seen["paths"] == case["start"].astype(float)[:, None]).all())


def _name(rule: _Rule, cases: list[Case], seen: list[Observation], judged: list, bad: list) -> str:
    labels = {c["label"] for c, _, _ in bad}
    two = "two parameters in turn, each with its own state"
    schedule = "a learning rate that changes"
    if not all(s["kept_grad"] for s in seen):
        return "The steps are wrong, maybe because `grad` was changed in place: mend that first."
    if labels == {_REUSE}:
        return _BY_REFERENCE
    flaws = [(flaw, text) for flaw, text in rule.mistakes if _matches(rule.kind, judged, flaw)]
    if flaws:
        return flaws[0][1]
    if labels == {schedule}:
        return (
            "With a constant learning rate you agree with torch, with one that changes you do not: torch keeps "
            "gradients in its buffer and multiplies by lr when it steps. You fold lr into what you keep."
        )
    if all(c["label"] == two for c, _, _ in bad):
        return (
            "One parameter alone is right, two in turn are not: they share what you remember. Keep it in "
            "`state` (each parameter brings its own dict), not in a global, an attribute or a default argument."
        )
    if bad[0][0] is not judged[0][0] and len(bad) >= len(judged) // 2:
        return _ELSEWHERE
    if not any(s["state_used"] for s in seen):
        return (
            "You store nothing in `state`, so the state is lost, or shared by all parameters: whatever must be "
            "remembered from step to step belongs in the dict that the caller hands in."
        )
    # Without the case of two parameters: a mistake may come together with a state kept elsewhere.
    alone = [x for x in judged if x[0]["label"] not in (two, _REUSE)]
    flaws = [(flaw, text) for flaw, text in rule.mistakes if _matches(rule.kind, alone, flaw)]
    if flaws:
        return flaws[0][1]
    for needle, text in _BY_CASE:
        if labels == {needle}:
            return text
    for needle, dtype in (("float32", "float32"),):
        if all(c["dtype"] == dtype for c, _, _ in bad):
            return (
                f"Only {needle} disagrees: look for a constant or a tensor made in another dtype."
            )
    return _first_difference(rule, *bad[0])


_BY_CASE = (
    (
        "the default hyperparameters",
        "Only the call without hyperparameters disagrees: the defaults of your signature are not the exercise's.",
    ),
    (
        "hyperparameters of zero",
        "Only hyperparameters of zero disagree: a test like `if momentum` or `x or default` takes 0 for missing, "
        "or something divides by it.",
    ),
    (
        "five first gradients of zero",
        "Only gradients of zero at the start disagree: something divides by zero, or waits for the first non-zero value.",
    ),
    (
        "a single number (shape ())",
        "Only a parameter of shape () disagrees: do not index it or take its length.",
    ),
    (
        "a transposed, non-contiguous view",
        "Only a non-contiguous parameter disagrees: `view`, `flatten` or `reshape` gave you a copy.",
    ),
)


def _matches(kind: str, judged: list, flaw: dict[str, Any]) -> bool:
    """Whether the flaw reproduces every case, and differs from the right answer in at least one."""
    differs = False
    for case, got, want in judged:
        path = _simulate(kind, case, flaw)
        same = np.isfinite(got) == np.isfinite(path)
        if not same.all():
            return False
        finite = np.isfinite(got)
        if not _close(np.where(finite, path, 0), np.where(finite, got, 0), case):
            return False
        differs |= not _close(want, path, case)
    return differs


def _first_difference(rule: _Rule, case: Case, got: np.ndarray, want: np.ndarray) -> str:
    start = case["start"].astype(float)
    i, t = 0, 0
    for t in range(STEPS):
        a, b = want[:, : t + 1], got[:, : t + 1]
        far = [k for k in range(len(a)) if not _close(a[k : k + 1], b[k : k + 1], _only(case, k))]
        if far:
            i = far[0]
            break
    before = start[i] if t == 0 else want[i, t - 1]
    d_want, d_got = (want[i, t] - before).ravel(), (got[i, t] - before).ravel()
    k = int(np.abs(d_want).argmax())
    where = f"With {case['label']}, step {t + 1} is the first that differs from {rule.torch_name}: "
    if not np.isfinite(d_got[k]):
        return where + "your parameter is not finite there. Look at what you divide by."
    if abs(d_want[k]) < 1e-300:
        return where + f"it should not move there, yours moves by {d_got[k]:.3g}."
    ratio = d_got[k] / d_want[k]
    hint = ""
    if t > 0:
        hint = " The first step is right, so look at what you keep between steps, or at the step count."
    if ratio < 0:
        hint = " It points the other way: uphill." + hint
    return (
        where
        + f"it should move by {d_want[k]:.4g}, yours by {d_got[k]:.4g}, {ratio:.3g} times as far.{hint}"
    )


def _only(case: Case, k: int) -> Case:
    return {**case, "start": case["start"][k : k + 1]}


# ---------------------------------------------------------------------------------- the five

_UPHILL = (
    {"uphill": True},
    "You walk uphill: the gradient points to where the loss grows. Subtract the step.",
)
_PLAIN = (
    {"sgd": True},
    "This is plain SGD, lr · grad: what makes this optimizer more than that is missing.",
)
_TWICE = ({"step_twice": True}, "You take the step twice in one call: update `param` once.")


def _hard(*names: str) -> tuple[tuple[dict[str, Any], str], ...]:
    both = f"Your code uses a hard-wired {' and '.join(names)} instead of the argument: use what the caller passes."
    single = tuple(
        (
            {"hard_wired": (n,)},
            f"Your code uses a hard-wired {n} instead of the argument: use what the caller passes.",
        )
        for n in names
    )
    return (*single, ({"hard_wired": names}, both)) if len(names) > 1 else single


_NO_STATE = (
    {"no_state": True},
    "Nothing is remembered from step to step: the state is lost, as in plain SGD. Read the old value from `state` and store the new one there.",
)
_SHARED = (
    {"shared": True},
    "Two parameters share one state: keep what you remember in `state` (each parameter brings its own dict), not in "
    "a global, an attribute or a default argument.",
)
_DAMPENED = (
    {"dampened": True},
    "You scale the new gradient by (1 − momentum): that is dampened momentum. Here the buffer is momentum · buffer + grad.",
)
_FOLDED = (
    {"folded": True},
    "You fold lr into the buffer. Then a change of the learning rate reaches only new gradients; torch keeps gradients in "
    "the buffer and multiplies by lr when it steps.",
)
_MOMENTUM_COMMON = (
    _NO_STATE,
    _SHARED,
    _DAMPENED,
    _FOLDED,
    (
        {"first_dampened": True},
        "Your first gradient enters the buffer dampened by (1 − momentum): the buffer starts as the first gradient itself.",
    ),
    ({"swapped": True}, "momentum multiplies the new gradient; it must multiply the old buffer."),
    (
        {"scaled_all": True},
        "You multiply the new gradient by momentum too: only the old buffer is scaled, buffer = momentum · buffer + grad.",
    ),
    ({"lr_twice": True}, "You multiply by lr twice."),
    *_hard("lr", "momentum"),
    _UPHILL,
    _TWICE,
)
_ADAM_COMMON = (
    _NO_STATE,
    ({"no_state": True, "count": "stuck"}, _NO_STATE[1]),
    ({"shared": True, **{}}, _SHARED[1]),
    (
        {"correct": "none"},
        "There is no bias correction: m and v start at 0, so in the first steps both are too small and their ratio is wrong. "
        "Divide by 1 − β₁ᵗ and 1 − β₂ᵗ.",
    ),
    (
        {"correct": "first"},
        "Bias correction of one moment only: m is corrected, v is not. Divide v by 1 − β₂ᵗ too.",
    ),
    (
        {"correct": "second"},
        "Bias correction of one moment only: v is corrected, m is not. Divide m by 1 − β₁ᵗ too.",
    ),
    (
        {"correct": "compounding"},
        "You store the corrected moments in `state`, so the bias correction compounds: correct copies, keep m and v as they are.",
    ),
    ({"correct": "times"}, "Your bias correction multiplies by 1 − βᵗ: divide."),
    (
        {"correct": "same"},
        "Your bias correction uses β₁ for both moments: v is divided by 1 − β₂ᵗ.",
    ),
    (
        {"eps_at": "inside"},
        "ε stands inside the root: torch adds it to the root, √v̂ + ε. With small gradients the difference is large.",
    ),
    (
        {"eps_at": "inside_squared"},
        "ε stands inside the root, squared: add it to the root, √v̂ + ε.",
    ),
    ({"eps_at": "max"}, "You take the larger of √v̂ and ε: add ε to the root."),
    ({"eps_at": "none"}, "ε is missing: where v is 0 you divide by zero."),
    (
        {"eps_uncorrected": True},
        "ε is added before the bias correction of v: correct v first, then take the root, then add ε.",
    ),
    ({"no_root": True}, "The square root is missing: divide by √v̂ + ε, not by v̂ + ε."),
    (
        {"count": "from_zero"},
        "Your step count starts from 0: the first step is t = 1, or 1 − βᵗ is zero there.",
    ),
    (
        {"count": "stuck"},
        "Your step count does not advance, or the power t is missing in 1 − βᵗ: keep t in `state` and add 1 in each call.",
    ),
    ({"count": "ahead"}, "Your step count is one ahead: the first step is t = 1."),
    ({"betas_swapped": True}, "The betas are swapped: betas[0] belongs to m, betas[1] to v."),
    (
        {"weights_swapped": True},
        "The weights are swapped: the old moment is multiplied by β, the new value by 1 − β.",
    ),
    ({"undamped": True}, "The factor 1 − β of the new value is missing in the moments."),
    (
        {"first_as_is": True},
        "You start the moments at the first gradient: they start at 0, the bias correction makes up for that.",
    ),
    (
        {"adagrad": True},
        "v sums up all squared gradients (that is Adagrad): it is an average that forgets, with β₂.",
    ),
    (
        {"mean": True},
        "v is one number for the whole tensor: keep one for each element, without a mean.",
    ),
    ({"abs": True}, "v averages |g|: it averages g²."),
    ({"m_in_v": True}, "v averages m²: it averages the square of the gradient itself."),
    (
        {"g_for_m": True},
        "You step along grad: step along the corrected average m̂ (without it this is RMSProp).",
    ),
    ({"amsgrad": True}, "This is AMSGrad: v̂ never shrinks. Here it may."),
    ({"adamax": True}, "This is Adamax, with a maximum in place of the average of squares."),
    ({"nadam": True}, "This is NAdam, Adam with Nesterov's look-ahead: step along m̂ alone."),
    ({"sign_sgd": True}, "You step by the sign of the gradient only."),
    _PLAIN,
    *_hard("lr", "betas", "eps"),
    _UPHILL,
    _TWICE,
)
_DECAYS = (
    (
        {"decay": "l2"},
        "You add weight_decay · param to the gradient: that is L2 regularisation, which Adam then divides by √v̂. AdamW's decay is "
        "decoupled: multiply `param` by 1 − lr · weight_decay, apart from the gradient.",
    ),
    (
        {"decay": "none"},
        "There is no weight decay: multiply `param` by 1 − lr · weight_decay as well.",
    ),
    (
        {"decay": "unscaled"},
        "The decay is not scaled by lr: multiply `param` by 1 − lr · weight_decay, so that a schedule scales both.",
    ),
    (
        {"decay": "grows"},
        "The weights grow: the decay has the wrong sign. Multiply by 1 − lr · weight_decay.",
    ),
    (
        {"only_decay": True},
        "Only the decay reaches `param`. `param = param - …` gives the name a new tensor (it is rebound): change the tensor itself, "
        "in place, with `param -= …`.",
    ),
    (
        {"hard_step": True},
        "Adam's step uses a hard-wired lr, only the decay uses the argument: use what the caller passes in both.",
    ),
    (
        {"decay": "hard_lr"},
        "The decay uses a hard-wired lr, only Adam's step uses the argument: use what the caller passes in both.",
    ),
    ({"decay": "squared_lr"}, "The decay is scaled by lr twice."),
    ({"decay": "in_update"}, "You add weight_decay itself to the step: it multiplies `param`."),
    (
        {"decay": "after_lr_step"},
        "The decay comes after the step and shrinks the step as well: decay the old `param`, then step (torch's order).",
    ),
    (
        {"decay": "after_wd"},
        "The decay comes after the step and is not scaled by lr: first multiply `param` by 1 − lr · weight_decay, then step.",
    ),
    (
        {"decay": "inside_not_lr"},
        "The decay is not scaled by lr: subtract lr · weight_decay · param.",
    ),
)


def _looks(*more: tuple[dict[str, Any], str]) -> tuple[tuple[dict[str, Any], str], ...]:
    return (
        (
            {"look": "none"},
            "This is plain momentum: Nesterov steps along grad + momentum · buffer, the look-ahead is missing.",
        ),
        (
            {"look": "old"},
            "Your look-ahead uses the old buffer: update it first, then step along grad + momentum · buffer.",
        ),
        (
            {"look": "no_mu"},
            "Your look-ahead adds the whole buffer: it is grad + momentum · buffer.",
        ),
        (
            {"look": "no_grad"},
            "Your step leaves grad out of the look-ahead: it is grad + momentum · buffer.",
        ),
        (
            {"look": "twice"},
            "Your step adds momentum · buffer to the buffer: add it to the gradient, grad + momentum · buffer.",
        ),
        (
            {"look": "dampened_mix"},
            "The gradient in your step is dampened by (1 − momentum): it is grad + momentum · buffer.",
        ),
        (
            {"keep_look": True},
            "You store the look-ahead in `state`: keep the buffer itself, momentum · buffer + grad, and look ahead only in the step.",
        ),
        ({"look": "none", "dampened": True}, _DAMPENED[1]),
        *more,
    )


_RULES = (
    _Rule(
        "momentum",
        "torch.optim.SGD(momentum=…)",
        lambda ps, h: torch.optim.SGD(ps, lr=h["lr"], momentum=h["momentum"]),
        (
            *_MOMENTUM_COMMON,
            (
                {"look": "nesterov"},
                "This is Nesterov momentum: here you step along the buffer alone.",
            ),
            _PLAIN,
        ),
    ),
    _Rule(
        "nesterov",
        "torch.optim.SGD(nesterov=True)",
        # torch refuses nesterov with momentum 0, where both forms are plain SGD.
        lambda ps, h: torch.optim.SGD(
            ps, lr=h["lr"], momentum=h["momentum"], nesterov=h["momentum"] > 0
        ),
        (*_looks(), *_MOMENTUM_COMMON, _PLAIN),
    ),
    _Rule(
        "rmsprop",
        "torch.optim.RMSprop",
        lambda ps, h: torch.optim.RMSprop(ps, lr=h["lr"], alpha=h["alpha"], eps=h["eps"]),
        (
            _NO_STATE,
            _SHARED,
            (
                {"eps_at": "inside"},
                "ε stands inside the root: torch adds it to the root, √v + ε. With small gradients the difference is large.",
            ),
            (
                {"eps_at": "inside_squared"},
                "ε stands inside the root, squared: add it to the root, √v + ε.",
            ),
            ({"eps_at": "max"}, "You take the larger of √v and ε: add ε to the root."),
            ({"eps_at": "none"}, "ε is missing: where v is 0 you divide by zero."),
            ({"no_root": True}, "The square root is missing: divide by √v + ε, not by v + ε."),
            (
                {"adagrad": True},
                "v sums up all squared gradients: that is Adagrad, whose steps shrink for ever. RMSProp's v is an average that "
                "forgets: alpha · v + (1 − alpha) · grad².",
            ),
            ({"undamped": True}, "The factor 1 − alpha of the new square is missing."),
            ({"swapped": True}, "alpha and 1 − alpha are swapped: alpha multiplies the old v."),
            ({"corrected": True}, "RMSProp has no bias correction: that comes with Adam."),
            ({"centred": True}, "This is centred RMSProp: do not subtract the mean squared."),
            ({"first_as_is": True}, "You start v at the first squared gradient: it starts at 0."),
            ({"stale": True}, "You divide by the old v: update v first, then use it."),
            (
                {"mean": True},
                "v is one number for the whole tensor: keep one for each element, without a mean.",
            ),
            ({"abs": True}, "v averages |g|: it averages g²."),
            ({"sign_sgd": True}, "You step by the sign of the gradient only."),
            _PLAIN,
            *_hard("lr", "alpha", "eps"),
            _UPHILL,
            _TWICE,
        ),
    ),
    _Rule(
        "adam",
        "torch.optim.Adam",
        lambda ps, h: torch.optim.Adam(ps, lr=h["lr"], betas=tuple(h["betas"]), eps=h["eps"]),
        _ADAM_COMMON,
    ),
    _Rule(
        "adamw",
        "torch.optim.AdamW",
        lambda ps, h: torch.optim.AdamW(
            ps,
            lr=h["lr"],
            betas=tuple(h["betas"]),
            eps=h["eps"],
            weight_decay=h["weight_decay"],
        ),
        (*_DECAYS, *_ADAM_COMMON, *_hard("weight_decay")),
    ),
)


def _explain(case: Case, crash: Crash) -> str | None:
    if crash.type == "KeyError":
        return (
            f"`state` is empty at the first call, and your code reads {crash.message} from it: "
            "use `state.get(…)`, or make the entry when it is missing."
        )
    if "must match the size of tensor" in crash.message and case["label"] != "a vector":
        return (
            f"What your code remembers has the shape of another parameter ({crash.message}). Keep it in `state`: each "
            "parameter brings its own dict. A global, an attribute or a default argument is shared by all."
        )
    if crash.type == "ZeroDivisionError":
        return "Your code divides by zero. Does your step count start from 0? The first step is t = 1, so that 1 − βᵗ is not zero."
    if "unexpected keyword" in crash.message or "positional argument" in crash.message:
        return f"Your function does not take the arguments of the exercise's signature ({crash.message})."
    if case.get("view") and "view" in crash.message:
        return "`view` needs contiguous memory, and a parameter may be a non-contiguous view: work on the tensor itself."
    if case["label"].startswith("a single number"):
        return f"A parameter may be a single number of shape (): your code {crash.words()}."
    return None


_HINTS: dict[str, tuple[str, str, str]] = {
    "momentum": (
        "Keep one tensor, as large as param, in state. What should it be before the first gradient?",
        "buffer = momentum · buffer + grad, starting from zeros. Then step along the buffer.",
        '`state.setdefault("v", torch.zeros_like(param))` gives the buffer; `mul_` and `add_` change it in place; '
        "`param.sub_(lr * buffer)` changes the parameter itself.",
    ),
    "nesterov": (
        "The buffer is the same as in momentum_step. Only the direction of the step differs.",
        "First update the buffer. Then step along the gradient plus momentum times the new buffer.",
        "Do not store the look-ahead: state keeps the buffer alone.",
    ),
    "rmsprop": (
        "Each element gets its own scale: an average of its squared gradients that slowly forgets.",
        "v = alpha · v + (1 − alpha) · grad², from zeros. What do you divide the gradient by?",
        "Divide by √v + ε: the root first, then ε. Nothing corrects the bias here.",
    ),
    "adam": (
        "Three things live in state: two averages and a count of the steps.",
        "m averages grad with β₁, v averages grad² with β₂, both from zeros; t is 1 in the first call.",
        "Make corrected copies, m / (1 − β₁ᵗ) and v / (1 − β₂ᵗ), keep m and v as they are, and divide by √v̂ + ε.",
    ),
    "adamw": (
        "Take your adam_step. The decay never touches the gradient.",
        "Before the step, shrink the parameter by a factor that contains both lr and weight_decay.",
        "First multiply the parameter, in place, by one minus lr times weight_decay. Then take Adam's step with the gradient as it came.",
    ),
}
_SECTIONS = {
    "momentum": "Momentum",
    "nesterov": "Nesterov momentum: look before you step",
    "rmsprop": "RMSProp: a rate for every parameter",
    "adam": "Adam: both at once",
    "adamw": "AdamW: decay that is only decay",
}


def _exercise(rule: _Rule) -> Exercise:
    name = f"{rule.kind}_step"

    def judge(cases: list[Case], seen: list[Observation]) -> Iterable[Finding]:
        return _judge(rule, cases, seen)

    return Exercise(
        name=name,
        section=_SECTIONS[rule.kind],
        cases=lambda rng: _cases(rule.kind, rng),
        probe=lambda names, case: _probe(name, names, case),
        judge=judge,
        hints=_HINTS[rule.kind],
        explain=_explain,
        seconds=20,
    )


EXERCISES = [_exercise(rule) for rule in _RULES]
