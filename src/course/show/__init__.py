"""Figures in one style, simulations (one ES module each), and labs over real training runs."""

from __future__ import annotations

from typing import Any

from course.show.figures import COLORS, glue, label_lines, style, table

__all__ = ["COLORS", "Lab", "Run", "Sim", "glue", "label_lines", "style", "table"]


def __getattr__(name: str) -> Any:
    # Widgets are loaded by those who use them.
    if name == "Sim":
        from course.show.sim import Sim

        return Sim
    if name in ("Lab", "Run"):
        from course.show import lab

        return getattr(lab, name)
    raise AttributeError(f"module 'course.show' has no attribute {name!r}")
