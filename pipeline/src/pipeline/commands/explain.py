"""`lenta explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.terminal import Steps

if TYPE_CHECKING:
    from pipeline.explanations.explanation import ExposureExplanation


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    request_id: Annotated[str, typer.Argument(help="`X-Request-ID` of an answer.", metavar="REQUEST_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What was served and why: assignment, model, features and scores, computed again. Fails if they differ.

    Example: lenta explain 5f0c2c1e9b8d4a7e8f6a1b2c3d4e5f60
    """
    from pipeline.experiment.api import experiments
    from pipeline.explanations.explanation import explained
    from pipeline.explanations.printout import as_json as to_json
    from pipeline.explanations.printout import print_explanation

    home = Home.find()
    console = Console(stderr=as_json)
    steps = Steps(console)
    with experiments(home) as calls:
        exposure = calls.exposure(request_id)
        experiment = calls.page(exposure.experiment).experiment
    postgres, store = environment.require("LENTA_POSTGRES_URL", home), environment.require("LENTA_MODEL_URI", home)
    with steps.step("Reading the feed up to that moment, and ranking again") as on_progress:
        explanation = explained(exposure, experiment, postgres, store, on_progress)
    if as_json:
        typer.echo(to_json(explanation))
    else:
        print_explanation(explanation, console)
    _judge(explanation, steps)


def _judge(explanation: ExposureExplanation, steps: Steps) -> None:
    """Raises LentaError where what comes out now is not what was served."""
    if not explanation.assignment.is_equal:
        raise LentaError(f"assigned otherwise now: {explanation.assignment.words}")
    if explanation.ranking is not None and not explanation.ranking.is_equal:
        raise LentaError(explanation.ranking.words)
    steps.say("Next: [bold]lenta experiment report " + explanation.exposure.experiment + "[/bold]")
