"""The `lenta` command: one line a command; the commands live with what they do and import heavy libraries late."""

from __future__ import annotations

import signal
import sys

import typer
from rich.console import Console
from rich.markup import escape

from pipeline import events, features, warm
from pipeline.check import commands as check
from pipeline.errors import LentaError
from pipeline.evaluation import commands as evaluation
from pipeline.experiment import commands as experiment
from pipeline.explaining import commands as explaining
from pipeline.importing import commands as importing
from pipeline.stack import commands as stack
from pipeline.traffic import commands as traffic
from pipeline.training import commands as training
from pipeline.world import commands as world

INTERRUPTED = "Query interrupted"
"""What DuckDB makes of Ctrl-C."""

app = typer.Typer(
    name="lenta",
    help="Recommend posts, and find out by experiment which model does it better.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for part in (
    stack,
    world,
    importing,
    features,
    training,
    evaluation,
    warm,
    check,
    experiment,
    traffic,
    explaining,
    events,
):
    part.register(app)


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
