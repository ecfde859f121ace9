"""Lenta at and above its capacity, beside the bare chain and another checkout of itself, in one run.

    python -m tests.benchmarks.load --home .lenta/load --against ../lenta-of-before

Brings up the demo world in --home (and leaves it there filled, for the next run). First 1, 8 and 16 connections in a
closed loop, the bare chain beside the others. Then, of each but that, the knee: the highest rate of an open loop at
which p99 is at most 50 ms and at least 99 % of the answers are the user's own model's; half of it, twice, five and ten
times of it, and 64 and 256 connections. The sides take turns. Prints tables for docs/benchmarks.md.

"processor ms" is of the four services, for one of the model's own answers: it says the same on a machine that others
use too, where the rates do not.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop
from pipeline.stack.servers import HOST
from rich.console import Console
from rich.table import Table

from tests.benchmarks.load.generator import (
    FAILED,
    FALLBACK,
    OWN,
    SHED,
    UNLOGGED,
    Outcome,
    Target,
    closed_loop,
    open_loop,
)
from tests.benchmarks.load.sides import Chain, bare_chain, filled_platform

HERE = Path(__file__).parents[3]
USERS = range(200, 500)
KNEE_OWN = 0.99
FIRST_RATE, STEP = 30.0, 1.3
REST_SECONDS = 1.2
"""Between rounds, so that none inherits the other's queues, and a breaker has closed."""
ROUNDS: Mapping[str, float | int] = {"1/2 knee": 0.5, "2": 2.0, "5": 5.0, "10": 10.0, "64 conn.": 64, "256 conn.": 256}
"""Multiples of the knee in an open loop; whole numbers of connections in a closed one."""


class Side:
    def __init__(self, name: str, chain: Chain) -> None:
        self.name, self.knee = name, float("nan")
        self._chain, self._target = chain, Target(HOST, chain.port, USERS, random.Random(chain.port))

    def at_rate(self, rate: float, seconds: float) -> Outcome:
        return self._measured(open_loop(self._target, rate, seconds), f"{rate:.0f} a second")

    def at_connections(self, connections: int, seconds: float) -> Outcome:
        return self._measured(closed_loop(self._target, connections, seconds), f"{connections} connections")

    def _measured(self, asking: Coroutine[None, None, Outcome], load: str) -> Outcome:
        before, own_before = self._chain.processor_seconds, time.process_time()
        outcome = uvloop.run(asking)
        outcome.processor_seconds = self._chain.processor_seconds - before
        outcome.client_seconds = time.process_time() - own_before
        print(
            f"{self.name}, {load}: own {outcome.rate(OWN):.0f}/s, p50 {outcome.quantile(0.5):.1f}, "
            f"p99 {outcome.quantile(0.99):.1f} ms, shed {outcome.share(SHED):.1%}, "
            f"fallback {outcome.share(FALLBACK):.1%}, unlogged {outcome.share(UNLOGGED):.1%}, "
            f"failed {outcome.share(FAILED):.1%}, {outcome.processor_ms:.2f} ms of the processor, "
            f"client {outcome.client_seconds / outcome.duration:.0%} of a core",
            file=sys.stderr,
        )
        time.sleep(REST_SECONDS)
        return outcome

    def find_knee(self, p99: float, seconds: float) -> None:
        """A step that fails is tried once more: another process of the machine may have made it fail."""
        self.knee, rate = FIRST_RATE, FIRST_RATE * STEP
        while self._holds(rate, p99, seconds) or self._holds(rate, p99, seconds):
            self.knee, rate = rate, rate * STEP

    def _holds(self, rate: float, p99: float, seconds: float) -> bool:
        outcome = self.at_rate(rate, seconds)
        return outcome.quantile(0.99) <= p99 and outcome.share(OWN) >= KNEE_OWN

    def measure(self, load: float | int, seconds: float) -> Outcome:
        if isinstance(load, int):
            return self.at_connections(load, seconds)
        return self.at_rate(load * self.knee, seconds)


def main() -> None:
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop what was started
    with ExitStack() as stack:
        stores, chain = stack.enter_context(filled_platform(told.home, told.world))
        sides = [Side("Lenta", chain)]
        if told.against is not None:
            before = filled_platform(told.home / "before", told.world, told.against)
            sides.append(Side("before", stack.enter_context(before)[1]))
        bare = Side("bare chain", stack.enter_context(bare_chain(stores)))
        if told.steady:
            _show_steady(_steady([*sides, bare], told.steady, told.seconds))
        if told.knee:
            _show(sides, _rounds(sides, told.p99, told.seconds))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HERE / ".lenta" / "load")
    parser.add_argument("--world", default="demo", help="tiny: to try this script out")
    parser.add_argument("--against", type=Path, help="another checkout of Lenta, with a home of its own in --home")
    parser.add_argument("--p99", type=float, default=50.0, help="ms at the knee; more where others use the machine too")
    parser.add_argument("--seconds", type=float, default=6.0, help="of a round")
    parser.add_argument("--knee", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--steady", type=int, default=3, help="paired rounds at 1, 8 and 16 connections")
    return parser.parse_args()


def _steady(sides: Sequence[Side], rounds: int, seconds: float) -> Mapping[tuple[int, str], list[Outcome]]:
    """Closed loops that a side should hold, the sides in turn."""
    measured: dict[tuple[int, str], list[Outcome]] = {}
    for turn in range(rounds):
        for connections in (1, 8, 16):
            for side in sides if turn % 2 else reversed(sides):
                outcome = side.at_connections(connections, seconds)
                measured.setdefault((connections, side.name), []).append(outcome)
    return measured


def _rounds(sides: Sequence[Side], p99: float, seconds: float) -> Mapping[tuple[str, str], Outcome]:
    for side in sides:
        side.find_knee(p99, seconds)
    return {(name, side.name): side.measure(load, seconds) for name, load in ROUNDS.items() for side in sides}


def _show_steady(measured: Mapping[tuple[int, str], Sequence[Outcome]]) -> None:
    columns = ("connections", "side", "own model/s", "p50 ms", "p99 ms", "own", "processor ms")
    table = Table(*columns, title="closed loop, medians of rounds")
    for (connections, name), outcomes in sorted(measured.items()):
        table.add_row(
            str(connections),
            name,
            f"{statistics.median(outcome.rate(OWN) for outcome in outcomes):.0f}",
            f"{statistics.median(outcome.quantile(0.5) for outcome in outcomes):.2f}",
            f"{statistics.median(outcome.quantile(0.99) for outcome in outcomes):.1f}",
            f"{statistics.median(outcome.share(OWN) for outcome in outcomes):.1%}",
            f"{statistics.median(outcome.processor_ms for outcome in outcomes):.2f}",
        )
    Console(width=120).print(table)


def _show(sides: Sequence[Side], measured: Mapping[tuple[str, str], Outcome]) -> None:
    columns = (
        "load",
        "side",
        "own model/s",
        "of the knee's",
        "p50 ms",
        "p99 ms",
        "shed",
        "fallback",
        "unlogged",
        "processor ms",
    )
    table = Table(*columns, title=", ".join(f"{side.name}: knee {side.knee:.0f}/s" for side in sides))
    knees = {side.name: side.knee for side in sides}
    for (load, name), outcome in measured.items():
        table.add_row(
            load,
            name,
            f"{outcome.rate(OWN):.0f}",
            f"{outcome.rate(OWN) / knees[name]:.0%}",
            f"{outcome.quantile(0.5):.1f}",
            f"{outcome.quantile(0.99):.0f}",
            *(f"{outcome.share(kind):.1%}" for kind in (SHED, FALLBACK, UNLOGGED)),
            f"{outcome.processor_ms:.2f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
