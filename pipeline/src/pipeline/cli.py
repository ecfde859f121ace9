"""The `lenta` command: one line per command; the commands live in `pipeline.commands`."""

from __future__ import annotations

import platform
import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline.commands import (
    check,
    evaluate,
    events,
    experiment,
    explain,
    export,
    features,
    import_tables,
    rules,
    simulate,
    stack,
    sync,
    traffic,
    train,
    warm,
)
from pipeline.errors import LentaError

INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C."""

app = typer.Typer(
    name="lenta",
    help="Recommend posts, and find out by experiment which model does it better.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"lenta {version('lenta-pipeline')} (Python {platform.python_version()})")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which it is.")]


@app.callback()
def lenta(version: Version = False) -> None:
    pass


for command in (
    stack,
    simulate,
    import_tables,
    sync,
    export,
    features,
    train,
    evaluate,
    warm,
    check,
    experiment,
    rules,
    traffic,
    explain,
    events,
):
    command.register(app)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what lies in temporary folders goes too
    try:
        app()
    except LentaError as error:
        Console(stderr=True).print(f"[red]lenta:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except RuntimeError as error:
        if str(error) != INTERRUPTED:
            raise
        sys.exit(128 + signal.SIGINT)
