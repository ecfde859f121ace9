"""A run of the soak as a picture: memory of each process above, latency below, over its minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.soak.course import Window

INK, GRID = "#333333", "#dddddd"
LEAST_GAP = 0.055
"""Between two labels, as a share of the axis."""
mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "lenta"


def draw(windows: Sequence[Window], rate: float, path: Path) -> None:
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    minutes = [window.minute for window in windows]
    lines = {name: [window.megabytes[name] for window in windows] for name in windows[0].megabytes}
    _lines(above, minutes, lines, "memory (PSS), MB")
    _lines(
        below,
        minutes,
        {"p50": [window.p50 for window in windows], "p99": [window.p99 for window in windows]},
        "latency, ms",
    )
    above.set_title(f"{rate:.0f} recommendations a second for {minutes[-1]:.0f} minutes", loc="left", color=INK)
    below.set_xlabel("minutes", color=INK)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _lines(axes: Axes, minutes: Sequence[float], lines: dict[str, list[float]], label: str) -> None:
    top = 1.08 * max(max(values) for values in lines.values())
    ends = _apart({name: values[-1] / top for name, values in lines.items()})
    for number, (name, values) in enumerate(lines.items()):
        colour = f"C{number}"
        axes.plot(minutes, values, color=colour, linewidth=1.4)
        axes.text(1.01, ends[name], name, transform=axes.transAxes, color=colour, va="center", fontsize=9)
    axes.set_ylim(0, top)
    axes.set_ylabel(label, color=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _apart(places: dict[str, float]) -> dict[str, float]:
    """So that labels do not lie on each other: from below, each at least a gap above the one before."""
    moved, below = dict[str, float](), -LEAST_GAP
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        moved[name] = below = max(place, below + LEAST_GAP)
    return moved
