"""`lenta simulate-traffic`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.terminal import Steps

if TYPE_CHECKING:
    from pipeline.traffic.run import Played
    from pipeline.traffic.tally import Tally

Users = Annotated[int, typer.Option(min=1, help="How many of the world's users come; all if it has no more.")]
Days = Annotated[float, typer.Option(min=0.01, help="Of the platform's time.")]
Speed = Annotated[float, typer.Option(min=1, max=100_000, help="How many times faster than real time they pass.")]
Requests = Annotated[float, typer.Option("--requests-per-user", min=1, help="On average, over all the days.")]
AtOnce = Annotated[int, typer.Option(min=1, max=64, help="How many requests are in flight at most.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn.")]


def register(app: typer.Typer) -> None:
    app.command("simulate-traffic")(simulate_traffic)


def simulate_traffic(
    users: Users = 1_000,
    days: Days = 14,
    speed: Speed = 2_000,
    requests_per_user: Requests = 20,
    at_once: AtOnce = 8,
    seed: Seed = 8,
) -> None:
    """Let the simulated world's users loose on the running platform: they ask, view and like by the truth.

    It moves the platform's clock: `--days` pass `--speed` times as fast, and slower where this machine cannot keep up.
    Afterwards the clock runs on as usual from where it is.

    Example: lenta simulate-traffic --users 1000 --days 14 --speed 2000
    """
    from pipeline.traffic.run import Traffic, play

    home, steps = Home.find(), Steps(Console())
    folder = Path(environment.require("LENTA_DATA", home))
    minutes = timedelta(days=days) / speed / timedelta(minutes=1)
    steps.say(f"{days:g} days at {speed:,.0f} times the speed: about {minutes:.1f} minutes. Stop it with Ctrl-C.")
    with steps.step(f"{users:,} users") as on_progress:
        traffic = Traffic(users, days, speed, requests_per_user, at_once, seed)
        played = play(home, folder, traffic, on_progress)
    _tell(played, speed, steps)


def _tell(played: Played, speed: float, steps: Steps) -> None:
    tally = played.tally
    steps.say(f"The platform's clock went from {played.begin:%Y-%m-%d %H:%M} to {played.end:%Y-%m-%d %H:%M} UTC.")
    if tally.slowest < speed:
        steps.say(
            "[yellow]This machine could not always keep up: the clock was slowed, "
            f"to {tally.slowest:,.0f} times real time at worst. Nothing was skipped.[/yellow]"
        )
    steps.console.print(_table(tally))
    if difference := tally.true_difference:
        mean, low, high = difference
        steps.say(
            f"True difference, test's ranker less control's, both asked at {len(tally.pairs):,} of these moments: "
            f"[bold]{mean:+.4f}[/bold] ({low:+.4f} to {high:+.4f})"
        )
    steps.say(f"{tally.events:,} events sent; {tally.shown_again:,} posts shown to users who had liked them before")
    if tally.turned_away:
        steps.say(f"[yellow]{tally.turned_away:,} calls were turned away (503)[/yellow]")
    for name, change in played.changes:
        steps.say(f"[yellow]Meanwhile {name} was changed: {escape(change.what)} ({escape(change.reason)})[/yellow]")
    if not played.experiments:
        raise LentaError("no experiment is running, so none of this was an exposure; see `lenta experiment list`")
    if played.stopped:
        raise LentaError("stopped by hand; what was played is in the log, and the clock runs on as usual")
    steps.say(f"Next: [bold]lenta experiment report {played.experiments[0].name}[/bold]")


def _table(tally: Tally) -> Table:
    columns = ("group", "users", "requests", "degraded", "unlogged", "likes", "hit rate", "true hit rate")
    table = Table(*columns, box=None, pad_edge=False, collapse_padding=True)
    for name, line in sorted(tally.lines.items()):
        counts = (len(line.users), line.requests, line.degraded, line.unlogged, line.likes)
        rates = (line.hits / line.requests, line.expected / line.requests)
        table.add_row(name, *(f"{count:,}" for count in counts), *(f"{rate:.4f}" for rate in rates))
    return table
