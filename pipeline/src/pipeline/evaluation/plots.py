"""The report's plots as SVG, whose colours are the page's: readable on light and dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from itertools import groupby
from typing import Any

import numpy as np
from contracts.assignment import GROUPS
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.judgement import Importance
from pipeline.evaluation.ladder import CEILING, ORACLE, POPULAR, Ladder
from pipeline.evaluation.segments import Segment
from pipeline.measures.accuracy import Estimate
from pipeline.measures.curves import Bins

VARIABLES = {
    "#010101": "--ink",
    "#020202": "--faint",
    "#030303": "--line",
    "#040404": "--control",
    "#050505": "--test",
    "#060606": "--best",
}
"""Colours that the figures are drawn in, and the page's variables that take their place."""
INK, FAINT, LINE, CONTROL, TEST, BEST = VARIABLES
COLOURS = {POPULAR: FAINT, "control": CONTROL, "test": TEST, CEILING: BEST, ORACLE: INK}
MARKS = {POPULAR: "s", "control": "o", "test": "D", CEILING: "^", ORACLE: "|"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lenta",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
WIDTH = 7.6
TOP_COLUMNS = 10


def ladder_plot(rungs: Mapping[str, Estimate], popular: float) -> str:
    """Each rung's hit rate with its interval."""
    with rc_context(STYLE):
        figure, (axes,) = _figure(0.5 + 0.3 * len(rungs))
        axes.axvline(popular, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for place, (name, estimate) in enumerate(rungs.items()):
            colour = COLOURS.get(name, FAINT)
            axes.plot(
                [estimate.low, estimate.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round"
            )
            axes.plot([estimate.value], [place], "o", color=colour, markersize=6)
            axes.annotate(
                f"{estimate.value:.3f}", (estimate.high, place), (6, 0), textcoords="offset points", va="center"
            )
        _rows(axes, list(rungs))
        axes.margins(x=0.08)
        axes.set_xlabel("HitRate@5")
        return _svg(figure, "HitRate@5 of every rung with its 95 % interval")


def lift_plot(lift: Mapping[str, Bins]) -> str:
    with rc_context(STYLE):
        figure, (axes,) = _figure(3.6)
        for name in (name for name in COLOURS if name in lift):
            bins = lift[name]
            share = 100 * np.cumsum(bins.rows) / bins.rows.sum()
            axes.plot(share, bins.lift, color=COLOURS[name], label=name, linestyle="--" if name == CEILING else "-")
        axes.axhline(1, color=FAINT, linewidth=1)
        axes.set_xlabel("the best x per cent of each user's list")
        axes.set_ylabel("likes per view, as a multiple of the mean")
        axes.legend()
        return _svg(figure, "Lift curves")


def calibration_plot(calibration: Mapping[str, Bins]) -> str:
    """With binomial errors of the observed rate."""
    with rc_context(STYLE):
        figure, (axes,) = _figure(3.6)
        ends: list[float] = [0.0]
        for name, bins in calibration.items():
            said, came = bins.predicted / bins.rows, bins.liked / bins.rows
            error = 1.96 * np.sqrt(came * (1 - came) / bins.rows)
            axes.errorbar(
                said, came, yerr=error, color=COLOURS[name], marker=MARKS[name], markersize=5, linewidth=1.2, label=name
            )
            ends += [float(said.max()), float((came + error).max())]
        axes.plot(
            [0, max(ends)],
            [0, max(ends)],
            color=FAINT,
            linewidth=1,
            linestyle=(0, (4, 3)),
            label="perfectly calibrated",
        )
        axes.set_xlabel("predicted probability of a like")
        axes.set_ylabel("share that was liked")
        axes.legend()
        return _svg(figure, "Calibration by tenths of the score")


def importance_plot(importance: Mapping[str, Importance]) -> str:
    """Means over worlds, the greatest TOP_COLUMNS of each model."""
    with rc_context(STYLE):
        figure, panels = _figure(3.3, len(importance))
        for axes, (name, columns) in zip(panels, importance.items(), strict=True):
            means = sorted(((float(np.mean(shares)), column) for column, shares in columns.items()), reverse=True)
            top = means[:TOP_COLUMNS]
            axes.barh([column for _, column in top], [share for share, _ in top], color=COLOURS[name], height=0.6)
            axes.invert_yaxis()
            axes.grid(axis="y", visible=False)
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_xlabel("per cent")
        return _svg(figure, "Importance of columns for the trees")


def segments_plot(segments: Mapping[Segment, Ladder]) -> str:
    with rc_context(STYLE):
        names = [name for name in (POPULAR, *GROUPS, ORACLE) if all(name in part.hits for part in segments.values())]
        kinds = [len(list(same)) for _, same in groupby(segments, key=lambda segment: segment.kind)]
        figure, (axes,) = _figure(0.8 + 0.27 * len(segments))
        for name in names:
            values = [part.hits[name].mean() for part in segments.values()]
            axes.plot(
                values, range(len(values)), MARKS[name], color=COLOURS[name], label=name, markersize=7, linestyle=""
            )
        for end in np.cumsum(kinds)[:-1]:
            axes.axhline(end - 0.5, color=FAINT, linewidth=0.8)
        _rows(axes, [f"{segment.kind}: {segment.name} ({_size(part):,})" for segment, part in segments.items()])
        axes.set_xlabel("HitRate@5")
        axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(names))
        return _svg(figure, "HitRate@5 by segment")


def _size(part: Ladder) -> int:
    return len(next(iter(part.hits.values())))


def _figure(height: float, panels: int = 1) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(np.ravel(figure.subplots(1, panels)))


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def _svg(figure: Figure, label: str) -> str:
    """Inline SVG that fills the width of its place."""
    out = StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'role="img" aria-label="{escape(label)}"', text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub("|".join(VARIABLES), lambda match: f"var({VARIABLES[match.group()]})", text)
