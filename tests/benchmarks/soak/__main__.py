"""Lenta at half its knee for half an hour: memory of every process and latency over time. `make soak`.

    python -m tests.benchmarks.soak [--minutes 30] [--rate 120] [--plot docs/images/soak.svg] [--quick]

Brings up a simulated world in --home, finds the knee unless --rate says how many recommendations a second, and asks for
as many in an open loop, with events beside them. Every 15 s it notes the latencies and each process' memory (PSS with
its children) in --home/soak.jsonl. Draws the plot, prints the table, and judges each line by the rule of
`tests.benchmarks.soak.flatness`; ends with 1 where one has grown. --again draws and judges what was noted last.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.home import Home
from rich.console import Console
from rich.table import Table

from pipeline import environment
from tests.benchmarks.load.__main__ import Side
from tests.benchmarks.load.sides import filled_platform
from tests.benchmarks.soak.course import Window, events, measured, read, target
from tests.benchmarks.soak.flatness import Flatness, of_latency, of_memory
from tests.benchmarks.soak.plot import draw

HERE = Path(__file__).parents[3]
USERS, POSTS = range(200, 500), range(1, 200)
KNEE_P99, KNEE_SECONDS = 50.0, 4.0
EVENTS_A_SECOND = 20.0


def main() -> None:
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop what was started
    noted = told.home / "soak.jsonl"
    if not told.again:
        _run(told, noted)
    windows = read(noted)
    draw(windows, told.rate or windows[0].rate, told.plot or told.home / "soak.svg")
    judged = _judged(windows)
    _show(windows, judged)
    sys.exit(not all(one.holds for one in judged.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="by default .lenta/load, that of tests.benchmarks.load")
    parser.add_argument("--world", default="demo")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, help="recommendations a second; by default half the knee")
    parser.add_argument("--window", type=float, default=15.0, help="seconds between two measurements")
    parser.add_argument("--plot", type=Path, help="an SVG; by default in --home")
    parser.add_argument("--quick", action="store_true", help="a minute in a tiny world at 20 a second, to try it out")
    parser.add_argument("--again", action="store_true", help="draw and judge what was noted last")
    told = parser.parse_args()
    if told.quick:
        told.world, told.minutes, told.rate, told.window = "tiny", 1.0, told.rate or 20.0, 5.0
    told.home = (told.home or HERE / ".lenta" / ("load-tiny" if told.quick else "load")).absolute()
    return told


def _run(told: argparse.Namespace, noted: Path) -> None:
    with ExitStack() as stack:
        _, chain = stack.enter_context(filled_platform(told.home, told.world))
        if told.rate is None:
            side = Side("Lenta", chain)
            side.find_knee(KNEE_P99, KNEE_SECONDS)
            told.rate = side.knee / 2
        settings = environment.read(Home(told.home))
        url, key = settings["LENTA_GATEWAY_URL"], settings["LENTA_API_KEY"]
        stack.enter_context(events(url, key, USERS, POSTS, EVENTS_A_SECOND))
        asked = target(chain.port, USERS)
        for window in measured(asked, Home(told.home), told.rate, told.minutes, told.window, noted):
            print(window, file=sys.stderr)


def _judged(windows: Sequence[Window]) -> Mapping[str, Flatness]:
    latencies = {"p50": [window.p50 for window in windows], "p99": [window.p99 for window in windows]}
    memories = {name: [window.megabytes[name] for window in windows] for name in windows[0].megabytes}
    return {name: of_memory(values) for name, values in memories.items()} | {
        f"latency, {name}": of_latency(values) for name, values in latencies.items()
    }


def _show(windows: Sequence[Window], judged: Mapping[str, Flatness]) -> None:
    table = Table("MB, ms", "second fifth", "last fifth", "growth", "may grow by", "flat")
    table.title = f"{windows[-1].minute:.0f} minutes; own answers {min(window.own for window in windows):.1%} and more"
    for name, one in judged.items():
        numbers = (f"{one.before:.1f}", f"{one.after:.1f}", f"{one.growth:+.1%}", f"{one.tolerance:.1f}")
        table.add_row(name, *numbers, "yes" if one.holds else "NO")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
