"""Lenta beside its peers, all up at once, asked in turns: `make benchmark`.

    python -m tests.benchmarks.beside [--rounds 5] [--world reference] [--quick] [--again]

Five posts with their texts: a pandas monolith written as the original service was, the bare chain, Lenta. A user's row,
and 100 rows: Feast's feature server, Lenta's feature-service. Scores of 100 rows: MLServer and BentoML with Lenta's own
CatBoost, Lenta's ranker. Closed loops of 1, 8 and 16 connections; a round asks every side once, in an order of its own,
and ratios are of the same round. What was measured is kept in --home/beside/rounds.jsonl: a run that was ended goes on
where it was. Prints the table and writes --home/beside/index.html, one page without anything from elsewhere. --again
only draws what was measured.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import uvloop
from rich.console import Console

from tests.benchmarks.beside.page import page
from tests.benchmarks.beside.rounds import CONNECTIONS, Facts, Record, Round
from tests.benchmarks.beside.sides import Side, every_side
from tests.benchmarks.beside.table import table
from tests.benchmarks.load.generator import OWN, closed_loop

HERE = Path(__file__).parents[3]


def main() -> None:
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop what was started
    record = Record(told.home / "beside")
    if told.afresh:
        record.forget()
    if not told.again:
        _measure(told, record)
    Console(width=170).print(table(record))
    for name, error in record.errors.items():
        print(f"{name} {error}")
    (told.home / "beside" / "index.html").write_text(page(record))
    print(f"the page: {told.home / 'beside' / 'index.html'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lenta = Path(os.environ.get("LENTA_HOME", HERE / ".lenta"))
    parser.add_argument("--home", type=Path, default=None, help="by default .lenta/beside-WORLD")
    parser.add_argument("--peers", type=Path, default=lenta / "beside", help="what infra/local/beside has made")
    parser.add_argument("--world", default="reference", help="12,000 users and 7,023 posts; demo is sooner filled")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one closed loop")
    parser.add_argument("--quick", action="store_true", help="a round of a second in a tiny world, to try it out")
    parser.add_argument("--afresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--again", action="store_true", help="draw what was measured before")
    told = parser.parse_args()
    if told.quick:
        told.world, told.rounds, told.seconds = "tiny", 1, 1.0
    told.home = (told.home or lenta / f"beside-{told.world}").absolute()
    told.peers = told.peers.absolute()
    return told


def _measure(told: argparse.Namespace, record: Record) -> None:
    if record.done >= told.rounds:
        return
    with every_side(told.home, told.world, told.peers) as sides:
        record.errors = sides.errors
        for side in sides.all:
            _measure_round(side, 1, 0.5)  # and throw it away: it warms up
        for number in range(record.done, told.rounds):
            order = sides.all[::-1] if number % 2 else sides.all
            record.add([one for side in order for count in CONNECTIONS for one in _measured(side, count, told, number)])
        facts = [
            Facts(side.name, side.start_seconds, side.megabytes(), side.bytes_a_user, side.rows, side.note)
            for side in sides.all
        ]
        record.know(facts)


def _measured(side: Side, connections: int, told: argparse.Namespace, number: int) -> list[Round]:
    rounds = _measure_round(side, connections, told.seconds, number)
    for one in rounds:
        print(one, file=sys.stderr)
    return rounds


def _measure_round(side: Side, connections: int, seconds: float, number: int = -1) -> list[Round]:
    rounds = []
    for task, asked in side.ways.items():
        outcome = uvloop.run(closed_loop(asked, connections, seconds))
        p50, p99 = (round(outcome.quantile(at), 2) for at in (0.5, 0.99))
        rate, other = round(outcome.rate(OWN), 1), round(1 - outcome.share(OWN), 4)
        rounds.append(Round(number, task, side.name, connections, rate, p50, p99, other))
    return rounds


if __name__ == "__main__":
    main()
