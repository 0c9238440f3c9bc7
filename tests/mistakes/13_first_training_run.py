"""Right and wrong answers to the exercises of chapter 13."""

from __future__ import annotations

from textwrap import dedent

from course.check.bank import Answer, Right, Wrong

ANSWERS: list[Answer] = []


def right(exercise: str, label: str, code: str) -> None:
    ANSWERS.append(Right(exercise, label, dedent(code)))


def wrong(exercise: str, label: str, says: str, code: str) -> None:
    ANSWERS.append(Wrong(exercise, label, dedent(code), says=says))


# --- SoftmaxRegression ------------------------------------------------------------------------

right(
    "SoftmaxRegression",
    "nn.Linear, flattened",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.linear = nn.Linear(n_features, n_classes)
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

        def forward(self, x):
            return self.linear(x.flatten(1))
    """,
)
right(
    "SoftmaxRegression",
    "two parameters, matrix on the right",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.W = nn.Parameter(torch.zeros(n_features, n_classes))
            self.b = nn.Parameter(torch.zeros(n_classes))

        def forward(self, x):
            return x.reshape(len(x), -1) @ self.W + self.b
    """,
)
right(
    "SoftmaxRegression",
    "a Sequential with Flatten",
    """
    class SoftmaxRegression(nn.Sequential):
        def __init__(self, n_features=784, n_classes=10):
            linear = nn.Linear(n_features, n_classes)
            super().__init__(nn.Flatten(), linear)
            with torch.no_grad():
                for p in self.parameters():
                    p.zero_()
    """,
)
right(
    "SoftmaxRegression",
    "one matrix whose last row is the bias",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.theta = nn.Parameter(torch.zeros(n_features + 1, n_classes))

        def forward(self, x):
            x = x.flatten(1)
            return torch.cat([x, x.new_ones(len(x), 1)], 1) @ self.theta
    """,
)
right(
    "SoftmaxRegression",
    "a list of one neuron per class",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.units = nn.ModuleList(nn.Linear(n_features, 1) for _ in range(n_classes))
            for p in self.parameters():
                nn.init.zeros_(p)

        def forward(self, x):
            x = x.flatten(start_dim=1)
            return torch.cat([unit(x) for unit in self.units], dim=1)
    """,
)

_REGRESSION = """
class SoftmaxRegression(nn.Module):
    def __init__(self, n_features=784, n_classes=10):
        super().__init__()
        self.linear = nn.Linear(n_features, n_classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x):
        return self.linear(x.flatten(1))
"""


def _regression(old: str, new: str) -> str:
    assert old in _REGRESSION
    return _REGRESSION.replace(old, new)


_OUT = "return self.linear(x.flatten(1))"
for label, says, old, new in [
    ("softmax in forward", "probabilities", _OUT, _OUT + ".softmax(1)"),
    ("log-softmax in forward", "log-probabilities", _OUT, _OUT + ".log_softmax(1)"),
    ("sigmoid in forward", "sigmoid or a ReLU", _OUT, _OUT + ".sigmoid()"),
    ("ReLU in forward", "sigmoid or a ReLU", _OUT, _OUT + ".relu()"),
    ("tanh in forward", "nonlinearity", _OUT, "return 5 * torch.tanh(self.linear(x.flatten(1)))"),
    ("random start", "do not start at zero", "nn.init.zeros_(self.linear.weight)", "pass"),
    ("random biases", "do not start at zero", "nn.init.zeros_(self.linear.bias)", "pass"),
    ("sizes hard-wired", "hard-wired", "nn.Linear(n_features, n_classes)", "nn.Linear(784, 10)"),
    ("view", "not contiguous", "x.flatten(1)", "x.view(x.shape[0], -1)"),
    ("flattened whole", "flatten(1)", "x.flatten(1)", "x.flatten()"),
    ("not flattened", "flatten(1)", "x.flatten(1)", "x"),
    ("squeezed", "do not squeeze", _OUT, _OUT + ".squeeze()"),
    ("class index", "class indices", _OUT, _OUT + ".argmax(1)"),
    ("no super", "super().__init__()", "super().__init__()", "pass"),
    ("detached weights", "no gradient", _OUT, _OUT + ".detach() + 0 * self.linear.bias"),
    ("input cast", "dtype is fixed", "x.flatten(1)", "x.flatten(1).float()"),
]:
    wrong("SoftmaxRegression", label, says, _regression(old, new))
wrong(
    "SoftmaxRegression",
    "no bias",
    "biases are missing",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.linear = nn.Linear(n_features, n_classes, bias=False)
            nn.init.zeros_(self.linear.weight)

        def forward(self, x):
            return self.linear(x.flatten(1))
    """,
)
wrong(
    "SoftmaxRegression",
    "weights are plain tensors",
    "plain tensors",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.W = torch.zeros(n_features, n_classes, requires_grad=True)
            self.b = torch.zeros(n_classes, requires_grad=True)

        def forward(self, x):
            return x.flatten(1) @ self.W + self.b
    """,
)
wrong(
    "SoftmaxRegression",
    "weights are buffers",
    "no learnable parameters",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.register_buffer("W", torch.zeros(n_features, n_classes))
            self.register_buffer("b", torch.zeros(n_classes))

        def forward(self, x):
            return x.flatten(1) @ self.W + self.b
    """,
)
wrong(
    "SoftmaxRegression",
    "not a module",
    "not an nn.Module",
    """
    class SoftmaxRegression:
        def __init__(self, n_features=784, n_classes=10):
            self.W = torch.zeros(n_features, n_classes, requires_grad=True)
            self.b = torch.zeros(n_classes, requires_grad=True)

        def __call__(self, x):
            return x.flatten(1) @ self.W + self.b
    """,
)
wrong(
    "SoftmaxRegression",
    "a hidden layer",
    "hidden layer",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.net = nn.Sequential(
                nn.Flatten(), nn.Linear(n_features, 32), nn.ReLU(), nn.Linear(32, n_classes)
            )
            for p in self.parameters():
                nn.init.zeros_(p)

        def forward(self, x):
            return self.net(x)
    """,
)
wrong(
    "SoftmaxRegression",
    "frozen",
    "no learnable parameters",
    """
    class SoftmaxRegression(nn.Module):
        def __init__(self, n_features=784, n_classes=10):
            super().__init__()
            self.W = nn.Parameter(torch.zeros(n_features, n_classes), requires_grad=False)
            self.b = nn.Parameter(torch.zeros(n_classes), requires_grad=False)

        def forward(self, x):
            return x.flatten(1) @ self.W + self.b
    """,
)

# --- train_step -------------------------------------------------------------------------------

_STEP = """
def train_step(model, optimizer, x, y):
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
"""


def _step(*changes: tuple[str, str]) -> str:
    code = _STEP
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


right("train_step", "the five lines", _STEP)
right(
    "train_step",
    "train mode set, cleared first, log-softmax by hand",
    """
    def train_step(model, optimizer, x, y):
        model.train()
        optimizer.zero_grad(set_to_none=False)
        logp = torch.log_softmax(model(x), dim=-1)
        loss = -logp[torch.arange(len(y), device=y.device), y].mean()
        loss.backward()
        optimizer.step()
        return float(loss)
    """,
)
right(
    "train_step",
    "a closure",
    """
    def train_step(model, optimizer, x, y):
        def closure():
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            return loss
        return optimizer.step(closure).item()
    """,
)
right(
    "train_step",
    "gradients by torch.autograd.grad, model.zero_grad",
    """
    def train_step(model, optimizer, x, y):
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        value = loss.detach().item()
        params = list(model.parameters())
        for p, g in zip(params, torch.autograd.grad(loss, params)):
            p.grad = g
        optimizer.step()
        optimizer.zero_grad()
        return value
    """,
)
right(
    "train_step",
    "in float64 of numpy, gradients set to None by hand",
    """
    def train_step(model, optimizer, x, y):
        for p in model.parameters():
            p.grad = None
        loss = F.cross_entropy(model(x), y, reduction="sum") / len(x)
        loss.backward()
        value = np.float64(loss.item())
        optimizer.step()
        return value
    """,
)

for label, says, *changes in [
    ("zero_grad missing", "never cleared", ("    optimizer.zero_grad()\n", "")),
    (
        "zero_grad after backward",
        "after `backward`",
        ("    optimizer.zero_grad()\n", ""),
        ("backward()\n", "backward()\n    optimizer.zero_grad()\n"),
    ),
    (
        "zero_grad after backward, to zeros",
        "zero_grad",
        ("    optimizer.zero_grad()\n", ""),
        ("backward()\n", "backward()\n    optimizer.zero_grad(set_to_none=False)\n"),
    ),
    (
        "zero_grad at the end",
        "only after the step",
        ("    optimizer.zero_grad()\n", ""),
        ("step()\n    return", "step()\n    optimizer.zero_grad()\n    return"),
    ),
    (
        "loss after the step",
        "after the update",
        ("return loss.item()", "return F.cross_entropy(model(x), y).item()"),
    ),
    ("returns the graph", "holds the whole graph", ("loss.item()", "loss")),
    ("returns a tensor", "not a plain float", ("loss.item()", "loss.detach()")),
    ("returns nothing", "nothing", ("    return loss.item()\n", "")),
    ("returns an array", "plain float", ("loss.item()", "loss.detach().cpu().numpy()")),
    ("sum over the batch", "summed", ("(logits, y)", "(logits, y, reduction='sum')")),
    ("sum returned", "summed over the batch", ("loss.item()", "loss.item() * len(x)")),
    ("softmax first", "applied twice", ("(logits, y)", "(logits.softmax(1), y)")),
    ("nll on logits", "log-probabilities", ("F.cross_entropy", "F.nll_loss")),
    (
        "squared error",
        "squared error",
        ("(logits, y)", "(logits, F.one_hot(y, logits.shape[1]).to(logits.dtype))"),
        ("F.cross_entropy", "F.mse_loss"),
    ),
    ("no backward", "do not change", ("    loss.backward()\n", "")),
    ("no step", "do not change", ("    optimizer.step()\n", "")),
    ("uphill", "uphill", ("    loss.backward()", "    (-loss).backward()")),
    (
        "backward twice",
        "runs twice",
        ("loss.backward()", "loss.backward(retain_graph=True)\n    loss.backward()"),
    ),
    ("eval mode", "eval mode", ("    logits", "    model.eval()\n    logits")),
    (
        "plain SGD by hand",
        "momentum",
        (
            "optimizer.step()",
            "lr = optimizer.param_groups[0]['lr']\n"
            "    with torch.no_grad():\n"
            "        for p in model.parameters():\n"
            "            p -= lr * p.grad",
        ),
    ),
    (
        "its own optimizer",
        "optimizer that you were given",
        (
            "    logits",
            "    optimizer = torch.optim.SGD(model.parameters(), "
            "lr=optimizer.param_groups[0]['lr'])\n    logits",
        ),
    ),
    ("two steps", "runs twice", ("optimizer.step()", "optimizer.step(); optimizer.step()")),
    ("two passes", "more than once", ("(logits, y)", "(model(x), y)")),
    (
        "clipped",
        "clipped",
        (
            "    optimizer.step()",
            "    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n    optimizer.step()",
        ),
    ),
    (
        "step first",
        "before `loss.backward()`",
        (
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n",
            "    optimizer.step()\n    optimizer.zero_grad()\n    loss.backward()\n",
        ),
    ),
    ("detached loss", "no graph", ("loss.backward()", "loss = loss.detach(); loss.backward()")),
    (
        "item before backward",
        "item",
        ("y)\n    opt", "y).item()\n    opt"),
        ("return loss.item()", "return loss"),
    ),
    ("flattens by itself", "stops with|raised", ("model(x)", "model(x.flatten(1))")),
    (
        "returns the accuracy",
        "mean cross-entropy",
        ("loss.item()", "(logits.argmax(1) == y).double().mean().item()"),
    ),
    ("rounded", "mean cross-entropy", ("loss.item()", "round(loss.item(), 1)")),
    ("half the loss", "differ", ("F.cross_entropy(logits, y)", "F.cross_entropy(logits, y) / 2")),
]:
    wrong("train_step", label, says.split("|")[-1], _step(*changes))

# --- evaluate ---------------------------------------------------------------------------------

_EVALUATE = """
def evaluate(model, loader):
    was = model.training
    model.eval()
    loss = right = n = 0
    with torch.no_grad():
        for x, y in loader:
            logits = model(x)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
            n += len(y)
    model.train(was)
    return loss / n, right / n
"""


def _evaluate(*changes: tuple[str, str]) -> str:
    code = _EVALUATE
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


right("evaluate", "three running sums", _EVALUATE)
right(
    "evaluate",
    "all logits first, one loss at the end",
    """
    @torch.inference_mode()
    def evaluate(model, loader):
        modes = {m: m.training for m in model.modules()}
        model.eval()
        outs, ys = [], []
        for x, y in loader:
            outs.append(model(x))
            ys.append(y)
        for m, was in modes.items():
            m.training = was
        z, y = torch.cat(outs), torch.cat(ys)
        return F.cross_entropy(z, y).item(), (z.argmax(1) == y).double().mean().item()
    """,
)
right(
    "evaluate",
    "weighted batch means, as a list",
    """
    def evaluate(model, loader):
        training = model.training
        model.train(False)
        total, hits, count = 0.0, 0.0, 0
        try:
            for batch in loader:
                x, y = batch[0], batch[1]
                with torch.no_grad():
                    z = model(x)
                total += float(F.cross_entropy(z, y)) * y.numel()
                hits += float((z.max(dim=1).indices == y).float().mean()) * y.shape[0]
                count += y.size(0)
        finally:
            if training:
                model.train()
        return [total / count, hits / count]
    """,
)

for label, says, *changes in [
    (
        "mean of batch means",
        "mean of batch means",
        (', reduction="sum").item()', ").item()"),
        (".sum().item()", ".float().mean().item()"),
        ("n += len(y)", "n += 1"),
    ),
    (
        "loss a mean of batch means",
        "mean of batch means",
        (', reduction="sum").item()', ").item()"),
        ("n += len(y)", "n += len(y); k = locals().get('k', 0) + 1"),
        ("loss / n", "loss / k"),
    ),
    ("len(loader)", "len", ("loss / n", "loss / len(loader)")),
    ("len(loader.dataset)", "dataset", ("loss / n", "loss / len(loader.dataset)")),
    ("train mode", "train mode while it is measured", ("    model.eval()\n", "")),
    ("mode not restored", "stays in eval mode", ("    model.train(was)\n", "")),
    ("always back to train", "leaves in train mode", ("model.train(was)", "model.train()")),
    ("only the outer flag", "layers stay in eval", ("model.train(was)", "model.training = was")),
    (
        "first batch only",
        "first batch",
        ("            n += len(y)\n", "            n += len(y)\n            break\n"),
    ),
    (
        "return in the loop",
        "first batch",
        (
            "            n += len(y)\n",
            "            n += len(y)\n            model.train(was)\n            return loss / n, right / n\n",
        ),
    ),
    (
        "last batch only",
        "last batch",
        ("loss +=", "loss ="),
        ("right +=", "right ="),
        ("n +=", "n ="),
    ),
    ("percent", "percent", ("right / n", "100 * right / n")),
    ("error rate", "error rate", ("right / n", "1 - right / n")),
    ("swapped", "swapped", ("return loss / n, right / n", "return right / n, loss / n")),
    ("graph built", "builds a graph", ("    with torch.no_grad():", "    if True:")),
    (
        "gradients off for good",
        "stay switched off",
        ("    with torch.no_grad():", "    torch.set_grad_enabled(False)\n    if True:"),
    ),
    ("tensors", "not a plain float", ("right / n", "torch.tensor(right / n)")),
    (
        "a tensor with its graph",
        "not a plain float",
        ('reduction="sum").item()', 'reduction="sum")'),
    ),
    ("sum, not mean", "divide", ("loss / n", "loss")),
    ("means over n", "batch size first", (', reduction="sum").item()', ").item()")),
    ("argmax over the batch", "accuracy", ("argmax(1) == y).sum()", "argmax(0)[0] == y).sum()")),
    ("loss alone", "Return `loss, accuracy`", ("loss / n, right / n", "loss / n")),
    (
        "a dict",
        "Return `loss, accuracy`",
        ("loss / n, right / n", "{'loss': loss / n, 'acc': right / n}"),
    ),
    ("counts, not shares", "divide", ("right / n", "float(right)")),
    ("an int", "not a plain float", ("right / n", "right")),
    (
        "clears gradients",
        "`.grad`",
        ("    model.eval()\n", "    model.eval(); model.zero_grad()\n"),
    ),
    (
        "trains",
        "graph",
        ("    with torch.no_grad():", "    if True:"),
        ("            n +=", "            F.cross_entropy(logits, y).backward()\n            n +="),
    ),
    (
        "batch norm learns first",
        "train mode while it is measured",
        (
            "            logits = model(x)",
            "            model.train(); model(x); model.eval()\n            logits = model(x)",
        ),
    ),
    (
        "loader read twice",
        "should be|division|raised",
        ("    loss = right", "    count = sum(len(y) for _, y in loader)\n    loss = right"),
        ("loss / n", "loss / max(n, 1)"),
        ("right / n", "right / max(n, 1)"),
    ),
    (
        "last batch dropped",
        "left out",
        (
            "            logits",
            "            if n and len(y) < size: continue\n            size = len(y)\n            logits",
        ),
    ),
    ("softmax twice", "should be", ("F.cross_entropy(logits", "F.cross_entropy(logits.softmax(1)")),
]:
    wrong("evaluate", label, says.split("|")[0], _evaluate(*changes))

# --- confusion_matrix -------------------------------------------------------------------------

right(
    "confusion_matrix",
    "bincount",
    """
    def confusion_matrix(pred, true, C):
        return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C)
    """,
)
right(
    "confusion_matrix",
    "a loop",
    """
    def confusion_matrix(pred, true, C):
        m = torch.zeros(C, C, dtype=torch.long)
        for p, t in zip(pred.tolist(), true.tolist()):
            m[t, p] += 1
        return m
    """,
)
right(
    "confusion_matrix",
    "one-hot product",
    """
    def confusion_matrix(pred, true, C):
        t, p = F.one_hot(true, C).double(), F.one_hot(pred, C).double()
        return (t.T @ p).round().long()
    """,
)
right(
    "confusion_matrix",
    "accumulate",
    """
    def confusion_matrix(pred, true, C):
        m = torch.zeros(C, C, dtype=torch.int64, device=true.device)
        m.index_put_((true, pred), torch.ones_like(true), accumulate=True)
        return m
    """,
)
for label, says, body in [
    (
        "transposed",
        "transposed",
        "return torch.bincount(pred * C + true, minlength=C * C).reshape(C, C)",
    ),
    (
        "index assignment",
        "once only",
        "m = torch.zeros(C, C, dtype=torch.long); m[true, pred] += 1; return m",
    ),
    (
        "C from the data",
        "taken from the data",
        "C = int(torch.cat([pred, true]).max()) + 1 if len(true) else C; "
        "return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C)",
    ),
    (
        "floats",
        "dtype long",
        "m = torch.zeros(C, C); m.index_put_((true, pred), torch.ones(len(true)), accumulate=True); return m",
    ),
    (
        "int32",
        "dtype long",
        "return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C).int()",
    ),
    (
        "shares",
        "shares",
        "m = torch.bincount(true * C + pred, minlength=C * C).reshape(C, C); return m / m.sum(1, keepdim=True).clamp(min=1)",
    ),
    (
        "diagonal only",
        "right answers",
        "return torch.diag(torch.bincount(true[true == pred], minlength=C))",
    ),
    (
        "off-diagonal only",
        "mistakes",
        "k = true != pred; return torch.bincount(true[k] * C + pred[k], minlength=C * C).reshape(C, C)",
    ),
    ("no minlength", "one class|shape", "return torch.bincount(true * C + pred).reshape(C, C)"),
    ("flat", "shape", "return torch.bincount(true * C + pred, minlength=C * C)"),
    (
        "a numpy array",
        "not a tensor",
        "return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C).numpy()",
    ),
    (
        "a list",
        "not a tensor",
        "return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C).tolist()",
    ),
    (
        "ten classes",
        "one row and one column",
        "return torch.bincount(true * 10 + pred, minlength=100).reshape(10, 10)",
    ),
    (
        "in place on true",
        "changed",
        "true *= C; true += pred; return torch.bincount(true, minlength=C * C).reshape(C, C)",
    ),
]:
    says = "reshape" if label == "no minlength" else says
    wrong(
        "confusion_matrix",
        label,
        says.split("|")[-1],
        f"def confusion_matrix(pred, true, C):\n    {body}\n",
    )
wrong(
    "confusion_matrix",
    "empty input crashes",
    "no examples",
    """
    def confusion_matrix(pred, true, C):
        top = max(int(true.max()), int(pred.max()))
        assert top < C
        return torch.bincount(true * C + pred, minlength=C * C).reshape(C, C)
    """,
)

# --- accuracy_interval ------------------------------------------------------------------------

right(
    "accuracy_interval",
    "the formula",
    """
    def accuracy_interval(correct, n):
        z, p = 1.96, correct / n
        scale = 1 + z**2 / n
        centre = (p + z**2 / (2 * n)) / scale
        half = z / scale * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return centre - half, centre + half
    """,
)
right(
    "accuracy_interval",
    "in counts, clamped, exact z",
    """
    def accuracy_interval(correct, n):
        z = 1.959963984540054
        wrong = n - correct
        mid = correct + z * z / 2
        half = z * (correct * wrong / n + z * z / 4) ** 0.5
        return max(0.0, (mid - half) / (n + z * z)), min(1.0, (mid + half) / (n + z * z))
    """,
)
right(
    "accuracy_interval",
    "roots of the quadratic, in numpy",
    """
    def accuracy_interval(correct, n):
        z2, p = 1.96**2, correct / n
        roots = np.sort(np.roots([1 + z2 / n, -(2 * p + z2 / n), p * p]).real)
        return roots[0], roots[1]
    """,
)
_WILSON = """
def accuracy_interval(correct, n):
    z, p = 1.96, correct / n
    scale = 1 + z**2 / n
    centre = (p + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return centre - half, centre + half
"""
for label, says, old, new in [
    ("90%", "90%", "z, p = 1.96", "z, p = 1.645"),
    ("99%", "99%", "z, p = 1.96", "z, p = 2.576"),
    ("one standard error", "68%", "z, p = 1.96", "z, p = 1"),
    ("z = 2", "95.45%", "z, p = 1.96", "z, p = 2.0"),
    ("no denominator", "denominator", "scale = 1 + z**2 / n", "scale = 1"),
    ("second term missing", "z²/(4n²)", " + z**2 / (4 * n**2)", ""),
    ("centre not shifted", "not shifted", "(p + z**2 / (2 * n))", "p"),
    ("centre and half width", "half width", "centre - half, centre + half", "centre, half"),
    ("bounds swapped", "swapped", "centre - half, centre + half", "centre + half, centre - half"),
    (
        "percent",
        "percent",
        "centre - half, centre + half",
        "100 * (centre - half), 100 * (centre + half)",
    ),
    ("tensors", "not a float", "centre - half,", "torch.tensor(centre - half),"),
    ("one number", "not two floats", "centre - half, centre + half", "centre"),
]:
    assert old in _WILSON
    wrong("accuracy_interval", label, says, _WILSON.replace(old, new))
wrong(
    "accuracy_interval",
    "normal approximation",
    "normal approximation",
    """
    def accuracy_interval(correct, n):
        p = correct / n
        half = 1.96 * math.sqrt(p * (1 - p) / n)
        return p - half, p + half
    """,
)
wrong(
    "accuracy_interval",
    "normal approximation, clipped",
    "normal approximation",
    """
    def accuracy_interval(correct, n):
        p = correct / n
        half = 1.96 * math.sqrt(p * (1 - p) / n)
        return max(0.0, p - half), min(1.0, p + half)
    """,
)
wrong(
    "accuracy_interval",
    "Agresti and Coull",
    "Agresti and Coull",
    """
    def accuracy_interval(correct, n):
        z = 1.96
        m = n + z**2
        p = (correct + z**2 / 2) / m
        half = z * math.sqrt(p * (1 - p) / m)
        return p - half, p + half
    """,
)
wrong(
    "accuracy_interval",
    "plus four",
    "plus four",
    """
    def accuracy_interval(correct, n):
        p = (correct + 2) / (n + 4)
        half = 1.96 * math.sqrt(p * (1 - p) / (n + 4))
        return p - half, p + half
    """,
)
wrong(
    "accuracy_interval",
    "Clopper and Pearson",
    "Clopper and Pearson",
    """
    def accuracy_interval(correct, n):
        from scipy.stats import beta
        low = 0.0 if correct == 0 else float(beta.ppf(0.025, correct, n - correct + 1))
        high = 1.0 if correct == n else float(beta.ppf(0.975, correct + 1, n - correct))
        return low, high
    """,
)
wrong(
    "accuracy_interval",
    "continuity correction",
    "continuity correction",
    """
    def accuracy_interval(correct, n):
        z, p = 1.96, correct / n
        low = (2*n*p + z*z - 1 - z*math.sqrt(max(z*z - 2 - 1/n + 4*p*(n*(1-p) + 1), 0))) / (2*(n + z*z))
        high = (2*n*p + z*z + 1 + z*math.sqrt(max(z*z + 2 - 1/n + 4*p*(n*(1-p) - 1), 0))) / (2*(n + z*z))
        return (0.0 if correct == 0 else max(0.0, low)), (1.0 if correct == n else min(1.0, high))
    """,
)
wrong(
    "accuracy_interval",
    "root forgotten",
    "Wilson's interval is",
    """
    def accuracy_interval(correct, n):
        z, p = 1.96, correct / n
        scale = 1 + z**2 / n
        centre = (p + z**2 / (2 * n)) / scale
        half = z / scale * (p * (1 - p) / n + z**2 / (4 * n**2))
        return centre - half, centre + half
    """,
)
wrong(
    "accuracy_interval",
    "divides by zero",
    "divides by zero",
    """
    def accuracy_interval(correct, n):
        z = 1.96
        odds = correct / (n - correct)
        p = odds / (1 + odds)
        scale = 1 + z**2 / n
        centre = (p + z**2 / (2 * n)) / scale
        half = z / scale * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return centre - half, centre + half
    """,
)

# --- smooth -----------------------------------------------------------------------------------

_SMOOTH = """
def smooth(values, beta):
    out, m = [], 0.0
    for t, v in enumerate(values, 1):
        m = beta * m + (1 - beta) * v
        out.append(m / (1 - beta**t))
    return out
"""
right("smooth", "a loop", _SMOOTH)
right(
    "smooth",
    "weights written out",
    """
    def smooth(values, beta):
        out = []
        for t in range(len(values)):
            w = [beta ** (t - i) for i in range(t + 1)]
            out.append(sum(a * v for a, v in zip(w, values)) / sum(w))
        return out
    """,
)
right(
    "smooth",
    "sum and weight carried, numpy floats",
    """
    def smooth(values, beta):
        total, weight, out = np.float64(0), np.float64(0), []
        for v in values:
            total, weight = beta * total + v, beta * weight + 1
            out.append(total / weight)
        return out
    """,
)
right(
    "smooth",
    "a matrix of weights, in float32",
    """
    def smooth(values, beta):
        n = len(values)
        age = torch.arange(n)[:, None] - torch.arange(n)
        w = torch.where(age >= 0, torch.tensor(float(beta)) ** age.clamp(min=0), 0.0)
        return ((w @ torch.tensor(values, dtype=torch.float32)) / w.sum(1)).tolist()
    """,
)
for label, says, old, new in [
    ("no correction", "no bias correction", "m / (1 - beta**t)", "m"),
    ("weights swapped", "swapped", "beta * m + (1 - beta) * v", "(1 - beta) * m + beta * v"),
    (
        "weights swapped, corrected to match",
        "swapped",
        "m = beta * m + (1 - beta) * v\n        out.append(m / (1 - beta**t))",
        "m = (1 - beta) * m + beta * v\n        out.append(m / (1 - (1 - beta)**t) if beta else v)",
    ),
    ("t from 0", "t starts at 1", "enumerate(values, 1)", "enumerate(values)"),
    ("t from 2", "one too large", "enumerate(values, 1)", "enumerate(values, 2)"),
    ("last t", "last t", "beta**t)", "beta**len(values))"),
    ("t fixed", "every t", "beta**t)", "beta)"),
    (
        "compounding",
        "compounds",
        "out.append(m / (1 - beta**t))",
        "m = m / (1 - beta**t); out.append(m)",
    ),
    ("new value unweighted", "not weighted", "(1 - beta) * v", "v"),
    ("a tensor", "not a list", "return out", "return torch.tensor(out)"),
    ("the last only", "not a list", "return out", "return out[-1] if out else 0.0"),
    ("first left out", "one for each", "return out", "return out[1:]"),
    ("in place", "changed", "return out", "values[:] = out\n    return values"),
    (
        "list of tensors",
        "not tensors",
        "out.append(m / (1 - beta**t))",
        "out.append(torch.tensor(m / (1 - beta**t)))",
    ),
]:
    assert old in _SMOOTH, old
    wrong("smooth", label, says, _SMOOTH.replace(old, new))
wrong(
    "smooth",
    "initialised at the first value",
    "initialised at the first value",
    """
    def smooth(values, beta):
        out = []
        for v in values:
            out.append(beta * out[-1] + (1 - beta) * v if out else v)
        return out
    """,
)
wrong(
    "smooth",
    "first value without a guard",
    "empty list",
    """
    def smooth(values, beta):
        m, out = values[0], []
        for v in values:
            m = beta * m + (1 - beta) * v
            out.append(m)
        return out
    """,
)
wrong(
    "smooth",
    "moving average",
    "moving average",
    """
    def smooth(values, beta):
        k = max(1, round(1 / (1 - beta)))
        return [float(np.mean(values[max(0, t - k + 1): t + 1])) for t in range(len(values))]
    """,
)

# --- save_checkpoint --------------------------------------------------------------------------

_CHECKPOINT = """
def save_checkpoint(path, model, optimizer, step, generator):
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "step": step,
    }
    tmp = f"{path}.tmp"
    torch.save(state, tmp)
    os.replace(tmp, path)

def load_checkpoint(path, model, optimizer, generator):
    state = torch.load(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    generator.set_state(state["generator"])
    return state["step"]
"""


def _checkpoint(*changes: tuple[str, str]) -> str:
    code = _CHECKPOINT
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    return code


right("save_checkpoint", "a dict, a temporary name, os.replace", _CHECKPOINT)
right(
    "save_checkpoint",
    "a temporary file of tempfile, Path.replace, a tuple",
    """
    def save_checkpoint(path, model, optimizer, step, generator):
        path = Path(path)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as f:
                torch.save((model.state_dict(), optimizer.state_dict(), generator.get_state(), step), f)
                f.flush()
                os.fsync(f.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def load_checkpoint(path, model, optimizer, generator):
        m, o, g, step = torch.load(Path(path), map_location="cpu")
        model.load_state_dict(m)
        optimizer.load_state_dict(o)
        generator.set_state(g)
        return int(step)
    """,
)
right(
    "save_checkpoint",
    "tensors cloned by hand, shutil.move",
    """
    import shutil

    def save_checkpoint(path, model, optimizer, step, generator):
        weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        blob = dict(weights=weights, opt=optimizer.state_dict(), rng=generator.get_state().tolist(),
                    step=torch.tensor(step))
        partial = str(path) + ".part"
        torch.save(blob, partial)
        shutil.move(partial, path)

    def load_checkpoint(path, model, optimizer, generator):
        blob = torch.load(path, weights_only=True)
        with torch.no_grad():
            for name, p in model.named_parameters():
                p.copy_(blob["weights"][name])
        optimizer.load_state_dict(blob["opt"])
        generator.set_state(torch.tensor(blob["rng"], dtype=torch.uint8))
        return blob["step"].item()
    """,
)
for label, says, *changes in [
    (
        "optimizer not saved",
        "optimizer's state",
        ('        "optimizer": optimizer.state_dict(),\n', ""),
        ('    optimizer.load_state_dict(state["optimizer"])\n', ""),
    ),
    (
        "optimizer not restored",
        "optimizer's state",
        ('    optimizer.load_state_dict(state["optimizer"])\n', ""),
    ),
    (
        "generator not saved",
        "generator is not restored",
        ('        "generator": generator.get_state(),\n', ""),
        ('    generator.set_state(state["generator"])\n', ""),
    ),
    (
        "global random state in its place",
        "global random state",
        ("generator.get_state()", "torch.get_rng_state()"),
        ('generator.set_state(state["generator"])', 'torch.set_rng_state(state["generator"])'),
    ),
    (
        "only the seed",
        "generator is not restored",
        ("generator.get_state()", "generator.initial_seed()"),
        ("set_state", "manual_seed"),
    ),
    (
        "model not restored",
        "does not hold the saved weights",
        ('    model.load_state_dict(state["model"])\n', ""),
    ),
    (
        "the whole model, rebound",
        "whole objects",
        ("model.state_dict()", "model"),
        ('model.load_state_dict(state["model"])', 'model = state["model"]'),
    ),
    (
        "the whole model, unsafe load",
        "refuses it",
        ("model.state_dict()", "model"),
        ("torch.load(path)", "torch.load(path, weights_only=False)"),
        ('(state["model"])', '(state["model"].state_dict())'),
    ),
    (
        "new parameters",
        "new parameters",
        (
            'model.load_state_dict(state["model"])',
            'model.load_state_dict({k: nn.Parameter(v) for k, v in state["model"].items()}, assign=True)',
        ),
    ),
    (
        "written straight",
        "straight into the old file",
        ("torch.save(state, tmp)\n    os.replace(tmp, path)", "torch.save(state, path)"),
    ),
    (
        "serialised in memory, written straight",
        "straight into the old file",
        (
            "torch.save(state, tmp)\n    os.replace(tmp, path)",
            "import io\n    b = io.BytesIO()\n    torch.save(state, b)\n    Path(path).write_bytes(b.getvalue())",
        ),
    ),
    (
        "copied",
        "straight into the old file",
        (
            "os.replace(tmp, path)",
            "import shutil\n    shutil.copyfile(tmp, path)\n    os.remove(tmp)",
        ),
    ),
    (
        "temporary file left",
        "stays behind",
        (
            "os.replace(tmp, path)",
            "import shutil\n    shutil.copy(tmp, tmp + '2')\n    os.replace(tmp + '2', path)",
        ),
    ),
    (
        "old one removed first",
        "removed before",
        (
            "os.replace(tmp, path)",
            "if os.path.exists(path): os.remove(path)\n    os.rename(tmp, path)",
        ),
    ),
    (
        "old one removed before writing",
        "destroyed the old checkpoint",
        ("    tmp = ", "    Path(path).unlink(missing_ok=True)\n    tmp = "),
    ),
    (
        "a backup, then written straight",
        "straight into|destroyed",
        (
            "torch.save(state, tmp)\n    os.replace(tmp, path)",
            "if os.path.exists(path): os.replace(path, tmp)\n    torch.save(state, path)\n    if os.path.exists(tmp): os.remove(tmp)",
        ),
    ),
    ("no step returned", "returns nothing", ('    return state["step"]\n', "")),
    ("step plus one", "as it was saved", ('return state["step"]', 'return state["step"] + 1')),
    ("step a float", "not an int", ('return state["step"]', 'return float(state["step"])')),
    ("step a tensor", "not an int", ('return state["step"]', 'return torch.tensor(state["step"])')),
    (
        "half precision",
        "",
        ("model.state_dict()", "{k: v.half() for k, v in model.state_dict().items()}"),
    ),
    ("path must be a str", "Path", ('f"{path}.tmp"', 'path + ".tmp"')),
    ("path must be a Path", "str", ('f"{path}.tmp"', 'path.with_suffix(".tmp")')),
    (
        "generator object",
        "",
        ("generator.get_state()", "generator"),
        ('(state["generator"])', '(state["generator"].get_state())'),
    ),
    (
        "pickle",
        "torch.load cannot read|refuses it",
        ("torch.save(state, tmp)", "import pickle\n    pickle.dump(state, open(tmp, 'wb'))"),
        ("torch.load(path)", "__import__('pickle').load(open(path, 'rb'))"),
    ),
    (
        "disturbs",
        "goes on otherwise",
        ("    tmp = ", "    generator.manual_seed(step)\n    tmp = "),
    ),
    (
        "kept in memory",
        "",
        ("    tmp = ", "    global KEPT\n    KEPT = state\n    tmp = "),
        ("torch.load(path)", "KEPT"),
    ),
    (
        "never overwrites",
        "first checkpoint comes back",
        ("    tmp = ", "    if os.path.exists(path): return\n    tmp = "),
    ),
]:
    wrong("save_checkpoint", label, says.split("|")[-1], _checkpoint(*changes))
