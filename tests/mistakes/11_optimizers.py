"""Right and wrong answers of chapter 11. Wrong ones are the first right one with one thing changed."""

from course.check.bank import Right, Wrong

MOMENTUM = """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    v = state.get("v", torch.zeros_like(param))
    v = momentum * v + grad
    state["v"] = v
    param -= lr * v
"""
NESTEROV = """
def nesterov_step(param, grad, state, lr=0.01, momentum=0.9):
    v = state.get("v", torch.zeros_like(param))
    v = momentum * v + grad
    state["v"] = v
    param -= lr * (grad + momentum * v)
"""
RMSPROP = """
def rmsprop_step(param, grad, state, lr=0.01, alpha=0.99, eps=1e-8):
    v = state.get("v", torch.zeros_like(param))
    v = alpha * v + (1 - alpha) * grad**2
    state["v"] = v
    param -= lr * grad / (v.sqrt() + eps)
"""
ADAM = """
def adam_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    b1, b2 = betas
    t = state.get("t", 0) + 1
    m = b1 * state.get("m", torch.zeros_like(param)) + (1 - b1) * grad
    v = b2 * state.get("v", torch.zeros_like(param)) + (1 - b2) * grad**2
    state.update(t=t, m=m, v=v)
    m_hat = m / (1 - b1**t)
    v_hat = v / (1 - b2**t)
    param -= lr * m_hat / (v_hat.sqrt() + eps)
"""
ADAMW = (
    ADAM.replace("adam_step", "adamw_step")
    .replace("eps=1e-8)", "eps=1e-8, weight_decay=1e-2)")
    .replace("    m_hat", "    param *= 1 - lr * weight_decay\n    m_hat", 1)
)


def but(code: str, *changes: tuple[str, str]) -> str:
    """The code with each change made; a change that changes nothing is an error."""
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


def wrong(exercise: str, base: str, *entries: tuple) -> list[Wrong]:
    return [
        Wrong(exercise, label, but(base, *changes), says=says) for label, says, *changes in entries
    ]


LAST = {"momentum_step": "lr * v", "nesterov_step": "lr * (grad"}


def common(exercise: str, base: str) -> list[Wrong]:
    """Mistakes that fit every step."""
    return [
        Wrong(exercise, "uphill", but(base, ("param -= lr", "param += lr")), says="uphill"),
        Wrong(
            exercise,
            "rebinds param",
            but(base, ("param -= lr", "param = param - lr")),
            says="rebound",
        ),
        Wrong(
            exercise,
            "returns the new param",
            but(base, ("param -= lr", "return param - lr")),
            says="return None",
        ),
        Wrong(
            exercise, "in place, and returns it", base + "    return param\n", says="return None"
        ),
        Wrong(
            exercise,
            "new memory",
            but(base, ("param -= lr", "param.data = param - lr")),
            says="in place",
        ),
        Wrong(
            exercise,
            "state in a global",
            "memory = {}\n" + but(base, ("state.", "memory."))
            if "state[" not in base
            else "memory = {}\n" + but(base, ("state.", "memory."), ("state[", "memory[")),
            says="each parameter brings its own dict",
        ),
        Wrong(
            exercise,
            "state in a default argument",
            but(
                base,
                ("):\n", ", memory={}):\n    state = memory\n"),
            ),
            says="each parameter brings its own dict",
        ),
        Wrong(exercise, "lr hard-wired", but(base, ("-= lr", "-= 0.01")), says="hard-wired lr")
        if exercise in LAST or exercise == "rmsprop_step"
        else Wrong(exercise, "lr hard-wired", but(base, ("-= lr", "-= 0.001")), says="lr"),
        Wrong(
            exercise,
            "scales grad in place",
            but(base, ("    param -= lr", "    grad.mul_(2).div_(3)\n    param -= lr")),
            says="changed `grad` in place",
        ),
    ]


ANSWERS = [
    # ------------------------------------------------------------------ momentum_step
    Right("momentum_step", "a new buffer each step", MOMENTUM),
    Right(
        "momentum_step",
        "in place, under no_grad",
        """
@torch.no_grad()
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    if "buffer" not in state:
        state["buffer"] = torch.zeros_like(param)
    state["buffer"].mul_(momentum).add_(grad)
    param.add_(state["buffer"], alpha=-lr)
""",
    ),
    Right(
        "momentum_step",
        "torch.optim itself, kept in state",
        """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    if not state:
        state["p"] = nn.Parameter(param.clone())
        state["o"] = torch.optim.SGD([state["p"]], lr=lr, momentum=momentum)
    state["o"].param_groups[0]["lr"] = lr
    state["p"].grad = grad.clone()
    state["o"].step()
    param.copy_(state["p"].detach())
""",
    ),
    Right(
        "momentum_step",
        "the first gradient cloned, then loops",
        """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    state["v"] = grad.clone() if "v" not in state else state["v"] * momentum + grad
    param[...] = param - state["v"] * lr
""",
    ),
    *common("momentum_step", MOMENTUM),
    *wrong(
        "momentum_step",
        MOMENTUM,
        ("dampened", "dampened", ("+ grad", "+ (1 - momentum) * grad")),
        ("state not kept", "nothing is remembered", ('    state["v"] = v\n', "")),
        ("plain SGD", "plain SGD", ("lr * v", "lr * grad")),
        ("lr folded into the buffer", "fold lr", ("+ grad", "+ lr * grad"), ("lr * v", "v")),
        ("momentum hard-wired", "hard-wired momentum", ("momentum * v", "0.9 * v")),
        ("Nesterov", "Nesterov", ("lr * v", "lr * (grad + momentum * v)")),
        ("momentum on the gradient", "old buffer", ("momentum * v + grad", "v + momentum * grad")),
        (
            "momentum on both",
            "only the old buffer",
            ("momentum * v + grad", "momentum * (v + grad)"),
        ),
        ("lr twice", "lr twice", ("lr * v", "lr * lr * v")),
        ("other defaults", "defaults", ("momentum=0.9", "momentum=0.99")),
        (
            "zero taken for missing",
            "zero",
            ("    v = mom", "    momentum = momentum or 0.9\n    v = mom"),
        ),
        ("does nothing", "never changed", ("param -= lr * v", "pass")),
        (
            "reads an empty state",
            "empty at the first call",
            ('state.get("v", torch.zeros_like(param))', 'state["v"]'),
        ),
    ),
    Wrong(
        "momentum_step",
        "keeps grad by reference",
        """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    if "v" not in state:
        state["v"] = grad
    else:
        state["v"] = momentum * state["v"] + grad
    param -= lr * state["v"]
""",
        says="by reference",
    ),
    Wrong(
        "momentum_step",
        "keeps grad by reference and adds to it",
        """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    if "v" not in state:
        state["v"] = grad
    else:
        state["v"].mul_(momentum).add_(grad)
    param -= lr * state["v"]
""",
        says="by reference",
    ),
    Wrong(
        "momentum_step",
        "state in an attribute of the function",
        """
def momentum_step(param, grad, state, lr=0.01, momentum=0.9):
    v = getattr(momentum_step, "v", None)
    v = grad.clone() if v is None or v.shape != grad.shape else momentum * v + grad
    momentum_step.v = v
    param -= lr * v
""",
        says="state",
    ),
    # ------------------------------------------------------------------ nesterov_step
    Right("nesterov_step", "grad + momentum · buffer", NESTEROV),
    Right(
        "nesterov_step",
        "in place",
        """
def nesterov_step(param, grad, state, lr=0.01, momentum=0.9):
    v = state.setdefault("v", torch.zeros_like(param))
    v.mul_(momentum).add_(grad)
    param.sub_(lr * grad.add(v, alpha=momentum))
""",
    ),
    Right(
        "nesterov_step",
        "from the old buffer",
        """
def nesterov_step(param, grad, state, lr=0.01, momentum=0.9):
    old = state.get("v", 0 * param)
    state["v"] = momentum * old + grad
    param.copy_(param - lr * ((1 + momentum) * grad + momentum**2 * old))
""",
    ),
    *common("nesterov_step", NESTEROV),
    *wrong(
        "nesterov_step",
        NESTEROV,
        ("plain momentum", "plain momentum", ("(grad + momentum * v)", "v")),
        (
            "looks ahead with the old buffer",
            "plain momentum",
            ("    v = momentum * v + grad\n", "    old, v = v, momentum * v + grad\n"),
            ("(grad + momentum * v)", "(grad + momentum * old)"),
        ),
        ("the whole buffer", "whole buffer", ("(grad + momentum * v)", "(grad + v)")),
        ("no gradient in the step", "leaves grad out", ("(grad + momentum * v)", "(momentum * v)")),
        (
            "buffer plus momentum · buffer",
            "add it to the gradient",
            ("(grad + momentum", "(v + momentum"),
        ),
        ("dampened", "dampened", ("momentum * v + grad", "momentum * v + (1 - momentum) * grad")),
        ("state not kept", "nothing is remembered", ('    state["v"] = v\n', "")),
        (
            "stores the look-ahead",
            "store the look-ahead",
            ('    state["v"] = v\n', ""),
            (
                "    param -= lr * (grad + momentum * v)",
                '    v = grad + momentum * v\n    state["v"] = v\n    param -= lr * v',
            ),
        ),
        ("momentum hard-wired", "hard-wired momentum", ("momentum * v", "0.9 * v")),
        (
            "lr folded into the buffer",
            "lr",
            ("+ grad\n", "+ lr * grad\n"),
            ("lr * (grad + momentum * v)", "(lr * grad + momentum * v)"),
        ),
        ("plain SGD", "plain SGD", ("(grad + momentum * v)", "grad")),
    ),
    # ------------------------------------------------------------------ rmsprop_step
    Right("rmsprop_step", "a new average each step", RMSPROP),
    Right(
        "rmsprop_step",
        "in place with addcmul and addcdiv",
        """
def rmsprop_step(param, grad, state, lr=0.01, alpha=0.99, eps=1e-8):
    v = state.setdefault("square_avg", torch.zeros_like(param))
    v.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
    param.addcdiv_(grad, v.sqrt().add_(eps), value=-lr)
""",
    ),
    Right(
        "rmsprop_step",
        "lerp, and the root kept in state",
        """
def rmsprop_step(param, grad, state, lr=0.01, alpha=0.99, eps=1e-8):
    v = torch.lerp(grad.square(), state.get("root", torch.zeros_like(grad)) ** 2, alpha)
    state["root"] = v.sqrt()
    param.sub_(grad.div(state["root"] + eps).mul(lr))
""",
    ),
    *common("rmsprop_step", RMSPROP),
    *wrong(
        "rmsprop_step",
        RMSPROP,
        ("eps inside the root", "inside the root", ("(v.sqrt() + eps)", "(v + eps).sqrt()")),
        ("Adagrad", "Adagrad", ("alpha * v + (1 - alpha) * grad**2", "v + grad**2")),
        ("no root", "root is missing", ("v.sqrt()", "v")),
        ("no eps", "missing", ("(v.sqrt() + eps)", "v.sqrt()")),
        ("alpha swapped", "swapped", ("alpha * v + (1 - alpha)", "(1 - alpha) * v + alpha")),
        ("1 − alpha missing", "1 − alpha", ("(1 - alpha) * grad", "grad")),
        (
            "bias correction",
            "no bias correction",
            (
                "    param",
                '    t = state["t"] = state.get("t", 0) + 1\n    v = v / (1 - alpha**t)\n    param',
            ),
        ),
        (
            "centred",
            "centred",
            (
                "    param",
                '    g = state["g"] = alpha * state.get("g", 0) + (1 - alpha) * grad\n    v = (v - g**2).clamp(min=0)\n    param',
            ),
        ),
        ("one v for the tensor", "one number", ("grad**2", "(grad**2).mean()")),
        ("absolute values", "|g|", ("grad**2", "grad.abs()")),
        ("state not kept", "nothing is remembered", ('    state["v"] = v\n', "")),
        ("alpha hard-wired", "hard-wired alpha", ("alpha * v + (1 - alpha)", "0.99 * v + 0.01")),
        ("eps hard-wired", "hard-wired eps", ("+ eps", "+ 1e-8")),
        (
            "starts at the first square",
            "starts at 0",
            ('state.get("v", torch.zeros_like(param))', 'state.get("v", grad**2)'),
        ),
        (
            "divides by the old v",
            "old v",
            ("    v = alpha", "    old = v\n    v = alpha"),
            ("(v.sqrt()", "(old.sqrt()"),
        ),
        ("default alpha of another library", "defaults", ("alpha=0.99", "alpha=0.9")),
    ),
    # ------------------------------------------------------------------ adam_step
    Right("adam_step", "corrected copies", ADAM),
    Right(
        "adam_step",
        "the correction folded into the step size",
        """
def adam_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    if not state:
        state.update(step=0, m=torch.zeros_like(param), v=torch.zeros_like(param))
    state["step"] += 1
    state["m"].lerp_(grad, 1 - betas[0])
    state["v"].mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    c1, c2 = 1 - betas[0] ** state["step"], 1 - betas[1] ** state["step"]
    param.addcdiv_(state["m"], (state["v"].sqrt() / math.sqrt(c2)).add_(eps), value=-lr / c1)
""",
    ),
    Right(
        "adam_step",
        "the step count a tensor",
        """
def adam_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    t = state["t"] = state.get("t", torch.tensor(0)) + 1
    state["m"] = state.get("m", 0.0) * betas[0] + grad * (1 - betas[0])
    state["v"] = state.get("v", 0.0) * betas[1] + grad * grad * (1 - betas[1])
    m = state["m"] / (1 - betas[0] ** t).to(param.device)
    v = state["v"] / (1 - betas[1] ** t).to(param.device)
    param.sub_(lr * m / (torch.sqrt(v) + eps))
""",
    ),
    Right(
        "adam_step",
        "powers of beta kept as products",
        """
def adam_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    a, b = betas
    s = state or state.update(m=param * 0, v=param * 0, a=1.0, b=1.0) or state
    s["a"] *= a
    s["b"] *= b
    s["m"] += (1 - a) * (grad - s["m"])
    s["v"] += (1 - b) * (grad.pow(2) - s["v"])
    root = (s["v"] / (1 - s["b"])) ** 0.5
    param.copy_(param - lr / (1 - s["a"]) * s["m"] / (root + eps))
""",
    ),
    *common("adam_step", ADAM),
]

BETAS = "hard-wired betas"
ADAM_MISTAKES = (
    ("no bias correction", "no bias correction", ("m / (1 - b1**t)", "m"), ("v / (1 - b2**t)", "v")),
    ("only m corrected", "one moment only", ("v / (1 - b2**t)", "v")),
    ("only v corrected", "one moment only", ("m / (1 - b1**t)", "m")),
    ("correction compounds into state", "compounds", ("    state.update(t=t, m=m, v=v)\n", ""), ("    v_hat = v / (1 - b2**t)\n", "    v_hat = v / (1 - b2**t)\n    state.update(t=t, m=m_hat, v=v_hat)\n")),
    ("eps inside the root", "inside the root", ("(v_hat.sqrt() + eps)", "(v_hat + eps).sqrt()")),
    ("eps before the correction", "before the bias correction", ("m_hat / (v_hat.sqrt() + eps)", "m_hat * (1 - b2**t) ** 0.5 / (v.sqrt() + eps)")),
    ("no root", "root is missing", ("v_hat.sqrt()", "v_hat")),
    ("no eps", "missing", ("(v_hat.sqrt() + eps)", "v_hat.sqrt()")),
    ("t from 0", "start", ('state.get("t", 0) + 1', 'state.get("t", 0)'), ("t=t,", "t=t + 1,")),
    ("t does not advance", "does not advance", ('state.get("t", 0) + 1', "1")),
    ("t one ahead", "one ahead", ('state.get("t", 0) + 1', 'state.get("t", 1) + 1')),
    ("betas swapped", "betas are swapped", ("b1, b2 = betas", "b2, b1 = betas")),
    ("betas hard-wired", BETAS, ("b1, b2 = betas", "b1, b2 = 0.9, 0.999")),
    ("eps hard-wired", "hard-wired eps", ("+ eps", "+ 1e-8")),
    ("1 − β missing", "1 − β", ("(1 - b1) * grad", "grad"), ("(1 - b2) * grad", "grad")),
    ("power t missing", "power t", ("b1**t", "b1"), ("b2**t", "b2")),
    ("v sums up", "Adagrad", ('b2 * state.get("v", torch.zeros_like(param)) + (1 - b2) * grad**2', 'state.get("v", torch.zeros_like(param)) + grad**2')),
    ("one v for the tensor", "one number", ("grad**2", "(grad**2).mean()")),
    ("v from m", "m²", ("grad**2", "m**2")),
    ("steps along grad", "along grad", ("lr * m_hat", "lr * grad")),
    ("state not kept", "nothing is remembered", ("    state.update(t=t, m=m, v=v)\n", "")),
    ("AMSGrad", "AMSGrad", ("    param -=", '    v_hat = state["top"] = torch.maximum(state.get("top", v_hat * 0), v_hat)\n    param -=')),
    ("default eps", "defaults", ("eps=1e-8", "eps=1e-6")),
    ("default beta", "defaults", ("0.999)", "0.99)")),
)  # fmt: skip
ANSWERS += wrong("adam_step", ADAM, *ADAM_MISTAKES)
ANSWERS += [
    Wrong(
        "adam_step",
        "step count in a global",
        "count = 0\n"
        + but(
            ADAM,
            ("    b1, b2 = betas\n", "    global count\n    b1, b2 = betas\n    count += 1\n"),
            ('state.get("t", 0) + 1', "count"),
        ),
        says="outside `state`",
    ),
    Wrong(
        "adam_step",
        "keeps grad as m",
        """
def adam_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
    if not state:
        state.update(t=0, m=grad, v=grad**2)
    else:
        state["m"] = betas[0] * state["m"] + (1 - betas[0]) * grad
        state["v"] = betas[1] * state["v"] + (1 - betas[1]) * grad**2
    state["t"] += 1
    t = state["t"]
    param -= lr * state["m"] / (1 - betas[0] ** t) / ((state["v"] / (1 - betas[1] ** t)).sqrt() + eps)
""",
        says="start",
    ),
    # ------------------------------------------------------------------ adamw_step
    Right("adamw_step", "decay, then Adam's step", ADAMW),
    Right(
        "adamw_step",
        "one expression from the old parameter",
        """
def adamw_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = torch.lerp(state.get("m", torch.zeros_like(grad)), grad, 1 - betas[0])
    v = state["v"] = torch.lerp(state.get("v", torch.zeros_like(grad)), grad * grad, 1 - betas[1])
    update = (m / (1 - betas[0] ** t)) / (torch.sqrt(v / (1 - betas[1] ** t)) + eps)
    param.copy_(param - lr * (update + weight_decay * param))
""",
    ),
    Right(
        "adamw_step",
        "in place, the decay after the step but from the old weights",
        """
def adamw_step(param, grad, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
    old = param.clone()
    state.setdefault("m", torch.zeros_like(param)).mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    state.setdefault("v", torch.zeros_like(param)).mul_(betas[1]).add_(grad**2, alpha=1 - betas[1])
    state["t"] = state.setdefault("t", 0) + 1
    c1, c2 = (1 - b ** state["t"] for b in betas)
    param.addcdiv_(state["m"] / c1, (state["v"] / c2).sqrt_().add_(eps), value=-lr)
    param.sub_(old, alpha=lr * weight_decay)
""",
    ),
    *common("adamw_step", ADAMW),
    *wrong("adamw_step", ADAMW, *ADAM_MISTAKES),
]
DECAY = "    param *= 1 - lr * weight_decay\n"
ANSWERS += wrong(
    "adamw_step",
    ADAMW,
    ("L2 in the gradient", "L2", (DECAY, ""), ("    t = state", "    grad = grad + weight_decay * param\n    t = state")),
    ("no decay", "no weight decay", (DECAY, "")),
    ("decay not scaled by lr", "not scaled by lr", ("1 - lr * weight_decay", "1 - weight_decay")),
    ("decay grows the weights", "wrong sign", ("1 - lr * weight_decay", "1 + lr * weight_decay")),
    ("decay after the step", "after the step", (DECAY, ""), ("+ eps)\n", "+ eps)\n" + DECAY)),
    ("weight_decay hard-wired", "hard-wired weight_decay", ("1 - lr * weight_decay", "1 - lr * 0.01")),
    ("adds weight_decay itself", "multiplies `param`", (DECAY, ""), ("lr * m_hat / (v_hat.sqrt() + eps)", "lr * (m_hat / (v_hat.sqrt() + eps) + weight_decay)")),
    ("subtracts weight_decay · param without lr", "not scaled by lr", (DECAY, "    decay = weight_decay * param\n"), ("+ eps)\n", "+ eps) + decay\n")),
    ("default decay", "defaults", ("weight_decay=1e-2", "weight_decay=1e-1")),
)  # fmt: skip

# Mistakes of whole lines, and two at once.
ANSWERS += wrong(
    "momentum_step",
    MOMENTUM,
    ("velocity form with lr inside", "fold lr", ("momentum * v + grad", "momentum * v - lr * grad"), ("param -= lr * v", "param += v")),
    ("state rebound to a new dict", "nothing is remembered", ('state["v"] = v', 'state = {"v": v}')),
    ("factors swapped", "swapped the factors", ("momentum * v + grad", "(1 - momentum) * v + momentum * grad")),
    ("old buffer", "old buffer", ("    v = momentum * v + grad\n", ""), ('    state["v"] = v\n', '    state["v"] = momentum * v + grad\n')),
    ("no lr", "not scaled by lr", ("lr * v", "v")),
    ("nothing fades", "forgets nothing", ("momentum * v + grad", "v + grad")),
    ("arguments in another order", "by position", ("lr=0.01, momentum=0.9", "momentum=0.9, lr=0.01")),
    ("argument renamed", "signature", ("momentum=0.9", "mu=0.9"), ("momentum * v", "mu * v")),
    ("float32 buffer", "few digits", ("+ grad", "+ grad.float()"), ("zeros_like(param)", "zeros(param.shape)")),
    ("buffer scaled in place", "buffer itself by lr", ("lr * v", "v.mul_(lr)")),
    ("memory by id", "state", ("    v = state", '    state = globals().setdefault("M", {}).setdefault(id(param), {})\n    v = state')),
    ("a flattened copy", "gave you a copy", ("param -= lr * v", "param.reshape(-1).sub_(lr * v.reshape(-1))")),
    ("dampened and uphill", "uphill", ("+ grad", "+ (1 - momentum) * grad"), ("param -=", "param +=")),
)  # fmt: skip
ANSWERS += wrong(
    "nesterov_step",
    NESTEROV,
    ("sign of the buffer", "subtract the buffer", ("grad + momentum * v)", "grad - momentum * v)")),
    ("momentum on the gradient", "scales grad by momentum", ("(grad + momentum * v)", "(v + momentum * grad)")),
    ("lr on the gradient only", "lr scales the gradient only", ("lr * (grad + momentum * v)", "lr * grad + momentum * v")),
    ("half as far", "half as far", ("lr * (grad", "lr / 2 * (grad")),
    ("dampened throughout", "dampened", ("+ grad\n", "+ (1 - momentum) * grad\n"), ("(grad +", "((1 - momentum) * grad +")),
    ("look-ahead in the gradient's memory", "changed `grad` in place", ("(grad + momentum * v)", "grad.add_(momentum * v)")),
)  # fmt: skip
ANSWERS += wrong(
    "rmsprop_step",
    RMSPROP,
    ("eps in the numerator", "numerator", ("grad / (v.sqrt() + eps)", "(grad + eps) / v.sqrt()")),
    ("eps outside the brackets", "brackets", ("(v.sqrt() + eps)", "v.sqrt() + eps")),
    ("the larger of root and eps", "larger of", ("(v.sqrt() + eps)", "v.sqrt().clamp(min=eps)")),
    ("root kept", "store the root", ('state["v"] = v\n', 'state["v"] = v.sqrt()\n')),
    ("root taken in place", "root of v in place", ("v.sqrt() + eps", "v.sqrt_().add_(eps)")),
    ("alpha on both", "by alpha too", ("alpha * v + (1 - alpha) * grad**2", "alpha * (v + grad**2)")),
    ("v never shrinks", "never shrinks", ('    state["v"] = v\n', '    v = torch.maximum(v, state.get("v", v))\n    state["v"] = v\n')),
    ("momentum added", "momentum to RMSProp", ("    param -= lr * grad / (v.sqrt() + eps)", '    b = state["b"] = 0.9 * state.get("b", 0) + grad / (v.sqrt() + eps)\n    param -= lr * b')),
    ("zero taken for missing", "zero", ("    v = alpha", "    alpha = alpha or 0.99\n    v = alpha")),
    ("Adagrad, eps inside", "Adagrad", ("alpha * v + (1 - alpha) * grad**2", "v + grad**2"), ("(v.sqrt() + eps)", "(v + eps).sqrt()")),
)  # fmt: skip
MORE = (
    ("corrected after the root", "after the root", ("(v_hat.sqrt() + eps)", "(v.sqrt() / (1 - b2**t) + eps)")),
    ("corrections swapped", "are swapped", ("b1**t", "b3**t"), ("b2**t", "b1**t"), ("b3**t", "b2**t")),
    ("β times t", "it is a power", ("b1**t", "b1 * t"), ("b2**t", "b2 * t")),
    ("one β for both", "betas[0] for both", ("b1, b2 = betas", "b1 = b2 = betas[0]")),
    ("m forgotten", "m is not remembered", ("t=t, m=m, v=v", "t=t, v=v")),
    ("v forgotten", "v is not remembered", ("t=t, m=m, v=v", "t=t, m=m")),
    ("m not averaged", "last gradient alone", ('b1 * state.get("m", torch.zeros_like(param)) + (1 - b1) * grad', "grad.clone()")),
    ("half precision", "few digits", ("lr * m_hat / (v_hat.sqrt() + eps)", "(lr * m_hat / (v_hat.sqrt() + eps)).half()")),
    ("no correction, eps inside", "no bias correction", ("m / (1 - b1**t)", "m"), ("v / (1 - b2**t)", "v"), ("(v_hat.sqrt() + eps)", "(v_hat + eps).sqrt()")),
    ("AdaBelief", "AdaBelief", ("grad**2", "(grad - m) ** 2")),
    ("float32 moments", "few digits", ("* grad**2", "* grad.float() ** 2"), ("* grad\n", "* grad.float()\n"), ("zeros_like(param)", "zeros(param.shape)")),
    ("ε in the correction", "added to the bias correction", ("(1 - b1**t)", "(1 - b1**t + eps)"), ("(1 - b2**t)", "(1 - b2**t + eps)")),
)  # fmt: skip
ANSWERS += wrong("adam_step", ADAM, *MORE)
ANSWERS += wrong(
    "adamw_step",
    ADAMW,
    *MORE,
    ("decay in the numerator", "divided by √v̂", (DECAY, ""), ("lr * m_hat / ", "lr * (m_hat + weight_decay * param) / ")),
    ("decays twice", "decay twice in one call", (DECAY, DECAY + DECAY)),
    ("divides", "divides by 1 + lr", ("*= 1 - lr * weight_decay", "/= 1 + lr * weight_decay")),
    ("L1", "as L1 does", ("*= 1 - lr * weight_decay", "-= lr * weight_decay * param.sign()")),
    ("lr in L2", "L2", (DECAY, ""), ("    t = state", "    grad = grad + lr * weight_decay * param\n    t = state")),
    ("no decay, no correction", "no weight decay", (DECAY, ""), ("m / (1 - b1**t)", "m"), ("v / (1 - b2**t)", "v")),
)  # fmt: skip
ONE_STEP_SIZE = (
    "lr * m_hat / (v_hat.sqrt() + eps)",
    "lr * (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v.sqrt() + eps * (1 - b2**t) ** 0.5)",
)
ANSWERS += [
    Right("adam_step", "one step size, eps scaled with it", but(ADAM, ONE_STEP_SIZE)),
    Right("adamw_step", "one step size, eps scaled with it", but(ADAMW, ONE_STEP_SIZE)),
]
