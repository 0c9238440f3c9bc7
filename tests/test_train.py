"""The loop: the same weights as a loop by hand, numbers that stream, and every way to stop."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course.train import evaluate, fit


@pytest.fixture
def task():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(64, 5, generator=g)
    y = (x[:, 0] > 0).long()
    model = nn.Linear(5, 2)
    return model, [(x[i : i + 8], y[i : i + 8]) for i in range(0, 64, 8)]


def test_fit_equals_the_loop_by_hand(task):
    model, batches = task
    other = copy.deepcopy(model)
    a = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    b = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    history = fit(model, a, batches, steps=5, show=False)
    losses = []
    for x, y in batches[:5]:
        b.zero_grad()
        loss = F.cross_entropy(other(x), y)
        loss.backward()
        b.step()
        losses.append(loss.item())
    assert history.loss == losses and history.steps == [1, 2, 3, 4, 5] and history.stopped is None
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters()))


def test_lines_come_every_n_steps_and_at_the_end(task, capsys):
    model, batches = task
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(
        model, optimizer, batches, steps=7, every=3, evaluate_on=lambda: batches, show=True
    )
    lines = [x for x in capsys.readouterr().out.splitlines() if x.startswith("step")]
    assert [x.split(",")[0] for x in lines] == ["step 3", "step 6", "step 7"]
    assert [s for s, _, _ in history.val] == [3, 6, 7]
    assert history.val[-1][1:] == evaluate(model, batches)


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(task):
    model, batches = task
    batches[3] = (batches[3][0] * math.nan, batches[3][1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer, batches, steps=8, show=False)
    assert history.stopped == "the loss is nan at step 4" and len(history.loss) == 3
    assert all(p.isfinite().all() for p in model.parameters())


def test_an_interrupt_keeps_what_was_learned(task):
    model, batches = task
    start = copy.deepcopy(model.weight)

    def interrupted():
        yield from batches[:4]
        raise KeyboardInterrupt

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer, interrupted(), steps=8, show=False)
    assert history.stopped == "interrupted after step 4" and len(history.loss) == 4
    assert not torch.equal(model.weight, start)


def test_on_step_can_stop_the_run(task):
    model, batches = task
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer, batches, steps=8, on_step=lambda s, h: s == 2, show=False)
    assert history.steps == [1, 2] and "step 2" in history.stopped


def test_batches_that_run_out_are_named(task, capsys):
    model, batches = task
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer, batches, steps=100)
    assert len(history.loss) == 8 and "ran out after step 8 of 100" in history.stopped
    assert history.stopped in capsys.readouterr().out
    exact = fit(model, optimizer, batches, steps=8, show=False)
    assert exact.stopped is None


def test_an_interrupt_while_evaluating_leaves_the_model_ready_to_go_on(task):
    model, batches = task

    def interrupted():
        yield batches[0]
        raise KeyboardInterrupt

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer, batches, steps=8, every=2, evaluate_on=interrupted, show=False)
    assert history.stopped == "interrupted after step 2" and model.training


def test_evaluate_weights_a_smaller_last_batch_and_restores_each_mode():
    model = nn.Sequential(nn.Linear(5, 2), nn.Dropout(0.5), nn.BatchNorm1d(2))
    model[2].eval()
    x, y = torch.randn(10, 5), torch.randint(0, 2, (10,))
    loss, accuracy = evaluate(model, [(x[:7], y[:7]), (x[7:], y[7:])])
    assert (model.training, model[1].training, model[2].training) == (True, True, False)
    model.eval()
    logits = model(x)
    assert loss == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)
    assert accuracy == pytest.approx((logits.argmax(1) == y).float().mean().item())


def test_nothing_to_evaluate_on_is_said():
    with pytest.raises(ValueError, match="empty"):
        evaluate(nn.Linear(1, 2), [])
