"""The training loop that chapter 13 builds, as every later chapter uses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass
class History:
    """What a run left behind: one entry for each step done, and why it stopped early, if it did."""

    steps: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    """Loss of the training batch, before the step."""
    accuracy: list[float] = field(default_factory=list)
    """Accuracy on the training batch, before the step."""
    val: list[tuple[int, float, float]] = field(default_factory=list)
    """(step, loss, accuracy) on all of `evaluate_on`."""
    stopped: str | None = None


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    *,
    steps: int,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    every: int = 100,
    evaluate_on: Callable[[], Batches] | None = None,
    on_step: Callable[[int, History], object] | None = None,
    show: bool = True,
) -> History:
    """Train for `steps` steps: the five-step loop, with numbers to watch.

    Args:
        model: maps x (n, …) to logits (n, C). Changed in place.
        optimizer: holds the model's parameters.
        batches: (x, y) pairs on the model's device; endless, or at least `steps` of them.
        steps: how many steps to take.
        loss: of (logits, y), a mean over the batch.
        every: print a line and evaluate every so many steps, and after the last.
        evaluate_on: gives one pass over the examples to evaluate on.
        on_step: called with the step and the history after each step; returns True to stop.
        show: print lines and a progress bar.

    Returns:
        The history. An interrupt (Ctrl-C, or Stop in Jupyter) ends the run and keeps what was
        learned; so does a loss that is not finite, before it can reach the weights. `stopped` says
        why a run did fewer steps than asked for.
    """
    history = History()
    model.train()
    bar = tqdm(total=steps, disable=not show, leave=False)
    try:
        for step, (x, y) in zip(range(1, steps + 1), batches):
            logits = model(x)  # 1 forward
            error = loss(logits, y)  # 2 loss
            value = error.item()
            if not math.isfinite(value):
                history.stopped = f"the loss is {value} at step {step}"
                break
            optimizer.zero_grad()  # 3 forget the last gradients
            error.backward()  # 4 backward
            optimizer.step()  # 5 update
            history.steps.append(step)
            history.loss.append(value)
            history.accuracy.append((logits.argmax(1) == y).float().mean().item())
            bar.update()
            if step % every == 0 or step == steps:
                line = (
                    f"step {step}, training loss {value:.4f}, accuracy {history.accuracy[-1]:.4f}"
                )
                if evaluate_on is not None:
                    history.val.append((step, *evaluate(model, evaluate_on())))
                    line += f", validation accuracy {history.val[-1][2]:.4f}"
                if show:
                    bar.write(line)
            if on_step is not None and on_step(step, history):
                history.stopped = f"stopped by on_step at step {step}"
                break
        else:
            if len(history.steps) < steps:
                history.stopped = f"the batches ran out after step {len(history.steps)} of {steps}"
    except KeyboardInterrupt:
        history.stopped = f"interrupted after step {len(history.steps)}"
    finally:
        bar.close()
    if history.stopped and show:
        print(history.stopped)
    return history


@torch.no_grad()
def evaluate(model: nn.Module, batches: Batches) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1) over all examples, in eval mode; modes are restored.

    Raises:
        ValueError: there is not one example.
    """
    modes = {m: m.training for m in model.modules()}
    model.eval()
    loss = right = n = 0.0
    try:
        for x, y in batches:
            logits = model(x)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += (logits.argmax(1) == y).sum().item()
            n += len(y)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not n:
        raise ValueError("nothing to evaluate on: the batches are empty")
    return loss / n, right / n
