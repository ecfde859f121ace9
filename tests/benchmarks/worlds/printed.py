"""The ladders of several worlds as two tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from contracts.assignment import GROUPS
from pipeline.evaluation.ladder import ORACLE, POPULAR, Ladder, Rung
from pipeline.evaluation.report import difference, rungs

from tests.benchmarks.worlds.ladder import World, best_plain


def table(worlds: Iterable[World]) -> str:
    """Worlds of which all rungs are there."""
    whole = [world for world in worlds if {ORACLE, *GROUPS} <= set(world.window.hits)]
    return "\n".join([*_window(whole), "", *_within(whole)])


def _window(worlds: list[World]) -> Iterator[str]:
    yield "| | most popular | best plain | captured | control | captured | test | captured | oracle | test less control |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for world in worlds:
        by_name, plain = rungs(world.window), best_plain(world.window)
        parts = [
            f"{world.name}, seed {world.seed}",
            _own(by_name[POPULAR]),
            f"{plain} {_own(by_name[plain])}",
            _captured(by_name[plain]),
            *(part for name in GROUPS for part in (_own(by_name[name]), _captured(by_name[name]))),
            _own(by_name[ORACLE]),
            _lead(world.window),
        ]
        yield f"| {' | '.join(parts)} |"


def _within(worlds: list[World]) -> Iterator[str]:
    yield "| within sessions | most popular | control | captured | test | captured | oracle | test less control |"
    yield "|---|---|---|---|---|---|---|---|"
    for world in worlds:
        if world.within is None:
            continue
        by_name = rungs(world.within)
        parts = [
            f"{world.name}, seed {world.seed}",
            _own(by_name[POPULAR]),
            *(part for name in GROUPS for part in (_own(by_name[name]), _captured(by_name[name]))),
            _own(by_name[ORACLE]),
            _lead(world.within),
        ]
        yield f"| {' | '.join(parts)} |"


def _own(rung: Rung) -> str:
    return f"{rung.own.value:.3f}"


def _captured(rung: Rung) -> str:
    lift = rung.captured
    return f"{lift.value:.2f} ({lift.low:.2f} to {lift.high:.2f})" if lift else ""


def _lead(ladder: Ladder) -> str:
    return difference(ladder.against("test", "control", np.random.default_rng(0)))
