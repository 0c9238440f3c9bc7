"""Labs: sliders over a real training run that redraws as it learns, in the kernel's spare time."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from course import runtime

SLICE = 0.2
"""Seconds of training before the kernel gets to answer others: a click on Stop, another cell."""
REDRAW = 0.5
"""Seconds between two drawings."""
KEEP = 3
"""Earlier runs that stay in the figure to compare with."""


@dataclass
class Run:
    """One run of a lab: its settings and, by name, the numbers it has yielded so far."""

    settings: dict[str, Any]
    values: dict[str, list[float]] = field(default_factory=dict)
    status: str = "running"
    wanted: bool = True
    """False once Stop was pressed, even before the run had its first turn."""

    @property
    def label(self) -> str:
        """The settings in words."""
        return ", ".join(
            f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.settings.items()
        )

    def add(self, entry: dict[str, float]) -> None:
        """Append one number to each series."""
        for key, value in entry.items():
            self.values.setdefault(key, []).append(value)

    def __getitem__(self, key: str) -> list[float]:
        return self.values.get(key, [])


class Lab:
    """Knobs over a training run.

    Args:
        run: a generator function, `run(**settings)`, that yields a dict of numbers each few steps.
            Between two yields it should take well under a second.
        knobs: an ipywidget by setting; each has a `.value`.
        draw: `draw(ax, runs)` draws the present run, last in `runs`, and up to three before it.
        record: the settings that the site shows as recorded runs; the knobs' own when empty.

    >>> lab = Lab(train, {"lr": FloatLogSlider(value=0.1, min=-4, max=1)}, draw)
    >>> lab  # at the end of a cell
    """

    def __init__(
        self,
        run: Callable[..., Iterator[dict[str, float]]],
        knobs: dict[str, Any],
        draw: Callable[[Any, list[Run]], None],
        record: list[dict[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self.knobs = knobs
        self.draw = draw
        self.record = record or [self.settings()]
        self.runs: list[Run] = []
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._latest: Run | None = None
        self._parts: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """What the knobs say now."""
        return {name: knob.value for name, knob in self.knobs.items()}

    def start(self) -> asyncio.Task[None]:
        """Start a run with the knobs' settings; a run that is under way is stopped first."""
        self.stop()
        self._latest = Run(self.settings())
        self._task = asyncio.get_event_loop().create_task(self._after(self._task, self._latest))
        return self._task

    def stop(self) -> None:
        """Stop after the present slice; what was learned stays in the figure."""
        if self._latest is not None:
            self._latest.wanted = False

    def reset(self) -> None:
        """Stop and forget all runs."""
        self.stop()
        self.runs = []
        self._show("ready")

    async def _after(self, previous: asyncio.Task[None] | None, run: Run) -> None:
        if previous is not None and not previous.done():
            await previous
        await self._go(run)

    async def _go(self, run: Run) -> None:
        self.runs = [*self.runs[-KEEP:], run]
        drawn = -REDRAW
        try:
            steps = self.run(**run.settings)
            while run.status == "running":
                began = self._clock()
                while run.status == "running" and self._clock() - began < SLICE:
                    entry = next(steps, None)
                    if entry is None:
                        run.status = "done"
                    else:
                        run.add(entry)
                if not run.wanted and run.status == "running":
                    run.status = "stopped"
                due = self._clock() - drawn >= REDRAW or run.status != "running"
                if due and any(r is run for r in self.runs):  # else a reset has forgotten it
                    self._show(f"{run.status}: {run.label}")
                    drawn = self._clock()
                await asyncio.sleep(0.02)
        except Exception as e:
            run.status = f"failed, {type(e).__name__}: {' '.join(str(e).split())}"
            self._show(run.status)

    def _figure(self) -> bytes:
        from matplotlib.figure import Figure

        figure = Figure()
        self.draw(figure.add_subplot(), self.runs)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()

    def _show(self, status: str) -> None:
        if not self._parts:
            return
        self._parts["status"].value = status
        image, filled = self._parts["image"], any(r.values for r in self.runs)
        if filled:
            image.value = self._figure()
        image.layout.display = None if filled else "none"  # no broken picture

    def widget(self) -> Any:
        """The lab as one ipywidget."""
        import ipywidgets as w

        if not self._parts:
            start = w.Button(description="Start", button_style="primary")
            stop, reset = w.Button(description="Stop"), w.Button(description="Reset")
            start.on_click(lambda _: self.start())
            stop.on_click(lambda _: self.stop())
            reset.on_click(lambda _: self.reset())
            status = w.Label("ready: turn the knobs, then Start")
            image = w.Image(format="png", layout=w.Layout(max_width="840px", display="none"))
            self._parts = {"status": status, "image": image}
            buttons = w.HBox([start, stop, reset])
            self._parts["all"] = w.VBox([*self.knobs.values(), buttons, status, image])
        return self._parts["all"]

    def play(self) -> None:
        """Make the recorded runs at once, to the end."""
        for settings in self.record:
            run = Run({**self.settings(), **settings})
            for entry in self.run(**run.settings):
                run.add(entry)
            run.status = "done"
            self.runs.append(run)

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, Image, display

        if not runtime.on_page():
            display(self.widget())
            return
        self.play()
        display(Image(self._figure(), format="png"))
        display(
            HTML(
                '<p class="course-recorded">A recorded run. Open the notebook in JupyterLab '
                "(<code>make lab</code>) or Colab to turn the knobs live.</p>"
            )
        )
