"""`lenta train`, `publish`, `retrain`, `score`. Heavy modules are imported when a command runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.terminal import Steps, parse_time

if TYPE_CHECKING:
    from ranking.artefact import Pointer


Postgres = Annotated[
    str | None,
    typer.Option("--postgres-url", envvar="LENTA_POSTGRES_URL", help="The running platform's, if not given."),
]
Store = Annotated[
    str | None,
    typer.Option("--model-uri", envvar="LENTA_MODEL_URI", help="Where models are kept; the running platform's store."),
]
TextEncoder = Annotated[
    Path | None,
    typer.Option(
        envvar="LENTA_TEXT_ENCODER", exists=True, file_okay=False, help="Folder of MiniLM's weights, for ranker-test."
    ),
]
ModelName = Annotated[str, typer.Argument(help="control or test", metavar="MODEL")]


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("publish")(publish)
    app.command("retrain")(retrain)
    app.command("score")(score)


def train(
    context: typer.Context,
    model: ModelName,
    until: Annotated[str | None, typer.Option(help="Read no feed row from this time on (UTC).")] = None,
    postgres_url: Postgres = None,
    model_uri: Store = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample and of everything drawn.")] = 0,
    text_encoder: TextEncoder = None,
) -> None:
    """Train a model on what Postgres holds, and put it into the store. It serves nobody before `lenta publish`.

    Example: lenta train test --until 2026-11-01
    """
    from pipeline.training.models import check_name
    from pipeline.training.train import train as train_model

    check_name(model)
    _check_option(context, [model])
    moment = parse_time(until, "--until") if until is not None else None
    postgres, uri = (
        postgres_url or environment.require("LENTA_POSTGRES_URL"),
        model_uri or environment.require("LENTA_MODEL_URI"),
    )
    steps = Steps(Console())
    with steps.step(f"Training {model}") as on_progress:
        manifest = train_model(model, postgres, uri, moment, on_progress, seed, text_encoder=text_encoder)
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in manifest.metrics.items())
    steps.say(f"{model}@{manifest.version}: {manifest.train_rows:,} views until {manifest.train_until:%Y-%m-%d %H:%M}")
    steps.say(figures)
    steps.say(f"Next: [bold]lenta publish {model}[/bold]")


def publish(
    model: ModelName,
    version: Annotated[str | None, typer.Argument(help="The latest, if not given.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the previous version back into service.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Publish without comparing.")] = False,
    postgres_url: Postgres = None,
    model_uri: Store = None,
) -> None:
    """Put a trained model into service, unless it is worse than the one there: its ranker takes it over within seconds.

    Both are judged on the days that the one in service has not seen, at most the last fifteen. A model is worse when
    the whole 95 % interval of the difference, paired by user, lies below zero.

    Example: lenta publish test
    """
    from ranking.artefact import ModelStore

    from pipeline.publishing.comparison import WorseModelError
    from pipeline.publishing.publication import publish_unless_worse
    from pipeline.training.store import publish as put_into_service
    from pipeline.training.store import roll_back

    if rollback and (version or force):
        raise LentaError(
            "--rollback returns to the previous version and compares nothing: leave out --force; "
            "to go to another version, name it without --rollback"
        )
    store, steps = ModelStore(model_uri or environment.require("LENTA_MODEL_URI")), Steps(Console())
    if rollback:
        pointer = roll_back(store, model)
    elif force or store.current(model) is None:
        pointer = put_into_service(store, model, version)
    else:
        postgres = postgres_url or environment.require("LENTA_POSTGRES_URL")
        try:
            pointer = publish_unless_worse(store, model, version, postgres, steps)
        except WorseModelError as error:
            raise LentaError(f"{error}. `lenta publish {model} --force` replaces it all the same") from error
    _tell_published(model, pointer, steps)


def retrain(
    context: typer.Context,
    models: Annotated[
        list[str] | None, typer.Argument(help="control, test, or both if not given", metavar="MODEL")
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Start over even if a killed run could be resumed.")] = False,
    postgres_url: Postgres = None,
    model_uri: Store = None,
    text_encoder: TextEncoder = None,
) -> None:
    """Train on everything in Postgres, compare, and publish unless the new model is worse.

    A run that was killed resumes when called again. Until the end the old model serves.

    Example: lenta retrain control
    """
    from contracts.assignment import GROUPS
    from ranking.artefact import ModelStore

    from pipeline.home import Home
    from pipeline.publishing.retraining import retrain as train_and_publish
    from pipeline.training.models import check_name, check_text_encoder

    wanted = models or list(GROUPS)
    for model in wanted:
        check_name(model)
        check_text_encoder(model, text_encoder)
    _check_option(context, wanted)
    postgres, steps = postgres_url or environment.require("LENTA_POSTGRES_URL"), Steps(Console())
    store = ModelStore(model_uri or environment.require("LENTA_MODEL_URI"))
    for model in wanted:
        folder = Home.find().root / "retraining"
        pointer = train_and_publish(model, postgres, store, folder, steps, datetime.now(UTC), anew, text_encoder)
        _tell_published(model, pointer, steps)


def _check_option(context: typer.Context, models: list[str]) -> None:
    """Raises LentaError for a --text-encoder of which no model makes use; the variable may be set for all commands."""
    source = context.get_parameter_source("text_encoder")
    if source and source.name == "COMMANDLINE" and "test" not in models:
        raise LentaError(
            f"--text-encoder is for the model test, and {' and '.join(models)} makes no use of it; leave it out"
        )


def _tell_published(model: str, pointer: Pointer, steps: Steps) -> None:
    before = f", replacing {pointer.previous[0]}" if pointer.previous else ""
    steps.say(f"[green]✓[/green] {model}@{pointer.version} is in service{before}")
    steps.say("Next: [bold]lenta status[/bold] shows when its ranker has taken it over")


def score(
    model: ModelName,
    pairs: Annotated[Path, typer.Option(help="Parquet or CSV with user_id and post_id.")],
    as_of: Annotated[str, typer.Option("--as-of", help="Read no feed row from this time on (UTC).")],
    out: Annotated[Path, typer.Option(help="Parquet: user_id, post_id, score, in the order of the pairs.")],
    version: Annotated[str | None, typer.Option(help="The published one, if not given.")] = None,
    postgres_url: Postgres = None,
    model_uri: Store = None,
) -> None:
    """Score pairs of users and posts as of a moment (log-odds of a like); unknown users and posts get a score too.

    Example: lenta score control --pairs pairs.parquet --as-of 2026-11-09 --out scores.parquet
    """
    from tempfile import TemporaryDirectory

    from ranking.artefact import ModelStore

    from pipeline.dataset import export, opened
    from pipeline.dataset.output import check_out
    from pipeline.training.models import check_name
    from pipeline.training.pairs import check_pairs, score_pairs
    from pipeline.training.store import scorer_of

    check_name(model)
    when = parse_time(as_of, "--as-of")
    check_pairs(pairs)
    check_out(out)
    postgres, store = (
        postgres_url or environment.require("LENTA_POSTGRES_URL"),
        model_uri or environment.require("LENTA_MODEL_URI"),
    )
    steps = Steps(Console())
    with scorer_of(ModelStore(store), model, version) as scorer, TemporaryDirectory(prefix="lenta-score-") as folder:
        if scorer.manifest.train_until > when:
            steps.say(
                f"[yellow]![/yellow] {model}@{scorer.manifest.version} learned from the feed until "
                f"{scorer.manifest.train_until:%Y-%m-%d %H:%M}, past --as-of"
            )
        with steps.step("Reading the feed") as on_progress:
            tables = export(postgres, Path(folder), when, on_progress)
        with opened(tables, when) as feed, steps.step(f"Scoring with {model}") as on_progress:
            done = score_pairs(feed, scorer, pairs, when, out, on_progress)
    steps.say(f"{done:,} scores by {model}@{scorer.manifest.version} in {escape(str(out))}")
    steps.say("Next: the higher the score, the likelier a like; rank a user's posts by it")
