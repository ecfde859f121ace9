"""`lenta simulate`."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.errors import LentaError
from pipeline.stack.steps import Steps

World = Annotated[str, typer.Option(help="tiny, demo, reference, hard or full.")]
Seed = Annotated[int, typer.Option(help="Seeds up to 7 are for tuning, 8 and up for reporting.")]
Out = Annotated[Path, typer.Option(help="The folder to write.")]
End = Annotated[str | None, typer.Option(help="The day on which the world ends, at 00:00 UTC; today if not given.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is in the folder.")]


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(out: Out, world: World = "demo", seed: Seed = 8, end: End = None, force: Force = False) -> None:
    """Write a simulated platform: the three tables as Parquet, and its truth beside them.

    Example: lenta simulate --world demo --seed 8 --out ./world
    """
    from pipeline.world.simulation import require_space
    from pipeline.world.simulation import simulate as write_world
    from pipeline.world.spec import spec_of

    spec = spec_of(world)
    try:
        last = datetime.fromisoformat(end).date() if end else datetime.now(UTC).date()
    except ValueError as error:
        raise LentaError(f"--end={end} is not a day like 2026-01-31") from error
    if out.exists() and any(out.iterdir()):
        if not force:
            raise LentaError(f"{out} is not empty; choose another folder, or --force to replace it")
        require_space(spec, out)
        shutil.rmtree(out)
    console = Console()
    with Steps(console).step(f"Simulating the {world} world, seed {seed}") as on_progress:
        summary = write_world(spec, seed, last, out, on_progress)
    console.print(
        f"{summary.users:,} users, {summary.posts:,} posts, {summary.rows:,} feed rows "
        f"({summary.likes / summary.views:.3f} likes a view) in {out}",
        highlight=False,
    )
    console.print(f"Next: make up DATA={out}, or lenta import {out}", highlight=False)
