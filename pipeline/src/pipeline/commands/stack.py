"""`lenta up`, `down`, `status`, `environment`."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.bootstrap import Filled, Part
from pipeline.stack.embedded import Servers
from pipeline.tables.source import Source
from pipeline.terminal import Steps, parse_time

if TYPE_CHECKING:
    from pipeline.stack.status import ServiceState

WORLD, SEED = "demo", 8
MIB = 2**20

Data = Annotated[
    Path | None,
    typer.Option(envvar="DATA", help="A folder with user_data, post_text_df and feed_data, as CSV or Parquet."),
]
Until = Annotated[
    str | None, typer.Option(envvar="UNTIL", help="Load no feed row from this time on (UTC); `lenta check` uses those.")
]
MappingFile = Annotated[
    Path | None,
    typer.Option("--mapping", envvar="MAPPING", help="YAML: the names and values of --data's tables."),
]
World = Annotated[
    str | None, typer.Option(help=f"A simulated world instead of --data; {WORLD} when nothing is loaded.")
]
Seed = Annotated[int | None, typer.Option(min=0, help=f"Of the simulated world; {SEED} if not given.")]
Clean = Annotated[bool, typer.Option("--clean", help="Remove the data, the models and the logs too.")]


def register(app: typer.Typer) -> None:
    app.command("up")(up)
    app.command("down")(down)
    app.command("fill")(fill)
    app.command("status")(status)
    app.command("environment")(show_environment)


def up(
    data: Data = None,
    until: Until = None,
    world: World = None,
    seed: Seed = None,
    mapping: MappingFile = None,
) -> None:
    """Start the platform on this machine: servers, data, both models, all services.

    Run again, it starts only what is missing.

    Example: lenta up --data ./dump --until 2021-12-15
    """
    from pipeline.stack.platform import up as bring_up
    from pipeline.stack.welcome import welcome

    home, console = Home.find(), Console()
    moment = parse_time(until, "--until") if until is not None else None
    wanted = _wanted(home, data, mapping, moment, world, seed)
    default = Source.of_world(WORLD, SEED, _today(), None, home.world)
    running = bring_up(home, wanted, default, Steps(console))
    welcome(running, console)


def down(clean: Clean = False) -> None:
    """Stop what `lenta up` has started, and nothing else. The data stay.

    Example: lenta down
    """
    from pipeline.stack.platform import down as bring_down

    console = Console()
    stopped = bring_down(Home.find(), Steps(console), clean=clean)
    console.print(f"Stopped {', '.join(stopped)}." if stopped else "Nothing was running.", highlight=False)
    if not clean:
        console.print("The data stay; start again with: make up", highlight=False)


def fill(
    part: Annotated[
        Part, typer.Argument(help="load: schema, world, import; train: both models, published; warm: Redis.")
    ],
    data: Data = None,
    until: Until = None,
    world: World = None,
    seed: Seed = None,
    mapping: MappingFile = None,
) -> None:
    """Fill servers of your own (LENTA_POSTGRES_URL, LENTA_REDIS_URL), one part per container; nothing is done twice.

    Example: lenta fill load --world demo --seed 8
    """
    from pipeline.stack.bootstrap import fill as fill_part

    home, console = Home.find(), Console()
    moment = parse_time(until, "--until") if until is not None else None
    with home.alone():
        filled = _filled(home, _wanted(home, data, mapping, moment, world, seed))
        servers = Servers(
            environment.require("LENTA_POSTGRES_URL"), environment.setting("LENTA_REDIS_URL") or "", embedded=False
        )
        fill_part(home, filled, servers, Steps(console), [part])
        environment.write(home, {**environment.read(home), **environment.of_data(filled.source)})


def status() -> None:
    """Show every part of the running platform; exit status 1 if one is not ready.

    Example: lenta status
    """
    from pipeline.stack.status import states

    services, console = states(Home.find()), Console()
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for name in ("service", "state", "pid", "port", "up", "memory", "model"):
        table.add_column(name, no_wrap=True, overflow="fold")
    for state in services:
        table.add_row(*_cells(state))
    total = sum(state.pss_bytes or 0 for state in services)
    table.add_row("sum", "", "", "", "", f"{total / MIB:.0f} MiB", "")
    console.print(table)
    waiting = [state for state in services if state.reason]
    for state in waiting:
        console.print(f"{state.name}: {state.reason}", highlight=False, markup=False, soft_wrap=True)
    if waiting:
        raise LentaError("not everything is ready; `make up` starts what is missing, `make logs` shows why")


def show_environment() -> None:
    """Print the running platform's addresses and API key as shell variables.

    Example: eval "$(lenta environment)"
    """
    values = environment.read(Home.find())
    if not values:
        raise LentaError("no platform was brought up here; run `make up`")
    for name, value in values.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _filled(home: Home, wanted: Source | None) -> Filled:
    """What is loaded already, or a fresh start. Raises LentaError when other data were asked for."""
    filled = Filled.read(home)
    if filled is None:
        return Filled(source=wanted or Source.of_world(WORLD, SEED, _today(), None, home.world)).write(home)
    if wanted is not None and wanted != filled.source:
        raise LentaError(f"{filled.source} is loaded; empty the servers and {home.root} before loading {wanted}")
    return filled


def _wanted(
    home: Home, data: Path | None, mapping: Path | None, until: datetime | None, world: str | None, seed: int | None
) -> Source | None:
    """What the options ask for; None when they leave it open."""
    if data is not None and (world is not None or seed is not None):
        raise LentaError("--data excludes --world and --seed")
    if data is not None:
        return Source.of_folder(data, until, mapping)
    if mapping is not None:
        raise LentaError("--mapping says how to read --data: give both, or neither")
    if world is None and seed is None and until is None:
        return None
    loaded = filled.source if (filled := Filled.read(home)) is not None else None
    if loaded is not None and loaded.world is None and world is None and seed is None:
        return Source.of_folder(loaded.folder, until, loaded.mapping)
    wanted = Source.of_world(world or WORLD, SEED if seed is None else seed, _today(), until, home.world)
    if loaded is not None and (loaded.world, loaded.seed) == (wanted.world, wanted.seed) and loaded.end is not None:
        return Source.of_world(loaded.world or WORLD, loaded.seed or SEED, loaded.end, until, home.world)
    return wanted


def _today() -> date:
    return datetime.now(UTC).date()


def _cells(state: ServiceState) -> tuple[str, ...]:
    return (
        state.name,
        "[green]ready[/green]" if state.reason is None else "[red]not ready[/red]",
        str(state.pid or ""),
        str(state.port or ""),
        "" if state.uptime_seconds is None else str(timedelta(seconds=int(state.uptime_seconds))),
        "" if state.pss_bytes is None else f"{state.pss_bytes / MIB:.0f} MiB",
        state.model or "",
    )
