"""One matplotlib style for the course: quiet axes, direct labels, colours that colour-blind readers tell apart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#007A5A",
    "purple": "#AA3377",
    "ochre": "#8C6D00",
    "grey": "#6B6B6B",
}
"""After Okabe and Ito's palette (2008), darkened so that a label in a line's colour reads on white."""

DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


def style() -> None:
    """Set matplotlib's defaults for this notebook.

    Figures keep a white ground on dark pages too: one rendering serves both themes, and the colours
    were chosen against white. Each new line differs in dash as well as in colour.
    """
    import matplotlib as mpl
    from cycler import cycler

    colours = cycler(color=list(COLORS.values()))
    mpl.rcParams.update(
        {
            "axes.prop_cycle": colours + cycler(linestyle=list(DASHES)),
            "figure.figsize": (7.0, 3.6),
            "figure.dpi": 100,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": "#6B6B6B",
            "axes.labelcolor": "#333333",
            "xtick.color": "#555555",
            "ytick.color": "#555555",
            "text.color": "#222222",
            "axes.grid": True,
            "grid.color": "#E6E6E6",
            "grid.linewidth": 0.7,
            "lines.linewidth": 1.8,
            "font.size": 10.5,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "legend.frameon": False,
        }
    )
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def label_lines(ax: Axes, gap: float = 0.065) -> None:
    """Write each line's label beside its right end, in its colour, without overlaps; no legend needed.

    Args:
        ax: axes whose lines have labels; those without one are passed over.
        gap: least distance of two labels, as a share of the axes' height.
    """
    import numpy as np

    ends = []
    for line in ax.get_lines():
        label = str(line.get_label())
        xy = np.column_stack(
            [np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)]
        )
        xy = xy[np.isfinite(xy).all(1)]
        if label.startswith("_") or not len(xy):
            continue
        y = ax.transAxes.inverted().transform(ax.transData.transform(xy[-1]))[1]
        ends.append([float(np.clip(np.nan_to_num(y, nan=0.0), 0, 1)), label, line.get_color()])
    ends.sort(key=lambda e: e[0])
    for lower, upper in itertools.pairwise(ends):
        upper[0] = max(upper[0], lower[0] + gap)
    # Labels pushed over the top move down together.
    over = max(0.0, ends[-1][0] - 1.0) if ends else 0.0
    for y, label, colour in ends:
        ax.text(
            1.015, y - over, label, color=colour, transform=ax.transAxes, va="center", clip_on=False
        )


def glue(name: str, value: Any, display: bool = False) -> None:
    """Keep a computed value for the page's text (myst-nb's glue); does nothing where that is absent."""
    try:
        from myst_nb import glue as keep
    except ImportError:
        return
    # A NumPy scalar would be written as np.float64(…).
    keep(name, value.item() if getattr(value, "ndim", None) == 0 else value, display=display)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Show rows as a table; columns of numbers stand to the right."""
    from IPython.display import Markdown, display

    cells = [[str(c) for c in row] for row in rows]
    number = re.compile(r"[+−-]?[\d,.]+(e[+−-]?\d+)?( ?[%×±].*)?|–|nan")
    right = [
        all(number.fullmatch(c.replace("*", "").strip()) for c in column) for column in zip(*cells)
    ]
    lines = [list(map(str, header)), ["--:" if r else ":--" for r in right], *cells]
    display(Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines)))
