"""Each part of the platform broken in each way under steady load, against the client's own log: `make chaos`.

    python -m tests.chaos.accidents [--quick] [--parts redis postgres] [--accidents killed] [--afresh]

Brings up a simulated world in --home, and starts its parts itself: what ends is started again, as containers with a
restart policy are, the gateway as a gunicorn with a worker, each part on a small disk of its own (a tmpfs; where we may
not mount one, the table says so). Users ask and tell at a steady rate; each part is killed (SIGKILL), stopped for some
seconds (SIGSTOP), restarted, its disk filled, and made slow (a proxy hands on each piece of its answers late). What was
measured is kept in --home: a run that was ended goes on where it was. Prints the table, and with --markdown as
docs/benchmarks.md holds it. Ends with 1 where an answer failed that was not open on a killed worker, an event was lost
or doubled, or the platform was not back within 5 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pipeline.home import Home
from pipeline.stack.servers import free_port
from rich.console import Console

from tests.chaos.accidents.breaking import ACCIDENTS, NOTHING, NOTHING_BY_PROXIES, SLOW, Accident, Measured, Trial
from tests.chaos.accidents.ledger import Ledger
from tests.chaos.accidents.proxy import Proxy
from tests.chaos.accidents.results import Results, faults, markdown, table
from tests.chaos.accidents.supervised import NAMES, free_ports, supervised
from tests.chaos.accidents.traffic import Traffic

HERE = Path(__file__).parents[3]
LENTA = Path(sys.executable).with_name("lenta")
USERS = range(200, 480)
QUICK = ("redis", "ranker-test", "gateway")
CALLS: Mapping[str, Sequence[str]] = {
    "client": ("gateway",),
    "gateway": ("feature-service", "ranker-control", "ranker-test"),
    "feature-service": ("redis", "postgres"),
    "ingest": ("redis", "postgres"),
    "ranker-control": ("feature-service",),
    "ranker-test": ("feature-service",),
    "console": ("gateway",),
}
CALLED_BY_NOBODY = ("ingest", "console")
"""These are slow when what they call is."""
T = TypeVar("T")


def main() -> None:
    told = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and stop what was started
    home = Home(told.home.absolute())
    _fill(home, told.world)
    results = Results(home.root / "accidents.jsonl")
    if told.afresh:
        results.forget()
    wanted = [accident for accident in ACCIDENTS if accident.name in told.accidents]
    wirings = {
        False: [(NAMES[0], NOTHING)]
        + [(part, accident) for part in told.parts for accident in wanted if accident is not SLOW],
        True: [(NAMES[0], NOTHING_BY_PROXIES)] * (SLOW in wanted)
        + [(part, SLOW) for part in told.parts if SLOW in wanted],
    }
    for by_proxies, cells in wirings.items():
        missing = [(part, accident) for part, accident in cells if not results.has(part, accident.name)]
        if missing:
            asyncio.run(_break_each(home, missing, results, told, by_proxies))
    _show(results.measured, told.markdown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HERE / ".lenta" / "chaos")
    parser.add_argument("--world", default="tiny")
    parser.add_argument("--parts", nargs="+", choices=NAMES, default=None)
    names = [accident.name for accident in ACCIDENTS]
    parser.add_argument("--accidents", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--rate", type=float, default=20.0, help="recommendations a second; about six events follow each"
    )
    parser.add_argument("--seconds", type=float, default=None, help="of an accident that lasts")
    parser.add_argument("--quick", action="store_true", help="three parts, two seconds: to try it out")
    parser.add_argument("--afresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--markdown", action="store_true")
    told = parser.parse_args()
    told.parts = told.parts or (QUICK if told.quick else NAMES)
    told.seconds = told.seconds or (2.0 if told.quick else 5.0)
    return told


def _fill(home: Home, world: str) -> None:
    environ = {**os.environ, "LENTA_HOME": str(home.root)}
    for name, port in free_ports().items():
        environ[f"{name.upper().replace('-', '_')}_PORT"] = str(port)
    subprocess.run([LENTA, "up", "--world", world], env=environ, check=True, stdout=sys.stderr)
    subprocess.run([LENTA, "down"], env=environ, check=True, stdout=sys.stderr)


async def _break_each(
    home: Home, cells: Sequence[tuple[str, Accident]], results: Results, told: argparse.Namespace, by_proxies: bool
) -> None:
    async with AsyncExitStack() as stack:
        ports = free_ports()
        doors = {
            caller: {
                called: await stack.enter_async_context(Proxy(free_port(), ports[called]).serving()) for called in calls
            }
            for caller, calls in (CALLS if by_proxies else {}).items()
        }
        wiring = {caller: {name: door.listen for name, door in own.items()} for caller, own in doors.items()}
        platform = await stack.enter_async_context(_in_thread(supervised(home, wiring, ports)))
        logs = home.root / "clients"
        logs.mkdir(exist_ok=True)
        ledger = Ledger(platform.postgres_url, platform.features, platform.internal_key)
        trial = Trial(platform, ledger, _by_part(doors), USERS, told.rate, told.seconds, logs)
        for part, accident in cells:
            traffic = Traffic(platform.gateway, platform.api_key, USERS, random.Random(f"{part} {accident.name}"))
            results.add(measured := await trial.measure(traffic, part, accident))
            print(measured, file=sys.stderr)


def _by_part(doors: Mapping[str, Mapping[str, Proxy]]) -> Mapping[str, Sequence[Proxy]]:
    """The proxies by which a part is reached, or by which it reaches others where nobody calls it."""
    reached = {name: [own[name] for own in doors.values() if name in own] for name in NAMES}
    return reached | {name: list(doors.get(name, {}).values()) for name in CALLED_BY_NOBODY}


@asynccontextmanager
async def _in_thread(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Entered and left beside the event loop, which serves meanwhile."""
    value = await asyncio.to_thread(manager.__enter__)
    try:
        yield value
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def _show(measured: Sequence[Measured], as_markdown: bool) -> None:
    Console(width=200).print(table(measured))
    if as_markdown:
        print(markdown(measured))
    for fault in (wrongs := faults(measured)):
        print(fault)
    sys.exit(bool(wrongs))


if __name__ == "__main__":
    main()
