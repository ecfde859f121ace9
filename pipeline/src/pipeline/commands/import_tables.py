"""`lenta import`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import environment
from pipeline.commands.appending import Redis, Shards, appending_to, print_report
from pipeline.errors import LentaError
from pipeline.tables.columns import for_terminal
from pipeline.terminal import Steps, parse_time

if TYPE_CHECKING:
    from pipeline.tables.mapping import TableMapping

Folder = Annotated[
    Path,
    typer.Argument(
        allow_dash=True,
        help="Holds user_data, post_text_df and feed_data, as CSV or Parquet; -: JSON lines on standard input.",
    ),
]
Append = Annotated[bool, typer.Option("--append", help="Add to what is there, while the platform serves.")]
Everything = Annotated[
    bool,
    typer.Option("--everything", help="Exposures and experiments too, from `lenta export`, into an empty platform."),
]
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


STDIN = Path("-")


def register(app: typer.Typer) -> None:
    app.command("import", epilog=for_terminal())(import_)


def import_(
    folder: Folder,
    postgres_url: Postgres = None,
    until: Until = None,
    mapping: MappingFile = None,
    append: Append = False,
    everything: Everything = False,
    redis_url: Redis = None,
    shards: Shards = 4,
) -> None:
    """Load the three tables into Postgres, replacing what they hold. A broken file is refused by file, line and column.

    Example: lenta import ./dump --until 2021-12-15

    With --append rows are added to what is there, any of the three tables, each row once however often it comes: by its
    key where the feed has a column key, else by user, post, time and action. If it dies, run it again.

    Example: lenta import - --append < events.jsonl

    Each table is a file name.csv, name.csv.gz or name.parquet, or a folder name/ of Parquet parts. The columns, in any
    order, stand below; others are ignored. For tables of other names, columns and values give a --mapping
    (docs/your-data.md).
    """
    from pipeline.tables.mapping import TableMapping
    from pipeline.tables.to_postgres import import_tables

    given = TableMapping.read(mapping)
    if append:
        if until is not None or everything:
            raise LentaError("neither --until nor --everything goes with --append")
        _append(folder, given, postgres_url, redis_url, shards)
        return
    if everything and (until is not None or mapping is not None):
        raise LentaError("--everything brings back what was exported: neither --until nor --mapping goes with it")
    if folder == STDIN:
        raise LentaError("standard input is read with --append alone")
    url = postgres_url or environment.require("LENTA_POSTGRES_URL")
    moment = parse_time(until, "--until") if until is not None else None
    console = Console()
    with Steps(console).step(f"Importing {folder}") as on_progress:
        report = import_tables(folder, url, moment, on_progress, mapping=given, everything=everything)
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


def _append(folder: Path, mapping: TableMapping, postgres_url: str | None, redis_url: str | None, shards: int) -> None:
    from pipeline.tables.append_files import append_folder, append_lines

    console = Console()
    with (
        Steps(console).step("Appending standard input" if folder == STDIN else f"Appending {folder}") as on_progress,
        appending_to(postgres_url, redis_url, shards) as (appending, _),
    ):
        if folder == STDIN:
            append_lines(sys.stdin, appending, on_progress)
        else:
            append_folder(folder, appending, mapping, on_progress)
    print_report(console, appending.report)
