"""`lenta events`: log entries that went nowhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline import environment
from pipeline.errors import LentaError

if TYPE_CHECKING:
    from feature_service.keyspace.connection import Client

SHOWN = 50
SUMMARY = 60
"""Characters of an entry in the list."""

Redis = Annotated[str | None, typer.Option(envvar="LENTA_REDIS_URL", help="The running platform's if not given.")]
Id = Annotated[str, typer.Argument(help="As `lenta events dead` lists it.", metavar="ID")]

app = typer.Typer(name="events", help="Log entries that went nowhere.", no_args_is_help=True, rich_markup_mode="rich")


def register(to: typer.Typer) -> None:
    to.add_typer(app)


@app.command()
def dead(
    redis: Redis = None, as_json: Annotated[bool, typer.Option("--json", help="All of them, as JSON.")] = False
) -> None:
    """List the dead letters: what ingest put aside, and why.

    Example: lenta events dead
    """
    from feature_service.log.dead_letters import list_dead_letters

    with _redis(redis) as client:
        letters = list_dead_letters(client)
    if as_json:
        lines = [
            {"id": one.id, "reason": one.reason, "at": str(one.appended_at), "body": _text(one.body)} for one in letters
        ]
        typer.echo(json.dumps(lines, indent=1))
        return
    console = Console()
    if not letters:
        _say(console, "No dead letters. Next: lenta status")
        return
    table = Table("id", "appended", "reason", "entry", box=None, pad_edge=False)
    for one in letters[-SHOWN:]:
        table.add_row(
            one.id, f"{one.appended_at:%Y-%m-%d %H:%M:%S}", escape(one.reason), escape(_text(one.body)[:SUMMARY])
        )
    console.print(table)
    reasons = ", ".join(f"{reason} {many:,}" for reason, many in Counter(one.reason for one in letters).most_common(5))
    _say(console, f"{len(letters):,} in all: {reasons}")
    _say(console, f"Next: lenta events show {letters[-1].id}; their cause gone, lenta events replay --all")


@app.command()
def show(letter_id: Id, redis: Redis = None) -> None:
    """One dead letter, whole.

    Example: lenta events show 1:1764000000000-0
    """
    from feature_service.log.dead_letters import read_dead_letter

    with _redis(redis) as client:
        letter = read_dead_letter(client, letter_id)
    if letter is None:
        raise LentaError(f"there is no dead letter {letter_id}; see `lenta events dead`")
    console = Console()
    _say(console, f"{letter.id}, appended {letter.appended_at:%Y-%m-%d %H:%M:%S} UTC: {letter.reason}")
    _say(console, _pretty(letter.body))
    _say(console, f"Next: lenta events replay {letter.id}")


@app.command()
def replay(
    letter_ids: Annotated[
        list[str] | None, typer.Argument(help="As `lenta events dead` lists them.", metavar="[ID...]")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    redis: Redis = None,
) -> None:
    """Put dead letters back into the log. Nothing is counted twice; what fails again comes back.

    Example: lenta events replay --all
    """
    from feature_service.log.dead_letters import list_dead_letters
    from feature_service.log.dead_letters import replay as put_back

    if bool(letter_ids) == everything:
        raise LentaError("name the dead letters to replay, or all of them by --all; see `lenta events dead`")
    with _redis(redis) as client:
        wanted = [one.id for one in list_dead_letters(client)] if everything else list(letter_ids or ())
        done = put_back(client, wanted)
    if missing := sorted(set(wanted) - set(done)):
        raise LentaError(f"{len(done):,} replayed; there is no dead letter {', '.join(missing[:5])}")
    console = Console()
    _say(console, f"{len(done):,} put back into the log.")
    _say(console, "Next: lenta events dead shows those that failed again")


@contextmanager
def _redis(url: str | None) -> Iterator[Client]:
    """Raises LentaError when Redis does not answer."""
    import redis
    from feature_service.keyspace.connection import connect_redis

    try:
        with connect_redis(url or environment.require("LENTA_REDIS_URL")) as client:
            yield client
    except redis.RedisError as error:
        raise LentaError(f"Redis does not answer: {error}; see `lenta status`") from error


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=1, ensure_ascii=False)
    except ValueError:
        return _text(body)


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
