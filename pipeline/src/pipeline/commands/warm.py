"""`lenta warm`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.terminal import Steps

Postgres = Annotated[str | None, typer.Option(envvar="LENTA_POSTGRES_URL", help="The running platform's if not given.")]
Redis = Annotated[str | None, typer.Option(envvar="LENTA_REDIS_URL", help="The running platform's if not given.")]
Shards = Annotated[int, typer.Option(help="As feature-service has it (FEATURES_SHARDS).")]


def register(app: typer.Typer) -> None:
    app.command("warm")(warm)


def warm(postgres: Postgres = None, redis: Redis = None, shards: Shards = 4) -> None:
    """Rebuild the features in Redis from Postgres while serving goes on, then put them into service.

    Example: lenta warm
    """
    from feature_service.warm.build import WarmError
    from feature_service.warm.build import warm as build

    postgres_url = postgres or environment.require("LENTA_POSTGRES_URL")
    redis_url = redis or environment.require("LENTA_REDIS_URL")
    console = Console()
    with Steps(console).step("Warming Redis") as on_progress:
        try:
            report = build(
                redis_url, postgres_url, shards=shards, progress=lambda what, done, total: on_progress(done, total)
            )
        except WarmError as error:
            raise LentaError(str(error)) from error
    console.print(f"Generation {report.generation}: {report.users:,} users, {report.posts:,} posts.", highlight=False)
    console.print("Next: lenta status", highlight=False)
