"""How all figures look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#3566a8", "#dd7a34", "#2f9274", "#b8405e", "#7d5bbe", "#b8921d", "#4aa9c9", "#6f6f6f")
"""By place, for topics and clusters; told apart by most who see few colours."""
MAIN, ACCENT, FAINT, INK = "#3566a8", "#dd7a34", "#a9b0ba", "#2b2f36"
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "figure.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#c6ccd4",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ee",
    "grid.linewidth": 0.7,
    "xtick.color": "#c6ccd4",
    "ytick.color": "#c6ccd4",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.9,
}
styled = rc_context(STYLE)
"""Decorates what draws a figure."""
WIDTH = 10.0


def figure_of(panels: int, height: float, columns: int | None = None) -> tuple[Figure, list[Axes]]:
    """`panels` axes, in rows of `columns`, or all in one. height: of the whole, in inches."""
    across = columns or panels
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(np.ravel(figure.subplots(-(-panels // across), across)))
    for extra in axes[panels:]:
        extra.set_visible(False)
    return figure, axes[:panels]


def bars(axes: Axes, names: Sequence[str], values: Sequence[float], colour: str = MAIN) -> None:
    """Horizontal, the first on top."""
    axes.barh(range(len(names)), list(values), color=colour, height=0.72)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
