"""`lenta experiment`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from contracts.experiments import Outcome, Plan, State
from rich.console import Console

from pipeline.errors import LentaError
from pipeline.home import Home

if TYPE_CHECKING:
    from contracts.experiments import ExperimentPage

Name = Annotated[str, typer.Argument(help="The experiment's.", metavar="NAME")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history.")]
By = Annotated[str, typer.Option("--by", help="Who; it stays in the history.")]
PlanFile = Annotated[Path | None, typer.Option("--plan", help="A plan as JSON or TOML; every field has a default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(
    name="experiment",
    help="Plan, start, watch and end experiments.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(to: typer.Typer) -> None:
    to.add_typer(app)


@app.command("list")
def list_all() -> None:
    """All experiments, with the verdict of the newest analysis.

    Example: lenta experiment list
    """
    from pipeline.experiment.api import experiments
    from pipeline.experiment.printout import lines_table

    console = Console()
    with experiments(Home.find()) as calls:
        lines = calls.lines()
    if not lines:
        _say(console, "There is no experiment. Next: lenta experiment create NAME --reason ...")
        return
    console.print(lines_table(lines))
    _say(console, f"Next: lenta experiment show {lines[0].name}")


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Plan, state, weight periods and history. With --json the plan alone: edit it, and give it to `edit`.

    Example: lenta experiment show models
    """
    from pipeline.experiment.api import experiments

    with experiments(Home.find()) as calls:
        page = calls.page(name)
    if as_json:
        typer.echo(page.experiment.plan.model_dump_json(indent=1))
        return
    _tell(page, Console())


@app.command()
def create(name: Name, reason: Reason, plan: PlanFile = None, by: By = "admin") -> None:
    """A draft: half and half, everybody enrolled, if no plan is given. It assigns nobody before `start`.

    Example: lenta experiment create towers --plan towers.toml --reason "the new test model"
    """
    from pipeline.experiment.api import experiments
    from pipeline.experiment.plans import edit_of, read_plan

    wanted = read_plan(plan) if plan else Plan()
    with experiments(Home.find(), admin=True) as calls:
        if any(line.name == name for line in calls.lines()):
            raise LentaError(
                f"there is an experiment {name} already; change its plan with `lenta experiment edit {name}`"
            )
        page = calls.edit(name, edit_of(plan=wanted, state="draft", reason=reason, by=by))
    _tell(page, Console())


@app.command()
def edit(
    name: Name,
    reason: Reason,
    plan: Annotated[Path, typer.Option("--plan", help="The whole plan, as JSON or TOML.")],
    by: By = "admin",
) -> None:
    """Replace the plan, as `show --json` prints it. What is locked while it runs, rules and salts, is refused.

    Example: lenta experiment edit towers --plan plan.json --reason "a month"
    """
    from pipeline.experiment.plans import read_plan

    _change(name, reason, by, plan=lambda page: read_plan(plan))


@app.command()
def weights(
    name: Name,
    shares: Annotated[list[str], typer.Argument(help="control=0.3 test=0.7", metavar="GROUP=SHARE...")],
    reason: Reason,
    by: By = "admin",
) -> None:
    """Change the groups' shares: a new weight period, in which as few users move as arithmetic allows.

    Example: lenta experiment weights models control=0.3 test=0.7 --reason "the first days are fine"
    """
    from pipeline.experiment.plans import changed, weights_of

    def wanted(page: ExperimentPage) -> Plan:
        plan = page.experiment.plan
        return changed(plan, " ".join(shares), weights=weights_of(shares, plan.groups))

    _change(name, reason, by, plan=wanted)


@app.command()
def start(name: Name, reason: Reason, by: By = "admin") -> None:
    """Let it assign users, from now or from the plan's `starts_at`. Its rules are locked from here on.

    Example: lenta experiment start towers --reason "reviewed on Monday"
    """
    _change(name, reason, by, state="running")


@app.command()
def stop(name: Name, reason: Reason, by: By = "admin") -> None:
    """End it without a decision: nobody is assigned any more. Its final report comes once likes no longer join.

    Example: lenta experiment stop towers --reason "the model was withdrawn"
    """
    _change(name, reason, by, state="stopped")


@app.command()
def resume(name: Name, reason: Reason, by: By = "admin") -> None:
    """Give test its traffic back before the pause of a guardrail is over. By itself it comes back when that is.

    Example: lenta experiment resume models --reason "the ranker has its memory back"
    """
    _change(name, reason, by, resume=True)


@app.command()
def decide(
    name: Name,
    outcome: Annotated[Outcome, typer.Argument(help="ship, keep_control or roll_back")],
    reason: Reason,
    group: Annotated[str | None, typer.Option(help="Which group is meant, where several are compared.")] = None,
    by: By = "admin",
) -> None:
    """Stop it and record how it ended. After `ship` everybody gets test's ranker, or that of the group.

    Example: lenta experiment decide models ship --reason "hit rate +6 %, guardrails hold"
    """
    _change(name, reason, by, decision=outcome, group=group)


@app.command()
def archive(name: Name, reason: Reason, by: By = "admin") -> None:
    """Put a stopped experiment away. It stays readable, with every report.

    Example: lenta experiment archive models --reason "shipped"
    """
    _change(name, reason, by, state="archived")


@app.command()
def plan(name: Name, as_json: AsJson = False) -> None:
    """How many users and days an effect takes by this plan, and which it can show, by the platform's last days.

    Example: lenta experiment plan towers
    """
    from pipeline.experiment.api import experiments
    from pipeline.experiment.printout import print_reach

    with experiments(Home.find()) as calls:
        reach = calls.reach(name)
    if as_json:
        typer.echo(reach.model_dump_json(indent=1))
        return
    print_reach(reach, Console())


@app.command()
def report(
    name: Name,
    run: Annotated[int | None, typer.Option(help="An earlier analysis; the newest if not given.")] = None,
    as_json: AsJson = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the report's figures into this file.")] = None,
) -> None:
    """What the data say: the verdict in words, then each metric, the split, the guardrails.

    Example: lenta experiment report models
    """
    from pipeline.experiment.api import experiments
    from pipeline.experiment.printout import print_report

    console = Console(stderr=as_json)
    with experiments(Home.find()) as calls:
        if csv:
            _write(csv, calls.report_csv(name, run))
            _say(console, f"The report of {name} is in {csv}.")
            return
        stored = calls.report(name, run)
        runs = [] if as_json else calls.runs(name)
    if as_json:
        typer.echo(stored.model_dump_json(indent=1))
        return
    print_report(stored, runs, console)


def _change(
    name: str,
    reason: str,
    by: str,
    *,
    plan: Callable[[ExperimentPage], Plan] | None = None,
    state: State | None = None,
    decision: Outcome | None = None,
    group: str | None = None,
    resume: bool = False,
) -> None:
    """On top of the current revision: a change made at the same time is refused, not overwritten."""
    from pipeline.experiment.api import experiments
    from pipeline.experiment.plans import edit_of

    with experiments(Home.find(), admin=True) as calls:
        before = calls.page(name)
        if state == before.experiment.state:
            raise LentaError(f"{name} is {state} already")
        wanted = edit_of(
            plan=plan(before) if plan else None,
            state=state,
            decision=decision,
            group=group,
            resume=resume,
            reason=reason,
            by=by,
            revision=before.experiment.revision,
        )
        page = calls.edit(name, wanted)
    _tell(page, Console())


def _tell(page: ExperimentPage, console: Console) -> None:
    from pipeline.experiment.printout import next_step, print_page

    print_page(page, console)
    _say(console, f"Next: {next_step(page.experiment)}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise LentaError(f"--csv {path} cannot be written: {error.strerror}") from error


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
