"""`lenta features`. Heavy modules are imported when the command runs."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline import environment
from pipeline.commands.import_tables import MappingFile
from pipeline.errors import LentaError
from pipeline.terminal import Steps, parse_time


class EngineName(StrEnum):
    duckdb = "duckdb"
    spark = "spark"


def register(app: typer.Typer) -> None:
    app.command("features")(features)


def features(
    out: Annotated[Path, typer.Option(help="Parquet: user_id, post_id, timestamp, clicked, and the features.")],
    engine: Annotated[
        EngineName, typer.Option(help="What does the counting; the numbers are the same.")
    ] = EngineName.duckdb,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the three tables; the running platform's Postgres, if not given.")
    ] = None,
    mapping: MappingFile = None,
    until: Annotated[str | None, typer.Option(help="Read no feed row from this time on (UTC).")] = None,
    rows: Annotated[int, typer.Option(min=1, help="About how many views, drawn as training draws them.")] = 600_000,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    postgres_url: Annotated[
        str | None,
        typer.Option("--postgres-url", envvar="LENTA_POSTGRES_URL", help="The running platform's, if not given."),
    ] = None,
) -> None:
    """Write the features of training requests: of each view, what was known before it, and whether it was liked.

    Example: lenta features --engine duckdb --until 2026-11-09 --out features.parquet
    """
    from pipeline.dataset import History, Tables, export, opened
    from pipeline.dataset.features import write_features
    from pipeline.dataset.output import check_out
    from pipeline.dataset.samples import training_requests
    from pipeline.tables.mapping import TableMapping

    moment = parse_time(until, "--until") if until is not None else None
    check_out(out)
    if mapping and not data:
        raise LentaError("--mapping says how to read --data: give both, or neither")
    steps = Steps(Console())
    with ExitStack() as stack:
        with steps.step("Reading the feed") as on_progress:
            if data:
                tables = Tables.of_folder(data, TableMapping.read(mapping))
            else:
                postgres = postgres_url or environment.require("LENTA_POSTGRES_URL")
                folder = stack.enter_context(TemporaryDirectory(prefix="lenta-features-"))
                tables = export(postgres, Path(folder), moment, on_progress)
            feed = stack.enter_context(opened(tables, moment))
        requests, clicked = training_requests(feed, seed, rows)
        with steps.step(f"Counting {feed.rows:,} rows for {len(clicked):,} views with {engine}") as on_progress:
            counts = None
            if engine is EngineName.spark:
                from pipeline.dataset.spark import local_spark

                counts = stack.enter_context(local_spark(feed.database))
            write_features(History(feed, engine=counts), requests, clicked, out, on_progress)
    steps.say(f"{len(clicked):,} views, {clicked.mean():.3f} of them liked, in {escape(str(out))}")
    steps.say(f"Next: read it, for example with pandas.read_parquet({str(out)!r})")
