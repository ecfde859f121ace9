"""`lenta import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import environment
from pipeline.tables.columns import for_terminal
from pipeline.terminal import Steps, parse_time

Folder = Annotated[Path, typer.Argument(help="Holds user_data, post_text_df and feed_data, as CSV or Parquet.")]
Postgres = Annotated[
    str | None,
    typer.Option("--postgres-url", envvar="LENTA_POSTGRES_URL", help="The running platform's, if not given."),
]
MappingFile = Annotated[
    Path | None,
    typer.Option(
        "--mapping", help="YAML: the names and values of tables that are not called as Lenta's; docs/your-data.md."
    ),
]
Until = Annotated[str | None, typer.Option(help="Load no feed row from this time on (UTC).")]


def register(app: typer.Typer) -> None:
    app.command("import", epilog=for_terminal())(import_)


def import_(folder: Folder, postgres_url: Postgres = None, until: Until = None, mapping: MappingFile = None) -> None:
    """Load the three tables into Postgres, replacing what they hold. A broken file is refused by file, line and column.

    Example: lenta import ./dump --until 2021-12-15

    Each table is a file name.csv, name.csv.gz or name.parquet, or a folder name/ of Parquet parts. The columns, in any
    order, stand below; others are ignored. For tables of other names, columns and values give a --mapping
    (docs/your-data.md).
    """
    from pipeline.tables.mapping import TableMapping
    from pipeline.tables.to_postgres import import_tables

    given = TableMapping.read(mapping)
    url = postgres_url or environment.require("LENTA_POSTGRES_URL")
    moment = parse_time(until, "--until") if until is not None else None
    console = Console()
    with Steps(console).step(f"Importing {folder}") as on_progress:
        report = import_tables(folder, url, moment, on_progress, mapping=given)
    table = Table(box=None, show_header=False, pad_edge=False)
    span = f"{report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}" if report.first and report.last else "none"
    for name, value in (
        ("users", f"{report.users:,}, {report.duplicate_users:,} more rows of the same ids"),
        ("posts", f"{report.posts:,}, {report.duplicate_posts:,} more rows of the same ids"),
        ("feed rows", f"{report.feed_rows:,}, {span}"),
        ("exact duplicates left out", f"{report.duplicate_rows:,}"),
        ("left out by the mapping", f"{report.rows_left_out:,}"),
        ("withheld by --until", f"{report.withheld_rows:,}"),
        ("users in the feed without a profile", f"{report.users_without_profile:,}"),
        ("profiles without a feed row", f"{report.profiles_without_feed:,}"),
        ("rows of posts that are not in post_text_df", f"{report.rows_of_unknown_posts:,} (kept, not counted)"),
    ):
        table.add_row(name, value)
    console.print(table)
    console.print("Next: lenta train control && lenta train test", highlight=False)
