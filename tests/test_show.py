"""Figures, the Python side of simulations, and labs that leave the kernel free."""

from __future__ import annotations

import asyncio
import html
import json
import re

import matplotlib

matplotlib.use("Agg")

import itertools

import ipywidgets as w
import pytest
from matplotlib.figure import Figure

from course.show import Lab, Sim, glue, label_lines, style, table


def test_labels_stand_at_their_lines_in_order_and_do_not_overlap():
    style()
    ax = Figure(figsize=(6, 4)).add_subplot()
    for i, end in enumerate([1.0, 1.001, 1.002, 0.1, float("nan")]):
        ax.plot([0, 1, 2], [0.5, 0.6, end], label=f"line {i}")
    ax.plot([0, 1], [0, 0])
    label_lines(ax)
    at = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert set(at) == {f"line {i}" for i in range(5)}
    heights = sorted(at.values())
    assert all(b - a >= 0.0649 for a, b in itertools.pairwise(heights)) and heights[-1] <= 1
    assert at["line 3"] < at["line 0"] < at["line 1"] < at["line 2"]
    assert [t.get_color() for t in ax.texts if t.get_text() == "line 3"] == [
        ax.get_lines()[3].get_color()
    ]


def test_labels_on_log_axes_and_on_no_lines():
    ax = Figure().add_subplot()
    label_lines(ax)
    ax.semilogy([1, 2], [1, 1e-9], label="falls")
    label_lines(ax)
    assert 0 <= ax.texts[0].get_position()[1] < 0.2


def test_glue_shows_nothing_where_there_is_no_notebook(capsys):
    glue("x", 1.0)
    assert capsys.readouterr().out == ""


def test_a_simulations_state_is_set_and_read_from_python():
    sim = Sim("race", surface="beale", kappa=50)
    assert (sim.surface, sim.kappa) == ("beale", 50)
    sim.lr = 0.3
    assert sim.state()["lr"] == 0.3
    assert Sim("race").surface == "bowl"


def test_a_simulation_brings_the_div_that_the_site_mounts():
    bundle = Sim("race", lr=0.25)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    state = re.search(r'data-state="([^"]*)"', data["text/html"])[1]
    assert json.loads(html.unescape(state))["lr"] == 0.25
    assert 'data-sim="race"' in data["text/html"] and "make serve" in data["text/html"]


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("rase", {}, "choose one of race"),
        ("race", {"curvature": 1}, "kappa"),
        ("race", {"surface": "plane"}, "surface"),
        ("race", {"kappa": 1000}, "kappa"),
    ],
)
def test_unknown_simulations_and_values_are_one_line(name, state, says):
    with pytest.raises(ValueError, match=says) as e:
        Sim(name, **state)
    assert "\n" not in str(e.value)


class Clock:
    """Time passes only when the run works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def lab(run, clock=None, **knobs):
    made = {k: w.FloatSlider(value=v, min=-10, max=10) for k, v in knobs.items()}
    seen = []
    it = Lab(
        run,
        made,
        lambda ax, runs: seen.append([len(r["loss"]) for r in runs]),
        clock=clock or Clock(),
    )
    it.widget()
    return it, seen


def test_the_kernel_gets_a_turn_after_each_slice_of_work():
    clock = Clock()
    turns = []

    def train(lr):
        for i in range(40):
            clock.now += 0.09
            yield {"loss": i * lr}

    async def other():
        while True:
            turns.append(clock.now)
            await asyncio.sleep(0)

    async def both():
        it, seen = lab(train, clock, lr=2.0)
        task = asyncio.create_task(other())
        await it.start()
        task.cancel()
        return it, seen

    it, seen = asyncio.run(both())
    gaps = [b - a for a, b in itertools.pairwise(turns)]
    assert max(gaps) < 0.4
    assert it.runs[-1]["loss"] == [i * 2.0 for i in range(40)] and it.runs[-1].status == "done"
    assert 3 < len(seen) < 12 and seen[-1] == [40]


def test_stop_keeps_what_was_learned_and_start_compares():
    clock = Clock()

    def train(lr):
        while True:
            clock.now += 0.15
            yield {"loss": lr}

    async def session():
        it, _seen = lab(train, clock, lr=1.0)
        first = it.start()
        await asyncio.sleep(0.1)
        it.stop()
        await first
        it.knobs["lr"].value = 2.0
        second = it.start()
        await asyncio.sleep(0.1)
        third = it.start()
        await asyncio.sleep(0.1)
        it.stop()
        await asyncio.gather(second, third)
        return it

    it = asyncio.run(session())
    assert [r.status for r in it.runs] == ["stopped"] * 3
    assert [r.settings["lr"] for r in it.runs] == [1.0, 2.0, 2.0]
    assert all(r["loss"] for r in it.runs)
    it.reset()
    assert it.runs == []


def test_a_reset_while_it_runs_stops_and_forgets():
    clock = Clock()

    def train(lr):
        while True:
            clock.now += 0.15
            yield {"loss": lr}

    async def session():
        it, _ = lab(train, clock, lr=1.0)
        task = it.start()
        await asyncio.sleep(0.1)
        shown = it._parts["image"].layout.display
        it.reset()
        await task
        return it, shown

    it, shown = asyncio.run(session())
    assert shown is None and it._parts["image"].layout.display == "none"
    assert it.runs == [] and it._parts["status"].value == "ready"


def test_stop_counts_even_before_the_first_slice():
    def train(lr):
        while True:
            yield {"loss": lr}

    async def session():
        it, _ = lab(train, itertools.count().__next__, lr=1.0)
        task = it.start()
        it.stop()
        await task
        return it

    assert asyncio.run(session()).runs[-1].status == "stopped"


def test_an_error_in_the_run_is_one_line_and_the_lab_can_start_again():
    def train(lr):
        yield {"loss": 1.0}
        if lr > 1:
            raise ValueError("the rate\nis too large")
        yield {"loss": 0.5}

    async def session():
        it, _ = lab(train, lr=5.0)
        await it.start()
        said = it._parts["status"].value
        it.knobs["lr"].value = 0.5
        await it.start()
        return it, said

    it, said = asyncio.run(session())
    assert said == "failed, ValueError: the rate is too large"
    assert it.runs[-1].status == "done" and it.runs[-1]["loss"] == [1.0, 0.5]


def test_on_a_page_the_recorded_runs_are_made_at_once(monkeypatch):
    shown = []
    monkeypatch.setenv("COURSE_PAGE", "1")
    monkeypatch.setattr("IPython.display.display", shown.append)
    knobs = {"lr": w.FloatSlider(value=0.5), "momentum": w.FloatSlider(value=0.0)}
    it = Lab(
        lambda lr, momentum: iter([{"loss": lr + momentum}]),
        knobs,
        lambda ax, runs: ax.plot([r["loss"][-1] for r in runs]),
        record=[{"lr": 1.0}, {"momentum": 0.9}],
    )
    it._ipython_display_()
    assert [r["loss"] for r in it.runs] == [[1.0], [1.4]]
    assert shown[0].data[:4] == b"\x89PNG" and "make lab" in shown[1].data


def test_tables_align_numbers_right_and_words_left(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda x: shown.append(x.data))
    table(["name", 1, "value"], [["SGD", "1,000", "**0.92** ± 0.01"], ["Adam", 5, "2e-3"]])
    lines = shown[0].splitlines()
    assert lines[1] == "| :-- | --: | --: |" and lines[2].startswith("| SGD | 1,000 |")
