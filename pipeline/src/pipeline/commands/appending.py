"""What `lenta import --append` and `lenta sync` share: the way into the log, and what they say at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import environment
from pipeline.errors import LentaError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pipeline.tables.append import Appending, AppendReport

Redis = Annotated[
    str | None,
    typer.Option("--redis-url", envvar="LENTA_REDIS_URL", help="The running platform's, if not given."),
]
Shards = Annotated[int, typer.Option(help="As feature-service has it (FEATURES_SHARDS).")]


@contextmanager
def appending_to(postgres_url: str | None, redis_url: str | None, shards: int) -> Iterator[tuple[Appending, Engine]]:
    """With the platform's Postgres. Raises LentaError for whatever keeps rows from being appended."""
    import redis
    from feature_service.database.engine import connect
    from feature_service.keyspace.connection import connect_redis
    from feature_service.log.bulk import BulkAppender, BulkError
    from sqlalchemy.exc import DBAPIError

    from pipeline.tables.append import Appending

    engine = connect(postgres_url or environment.require("LENTA_POSTGRES_URL"), connect_seconds=10)
    try:
        with connect_redis(redis_url or environment.require("LENTA_REDIS_URL")) as client:
            yield Appending(engine, BulkAppender(client, shards)), engine
    except BulkError as error:
        raise LentaError(str(error)) from error
    except redis.RedisError as error:
        raise LentaError(f"Redis does not take it: {error}; see `lenta status`, then run this again") from error
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise LentaError(f"Postgres does not answer: {said}; see `lenta status`, then run this again") from error
    finally:
        engine.dispose()


def print_report(console: Console, report: AppendReport) -> None:
    table = Table("", "read", "there already", "left out", "appended", box=None, pad_edge=False)
    for name, tally in (("users", report.users), ("posts", report.posts), ("feed rows", report.feed)):
        numbers = (tally.read, tally.known, tally.absent, tally.appended)
        table.add_row(name, *(f"{number:,}" for number in numbers))
    console.print(table)
    if report.feed.absent:
        _say(
            console,
            f"{report.feed.absent:,} feed rows are of posts that are not there: append these, then the rows again.",
        )
    if report.posts.absent:
        _say(console, f"{report.posts.absent:,} posts were taken down and stay so: PUT /post/{{id}} brings one back.")
    _say(console, "Next: lenta retrain, once there is enough that is new")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
