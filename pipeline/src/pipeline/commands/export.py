"""`lenta export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline import environment
from pipeline.terminal import Steps

Folder = Annotated[Path, typer.Argument(help="Is made; may not hold anything.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV instead of Parquet: to read elsewhere.")]
Postgres = Annotated[
    str | None,
    typer.Option("--postgres-url", envvar="LENTA_POSTGRES_URL", help="The running platform's, if not given."),
]


def register(app: typer.Typer) -> None:
    app.command("export")(export)


def export(folder: Folder, as_csv: Csv = False, postgres_url: Postgres = None) -> None:
    """Write everything that Postgres holds into a folder, a file a table, as of one moment, while the platform serves.

    Example: lenta export ./everything

    The three tables, exposures, experiments with their history, plans and reports, assignments, keys of events.
    """
    from pipeline.tables.export import export_everything

    url = postgres_url or environment.require("LENTA_POSTGRES_URL")
    console = Console()
    with Steps(console).step(f"Exporting to {folder}") as on_progress:
        manifest = export_everything(url, folder, as_csv=as_csv, on_progress=on_progress)
    for name, rows in manifest.tables.items():
        console.print(f"  {name}: {rows:,} rows", highlight=False, markup=False)
    back = "reads the three tables back" if as_csv else "--everything reads all back, into an empty platform"
    console.print(f"Next: lenta import {folder} {back}", highlight=False, markup=False, soft_wrap=True)
