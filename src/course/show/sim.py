"""Simulations: one ES module each, mounted by anywidget here and by a small loader on the site."""

from __future__ import annotations

import functools
import html
import json
from pathlib import Path
from typing import Any

import anywidget
import traitlets

FOLDER = Path(__file__).parent / "sims"

# What each simulation lets Python, the page and the reader set: traits are validated and kept in
# step with the module's model in both directions.
_STATE: dict[str, dict[str, traitlets.TraitType]] = {
    "race": {
        "surface": traitlets.Enum(("bowl", "rosenbrock", "beale"), "bowl"),
        "kappa": traitlets.Float(100.0, min=1.0, max=200.0),
        # None: the surface's own start.
        "start_x": traitlets.Float(None, allow_none=True),
        "start_y": traitlets.Float(None, allow_none=True),
        "common": traitlets.Bool(False),
        "lr": traitlets.Float(0.01, min=1e-6, max=10.0),
        # Standard deviation of what is added to each gradient; the seed draws it.
        "noise": traitlets.Float(0.0, min=0.0, max=5.0),
        "speed": traitlets.Float(1.0, min=0.1, max=20.0),
        "bet": traitlets.Unicode(""),
        "seed": traitlets.Int(0),
    },
}


class _Sim(anywidget.AnyWidget):
    """A simulation. Its state are traits: `sim.lr = 0.3` moves the slider, and the slider sets `sim.lr`."""

    _name = ""

    def state(self) -> dict[str, Any]:
        """The present state as plain values."""
        return {key: getattr(self, key) for key in _STATE[self._name]}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        state = html.escape(json.dumps(self.state()), quote=True)
        extra = {
            "text/html": f'<div class="course-sim" data-sim="{self._name}" data-state="{state}">'
            f"<p>The simulation “{self._name}” moves here when this page is served "
            "(<code>make serve</code>) and JavaScript is on.</p></div>",
            "text/plain": f"Sim({self._name!r})",
        }
        # The notebook's front end chooses the widget, the static site the div.
        data = {**(data or {}), **extra}
        return (data, bundle[1]) if isinstance(bundle, tuple) else data


@functools.cache
def _kind(name: str) -> type[_Sim]:
    traits = {key: trait.tag(sync=True) for key, trait in _STATE[name].items()}
    body = {"_name": name, "_esm": FOLDER / f"{name}.js", "__doc__": _Sim.__doc__, **traits}
    return type(f"Sim_{name}", (_Sim,), body)


def Sim(name: str, **state: Any) -> _Sim:
    """A simulation by name, e.g. `Sim("race", surface="beale")`. Show it by ending a cell with it.

    Raises:
        ValueError: there is no such simulation, or it has no such state or value.
    """
    if name not in _STATE:
        raise ValueError(f"no simulation {name!r}: choose one of {', '.join(_STATE)}")
    unknown = [key for key in state if key not in _STATE[name]]
    if unknown:
        have = ", ".join(_STATE[name])
        raise ValueError(f"{name} has no {unknown[0]!r} to set: choose from {have}")
    try:
        return _kind(name)(**state)
    except traitlets.TraitError as e:
        raise ValueError(f"{name}: {' '.join(str(e).split())}") from None
