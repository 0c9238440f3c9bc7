"""Exercises of chapter 13: the first training run."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course.check.plain import observe
from course.check.spec import Case, Crash, Exercise, Finding, Observation, ok, wrong

# ---------------------------------------------------------------------------------------------
# Small networks, built alike by a probe and by a judge from what the case says.


def _bare_net(arch: str, sizes: list[int]) -> nn.Sequential:
    if arch == "linear":
        d, c = sizes
        return nn.Sequential(nn.Flatten(), nn.Linear(d, c))
    if arch == "conv":
        side, c = sizes
        return nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * (side - 2) ** 2, c)
        )
    d, h, c = sizes
    middle = {
        "mlp": [nn.Tanh()],
        "batch norm": [nn.BatchNorm1d(h), nn.Tanh()],
        "dropout": [nn.Tanh(), nn.Dropout(0.5)],
    }[arch]
    return nn.Sequential(nn.Flatten(), nn.Linear(d, h), *middle, nn.Linear(h, c))


def _weights(rng: np.random.Generator, arch: str, sizes: list[int]) -> list[np.ndarray]:
    with torch.device("meta"):
        shapes = [tuple(p.shape) for p in _bare_net(arch, sizes).parameters()]
    return [rng.normal(size=s) * (1.5 / math.sqrt(math.prod(s[1:]) or 1)) for s in shapes]


def _net(case: Case, weights: str = "weights") -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        net = _bare_net(case["arch"], case["sizes"])
    with torch.no_grad():
        for p, w in zip(net.parameters(), case[weights]):
            p.copy_(torch.as_tensor(w))
    for m in net.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.running_mean.copy_(torch.linspace(-1, 1, m.num_features))
            m.running_var.copy_(torch.linspace(0.5, 2, m.num_features))
    return net.to(_dtype(case)).train(case.get("training", True))


def _optimizer(case: Case, net: nn.Module) -> torch.optim.Optimizer:
    make = getattr(torch.optim, case["optimizer"])
    params = list(net.parameters())
    if case.get("groups"):
        groups = [{"params": params[:2]}, {"params": params[2:], "lr": 3 * case["settings"]["lr"]}]
        return make(groups, **case["settings"])
    return make(params, **case["settings"])


def _dtype(case: Case) -> torch.dtype:
    return torch.float32 if case.get("dtype") == "float32" else torch.float64


def _xy(
    case: Case, x: np.ndarray, y: np.ndarray, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(x, dtype=_dtype(case), device=device), torch.as_tensor(y, device=device)


def _flat(tensors: Any) -> np.ndarray:
    parts = [t.detach().double().cpu().flatten() for t in tensors]
    return torch.cat(parts).numpy() if parts else np.zeros(0)


def _close(a: Any, b: Any, tol: float) -> bool:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=tol, atol=tol))


def _number(seen: Observation) -> float | None:
    """The number in an observation, whatever holds it; None if it is no single number."""
    if seen["kind"] in ("float", "int", "numpy scalar"):
        return float(seen["value"])
    if seen["kind"] in ("tensor", "array") and seen["array"] is not None:
        return float(seen["array"].item()) if seen["array"].size == 1 else None
    return None


def _is_float(seen: Observation) -> bool:
    # np.float64 is a subclass of float.
    return seen["kind"] == "float" or (
        seen["kind"] == "numpy scalar" and seen["dtype"] == "float64"
    )


def _what(seen: Observation) -> str:
    """A few words for what was returned."""
    kind = seen["kind"]
    if kind == "none":
        return "nothing (None): is there a `return`?"
    if kind in ("tensor", "array"):
        return f"a {kind} of shape {tuple(seen['shape'])} and dtype {seen['dtype']}"
    if kind in ("list", "tuple"):
        return f"a {kind} of {len(seen['items'])}"
    if kind == "numpy scalar":
        return f"a numpy {seen['dtype']}"
    return f"a {seen['type']}" if kind == "object" else f"a {kind}"


def _pair(seen: Observation) -> list[Observation] | None:
    if seen["kind"] in ("tuple", "list") and len(seen["items"]) == 2:
        return seen["items"]
    return None


def _attempt(f: Callable[[], Any]) -> dict[str, Any]:
    """What `f` gives, or the error that it stops with: later observations still count."""
    try:
        return {"value": f()}
    except NotImplementedError:
        raise
    except Exception as e:
        return {"error": f"{type(e).__name__}: {' '.join(str(e).split())}"[:300]}


# ---------------------------------------------------------------------------------------------
# SoftmaxRegression


def _softmax_cases(rng: np.random.Generator) -> list[Case]:
    def case(label: str, d: int, c: int, n: int, shape: list[int], **more: Any) -> Case:
        return {
            "label": label,
            "d": d,
            "c": c,
            "x": rng.normal(size=(n, *shape)),
            "y": np.arange(n) % c,
            "noise": rng.normal(size=d * c + c),
            **more,
        }

    return [
        case("the default sizes, two images of 28×28", 784, 10, 2, [1, 28, 28], default=True),
        case("12 features, 3 classes", 12, 3, 5, [12]),
        case("one image of 8×8", 64, 10, 1, [1, 8, 8]),
        case("examples of shape (2, 3, 5) and 4 classes", 30, 4, 3, [2, 3, 5]),
        case("one feature, two classes, one example", 1, 2, 1, [1]),
        case("images that are not contiguous in memory", 20, 3, 4, [1, 4, 5], transposed=True),
        case("a model on the GPU", 12, 3, 5, [12], device="cuda"),
    ]


def _softmax_probe(given: SimpleNamespace, case: Case) -> Observation:
    d, c, device = case["d"], case["c"], case.get("device", "cpu")

    def make() -> Any:
        if case.get("default"):
            return given.SoftmaxRegression()
        return given.SoftmaxRegression(n_features=d, n_classes=c)

    model = make()
    seen: Observation = {"module": isinstance(model, nn.Module)}
    if not seen["module"]:
        return seen
    model.to(device)
    learned = [p for p in model.parameters() if p.requires_grad]
    seen["sizes"] = [p.numel() for p in learned]
    seen["start"] = [p.detach().abs().max().item() if p.numel() else 0.0 for p in learned]

    x = torch.as_tensor(case["x"], dtype=torch.float32, device=device)
    y = torch.as_tensor(case["y"], device=device)
    if case.get("transposed"):
        x = x.transpose(-1, -2).contiguous().transpose(-1, -2)
    seen["first"] = _attempt(lambda: observe(model(x)))

    def gradients() -> list[float | None]:
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        return [None if p.grad is None else p.grad.abs().max().item() for p in learned]

    seen["gradients"] = _attempt(gradients)
    if sum(seen["sizes"]) != len(case["noise"]):
        return seen

    def with_weights() -> dict[str, Any]:
        model.double()
        at = 0
        with torch.no_grad():
            for p in model.parameters():
                if p.requires_grad:
                    part = torch.as_tensor(case["noise"][at : at + p.numel()])
                    p.copy_(part.reshape(p.shape))
                    at += p.numel()
            shape = case["x"].shape[1:]
            basis = torch.cat([torch.zeros(1, d), torch.eye(d)]).double().to(device)
            return {
                "basis": observe(model(basis.reshape(-1, *shape))),
                "x": observe(model(x.double())),
            }

    seen["affine"] = _attempt(with_weights)

    def restored() -> dict[str, Any]:
        other = make().to(device).double()
        other.load_state_dict(model.state_dict())
        return observe(other(x.double()))

    seen["restored"] = _attempt(restored)
    return seen


def _softmax_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    parameters = "learns n_features × n_classes weights and n_classes biases"
    start = "starts with every parameter at zero"
    logits = "returns logits of shape (n, n_classes)"
    reach = "gradients reach every parameter"
    saved = "comes back from its state_dict"
    for case, s in zip(cases, seen):
        d, c, n, label = case["d"], case["c"], len(case["x"]), case["label"]
        if not s["module"]:
            yield wrong(
                parameters,
                "SoftmaxRegression is not an nn.Module: an optimizer finds no parameters in it. "
                "Write `class SoftmaxRegression(nn.Module)`.",
            )
            continue
        total, expected = sum(s["sizes"]), d * c + c
        if total == expected:
            yield ok(parameters)
        else:
            yield wrong(parameters, _softmax_count_words(total, d, c, label))
        if any(v != 0 for v in s["start"]):
            yield wrong(
                start,
                "The weights or the biases do not start at zero: nn.Linear draws random numbers. "
                "Fill both with nn.init.zeros_ (2017's run started there, and here it does no harm).",
            )
        elif s["sizes"]:
            yield ok(start)

        first = s["first"]
        if "error" in first:
            yield wrong(logits, _softmax_error_words(first["error"], case))
        else:
            yield _softmax_logits(logits, first["value"], s.get("affine"), case, n, c)

        grads = s["gradients"].get("value")
        if grads is None:
            words = s["gradients"].get("error", "")
            yield wrong(reach, f"With {label}, the backward pass stops with {words}.")
        elif not s["sizes"] or any(g is None or not math.isfinite(g) or g == 0 for g in grads):
            yield wrong(
                reach,
                "After one backward pass some parameter has no gradient, so no optimizer can move "
                "it. Use the parameters themselves in forward (no `.data`, `.detach()` or new "
                "tensors), the biases too.",
            )
        else:
            yield ok(reach)

        if "restored" in s and "value" in s.get("affine", {}):
            back = s["restored"].get("value")
            out = s["affine"]["value"]["x"]
            same = back and back["kind"] == "tensor" and _close(back["array"], out["array"], 1e-9)
            if same:
                yield ok(saved)
            else:
                yield wrong(
                    saved,
                    f"With {label}, a second model that loads the first one's state_dict answers "
                    "otherwise: something that forward uses is neither a parameter nor a buffer.",
                )


def _softmax_count_words(total: int, d: int, c: int, label: str) -> str:
    if total == 0:
        return (
            "The model has no learnable parameters: its weights are plain tensors, so an optimizer "
            "gets an empty list. Make them nn.Parameter, or use nn.Linear."
        )
    if total == d * c:
        return (
            "The biases are missing: a class that is more frequent could not be preferred whatever "
            "the image. Keep nn.Linear's bias, or add an nn.Parameter of shape (n_classes,)."
        )
    if total == 7850:
        return (
            f"With {label}, the model still has 784 × 10 + 10 parameters: the sizes are hard-wired. "
            "Build them from n_features and n_classes."
        )
    if total > d * c + c:
        return (
            f"With {label}, the model has {total:,} learnable parameters and should have "
            f"{d * c + c:,}: softmax regression is one linear map, without a hidden layer."
        )
    return f"With {label}, the model has {total:,} learnable parameters, not {d * c + c:,}."


def _softmax_error_words(error: str, case: Case) -> str:
    if "view size is not compatible" in error:
        return (
            "`view` stops on images that are not contiguous in memory. `flatten(1)` and `reshape` "
            "copy where they have to."
        )
    if "mat1 and mat2" in error or "size mismatch" in error:
        return (
            f"With {case['label']}, the shapes do not fit ({error}). Flatten all but the first "
            "dimension: `x.flatten(1)` gives (n, n_features)."
        )
    return f"With {case['label']}, forward stops with {error}."


def _softmax_logits(
    name: str, first: Observation, affine: dict[str, Any] | None, case: Case, n: int, c: int
) -> Finding:
    label = case["label"]
    if first["kind"] != "tensor":
        return wrong(name, f"forward returns {_what(first)}; it should return a tensor of logits.")
    if first["shape"] == [n] and first["dtype"] == "int64":
        return wrong(
            name,
            "forward returns class indices: argmax has no gradient. Return the logits, one number "
            "a class; whoever wants the class takes their argmax.",
        )
    if first["shape"] != [n, c]:
        return wrong(
            name,
            f"With {label}, forward returns shape {tuple(first['shape'])}, not ({n}, {c}): one row "
            "an example, also when there is only one. Flatten with `x.flatten(1)`, and do not squeeze.",
        )
    if affine is None:
        return ok(name)
    if "error" in affine:
        return wrong(
            name,
            f"With {label}, after `.double()` the model stops with {affine['error']}: something "
            "that forward uses is not a parameter, or a dtype is fixed by hand.",
        )
    basis, x = affine["value"]["basis"], affine["value"]["x"]
    if basis["kind"] != "tensor" or basis["array"] is None or basis["array"].ndim != 2:
        return wrong(name, f"With {label}, a batch of {case['d'] + 1} does not come back as rows.")
    out, rows = x["array"].astype(float), basis["array"].astype(float)
    if c > 1 and np.allclose(out.sum(1), 1) and (out >= 0).all():
        return wrong(
            name,
            "forward returns probabilities: each row sums to 1. Leave softmax out, "
            "F.cross_entropy applies it; applied twice, the loss cannot fall far.",
        )
    if c > 1 and np.allclose(np.log(np.exp(out).sum(1)), 0):
        return wrong(
            name,
            "forward returns log-probabilities: each row's exponentials sum to 1. Return the "
            "logits as they are, F.cross_entropy applies log-softmax itself.",
        )
    if (rows >= 0).all() and (out >= 0).all() and (case["noise"] < 0).any():
        return wrong(
            name,
            "All outputs are ≥ 0, whatever the weights: there is a sigmoid or a ReLU at the end. "
            "A logit may be any number; return x·W + b as it is.",
        )
    bias, matrix = rows[0], rows[1:] - rows[0]
    flat = case["x"].reshape(n, -1)
    used = np.sort(np.concatenate([matrix.ravel(), bias]))
    if _close(flat @ matrix + bias, out, 1e-5) and _close(used, np.sort(case["noise"]), 1e-5):
        return ok(name)
    return wrong(
        name,
        f"With {label} and random weights, the output is not x·W + b: forward does something else "
        "to the input or to the output (a nonlinearity, a scale), or leaves a parameter out.",
    )


def _softmax_explain(case: Case, crash: Crash) -> str | None:
    if "before Module.__init__" in crash.message:
        return "Call `super().__init__()` first: nn.Module has to be set up before it can hold parameters."
    return None


# ---------------------------------------------------------------------------------------------
# train_step


def _step_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        label: str,
        arch: str,
        sizes: list[int],
        shape: list[int],
        optimizer: str,
        steps: int = 4,
        n: int = 6,
        **more: Any,
    ) -> Case:
        c = sizes[-1]
        settings = more.pop("settings")
        return {
            "label": label,
            "arch": arch,
            "sizes": sizes,
            "weights": _weights(rng, arch, sizes),
            "x": rng.normal(size=(steps, n, *shape)),
            "y": rng.integers(0, c, size=(steps, n)),
            "optimizer": optimizer,
            "settings": settings,
            **more,
        }

    lr = float(rng.uniform(0.1, 0.4))
    return [
        case(
            "softmax regression and SGD, from fresh gradients",
            *("linear", [16, 4], [1, 4, 4], "SGD"),
            settings={"lr": lr},
            dtype="float32",
        ),
        case(
            "a network with a hidden layer, SGD with momentum and weight decay",
            *("mlp", [5, 7, 3], [5], "SGD"),
            settings={"lr": 0.2, "momentum": 0.8, "weight_decay": 0.05},
        ),
        case(
            "Adam and batches of one",
            *("mlp", [5, 7, 3], [5], "Adam"),
            n=1,
            settings={"lr": 0.02, "betas": [0.8, 0.95]},
        ),
        case(
            "a convolutional network, AdamW with two groups of parameters",
            *("conv", [5, 3], [1, 5, 5], "AdamW"),
            settings={"lr": 0.02, "weight_decay": 0.1},
            groups=True,
        ),
        case(
            "SGD, with gradients left over from another backward pass",
            *("mlp", [4, 5, 2], [4], "SGD"),
            settings={"lr": 0.3},
            stale=True,
        ),
        case(
            "a network with batch norm, in training mode",
            *("batch norm", [4, 5, 3], [4], "SGD"),
            settings={"lr": 0.1},
        ),
        case(
            "a model on the GPU",
            *("mlp", [5, 7, 3], [5], "Adam"),
            settings={"lr": 0.02},
            device="cuda",
        ),
    ]


def _leave_gradients(case: Case, net: nn.Module) -> None:
    if case.get("stale"):
        for p in net.parameters():
            p.grad = torch.ones_like(p)


def _step_probe(given: SimpleNamespace, case: Case) -> Observation:
    device = case.get("device", "cpu")
    net = _net(case).to(device)
    optimizer = _optimizer(case, net)
    _leave_gradients(case, net)
    events: list[str] = []

    def log(event: str) -> Callable[..., None]:
        return lambda *_: events.append(event)

    net.register_forward_hook(log("forward"))
    optimizer.register_step_pre_hook(log("step"))
    next(net.parameters()).register_hook(log("backward"))
    for owner in (net, optimizer):
        _log_calls(owner, "zero_grad", log("zero_grad"))

    seen: Observation = {"returned": [], "params": [], "buffers": []}
    for x, y in zip(case["x"], case["y"]):
        seen["returned"].append(observe(given.train_step(net, optimizer, *_xy(case, x, y, device))))
        seen["params"].append(_flat(net.parameters()))
        seen["buffers"].append(_flat(net.buffers()))
    seen["events"] = events[: len(events) // len(case["x"])]
    return seen


def _log_calls(owner: Any, method: str, log: Callable[[], None]) -> None:
    inner = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        log()
        return inner(*args, **kwargs)

    setattr(owner, method, wrapped)


def _other_losses() -> dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    return {
        "sum": lambda z, y: F.cross_entropy(z, y, reduction="sum"),
        "softmax twice": lambda z, y: F.cross_entropy(z.softmax(1), y),
        "nll": lambda z, y: F.nll_loss(z, y),
        "nll softmax": lambda z, y: F.nll_loss(z.softmax(1), y),
        "mse": lambda z, y: F.mse_loss(z, F.one_hot(y, z.shape[1]).to(z.dtype)),
        "mse softmax": lambda z, y: F.mse_loss(z.softmax(1), F.one_hot(y, z.shape[1]).to(z.dtype)),
        "smoothed": lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
    }


_STEP_MISTAKES = {
    "no zero_grad": "Gradients are never cleared: `backward` adds to `.grad`, so each step also "
    "follows all earlier batches. Call `optimizer.zero_grad()` before `loss.backward()`.",
    "zero_grad late": "`zero_grad` comes after `backward`, so the optimizer sees no gradient at "
    "all. Clear first, then backward, then step.",
    "zero_grad at the end": "Gradients are cleared only after the step: what another backward pass "
    "left in `.grad` before the call still counts. Clear them before `loss.backward()`.",
    "zero_grad late, to zeros": "`zero_grad` comes after `backward`, so the optimizer sees nothing "
    "but zeros. Clear first, then backward, then step.",
    "frozen": "The parameters do not change at all. Is there a `loss.backward()` and then an "
    "`optimizer.step()`?",
    "step first": "`optimizer.step()` comes before `loss.backward()`: the step uses the gradients "
    "of the batch before. Backward first, then step.",
    "sum": "The loss is summed over the batch, not averaged: twice the batch would mean twice the "
    "step. Keep F.cross_entropy's mean.",
    "softmax twice": "Softmax is applied twice: F.cross_entropy takes logits and applies softmax "
    "itself. Give it `model(x)` as it is.",
    "nll": "`nll_loss` wants log-probabilities, and the model returns logits: use F.cross_entropy.",
    "nll softmax": "`nll_loss` wants log-probabilities, not probabilities: use F.cross_entropy on "
    "the logits.",
    "mse": "This is the squared error, not cross-entropy: use F.cross_entropy(model(x), y).",
    "mse softmax": "This is the squared error of the probabilities, not cross-entropy: use "
    "F.cross_entropy(model(x), y).",
    "smoothed": "Label smoothing is on: the statement asks for plain cross-entropy.",
    "uphill": "The step goes uphill: the loss grows. Call `backward` on the loss itself, without "
    "a minus sign.",
    "backward twice": "`backward` runs twice, so every gradient is doubled. Once is enough.",
    "eval": "The model is put in eval mode: batch norm then normalises with its running "
    "statistics and does not learn them. A training step leaves the mode alone.",
    "plain": "The update is w ← w − lr·gradient, done by hand or by a new optimizer: momentum, "
    "decay and Adam's state are ignored. Call `step()` on the optimizer that you were given.",
    "two steps": "`optimizer.step()` runs twice a call: one batch, one step.",
    "clipped": "Gradients are clipped to norm 1 before the step; the statement asks for the plain "
    "step.",
}


def _simulate_step(case: Case, how: str) -> dict[str, list[Any]]:
    """What `train_step` does when it is right (how = "right"), or wrong in a known way."""
    net = _net(case)
    optimizer = _optimizer(case, net)
    _leave_gradients(case, net)
    loss_of = _other_losses().get(how, F.cross_entropy)
    done: dict[str, list[Any]] = {"params": [], "buffers": [], "before": [], "after": []}
    if how == "eval":
        net.eval()
    for x, y in (_xy(case, *b) for b in zip(case["x"], case["y"])):
        with torch.no_grad():
            before = _copy_of(net)(x)
        if "zero_grad" not in how and how != "step first":
            optimizer.zero_grad()
        if how == "step first":
            optimizer.step()
            optimizer.zero_grad()
        loss = loss_of(net(x), y)
        if how == "uphill":
            loss = -loss
        if how != "frozen":
            loss.backward(retain_graph=True)
        if how == "backward twice":
            loss.backward()
        if how.startswith("zero_grad late"):
            optimizer.zero_grad(set_to_none=how == "zero_grad late")
        if how == "clipped":
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        if how == "plain":
            with torch.no_grad():
                for p in net.parameters():
                    p -= case["settings"]["lr"] * p.grad
        elif how not in ("frozen", "step first"):
            for _ in range(2 if how == "two steps" else 1):
                optimizer.step()
        if how == "zero_grad at the end":
            optimizer.zero_grad()
        with torch.no_grad():
            after = _copy_of(net)(x)
        done["params"].append(_flat(net.parameters()))
        done["buffers"].append(_flat(net.buffers()))
        done["before"].append(F.cross_entropy(before, y).item())
        done["after"].append(F.cross_entropy(after, y).item())
    return done


def _copy_of(net: nn.Module) -> nn.Module:
    """A copy whose batch norm may count a batch without changing the original's statistics."""
    return copy.deepcopy(net)


def _step_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    moves = "moves the parameters as the optimizer says, on every batch"
    clean = "only this batch's gradient counts"
    value = "returns the loss before the update"
    plain = "returns a plain float"
    once = "runs the model once a call, in the mode that it is in"

    sims: dict[str, list[dict[str, Any]]] = {}

    def same(how: str) -> bool:
        """Whether `how` reproduces all parameters seen, in every case."""
        sims[how] = [_simulate_step(c, how) for c in cases]
        return all(
            _close(a, b, _tol(c))
            for c, s, sim in zip(cases, seen, sims[how])
            for a, b in zip(s["params"], sim["params"])
        )

    how = next((h for h in ("right", *_STEP_MISTAKES) if same(h)), None)
    if how == "zero_grad late" and any("backward" not in s["events"] for s in seen):
        sims["frozen"], how = sims[how], "frozen"
    if how == "zero_grad late" and any("step" not in s["events"] for s in seen):
        sims["frozen"], how = sims[how], "frozen"
    words = _STEP_MISTAKES.get(how or "") or _step_words(cases, seen, sims["right"])
    unclean = how in ("no zero_grad", "zero_grad at the end")
    yield ok(moves) if how == "right" or unclean else wrong(moves, words)
    yield wrong(clean, words) if unclean else ok(clean)

    kinds = [r for s in seen for r in s["returned"]]
    odd = next((r for r in kinds if not _is_float(r)), None)
    if odd is None:
        yield ok(plain)
    elif odd["kind"] == "tensor" and (odd["has_graph"] or odd["requires_grad"]):
        yield wrong(
            plain,
            "train_step returns a tensor that still holds the whole graph: collect a thousand of "
            "them and a thousand graphs stay in memory. Return `loss.item()`.",
        )
    elif odd["kind"] == "tensor":
        yield wrong(plain, "train_step returns a tensor, not a plain float: return `loss.item()`.")
    else:
        yield wrong(plain, f"train_step returns {_what(odd)}; return the loss as a plain float.")

    numbers = [[_number(r) for r in s["returned"]] for s in seen]
    if all(v is not None for row in numbers for v in row):
        yield _step_loss(value, cases, numbers, sims[how or "right"], whole=how is not None)
    else:
        yield wrong(value, "train_step should return one number: the loss, by `loss.item()`.")

    if how == "right":
        off = any(
            not _close(a, b, _tol(c))
            for c, s, sim in zip(cases, seen, sims["right"])
            for a, b in zip(s["buffers"], sim["buffers"])
        )
        yield (
            ok(once)
            if not off
            else wrong(
                once,
                "The forward pass runs more than once a call: it costs twice, and batch norm counts "
                "the batch twice. Keep the loss of the one pass.",
            )
        )


def _tol(case: Case) -> float:
    return 2e-5 if case.get("dtype") == "float32" else 1e-8


def _step_loss(
    name: str,
    cases: list[Case],
    numbers: list[list[Any]],
    sims: list[dict[str, Any]],
    whole: bool,
) -> Finding:
    # Where the trajectory is unknown, only the first loss can be compared.
    k = None if whole else 1

    def matches(f: Callable[[Case, dict[str, Any]], np.ndarray]) -> bool:
        return all(
            _close(row[:k], np.asarray(f(c, s))[:k], max(_tol(c), 1e-6))
            for c, row, s in zip(cases, numbers, sims)
        )

    if matches(lambda c, s: np.asarray(s["before"])):
        return ok(name)
    if matches(lambda c, s: np.asarray(s["after"])):
        return wrong(
            name,
            "The loss is that after the update: it flatters every step, and costs a second forward "
            "pass. Keep the loss that you called `backward` on.",
        )
    if matches(lambda c, s: np.asarray(s["before"]) * c["x"].shape[1]):
        return wrong(
            name, "The loss is summed over the batch: return the mean, so that batches compare."
        )
    if matches(lambda c, s: np.asarray(s["before"]) / c["x"].shape[1]):
        return wrong(
            name,
            "The loss is divided by the batch size twice: F.cross_entropy is a mean already.",
        )
    return wrong(
        name,
        f"With {cases[0]['label']}, the first call returns {numbers[0][0]:.6g}; the mean "
        f"cross-entropy before the update is {sims[0]['before'][0]:.6g}.",
    )


def _step_words(cases: list[Case], seen: list[Observation], right: list[dict[str, Any]]) -> str:
    for case, s, r in zip(cases, seen, right):
        for t, (a, b) in enumerate(zip(s["params"], r["params"]), 1):
            if not _close(a, b, _tol(case)):
                if not np.isfinite(a).all():
                    what = "some are not finite"
                else:
                    what = f"they are up to {np.abs(a - b).max():.2g} off"
                events = " → ".join(s["events"]) or "nothing"
                return (
                    f"With {case['label']}, the parameters differ from the reference after call "
                    f"{t}: {what}. What your code did in one call: {events}."
                )
    return "The parameters differ from the reference in one case: look at the order of the steps."


def _step_explain(case: Case, crash: Crash) -> str | None:
    if "does not require grad" in crash.message:
        return (
            "`backward` found no graph: the loss was detached, or computed under `no_grad`. "
            "Call `backward` on the loss tensor itself."
        )
    if "modified by an inplace operation" in crash.message:
        return (
            "`optimizer.step()` comes before `loss.backward()`: it changes weights that the backward "
            "pass still needs, and uses old gradients. Backward first, then step."
        )
    if "second time" in crash.message:
        return "`backward` runs twice on one graph. Once is enough."
    if crash.type == "AttributeError" and "'float' object" in crash.message:
        return "`loss.item()` gives a plain number without a graph: call `backward` first, `item` after."
    return None


# ---------------------------------------------------------------------------------------------
# evaluate


def _evaluate_cases(rng: np.random.Generator) -> list[Case]:
    def case(
        label: str,
        arch: str,
        sizes: list[int],
        batches: list[int],
        loader: str,
        training: bool,
        **more: Any,
    ) -> Case:
        n, c = sum(batches), sizes[-1]
        return {
            "label": label,
            "arch": arch,
            "sizes": sizes,
            "weights": _weights(rng, arch, sizes),
            "x": rng.normal(size=(n, sizes[0])),
            # Labels grow harder towards the end, so that the last batch is unlike the first.
            "hard": rng.random(n) < np.linspace(0.1, 0.9, n),
            "other": rng.integers(1, max(c, 2), size=n),
            "batches": batches,
            "loader": loader,
            "training": training,
            **more,
        }

    cases = [
        case("batches of 7, 7 and 3 from a list", "mlp", [5, 6, 4], [7, 7, 3], "list", True),
        case(
            "a generator of batches",
            *("linear", [5, 3], [8, 8, 8, 1], "generator", True),
            dtype="float32",
        ),
        case("a DataLoader", "mlp", [4, 5, 3], [6, 6, 6, 2], "DataLoader", False),
        case("a model with dropout, in training mode", "dropout", [6, 20, 3], [9, 4], "list", True),
        case(
            "a model with batch norm, in training mode",
            "batch norm",
            [6, 8, 3],
            [9, 4],
            "list",
            True,
        ),
        case(
            "a model with batch norm, in eval mode already",
            "batch norm",
            [6, 8, 3],
            [5, 5, 2],
            "generator",
            False,
        ),
        case("one batch only", "mlp", [5, 6, 4], [11], "list", True),
        case("one example only", "linear", [5, 3], [1], "DataLoader", True),
        case("a model on the GPU", "mlp", [5, 6, 4], [7, 7, 3], "list", True, device="cuda"),
    ]
    for c in cases:
        right = _logits(c, training=False).argmax(1)
        c["y"] = np.where(c.pop("hard"), (right + c.pop("other")) % c["sizes"][-1], right)
    return cases


def _logits(case: Case, training: bool) -> np.ndarray:
    """Logits of all examples; in training mode batch by batch, as batch norm sees them."""
    net = _net(case).train(training)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        x = torch.as_tensor(case["x"], dtype=_dtype(case))
        parts = [net(b) for b in x.split(case["batches"])] if training else [net(x)]
    return torch.cat(parts).double().numpy()


def _evaluate_probe(given: SimpleNamespace, case: Case) -> Observation:
    device = case.get("device", "cpu")
    net = _net(case).to(device)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    before = _flat([*net.parameters(), *net.buffers()])
    passes: list[list[bool]] = []
    net.register_forward_hook(
        lambda module, _, out: passes.append([module.training, out.requires_grad])
    )
    x, y = _xy(case, case["x"], case["y"], device)
    batches = list(zip(x.split(case["batches"]), y.split(case["batches"])))
    loader: Any = batches
    if case["loader"] == "generator":
        loader = (b for b in batches)
    elif case["loader"] == "DataLoader":
        data = torch.utils.data.TensorDataset(x, y)
        loader = torch.utils.data.DataLoader(data, batch_size=case["batches"][0])
    returned = observe(given.evaluate(net, loader))
    return {
        "returned": returned,
        "passes": passes,
        "modes": [m.training for m in net.modules()],
        "changed": not np.array_equal(before, _flat([*net.parameters(), *net.buffers()])),
        "gradients": [p.grad is not None and bool((p.grad == 1).all()) for p in net.parameters()],
        "grad_enabled": torch.is_grad_enabled(),
    }


def _evaluate_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    returns = "returns (loss, accuracy), two plain floats"
    mode = "evaluates in eval mode"
    graph = "builds no graph"
    loss = "loss is the mean over all examples"
    accuracy = "accuracy is the share of right answers, from 0 to 1"
    restored = "leaves the model as it was"

    pairs = [_pair(s["returned"]) for s in seen]
    for s, pair in zip(seen, pairs):
        if pair is None:
            yield wrong(
                returns, f"evaluate returns {_what(s['returned'])}. Return `loss, accuracy`."
            )
        elif not all(_is_float(p) for p in pair):
            odd = next(p for p in pair if not _is_float(p))
            if odd["kind"] in ("tensor", "array", "numpy scalar"):
                yield wrong(
                    returns,
                    f"One of the two is {_what(odd)}, not a plain float: use `.item()`, so that "
                    "nothing holds on to the model or to the GPU.",
                )
            else:
                yield wrong(returns, f"One of the two is {_what(odd)}, not a plain float.")
        else:
            yield ok(returns)
        if any(training for training, _ in s["passes"]):
            yield wrong(
                mode,
                "The model is in train mode while it is measured: dropout still drops and batch "
                "norm uses the batch. Call `model.eval()` before the loop.",
            )
        else:
            yield ok(mode)
        if any(tracked for _, tracked in s["passes"]):
            yield wrong(
                graph,
                "The forward pass builds a graph that nobody needs: it costs memory and time. "
                "Use `torch.no_grad()` around the loop, or as a decorator.",
            )
        else:
            yield ok(graph)

    whole = [(c, p) for c, p in zip(cases, pairs) if p and all(_number(v) is not None for v in p)]
    if whole:
        got = [[_number(v) for v in p] for _, p in whole]
        parts = [_evaluate_parts(c) for c, _ in whole]
        yield _evaluate_number(loss, [c for c, _ in whole], [g[0] for g in got], parts, "loss")
        yield _evaluate_number(
            accuracy, [c for c, _ in whole], [g[1] for g in got], parts, "accuracy"
        )
    for c, s in zip(cases, seen):
        yield _evaluate_restored(restored, c, s)


def _evaluate_parts(case: Case) -> dict[str, np.ndarray]:
    """Loss and hit of each example, in float64, and where the batches end."""
    z, y = torch.as_tensor(_logits(case, training=False)), torch.as_tensor(case["y"])
    return {
        "loss": F.cross_entropy(z, y, reduction="none").numpy(),
        "accuracy": (z.argmax(1) == y).double().numpy(),
        "ends": np.cumsum(case["batches"])[:-1],
    }


_EVALUATE_MISTAKES: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], str]] = {
    "mean of means": (
        lambda v, ends: float(np.mean([b.mean() for b in np.split(v, ends)])),
        "This is the mean of batch means: the last, smaller batch counts as much as a full one. "
        "Weight each batch by its number of examples.",
    ),
    "first batch": (
        lambda v, ends: float(np.split(v, ends)[0].mean()),
        "Only the first batch is counted: is there a `return` inside the loop?",
    ),
    "last batch": (
        lambda v, ends: float(np.split(v, ends)[-1].mean()),
        "Only the last batch is counted: add up over the batches.",
    ),
    "sum": (
        lambda v, ends: float(v.sum()),
        "This is a sum over the examples: divide by their number.",
    ),
    "sum of means": (
        lambda v, ends: float(sum(b.mean() for b in np.split(v, ends))),
        "The batch means are added and never divided. Weight each by its number of examples, then "
        "divide by all.",
    ),
    "per batch": (
        lambda v, ends: float(v.sum() / (len(ends) + 1)),
        "The sum over examples is divided by the number of batches: divide by the number of "
        "examples.",
    ),
    "mean over n": (
        lambda v, ends: float(sum(b.mean() for b in np.split(v, ends)) / len(v)),
        "Batch means are divided by the number of examples: multiply each by its batch size first.",
    ),
    "all as large as the first": (
        lambda v, ends: float(
            sum(b.mean() for b in np.split(v, ends))
            * len(np.split(v, ends)[0])
            / (len(np.split(v, ends)[0]) * (len(ends) + 1))
        ),
        "Every batch is taken to be as large as the first: use each batch's own size.",
    ),
    "last dropped": (
        lambda v, ends: float(v[: ends[-1]].mean() if len(ends) else v.mean()),
        "The last, smaller batch is left out: every example of the test set counts.",
    ),
}


def _evaluate_number(
    name: str, cases: list[Case], got: list[Any], parts: list[dict[str, np.ndarray]], key: str
) -> Finding:
    def matches(f: Callable[[np.ndarray, np.ndarray], float], of: str = key) -> bool:
        return all(
            _close(g, f(p[of], p["ends"]), 1e-5 if c.get("dtype") == "float32" else 1e-6)
            for c, g, p in zip(cases, got, parts)
        )

    def mean(v: np.ndarray, ends: np.ndarray) -> float:
        return float(v.mean())

    other = "accuracy" if key == "loss" else "loss"
    if matches(mean):
        return ok(name)
    if matches(mean, other):
        return wrong(name, "Loss and accuracy are swapped: return `loss, accuracy`.")
    for f, words in _EVALUATE_MISTAKES.values():
        if matches(f):
            return wrong(name, words)
    if key == "accuracy":
        if matches(lambda v, ends: 100 * float(v.mean())):
            return wrong(name, "The accuracy is in percent: return the share, from 0 to 1.")
        if matches(lambda v, ends: 1 - float(v.mean())):
            return wrong(name, "This is the error rate: the accuracy is 1 minus it.")
    i = next(
        i
        for i, (g, p) in enumerate(zip(got, parts))
        if not _close(g, mean(p[key], p["ends"]), 1e-5)
    )
    return wrong(
        name,
        f"With {cases[i]['label']}, the {key} is {got[i]:.6g}, and should be "
        f"{parts[i][key].mean():.6g}.",
    )


def _evaluate_restored(name: str, case: Case, s: Observation) -> Finding:
    was = "training" if case["training"] else "eval"
    if not s["grad_enabled"]:
        return wrong(
            name,
            "Gradients stay switched off after evaluate: no training step works any more. Use "
            "`with torch.no_grad():`, which switches back by itself.",
        )
    if any(m != case["training"] for m in s["modes"]):
        if case["training"] and s["modes"][0]:
            words = (
                "Only the outer model's flag is set back; its layers stay in eval mode. "
                "`model.train(was_training)` reaches all of them."
            )
        elif case["training"]:
            words = (
                "The model stays in eval mode: the training that follows runs without dropout. "
                "Keep `model.training` and give it back with `model.train(…)`."
            )
        else:
            words = (
                "The model came in eval mode and leaves in train mode. Restore what was there: "
                "keep `model.training` before, `model.train(was_training)` after."
            )
        return wrong(name, words)
    if s["changed"]:
        return wrong(
            name,
            f"With {case['label']} ({was} mode), parameters or buffers change: a measurement must "
            "not train. Batch norm's statistics move in train mode, even under no_grad.",
        )
    if not all(s["gradients"]):
        return wrong(
            name, "The parameters' `.grad` is changed: evaluate needs no zero_grad and no backward."
        )
    return ok(name)


def _evaluate_explain(case: Case, crash: Crash) -> str | None:
    if "has no len()" in crash.message:
        return (
            "`loader` may be a generator, which has no `len`. Count the examples as they come: "
            "`len(loader)` is the number of batches anyway, and the mean of batch means is not the "
            "mean over examples."
        )
    if crash.type == "AttributeError" and "dataset" in crash.message:
        return "`loader` is any iterable of (x, y); it need not have a `dataset`. Count as you go."
    if "not subscriptable" in crash.message and case["loader"] != "list":
        return "`loader` is any iterable of (x, y): go through it with `for`, do not index it."
    if crash.type == "AttributeError" and "shape" in crash.message:
        return None
    return None


# ---------------------------------------------------------------------------------------------
# confusion_matrix


def _confusion_cases(rng: np.random.Generator) -> list[Case]:
    def case(label: str, n: int, seen: int, c: int, **more: Any) -> Case:
        true = rng.integers(0, seen, size=n)
        pred = np.where(rng.random(n) < 0.6, true, rng.integers(0, seen, size=n))
        return {"label": label, "pred": pred, "true": true, "C": c, **more}

    some = int(rng.integers(1, 4))
    return [
        case("200 examples of 5 classes", 200, 5, 5),
        case("labels that use 3 of 7 classes", 40, 3, 7),
        case("1,000 examples of 10 classes", 1000, 10, 10),
        {"label": "one example", "pred": np.array([2]), "true": np.array([0]), "C": 3},
        {
            "label": "one pair, repeated",
            "pred": np.full(9, some),
            "true": np.full(9, 0),
            "C": 4,
        },
        {
            "label": "no examples",
            "pred": np.zeros(0, dtype=np.int64),
            "true": np.zeros(0, dtype=np.int64),
            "C": 3,
        },
        {
            "label": "one class",
            "pred": np.zeros(5, dtype=np.int64),
            "true": np.zeros(5, dtype=np.int64),
            "C": 1,
        },
        case("tensors that are not contiguous", 30, 4, 4, strided=True),
        case("tensors on the GPU", 50, 4, 4, device="cuda"),
    ]


def _confusion_probe(given: SimpleNamespace, case: Case) -> Observation:
    pred, true = (
        torch.as_tensor(case[k], device=case.get("device", "cpu")) for k in ("pred", "true")
    )
    if case.get("strided"):
        pred, true = torch.stack([pred, true], 1).unbind(1)
    returned = observe(given.confusion_matrix(pred, true, case["C"]))
    return {"returned": returned, "pred": pred, "true": true}


def _confusion_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    shape = "returns a (C, C) tensor of dtype long"
    counts = "counts every pair: rows true, columns predicted"
    inputs = "leaves its inputs as they were"

    expected = []
    for case in cases:
        m = np.zeros((case["C"], case["C"]), dtype=np.int64)
        np.add.at(m, (case["true"], case["pred"]), 1)
        expected.append(m)
    readable = [
        (case, s["returned"]["array"], m)
        for case, s, m in zip(cases, seen, expected)
        if s["returned"]["kind"] == "tensor"
        and s["returned"]["array"] is not None
        and s["returned"]["shape"] == list(m.shape)
    ]
    if readable:
        yield _confusion_counts(counts, readable)
    for case, s, m in zip(cases, seen, expected):
        r = s["returned"]
        if r["kind"] != "tensor" or r["array"] is None:
            yield wrong(shape, f"confusion_matrix returns {_what(r)}, not a tensor.")
        elif r["shape"] != list(m.shape):
            top = max(case["pred"].max(initial=-1), case["true"].max(initial=-1)) + 1
            few = r["shape"] and r["shape"][0] in (
                top,
                len(np.union1d(case["pred"], case["true"])),
            )
            yield wrong(
                shape,
                f"With {case['label']}, the shape is {tuple(r['shape'])}, not {m.shape}. "
                + (
                    "C is taken from the data: a class that happens to be absent still has its row."
                    if few
                    else "One row and one column a class, C of each."
                ),
            )
        elif r["dtype"] != "int64":
            yield wrong(
                shape,
                f"The dtype is {r['dtype']}: counts are whole numbers, return dtype long "
                "(torch.int64).",
            )
        else:
            yield ok(shape)
        if np.array_equal(s["pred"], case["pred"]) and np.array_equal(s["true"], case["true"]):
            yield ok(inputs)
        else:
            yield wrong(inputs, "`pred` or `true` is changed by the call: work on copies.")


def _confusion_counts(name: str, readable: list[tuple[Case, np.ndarray, np.ndarray]]) -> Finding:
    def all_are(f: Callable[[Case, np.ndarray], np.ndarray]) -> bool:
        return all(_close(a, f(c, m), 1e-6) for c, a, m in readable)

    def rates(m: np.ndarray, axis: int | None) -> np.ndarray:
        return m / np.maximum(m.sum(axis, keepdims=axis is not None), 1)

    if all_are(lambda c, m: m):
        return ok(name)
    if all_are(lambda c, m: m.T):
        return wrong(
            name,
            "The matrix is transposed: the row is the true class, the column the predicted one. "
            "Look at the order of the arguments, too: `pred` comes first.",
        )
    if all_are(lambda c, m: np.minimum(m, 1)) or all_are(lambda c, m: np.minimum(m, 1).T):
        return wrong(
            name,
            "Each pair is counted once only: `M[true, pred] += 1` reads, adds and writes back, so "
            "repeated pairs overwrite each other. Use bincount, index_put_ with accumulate=True, "
            "or a loop.",
        )
    if all_are(lambda c, m: np.diag(np.diag(m))):
        return wrong(
            name, "Only the right answers are counted: the mistakes are what one looks for."
        )
    if all_are(lambda c, m: m - np.diag(np.diag(m))):
        return wrong(name, "Only the mistakes are counted: the diagonal holds the right answers.")
    if any(all_are(lambda c, m, a=axis: rates(m, a)) for axis in (None, 0, 1)):
        return wrong(name, "These are shares, not counts: do not divide.")
    case, a, m = next((c, a, m) for c, a, m in readable if not _close(a, m, 1e-6))
    i, j = np.argwhere(~np.isclose(a, m))[0]
    return wrong(
        name,
        f"With {case['label']}, true {i} predicted as {j} occurs {m[i, j]} times, and your "
        f"matrix says {a[i, j]:g}.",
    )


# ---------------------------------------------------------------------------------------------
# accuracy_interval


def _interval_cases(rng: np.random.Generator) -> list[Case]:
    n = int(rng.integers(300, 3000))
    k = int(rng.integers(n // 2, n - 20))
    pairs = [
        (9202, 10_000),
        (92, 100),
        (3, 10),
        (0, 20),
        (20, 20),
        (0, 1),
        (1, 1),
        (5, 40),
        (k, n),
    ]
    return [{"label": f"{c:,} right of {m:,}", "correct": c, "n": m} for c, m in pairs]


def _interval_probe(given: SimpleNamespace, case: Case) -> Observation:
    return {"returned": observe(given.accuracy_interval(case["correct"], case["n"]))}


def _bisect(f: Callable[[float], float], low: float, high: float) -> float:
    """A root of f, which changes sign between low and high."""
    at_low = f(low) > 0
    for _ in range(80):
        middle = (low + high) / 2
        if (f(middle) > 0) == at_low:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _score_interval(k: int, n: int, z: float) -> tuple[float, float]:
    """Every p that a score test does not reject: |k/n − p| ≤ z·sqrt(p(1 − p)/n), by bisection."""
    p = k / n

    def outside(q: float) -> float:
        return (p - q) ** 2 - z * z * q * (1 - q) / n

    low = 0.0 if k == 0 else _bisect(outside, 0.0, p)
    high = 1.0 if k == n else _bisect(outside, p, 1.0)
    return low, high


def _wald(k: int, n: int, z: float) -> tuple[float, float]:
    p = k / n
    half = z * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def _agresti_coull(k: int, n: int, z: float) -> tuple[float, float]:
    m = n + z * z
    p = (k + z * z / 2) / m
    half = z * math.sqrt(p * (1 - p) / m)
    return p - half, p + half


def _clopper_pearson(k: int, n: int) -> tuple[float, float]:
    def at_most(j: int, p: float) -> float:
        i = np.arange(j + 1)
        logs = np.array(
            [math.lgamma(n + 1) - math.lgamma(a + 1) - math.lgamma(n - a + 1) for a in i]
        )
        return float(np.exp(logs + i * math.log(p) + (n - i) * math.log1p(-p)).sum())

    tiny = 1e-12
    low = 0.0 if k == 0 else _bisect(lambda p: 0.975 - at_most(k - 1, p), tiny, 1 - tiny)
    high = 1.0 if k == n else _bisect(lambda p: 0.025 - at_most(k, p), tiny, 1 - tiny)
    return low, high


def _corrected(k: int, n: int, z: float) -> tuple[float, float]:
    """Wilson's interval with continuity correction: the score test on |k/n − p| − 1/(2n)."""
    p, c = k / n, 1 / (2 * n)
    low = (
        0.0
        if k == 0
        else _bisect(lambda q: (p - q - c) ** 2 - z * z * q * (1 - q) / n, 0.0, max(p - c, 0.0))
    )
    high = (
        1.0
        if k == n
        else _bisect(lambda q: (q - p - c) ** 2 - z * z * q * (1 - q) / n, min(p + c, 1.0), 1.0)
    )
    return low, high


def _wilson_without(what: str) -> Callable[[int, int], tuple[float, float]]:
    z = 1.96

    def f(k: int, n: int) -> tuple[float, float]:
        p, w = k / n, z * z / n
        centre = p if what == "shift" else p + w / 2
        spread = p * (1 - p) / n + (0 if what == "second term" else z * z / (4 * n * n))
        half = z * math.sqrt(spread)
        scale = 1 if what == "denominator" else 1 + w
        return (centre - half) / scale, (centre + half) / scale

    return f


_INTERVAL_MISTAKES: list[tuple[Callable[[int, int], tuple[float, float]], str]] = [
    (
        lambda k, n: _wald(k, n, 1.96),
        "This is the normal approximation p ± 1.96·sqrt(p(1 − p)/n) (Wald): at 20 right of 20 it "
        "has no width at all. Take Wilson's interval.",
    ),
    (
        _clopper_pearson,
        "This is Clopper and Pearson's exact interval: it is wider than 95% asks for. Take Wilson's.",
    ),
    (
        lambda k, n: _agresti_coull(k, n, 1.96),
        "This is Agresti and Coull's interval: same centre as Wilson's, but wider, and it leaves "
        "[0, 1] near the ends.",
    ),
    (
        lambda k, n: _wald(k + 2, n + 4, 1.96),
        "This is the “plus four” rule (Agresti and Coull, rounded). Take Wilson's interval itself.",
    ),
    (
        lambda k, n: _corrected(k, n, 1.96),
        "This is Wilson's interval with continuity correction, which is wider: leave the "
        "correction out.",
    ),
    (
        lambda k, n: _score_interval(k, n, 1.6449),
        "z = 1.645 gives a 90% interval: 95% between two bounds leaves 2.5% on each side, z = 1.96.",
    ),
    (
        lambda k, n: _score_interval(k, n, 2.5758),
        "z = 2.576 gives a 99% interval: for 95%, z = 1.96.",
    ),
    (
        lambda k, n: _score_interval(k, n, 1.0),
        "z is missing: one standard error is a 68% interval. For 95%, z = 1.96.",
    ),
    (
        lambda k, n: _score_interval(k, n, 2.0),
        "z = 2 gives 95.45%: take 1.96.",
    ),
    (
        _wilson_without("denominator"),
        "The denominator 1 + z²/n is missing: it scales both the centre and the half width.",
    ),
    (
        _wilson_without("second term"),
        "Under the root the term z²/(4n²) is missing.",
    ),
    (
        _wilson_without("shift"),
        "The centre is not shifted: Wilson's is (p + z²/(2n)) / (1 + z²/n).",
    ),
]


def _interval_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    returns = "returns (low, high), two plain floats"
    value = "is Wilson's 95% interval"
    inside = "stays within 0 and 1, at 0 of n and n of n too"

    got: list[tuple[Case, float, float]] = []
    for case, s in zip(cases, seen):
        pair = _pair(s["returned"])
        numbers = [_number(p) for p in pair] if pair else []
        if not pair or None in numbers:
            yield wrong(
                returns, f"accuracy_interval returns {_what(s['returned'])}, not two floats."
            )
            continue
        got.append((case, *numbers))
        odd = next((p for p in pair if not _is_float(p) and p["kind"] != "int"), None)
        yield (
            ok(returns)
            if odd is None
            else wrong(returns, f"One bound is {_what(odd)}, not a float.")
        )
    if not got:
        return
    bad = next(
        ((c, a, b) for c, a, b in got if not -1e-9 <= min(a, b) <= max(a, b) <= 1 + 1e-9), None
    )

    def match(f: Callable[[int, int], tuple[float, float]], exact: float = 1e-6) -> bool:
        return all(
            abs(a - low) < exact and abs(b - high) < exact
            for (c, a, b) in got
            for low, high in [f(c["correct"], c["n"])]
        )

    def near(c: Case, a: float, b: float) -> bool:
        one, two = (_score_interval(c["correct"], c["n"], z) for z in (1.959964, 1.96))
        return all(abs(v - x) <= 2 * abs(x - y) + 1e-6 for v, x, y in zip((a, b), one, two))

    def clipped(f: Callable[[int, int], tuple[float, float]]) -> Callable[..., tuple[float, float]]:
        return lambda k, n: tuple(min(max(v, 0.0), 1.0) for v in f(k, n))

    def halves(f: Callable[[int, int], tuple[float, float]]) -> Callable[..., tuple[float, float]]:
        return lambda k, n: (sum(f(k, n)) / 2, (f(k, n)[1] - f(k, n)[0]) / 2)

    def wilson(k: int, n: int) -> tuple[float, float]:
        return _score_interval(k, n, 1.96)

    small = [(c, a, b) for c, a, b in got if c["n"] <= 100]
    if all(near(*g) for g in got):
        yield ok(value)
    elif all(near(c, b, a) for c, a, b in got):
        yield wrong(value, "The two bounds are swapped: return (low, high).")
    elif all(near(c, a / 100, b / 100) for c, a, b in got):
        yield wrong(value, "The bounds are in percent: return shares, from 0 to 1.")
    elif match(halves(wilson), 1e-4):
        yield wrong(
            value, "This is (centre, half width): return (low, high) = centre ∓ half width."
        )
    else:
        # Small samples tell the intervals apart, and keep the exact one cheap.
        everything, got = got, small or got
        words = next(
            (w for f, w in _INTERVAL_MISTAKES if match(f, 2e-4) or match(clipped(f), 2e-4)), None
        )
        got = everything
        if words is None:
            c, a, b = next(g for g in got if not near(*g))
            low, high = _score_interval(c["correct"], c["n"], 1.959964)
            words = (
                f"With {c['label']}, you give ({a:.4f}, {b:.4f}); Wilson's interval is "
                f"({low:.4f}, {high:.4f})."
            )
        yield wrong(value, words)
    if bad:
        c, a, b = bad
        yield wrong(
            inside, f"With {c['label']}, the bounds are {a:.4f} and {b:.4f}: outside 0 to 1."
        )
    else:
        yield ok(inside)


def _interval_explain(case: Case, crash: Crash) -> str | None:
    if crash.type == "ZeroDivisionError":
        return (
            f"With {case['label']}, the formula divides by zero: Wilson's does not, at any n ≥ 1."
        )
    return None


# ---------------------------------------------------------------------------------------------
# smooth


def _smooth_cases(rng: np.random.Generator) -> list[Case]:
    noisy = rng.normal(size=60).cumsum() + 5
    return [
        {"label": "a noisy curve, beta 0.9", "values": noisy.tolist(), "beta": 0.9},
        {"label": "whole numbers, beta 0.5", "values": [4, 0, 8, 0], "beta": 0.5},
        {"label": "a constant, beta 0.98", "values": [2.5] * 30, "beta": 0.98},
        {"label": "beta 0", "values": rng.normal(size=8).tolist(), "beta": 0.0},
        {"label": "one value", "values": [float(rng.normal())], "beta": 0.9},
        {"label": "an empty list", "values": [], "beta": 0.9},
        {"label": "600 values, beta 0.99", "values": rng.normal(size=600).tolist(), "beta": 0.99},
        {
            "label": "a random beta",
            "values": rng.normal(size=25).tolist(),
            "beta": float(rng.uniform(0.2, 0.8)),
        },
    ]


def _smooth_probe(given: SimpleNamespace, case: Case) -> Observation:
    values = list(case["values"])
    returned = given.smooth(values, case["beta"])
    return {"returned": observe(returned), "values": values, "same": returned is values}


def _averages(values: list[float], beta: float, how: str = "right") -> list[float]:
    if how == "right":
        # From the definition: a mean with weights beta^age.
        out = []
        for t in range(1, len(values) + 1):
            w = beta ** np.arange(t - 1, -1, -1, dtype=float)
            out.append(float((w * values[:t]).sum() / w.sum()))
        return out
    if how == "window":
        k = max(1, round(1 / (1 - beta)))
        return [float(np.mean(values[max(0, t - k + 1) : t + 1])) for t in range(len(values))]
    m = values[0] if how == "first value" and values else 0.0
    out = []
    a, b = (1 - beta, beta) if "swapped" in how else (beta, 1 - beta)
    for t, v in enumerate(values, 1):
        m = a * m + (v if how == "unweighted" else b * v)
        if how in ("none", "first value", "swapped, uncorrected"):
            out.append(m)
        elif how == "t from 2":
            out.append(m / (1 - beta ** (t + 1)))
        elif how == "last t":
            out.append(m / (1 - beta ** len(values)))
        elif how == "compounding":
            m = m / (1 - beta**t)
            out.append(m)
        elif how == "t fixed":
            out.append(m / (1 - beta))
        elif how == "swapped, corrected so":
            out.append(m / (1 - a**t))
        else:
            out.append(m / (1 - beta**t))
    return out


_SMOOTH_MISTAKES = {
    "none": "There is no bias correction: the average starts at 0, so the first values come out "
    "far too small. Divide m by 1 − beta^t, t counted from 1.",
    "first value": "The average is initialised at the first value: that value then keeps a weight "
    "of beta^t, far more than its share. Start at 0 and divide by 1 − beta^t.",
    "swapped": "The weights are swapped: the old average gets beta, the new value 1 − beta. "
    "With beta near 1 the curve should be smooth.",
    "swapped, corrected so": "The weights are swapped: the old average gets beta, the new value "
    "1 − beta. With beta near 1 the curve should be smooth.",
    "swapped, uncorrected": "The weights are swapped: the old average gets beta, the new value "
    "1 − beta. And the bias correction is missing.",
    "t from 2": "The correction's t is one too large: for the first value it is 1 − beta^1.",
    "last t": "Every value is corrected by the last t: use each value's own, 1 − beta^t.",
    "compounding": "The corrected value goes back into the average, so the correction compounds: "
    "keep m uncorrected, and divide only what you append.",
    "t fixed": "The correction is 1 − beta for every t: it should be 1 − beta^t.",
    "unweighted": "The new value is not weighted by 1 − beta.",
    "window": "This is a moving average over a window: the exponential average forgets "
    "gradually, m ← beta·m + (1 − beta)·value.",
}


def _smooth_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    returns = "returns a list, one number a value"
    value = "is the exponential average with bias correction"
    edges = "beta 0 changes nothing, the first value stays, an empty list is empty"
    inputs = "leaves `values` as it was"

    got: list[tuple[Case, list[float]]] = []
    for case, s in zip(cases, seen):
        r = s["returned"]
        if s["same"] or s["values"] != case["values"]:
            yield wrong(inputs, "`values` is changed by the call: build a new list.")
        else:
            yield ok(inputs)
        if r["kind"] != "list":
            yield wrong(returns, f"smooth returns {_what(r)}, not a list.")
            continue
        numbers = [_number(v) for v in r["items"]]
        if len(numbers) != len(case["values"]):
            yield wrong(
                returns,
                f"With {case['label']}, the list has {len(numbers)} items for "
                f"{len(case['values'])} values: one for each, from the first on.",
            )
        elif any(v["kind"] not in ("float", "int", "numpy scalar") for v in r["items"]):
            yield wrong(returns, "The list should hold plain numbers, not tensors.")
        else:
            got.append((case, numbers))
            yield ok(returns)
    if not got:
        return

    def match(how: str) -> bool:
        # Where beta is 0 or the list has one value, wrong formulas may divide by zero.
        return all(
            _close(v, _averages(c["values"], c["beta"], how), 1e-5)
            for c, v in got
            if c["beta"] or how == "right"
        )

    bad = next((c for c, v in got if not _close(v, _averages(c["values"], c["beta"]), 1e-5)), None)
    if bad is None:
        yield ok(value)
    else:
        words = next((w for how, w in _SMOOTH_MISTAKES.items() if match(how)), None)
        if words is None:
            v = next(v for c, v in got if c is bad)
            right = _averages(bad["values"], bad["beta"])
            t = next(i for i, (a, b) in enumerate(zip(v, right)) if not _close(a, b, 1e-5))
            words = (
                f"With {bad['label']}, item {t} is {v[t]:.6g}, and should be {right[t]:.6g}: "
                "m ← beta·m + (1 − beta)·value from m = 0, then m / (1 − beta^t)."
            )
        yield wrong(value, words)
    flat = [(c, v) for c, v in got if c["beta"] == 0 or len(c["values"]) <= 1]
    odd = next((c for c, v in flat if not _close(v, c["values"], 1e-5)), None)
    if odd is None:
        yield ok(edges)
    else:
        yield wrong(edges, f"With {odd['label']}, what comes out should be what went in.")


def _smooth_explain(case: Case, crash: Crash) -> str | None:
    if crash.type == "ZeroDivisionError":
        return (
            "The correction divides by zero: t starts at 1, not at 0, so the first divisor is "
            "1 − beta."
        )
    if crash.type == "IndexError" and not case["values"]:
        return "An empty list has no first value: return an empty list."
    return None


# ---------------------------------------------------------------------------------------------
# save_checkpoint, load_checkpoint


def _checkpoint_cases(rng: np.random.Generator) -> list[Case]:
    def case(label: str, optimizer: str, settings: dict[str, Any], **more: Any) -> Case:
        sizes = [6, 5, 3]
        return {
            "label": label,
            "arch": "mlp",
            "sizes": sizes,
            "weights": _weights(rng, "mlp", sizes),
            "fresh": _weights(rng, "mlp", sizes),
            "x": rng.normal(size=(40, 6)),
            "y": rng.integers(0, 3, size=40),
            "optimizer": optimizer,
            "settings": settings,
            "seed": int(rng.integers(1, 10_000)),
            "step": int(rng.integers(11, 500)),
            "dtype": "float32",
            **more,
        }

    sgd = {"lr": 0.1, "momentum": 0.9}
    return [
        case("Adam, the path a string", "Adam", {"lr": 0.02}, path="str"),
        case("SGD with momentum, the path a Path", "SGD", sgd, path="Path"),
        case("going back: loaded over a run that went on", "Adam", {"lr": 0.02}, back=True),
        case("a model on the GPU", "Adam", {"lr": 0.02}, device="cuda"),
    ]


class _Refuses:
    """A value that no serialiser takes: saving it stops half-way."""

    def __reduce_ex__(self, protocol: int) -> Any:
        raise OSError("No space left on device")


def _run(case: Case, steps: int, net: nn.Module, optimizer: Any, generator: Any) -> None:
    device = next(net.parameters()).device
    x, y = _xy(case, case["x"], case["y"], str(device))
    for _ in range(steps):
        i = torch.randperm(len(y), generator=generator)[:8].to(device)
        optimizer.zero_grad()
        F.cross_entropy(net(x[i]), y[i]).backward()
        optimizer.step()


def _start(case: Case, weights: str = "weights", seed: int = 0) -> tuple[Any, Any, Any]:
    net = _net(case, weights).to(case.get("device", "cpu"))
    generator = torch.Generator().manual_seed(case["seed"] + seed)
    return net, _optimizer(case, net), generator


def _checkpoint_probe(given: SimpleNamespace, case: Case) -> Observation:
    seen: Observation = {}
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "run.pt"
        path: Any = str(name) if case.get("path") == "str" else name

        straight = _start(case)
        _run(case, 20, *straight)
        seen["straight"] = _flat(straight[0].parameters())

        first = _start(case)
        _run(case, 10, *first)
        given.save_checkpoint(path, first[0], first[1], case["step"], first[2])
        seen["files"] = sorted(p.name for p in Path(folder).iterdir())
        seen["reads"] = _attempt(lambda: torch.load(name) and None)
        if case.get("back"):
            later = first
            _run(case, 5, *later)
        else:
            _run(case, 10, *first)
            seen["continued"] = _flat(first[0].parameters())
            later = _start(case, "fresh", seed=1)
        held = list(later[0].parameters())
        seen["step"] = observe(given.load_checkpoint(path, *later))
        seen["same objects"] = all(a is b for a, b in zip(held, later[0].parameters()))
        seen["loaded"] = _flat(later[0].parameters())
        seen["drawn"] = torch.rand(4, generator=_clone(later[2])).numpy()
        seen["state"] = _state(later[1])
        _run(case, 10, *later)
        seen["resumed"] = _flat(later[0].parameters())

        # Overwriting: the old file's bytes, held by a second link, tell whether it was replaced
        # whole or written into.
        seen["overwritten"] = _attempt(lambda: _overwrite(given, case, path, Path(folder)))
        seen["interrupted"] = {
            how: _attempt(lambda how=how: _interrupt(given, case, Path(folder), how))
            for how in ("serialising", "writing", "renaming")
        }
    return seen


def _clone(generator: torch.Generator) -> torch.Generator:
    return torch.Generator().set_state(generator.get_state())


def _state(optimizer: torch.optim.Optimizer) -> np.ndarray:
    return _flat(
        v.double()
        for group in optimizer.param_groups
        for p in group["params"]
        for _, v in sorted(optimizer.state[p].items())
        if isinstance(v, torch.Tensor)
    )


def _overwrite(given: SimpleNamespace, case: Case, path: Any, folder: Path) -> dict[str, Any]:
    link = folder / "link"
    before = Path(path).read_bytes()
    try:
        os.link(path, link)
    except OSError:  # a file system without links: nothing to see this way
        link = None
    net, optimizer, generator = _start(case, "fresh", seed=2)
    _run(case, 2, net, optimizer, generator)
    moved: list[bool] = []
    with _watched(moved):
        given.save_checkpoint(path, net, optimizer, case["step"] + 1, generator)
    kept = link is None or link.read_bytes() == before
    if link:
        link.unlink()
    files = sorted(p.name for p in folder.iterdir())
    again = _start(case)
    step = given.load_checkpoint(path, *again)
    new = np.array_equal(_flat(again[0].parameters()), _flat(net.parameters()))
    return {"kept": kept, "files": files, "step": observe(step), "new": new, "beside": all(moved)}


@contextlib.contextmanager
def _watched(moved: list[bool]) -> Iterator[None]:
    """Note for each rename whether it stays in one folder."""
    replace, rename = os.replace, os.rename

    def noting(inner: Callable[..., None]) -> Callable[..., None]:
        def f(src: Any, dst: Any, **kwargs: Any) -> None:
            moved.append(Path(src).resolve().parent == Path(dst).resolve().parent)
            inner(src, dst, **kwargs)

        return f

    os.replace, os.rename = noting(replace), noting(rename)
    try:
        yield
    finally:
        os.replace, os.rename = replace, rename


def _interrupt(given: SimpleNamespace, case: Case, folder: Path, how: str) -> dict[str, Any]:
    """Save once, stop a second save half-way, and see what can still be loaded."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    path = folder / "run.pt"
    old = _start(case)
    _run(case, 2, *old)
    given.save_checkpoint(path, old[0], old[1], 3, old[2])
    new = _start(case, "fresh", seed=3)
    _run(case, 2, *new)
    if how == "serialising":
        new[1].state[next(new[0].parameters())]["comment"] = _Refuses()
    with _broken(how), contextlib.suppress(Exception):
        given.save_checkpoint(path, new[0], new[1], 4, new[2])
    read = _start(case, "fresh", seed=4)
    step = given.load_checkpoint(path, *read)
    return {
        "step": observe(step),
        "old": np.array_equal(_flat(read[0].parameters()), _flat(old[0].parameters())),
        "new": np.array_equal(_flat(read[0].parameters()), _flat(new[0].parameters())),
    }


@contextlib.contextmanager
def _broken(how: str) -> Iterator[None]:
    """torch.save that stops half-way, or a rename that fails; mended afterwards."""
    save, replace, rename = torch.save, os.replace, os.rename

    def half(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(f, (str, os.PathLike)):
            Path(f).write_bytes(b"PK\x03\x04 half a checkpoint")
        else:
            f.write(b"PK\x03\x04 half a checkpoint")
        raise OSError("No space left on device")

    def fails(*args: Any, **kwargs: Any) -> None:
        raise OSError("Input/output error")

    try:
        if how == "writing":
            torch.save = half
        elif how == "renaming":
            os.replace = os.rename = fails
        yield
    finally:
        torch.save, os.replace, os.rename = save, replace, rename


def _checkpoint_judge(cases: list[Case], seen: list[Observation]) -> Iterator[Finding]:
    same = "10 steps, save, load, 10 steps: bit for bit the same as 20 steps"
    undisturbed = "saving does not disturb the run"
    step = "load_checkpoint returns the step, an int"
    reads = "torch.load reads the file with its defaults"
    atomic = "a save that fails half-way leaves the old checkpoint whole"
    clean = "leaves one file, overwriting the one before"

    for case, s in zip(cases, seen):
        straight = _start({**case, "device": "cpu"})
        _run(case, 20, *straight)
        trusted = _flat(straight[0].parameters())
        if "continued" in s and not np.array_equal(s["continued"], s["straight"]):
            yield wrong(
                undisturbed,
                "The run that was saved goes on otherwise than without saving: save_checkpoint "
                "changes the model, the optimizer or the generator.",
            )
        else:
            yield ok(undisturbed)
        # Bit for bit beside the learner's own straight run; near to ours, wherever it ran.
        if np.array_equal(s["resumed"], s["straight"]) and _close(s["resumed"], trusted, 1e-3):
            yield ok(same)
        else:
            yield wrong(same, _checkpoint_words(case, s))

        if s["step"]["kind"] == "int" and s["step"]["value"] == case["step"]:
            yield ok(step)
        elif s["step"]["kind"] == "none":
            yield wrong(step, "load_checkpoint returns nothing: return the step that was saved.")
        elif _number(s["step"]) == case["step"]:
            yield wrong(step, f"load_checkpoint returns {_what(s['step'])}, not an int.")
        else:
            yield wrong(
                step,
                f"Saved at step {case['step']}, load_checkpoint returns "
                f"{s['step'].get('value', _what(s['step']))}: return the step as it was saved.",
            )

        if "error" in s["reads"]:
            error = s["reads"]["error"]
            yield wrong(
                reads,
                "The file holds more than tensors and plain values (a whole object, pickled), and "
                "torch.load refuses it: such a file can run code. Save state_dict()s and "
                "generator.get_state()."
                if "weights_only" in error.lower() or "Unpickling" in error
                else f"torch.load cannot read the file: {error}. Write it with torch.save.",
            )
        else:
            yield ok(reads)

        yield _checkpoint_atomic(atomic, s)
        yield _checkpoint_clean(clean, case, s)


def _checkpoint_words(case: Case, s: Observation) -> str:
    middle = _start({**case, "device": "cpu"})
    _run(case, 10, *middle)
    if not s["same objects"]:
        return (
            "load_checkpoint puts new parameters into the model: the optimizer goes on moving the "
            "old ones. Use `load_state_dict`, which fills those that are there."
        )
    if not _close(s["loaded"], _flat(middle[0].parameters()), 1e-4):
        return (
            "After load_checkpoint the model does not hold the saved weights. Restore into the "
            "objects that were passed, with `model.load_state_dict(…)`; assigning to the name "
            "`model` reaches nobody outside."
        )
    if s["state"].size == 0 or not _close(s["state"], _state(middle[1]), 1e-4):
        return (
            "The optimizer's state is not restored: its momentum and Adam's two averages start "
            "from nothing. Save `optimizer.state_dict()`, and load it."
        )
    if not _close(s["drawn"], torch.rand(4, generator=_clone(middle[2])).numpy(), 1e-6):
        return (
            "The generator is not restored: after loading, other batches are drawn. Save "
            "`generator.get_state()` and give it back with `set_state` (the global random state "
            "is another one)."
        )
    return (
        f"With {case['label']}, weights, optimizer and generator look right after loading, but the "
        "next 10 steps differ: is everything saved in full precision?"
    )


def _checkpoint_atomic(name: str, s: Observation) -> Finding:
    over = s["overwritten"]
    if "value" in over and not over["value"]["kept"]:
        return wrong(
            name,
            "The checkpoint is written straight into the old file: a crash in the middle loses "
            "both. Write to a temporary file beside it, then `os.replace(temporary, path)`, which "
            "is atomic.",
        )
    if "value" in over and not over["value"]["beside"]:
        return wrong(
            name,
            "The temporary file lies in another folder: if that is another disk, the rename fails "
            "or becomes a copy. Write it in the checkpoint's own folder.",
        )
    for how, result in s["interrupted"].items():
        r = result.get("value")
        if r and ((r["old"] and _number(r["step"]) == 3) or (r["new"] and _number(r["step"]) == 4)):
            continue
        if how == "renaming":
            return wrong(
                name,
                "There is a moment without any checkpoint: the old file is removed before the new "
                "one has its name. `os.replace` alone does both at once: it is atomic.",
            )
        return wrong(
            name,
            "A save that stopped half-way destroyed the old checkpoint. Write to a temporary file "
            "beside it, then `os.replace(temporary, path)`, which is atomic.",
        )
    return ok(name)


def _checkpoint_clean(name: str, case: Case, s: Observation) -> Finding:
    over = s["overwritten"]
    if "error" in over:
        return wrong(name, f"Saving over an existing checkpoint stops with {over['error']}.")
    files = [*s["files"], *over["value"]["files"]]
    left = sorted({f for f in files if f != "run.pt"})
    if left:
        return wrong(
            name,
            f"The temporary file stays behind ({left[0]}): a copy does not remove it, "
            "`os.replace` does.",
        )
    value = over["value"]
    if not value["new"] or _number(value["step"]) != case["step"] + 1:
        return wrong(name, "After a second save to the same path, the first checkpoint comes back.")
    return ok(name)


def _checkpoint_explain(case: Case, crash: Crash) -> str | None:
    text = crash.message
    if "pickle" in text.lower() and "generator" in text.lower():
        return "A generator cannot be saved as it is: save `generator.get_state()`, a tensor."
    if "weights_only" in text or "WeightsUnpickler" in text or "Weights only" in text:
        return (
            "torch.load refuses the file: it holds whole objects, and such a file can run code. "
            "Save state_dict()s, the step and generator.get_state()."
        )
    if crash.type == "AttributeError" and "'str' object" in text:
        return "`path` may be a str: make it a Path first (`Path(path)`)."
    if crash.type == "TypeError" and "Path" in text and "+" in text:
        return (
            "`path` may be a Path, which cannot be added to a str: use an f-string, or with_suffix."
        )
    if "ByteTensor" in text:
        return "The generator's state has to stay on the CPU: load with map_location='cpu', or move it back."
    return None


# ---------------------------------------------------------------------------------------------

EXERCISES = [
    Exercise(
        name="SoftmaxRegression",
        section="One matrix, ten biases",
        cases=_softmax_cases,
        probe=_softmax_probe,
        judge=_softmax_judge,
        explain=_softmax_explain,
        hints=(
            "One `nn.Linear(n_features, n_classes)` holds all the parameters that you need.",
            "`nn.init.zeros_(tensor)` fills in place; do it for the weight and for the bias. "
            "In `forward`, turn (n, …) into (n, n_features) before the linear layer.",
            "Three lines in `__init__`: make the linear layer an attribute, then zero its weight, then "
            "its bias. One line in `forward`: that layer applied to `x.flatten(1)`. No softmax: "
            "F.cross_entropy wants logits.",
        ),
        seconds=30,
    ),
    Exercise(
        name="train_step",
        section="Five steps, over and over",
        cases=_step_cases,
        probe=_step_probe,
        judge=_step_judge,
        explain=_step_explain,
        hints=(
            "Five lines, in the order of the list above: forward, loss, clear, backward, update.",
            "`F.cross_entropy(model(x), y)` is a mean already. Clear with `optimizer.zero_grad()` "
            "at any point before `loss.backward()`.",
            "Give the mean cross-entropy a name, then `optimizer.zero_grad()`, `backward()` on what you "
            "named, `optimizer.step()`, and return the named tensor's `.item()`.",
        ),
        seconds=40,
    ),
    Exercise(
        name="smooth",
        section="The stream of numbers",
        cases=_smooth_cases,
        probe=_smooth_probe,
        judge=_smooth_judge,
        explain=_smooth_explain,
        hints=(
            "Keep one number m, at first 0. Each value moves it a little: by how much?",
            "m ← beta·m + (1 − beta)·value. What you append is m divided by 1 − beta^t, and t is 1 "
            "for the first value.",
            "`for t, v in enumerate(values, 1): m = beta * m + (1 - beta) * v` and append "
            "`m / (1 - beta**t)`.",
        ),
    ),
    Exercise(
        name="evaluate",
        section="All of the test set",
        cases=_evaluate_cases,
        probe=_evaluate_probe,
        judge=_evaluate_judge,
        explain=_evaluate_explain,
        hints=(
            "Keep three running sums: the loss, the right answers, the examples. Divide at the end.",
            "`F.cross_entropy(…, reduction='sum')` adds up over a batch. Remember `model.training` "
            "before `model.eval()`, and wrap the loop in `torch.no_grad()`.",
            "`was = model.training; model.eval()`, the loop, `model.train(was)`, and "
            "`return total / n, right / n`, each sum taken with `.item()`.",
        ),
        seconds=30,
    ),
    Exercise(
        name="confusion_matrix",
        section="Which digits are confused",
        cases=_confusion_cases,
        probe=_confusion_probe,
        judge=_confusion_judge,
        hints=(
            "Each example adds 1 to one cell. Mind that many examples add to the same cell.",
            "`true * C + pred` gives each pair a number of its own, from 0 to C² − 1. What counts "
            "how often each number occurs?",
            "`torch.bincount(true * C + pred, minlength=C * C).reshape(C, C)`.",
        ),
    ),
    Exercise(
        name="accuracy_interval",
        section="How sure is a number?",
        cases=_interval_cases,
        probe=_interval_probe,
        judge=_interval_judge,
        explain=_interval_explain,
        hints=(
            "The formula is written out above: a centre, a half width, one common denominator.",
            "With p = correct/n and z = 1.96: centre (p + z²/(2n)) / (1 + z²/n).",
            "half = z / (1 + z²/n) · sqrt(p(1 − p)/n + z²/(4n²)); return (centre − half, "
            "centre + half).",
        ),
    ),
    Exercise(
        name="save_checkpoint",
        needs=("save_checkpoint", "load_checkpoint"),
        section="Stop, and go on bit for bit",
        cases=_checkpoint_cases,
        probe=_checkpoint_probe,
        judge=_checkpoint_judge,
        explain=_checkpoint_explain,
        hints=(
            "Four things make a run what it is: weights, the optimizer's state, the generator's "
            "state, the step. Put them into one dict.",
            "`model.state_dict()`, `optimizer.state_dict()`, `generator.get_state()`, `step`. Save "
            "to a temporary name in the same folder, then rename with `os.replace`.",
            "`tmp = f'{path}.tmp'; torch.save({…}, tmp); os.replace(tmp, path)`. Load with "
            "`torch.load(path)`, two `load_state_dict`, one `generator.set_state`, return the step.",
        ),
        seconds=40,
    ),
]
