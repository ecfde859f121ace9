"""`lenta rules`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from contracts.rules import DEFAULT
from rich.console import Console

from pipeline.errors import LentaError
from pipeline.home import Home

if TYPE_CHECKING:
    from contracts.rules import RulesPage, SlateRules

Set = Annotated[str, typer.Option("--set", help="The rule set's name.", metavar="NAME")]
Named = Annotated[str, typer.Argument(help="The rule set's.", metavar="[NAME]")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays in the history.")]
By = Annotated[str, typer.Option("--by", help="Who; it stays in the history.")]
Posts = Annotated[list[int] | None, typer.Option("--post", help="A post's id; may be given several times.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="A topic; may be given several times.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(
    name="rules",
    help="Rules of the business: what is blocked, pinned, boosted, limited, whichever model ranks.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def register(to: typer.Typer) -> None:
    to.add_typer(app)


@app.command("list")
def list_all() -> None:
    """All rule sets.

    Example: lenta rules list
    """
    from pipeline.experiment.api import experiments
    from pipeline.experiment.rules import sets_table

    console = Console()
    with experiments(Home.find()) as calls:
        sets = calls.rule_sets()
    console.print(sets_table(sets))
    _say(console, f"Next: lenta rules show {sets[0].name}")


@app.command()
def show(name: Named = DEFAULT, as_json: AsJson = False) -> None:
    """A set's rules and history. With --json the rules alone: edit them, and give them to `set`.

    Example: lenta rules show
    """
    from pipeline.experiment.api import experiments

    with experiments(Home.find()) as calls:
        page = calls.rules_page(name)
    if as_json:
        typer.echo(page.rule_set.rules.model_dump_json(indent=1, exclude_defaults=True))
        return
    _tell(page)


@app.command("set")
def replace(
    name: Named,
    file: Annotated[Path, typer.Option("--file", help="All rules of the set, as JSON or TOML.")],
    reason: Reason,
    by: By = "admin",
) -> None:
    """Replace a set's rules, or make a set. Live within two seconds; who is shown what tells `lenta explain`.

    Example: lenta rules set default --file rules.toml --reason "the final is today"
    """
    from pipeline.experiment.rules import read_rules

    wanted = read_rules(file)
    _change(name, reason, by, lambda rules: wanted)


@app.command()
def block(reason: Reason, post: Posts = None, topic: Topics = None, name: Set = DEFAULT, by: By = "admin") -> None:
    """No answer holds these posts, or posts of these topics, any more.

    Example: lenta rules block --post 42 --topic covid --reason "a complaint"
    """
    from pipeline.experiment.rules import blocked

    _change(name, reason, by, lambda rules: blocked(rules, post or [], topic or []))


@app.command()
def unblock(reason: Reason, post: Posts = None, topic: Topics = None, name: Set = DEFAULT, by: By = "admin") -> None:
    """Let them be shown again.

    Example: lenta rules unblock --post 42 --reason "it was looked at"
    """
    from pipeline.experiment.rules import unblocked

    _change(name, reason, by, lambda rules: unblocked(rules, post or [], topic or []))


@app.command()
def pin(
    post: Annotated[int, typer.Argument(help="The post's id.", metavar="POST")],
    reason: Reason,
    slot: Annotated[int, typer.Option(min=1, max=100, help="Where it stands, from 1 on.")] = 1,
    name: Set = DEFAULT,
    by: By = "admin",
) -> None:
    """The post stands at this slot of everybody's list who has not liked it. What was pinned there gives way.

    Example: lenta rules pin 152 --slot 1 --reason "the final is today"
    """
    from pipeline.experiment.rules import pinned

    _change(name, reason, by, lambda rules: pinned(rules, post, slot))


@app.command()
def unpin(
    post: Annotated[int, typer.Argument(help="The post's id.", metavar="POST")],
    reason: Reason,
    name: Set = DEFAULT,
    by: By = "admin",
) -> None:
    """Let the post stand where it is ranked again.

    Example: lenta rules unpin 152 --reason "the final is over"
    """
    from pipeline.experiment.rules import unpinned

    _change(name, reason, by, lambda rules: unpinned(rules, post))


def _change(name: str, reason: str, by: str, rules: Callable[[SlateRules], SlateRules]) -> None:
    """On top of the current revision: a change made at the same time is refused, not overwritten."""
    from pipeline.experiment.api import experiments
    from pipeline.experiment.rules import edit_of

    with experiments(Home.find(), admin=True) as calls:
        names = [each.name for each in calls.rule_sets()]
        before = calls.rules_page(name).rule_set if name in names else None
        wanted = rules(before.rules if before else _no_rules())
        if before is not None and wanted == before.rules:
            raise LentaError(f"the rules of {name} say this already: nothing was changed")
        page = calls.edit_rules(name, edit_of(wanted, reason, by, before.revision if before else 0))
    _tell(page)


def _no_rules() -> SlateRules:
    from contracts.rules import SlateRules

    return SlateRules()


def _tell(page: RulesPage) -> None:
    from pipeline.experiment.rules import print_rules

    console = Console()
    print_rules(page, console)
    _say(console, f"Next: lenta rules show {page.rule_set.name} --json")


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
