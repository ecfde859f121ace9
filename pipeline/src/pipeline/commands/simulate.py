"""`lenta simulate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.errors import LentaError
from pipeline.terminal import Steps

EARLIEST = 1971
World = Annotated[
    str,
    typer.Option(
        help="A size: tiny, demo, reference, full. Or a kind of feed: hard, communities, momentum, trends, cohorts, "
        "drift, news, fresh, creators, positions, reposts."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seeds up to 7 are for tuning, 8 and up for reporting.")]
Out = Annotated[Path, typer.Option(help="The folder to write.")]
End = Annotated[str | None, typer.Option(help="The day on which the world ends, at 00:00 UTC; today if not given.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the simulated world in the folder.")]


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(out: Out, world: World = "demo", seed: Seed = 8, end: End = None, force: Force = False) -> None:
    """Write a simulated platform: the three tables as Parquet, and its truth beside them.

    Example: lenta simulate --world demo --seed 8 --out ./world
    """
    from pipeline.world.simulation import make_room, require_space
    from pipeline.world.simulation import simulate as write_world
    from pipeline.world.spec import spec_of

    spec = spec_of(world)
    try:
        last = datetime.fromisoformat(end).date() if end else datetime.now(UTC).date()
    except ValueError as error:
        raise LentaError(f"--end={end} is not a day like 2026-01-31") from error
    if last.year < EARLIEST:
        raise LentaError(f"--end={end} is too early; name a day from {EARLIEST} on")
    require_space(spec, out)
    make_room(out, force)
    console = Console()
    with Steps(console).step(f"Simulating the {world} world, seed {seed}") as on_progress:
        summary = write_world(spec, seed, last, out, on_progress)
    console.print(
        f"{summary.users:,} users, {summary.posts:,} posts, {summary.rows:,} feed rows "
        f"({summary.likes / summary.views:.3f} likes per view) in {out}",
        highlight=False,
        markup=False,
    )
    console.print(f"Next: make up DATA={out}, or lenta import {out}", highlight=False, markup=False)
