"""`lenta sync`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.appending import Redis, Shards, appending_to, print_report
from pipeline.terminal import Steps

Url = Annotated[str, typer.Argument(help="Your own Postgres, best a reading replica.", envvar="LENTA_SYNC_URL")]
QueriesFile = Annotated[Path, typer.Option("--queries", help="TOML: a query and its watermark for each table.")]
Late = Annotated[int, typer.Option(min=0, help="Seconds that a row may come later than rows with a higher watermark.")]
Postgres = Annotated[
    str | None,
    typer.Option("--postgres-url", envvar="LENTA_POSTGRES_URL", help="The running platform's, if not given."),
]


def register(app: typer.Typer) -> None:
    app.command("sync")(sync)


def sync(
    url: Url,
    queries: QueriesFile,
    late: Late = 600,
    postgres_url: Postgres = None,
    redis_url: Redis = None,
    shards: Shards = 4,
) -> None:
    """Bring over what came or changed in your own Postgres since the last time, while the platform serves.

    Example: lenta sync postgresql://reader@replica/shop --queries sync.toml

    If it dies, run it again: nothing is lost and nothing counts twice. docs/your-data.md says what the file holds and
    what a watermark must be.
    """
    from pipeline.tables.sync import Queries, Sync

    wanted = Queries.read(queries)
    console = Console()
    with (
        Steps(console).step("Syncing") as on_progress,
        appending_to(postgres_url, redis_url, shards) as (appending, engine),
    ):
        Sync(url, engine, appending, timedelta(seconds=late), on_progress).run(wanted)
    print_report(console, appending.report)
