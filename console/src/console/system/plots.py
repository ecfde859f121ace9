"""The courses of the system page, drawn and as a table. A gap is time that nobody measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from contracts import numbers
from contracts.numbers import UNKNOWN
from contracts.wire import Message

from console.scales import nice
from console.system.series import Slot, quantile
from console.words import duration

WIDTH, LEFT, TOP, BOTTOM = 346.0, 46.0, 10.0, 124.0
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
LATEST_SLOTS = 4
"""How far back the latest value may lie."""


class PlotLine(Message):
    name: str
    kind: str
    segments: list[str]
    """Points of polylines; a gap between two of them is time that nobody measured."""
    dots: list[tuple[float, float]]
    """Lone readings."""


class Plot(Message):
    key: str
    title: str
    now: str
    summary: str
    lines: list[PlotLine]
    ticks: list[tuple[float, str]]
    times: list[tuple[float, str]]
    budget: float | None
    budget_text: str
    empty: bool


class PlotTable(Message):
    heads: list[str]
    rows: list[list[str]]


def plots_of(made: Sequence[Slot], start: datetime, now: datetime, budget: float | None) -> list[Plot]:
    plots = [_plot("lag", "Event lag", made, start, now, [("lag", lambda slot: slot.lag)], duration)]
    for ranker in rankers(made) or ["ranker-control", "ranker-test"]:
        lines = [(name, _replied(ranker, share)) for name, share in QUANTILES]
        plots.append(_plot(ranker, f"Reply of {ranker}", made, start, now, lines, duration, budget))
    plots.append(_plot("asked", "Requests per second", made, start, now, [("rate", _rate)], _rate_words))
    plots.append(_plot("errors", "Errors", made, start, now, [("share", errors)], numbers.share))
    plots.append(_plot("degraded", "Degraded answers", made, start, now, [("share", degraded)], numbers.share))
    return plots


def _plot(
    key: str, title: str, made: Sequence[Slot], start: datetime, now: datetime,
    named: Sequence[tuple[str, Callable[[Slot], float | None]]], words: Callable[[float], str],
    budget: float | None = None,
) -> Plot:  # fmt: skip
    values = {name: [value(slot) for slot in made] for name, value in named}
    known = [one for line in values.values() for one in line if one is not None]
    floor = {"lag": 1.0, "errors": 0.01, "degraded": 0.01, "asked": 1.0}.get(key, 0.01)
    top = nice(max([floor, *known, *([budget] if budget else [])]))

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * min(value, top) / top, 1)

    def x(place: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 6) * (place + 1) / len(made), 1)

    lines = [_line(name, line, x, y) for name, line in values.items()]
    latest = [
        f"{name} {words(last)}" if len(values) > 1 else words(last)
        for name, line in values.items()
        if (last := next((one for one in reversed(line[-LATEST_SLOTS:]) if one is not None), None)) is not None
    ]
    said = ", ".join(latest) or UNKNOWN
    measured = sum(any(line[i] is not None for line in values.values()) for i in range(len(made)))
    summary = f"{title}, {numbers.clock(start)} to {numbers.clock(now)}: now {said}. "
    summary += f"Measured in {measured} of {len(made)} slots; the table below holds the numbers."
    return Plot(
        key=key,
        title=title,
        now=said,
        summary=summary,
        lines=lines,
        ticks=[(y(value), "0" if not value else _tick(value, words)) for value in (0.0, top / 2, top)],
        times=[(LEFT, f"{start:%H:%M}"), (WIDTH - 6, f"{now:%H:%M}")],
        budget=y(budget) if budget else None,
        budget_text=f"budget {duration(budget)}" if budget else "",
        empty=not known,
    )


def _line(
    name: str, values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float]
) -> PlotLine:
    segments: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            segments.append([])
        else:
            segments[-1].append((x(place), y(value)))
    return PlotLine(
        name=name,
        kind=name,
        segments=[" ".join(f"{px},{py}" for px, py in part) for part in segments if len(part) > 1],
        dots=[part[0] for part in segments if len(part) == 1],
    )


def _tick(value: float, words: Callable[[float], str]) -> str:
    return numbers.limit(value) if words is numbers.share else words(value)


def table_of(made: Sequence[Slot]) -> PlotTable:
    named = rankers(made)
    heads = [
        "Until",
        "Event lag",
        *(f"{ranker} p50 / p95 / p99" for ranker in named),
        "Requests/s",
        "Errors",
        "Degraded",
    ]
    rows = []
    for slot in made:
        replied = [
            " / ".join(_or_unknown(quantile(slot.replies.get(name, {}), share), duration) for _, share in QUANTILES)
            if slot.replies.get(name)
            else UNKNOWN
            for name in named
        ]
        rows.append(
            [
                f"{slot.end:%H:%M:%S}",
                _or_unknown(slot.lag, duration),
                *replied,
                _or_unknown(_rate(slot), _rate_words),
                _or_unknown(errors(slot), numbers.share),
                _or_unknown(degraded(slot), numbers.share),
            ]
        )
    return PlotTable(heads=heads, rows=rows)


def latest(made: Sequence[Slot], value: Callable[[Slot], float | None]) -> float | None:
    return next((known for slot in reversed(made[-LATEST_SLOTS:]) if (known := value(slot)) is not None), None)


def rankers(made: Sequence[Slot]) -> list[str]:
    return sorted({name for slot in made for name in slot.replies})


def errors(slot: Slot) -> float | None:
    return slot.errors / slot.asked if slot.asked else None


def degraded(slot: Slot) -> float | None:
    return slot.degraded / slot.served if slot.served else None


def _rate(slot: Slot) -> float | None:
    """Per second, over all replicas of the gateway; not known while one of them does not answer."""
    return None if slot.silent or not slot.seconds else slot.asked / slot.seconds * len(slot.heard)


def _replied(ranker: str, share: float) -> Callable[[Slot], float | None]:
    return lambda slot: quantile(slot.replies.get(ranker, {}), share)


def _rate_words(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _or_unknown(value: float | None, words: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else words(value)
