"""The page: the table, and for each comparison its throughput and latencies as bars. Nothing from elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.beside.rounds import CONNECTIONS, Record
from tests.benchmarks.beside.table import COLUMNS, lines

INK, LENTA, PEER = "#222222", "#2f6fdb", "#b8bec8"
mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "lenta"
mpl.rcParams["svg.fonttype"] = "none"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
tr.lenta td { font-weight: 600 }
svg { max-width: 100%; height: auto } .wide { overflow-x: auto } h2 { margin-top: 2.5rem } dt { font-weight: 600 }
"""


def page(record: Record) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Lenta beside its peers</title><style>{STYLE}</style>"
        f"<h1>Lenta beside its peers</h1>{_words(record)}{_table(record)}"
        f"{''.join(_comparison(record, task) for task in record.tasks)}{_notes(record)}</html>"
    )


def _words(record: Record) -> str:
    return (
        f"<p>All sides ran on one machine at once and were asked in turns, {record.done} rounds, in closed loops of "
        f"{', '.join(map(str, CONNECTIONS))} connections by a client on the same cores. Figures are medians; “Lenta "
        "gives, times” is the ratio of rows a second in the same round, its median and range, each at the connections "
        "at which it gives most.</p>"
    )


def _table(record: Record) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{_rows(lines(record))}</tbody></table></div>'


def _rows(cells: Sequence[Sequence[str]]) -> str:
    return "".join(
        f"<tr{' class=lenta' if line[1].startswith('Lenta') else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in line)
        + "</tr>"
        for line in cells
    )


def _comparison(record: Record, task: str) -> str:
    sides = record.tasks[task]
    figure = Figure(figsize=(10, 0.8 + 0.5 * len(sides)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    best = [max(record.median(task, side, count, "rate") for count in CONNECTIONS) for side in sides]
    _bars(
        left,
        sides,
        [rate * record.rows(side) for rate, side in zip(best, sides, strict=True)],
        "answers a second, at most; of 100 rows and more, rows",
    )
    _bars(right, sides, [record.median(task, side, 1, "p50") for side in sides], "p50 at one connection, ms")
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return f"<h2>{escape(task[:1].upper() + task[1:])}</h2>{svg[svg.index('<svg') :]}"


def _bars(axes: Axes, sides: Sequence[str], values: Sequence[float], title: str) -> None:
    """On a scale of tens: the sides lie far apart."""
    colours = [LENTA if side.startswith("Lenta") else PEER for side in sides]
    places = range(len(sides))
    axes.barh(places, values, color=colours, height=0.6)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 3, max(values) * 4)
    for place, value in zip(places, values, strict=True):
        axes.text(value * 1.08, place, f"{value:,.1f}" if value < 100 else f"{value:,.0f}", va="center", fontsize=9)
    axes.set_yticks(places, sides)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _notes(record: Record) -> str:
    said = {facts.side: facts.note for facts in record.facts.values() if facts.note} | dict(record.errors)
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(note)}</dd>" for name, note in said.items())
    return f"<h2>What each side does</h2><dl>{told}</dl>"
