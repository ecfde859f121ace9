"""`lenta evaluate`. Heavy modules are imported when it runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline import environment
from pipeline.commands.import_tables import MappingFile
from pipeline.commands.train import Store
from pipeline.errors import LentaError
from pipeline.terminal import Steps, parse_time

if TYPE_CHECKING:
    from ranking.artefact import ModelStore

    from pipeline.evaluation.judgement import Judgement
    from pipeline.tables.mapping import TableMapping


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    seeds: Annotated[
        str | None,
        typer.Option(help="Train and judge afresh on simulated worlds, such as 8,9 or 8-12. No servers needed."),
    ] = None,
    world: Annotated[str | None, typer.Option(help="The size of those worlds; demo if not given.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the three tables; what is loaded (LENTA_DATA), if not given.")
    ] = None,
    mapping: MappingFile = None,
    until: Annotated[str | None, typer.Option(envvar="LENTA_UNTIL", help="Where the test window begins.")] = None,
    model_uri: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON alone.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots into this file.")] = None,
    off_policy: Annotated[
        bool, typer.Option("--off-policy", help="Instead: what they would have got on those days, had they served.")
    ] = False,
) -> None:
    """Judge the published models on the days that were withheld, beside simple baselines and, if simulated, the oracle.

    Fails when a model ranks the rows that it was trained on far better than those days: then something has leaked.

    Example: lenta evaluate --seeds 8-12 --html report.html
    """
    from pipeline.evaluation.backtest import judge_fresh, judge_published
    from pipeline.evaluation.judgement import pooled

    if html and html.is_dir():
        raise LentaError(f"--html {html} is a folder: name a file in it")
    if html and not html.absolute().parent.is_dir():
        raise LentaError(f"--html {html}: there is no folder {html.parent}")
    if world and not seeds:
        raise LentaError("--world tells which worlds --seeds draws: give both, or neither")
    console = Console(stderr=as_json)
    steps = Steps(console)
    if off_policy:
        if seeds or html:
            raise LentaError(
                "--off-policy judges the published models on the withheld days: leave out --seeds and --html"
            )
        _tell_off_policy(*_withheld(data, mapping, until, model_uri), steps, as_json)
        return
    if seeds:
        wanted = _seeds(seeds)
        world, today = world or "demo", datetime.now(UTC).date()
        judgements: list[Judgement] = []
        for seed in wanted:
            with steps.step(f"Judging on world {world}, seed {seed}") as on_progress:
                judgements.append(judge_fresh(world, seed, today, on_progress))
        title, total = f"world {world}, seeds {seeds}", pooled(judgements)
    else:
        folder, given, moment, store = _withheld(data, mapping, until, model_uri)
        with steps.step("Judging the published models"):
            total = judge_published(folder, moment, store, mapping=given)
        title = f"{folder.name}, {_days(moment)}"
    _tell(total, title, steps, as_json, html)
    if total.leaks:
        raise LentaError("; ".join(map(str, total.leaks)))


def _tell(judgement: Judgement, title: str, steps: Steps, as_json: bool, html: Path | None) -> None:
    from pipeline.evaluation import report
    from pipeline.evaluation.page import as_page

    if html:
        try:
            html.write_text(as_page(judgement, title), "utf-8")
        except OSError as error:
            raise LentaError(f"--html {html} cannot be written: {error.strerror}") from error
        steps.say(f"[green]✓[/green] The report is in {escape(str(html))}: open it in a browser")
    if as_json:
        typer.echo(json.dumps(report.as_json(judgement), indent=1))
        return
    for table in (
        report.as_table(judgement.ladder, title),
        *([report.sessions_table(judgement.sessions)] if judgement.sessions else []),
        report.measures_table(judgement),
        report.segments_table(judgement),
    ):
        steps.console.print(table)
    for line in (*report.difference_lines(judgement.ladder), *report.alarm_lines(judgement)):
        steps.say(line)
    steps.say("Next: [bold]lenta check[/bold] judges what the platform serves")


def _tell_off_policy(
    folder: Path, mapping: TableMapping, moment: datetime, store: ModelStore, steps: Steps, as_json: bool
) -> None:
    from pipeline.evaluation.off_policy_run import off_policy_json, off_policy_published, off_policy_table

    with steps.step("Letting the published models recommend for the withheld days") as on_progress:
        estimates = off_policy_published(folder, moment, store, on_progress=on_progress, mapping=mapping)
    if as_json:
        typer.echo(json.dumps(off_policy_json(estimates), indent=1))
        return
    steps.console.print(off_policy_table(estimates, f"{folder.name}, {_days(moment)}"))
    steps.say("Next: [bold]lenta publish[/bold] the better one, or let an experiment decide")


def _withheld(
    data: Path | None, mapping: Path | None, until: str | None, model_uri: str | None
) -> tuple[Path, TableMapping, datetime, ModelStore]:
    """The folder with the withheld days, how to read it, their beginning, and the store."""
    from ranking.artefact import ModelStore

    from pipeline.tables.mapping import TableMapping

    folder = data or Path(environment.require("LENTA_DATA"))
    loaded = None if data else environment.setting("LENTA_MAPPING")
    given = TableMapping.read(mapping or (Path(loaded) if loaded else None))
    moment = parse_time(environment.require("LENTA_UNTIL") if until is None else until, "--until")
    return folder, given, moment, ModelStore(model_uri or environment.require("LENTA_MODEL_URI"))


def _days(moment: datetime) -> str:
    return f"from {moment:%Y-%m-%d} on, 15 days at most"


def _seeds(text: str) -> list[int]:
    """8,9 or 8-12. Raises LentaError for anything else."""
    try:
        seeds: list[int] = []
        for part in text.split(","):
            low, _, high = part.partition("-")
            seeds += range(int(low), int(high or low) + 1)
    except ValueError as error:
        raise LentaError(f"--seeds {text}: numbers are needed, such as 8,9 or 8-12") from error
    if not seeds:
        raise LentaError(f"--seeds {text} names no seed")
    return sorted(set(seeds))
