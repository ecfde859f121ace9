"""`lenta check`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import environment
from pipeline.check.verdicts import Bar, BarVerdict, Figure
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.terminal import Steps, parse_time

if TYPE_CHECKING:
    import httpx

    from pipeline.check.quality import Loaded

HIT_RATE_BARS = {"control": Bar(0.52, at_least=True), "test": Bar(0.57, at_least=True)}
"""The platform's own, for its stages 2 and 3."""
MEAN_BAR = Bar(500.0, at_least=False)
"""Milliseconds."""
P99_BAR = Bar(500.0, at_least=False)
MEMORY_BAR_BYTES = 2**30

ANSWER_SECONDS = 5.0

Users = Annotated[int, typer.Option(help="Users asked for quality as served, each by both models.")]
Requests = Annotated[int, typer.Option(help="Requests timed. They are real: enrolled users' are exposures.")]
Project = Annotated[str | None, typer.Option("--compose", help="Measure this compose project's containers' memory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn.")]


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    users: Users = 300, requests: Requests = 500, compose: Project = None, as_json: AsJson = False, seed: Seed = 0
) -> None:
    """Check the running platform's quality, latency and memory against their bars.

    A bar fails when the whole interval lies on its bad side; only then is the exit status 1.

    Example: lenta check --users 500
    """
    home, console = Home.find(), Console(stderr=as_json)
    steps = Steps(console)
    with _gateway(home) as gateway:
        figures = [
            *_quality(_loaded(home, steps), gateway, users, seed, steps, home),
            *_latency(gateway, requests, seed, steps, home),
            *_memory(home, compose),
        ]
    if as_json:
        typer.echo(json.dumps([{**asdict(figure), "verdict": figure.verdict.value} for figure in figures], indent=1))
    else:
        _show(figures, console)
    if failed := [figure.name for figure in figures if figure.verdict is BarVerdict.FAILS]:
        raise LentaError(f"below the bar: {', '.join(failed)}")
    if not as_json:
        console.print("No bar fails. Next: make load", highlight=False)


def _gateway(home: Home) -> httpx.Client:
    import httpx
    from contracts.headers import API_KEY

    key = environment.require("LENTA_API_KEY", home)
    return httpx.Client(
        base_url=environment.require("LENTA_GATEWAY_URL", home), timeout=ANSWER_SECONDS, headers={API_KEY: key}
    )


def _loaded(home: Home, steps: Steps) -> Loaded | None:
    """None where nothing was withheld: quality cannot be judged then."""
    from pipeline.check.quality import Loaded
    from pipeline.tables.mapping import TableMapping

    folder, until = environment.setting("LENTA_DATA", home), environment.setting("LENTA_UNTIL", home)
    if folder is None or until is None:
        steps.say(
            "None of the feed was withheld, so quality cannot be judged: `make down && make up DATA=... UNTIL=...`"
        )
        return None
    mapping = environment.setting("LENTA_MAPPING", home)
    return Loaded(Path(folder), parse_time(until, "LENTA_UNTIL"), TableMapping.read(Path(mapping) if mapping else None))


def _quality(
    loaded: Loaded | None, gateway: httpx.Client, users: int, seed: int, steps: Steps, home: Home
) -> list[Figure]:
    if loaded is None:
        return []
    import numpy as np
    from contracts.assignment import GROUPS
    from ranking.artefact import ModelStore

    from pipeline.check.quality import offline_viewed, platform_feed, served_truth
    from pipeline.measures.accuracy import bootstrap, paired_bootstrap

    rng = np.random.default_rng(seed)
    figures: list[Figure] = []
    with ExitStack() as stack:
        with steps.step("Reading the platform's feed") as on_progress:
            postgres_url = environment.require("LENTA_POSTGRES_URL", home)
            feed = stack.enter_context(platform_feed(postgres_url, loaded.until, on_progress))
        with steps.step("Quality offline, on the posts that users viewed in the withheld days"):
            ladder = offline_viewed(feed, loaded, ModelStore(environment.require("LENTA_MODEL_URI", home)), rng)
        for name in ladder.hits:
            estimate = ladder.estimate(name, rng)
            bar = HIT_RATE_BARS.get(name)
            figures.append(
                Figure(f"HitRate@5 offline, viewed: {name}", estimate.value, estimate.low, estimate.high, "", bar)
            )
        if loaded.is_simulated:
            with steps.step("Quality as served, by the world's truth") as on_progress:
                served = served_truth(feed, loaded, gateway, users, rng, lambda done: on_progress(done, users))
            for name, hits in served.hits.items():
                estimate = bootstrap(hits, rng)
                figures.append(Figure(f"HitRate@5 served, truth: {name}", estimate.value, estimate.low, estimate.high))
            for group in GROUPS:
                estimate = paired_bootstrap(served.hits[group], served.hits["popular"], rng)
                figures.append(
                    Figure(f"served, truth: {group} less popular", estimate.value, estimate.low, estimate.high)
                )
            for group, share in served.coverage.items():
                figures.append(Figure(f"catalogue shown by {group}", share, share, share))
    return figures


def _latency(gateway: httpx.Client, requests: int, seed: int, steps: Steps, home: Home) -> list[Figure]:
    import numpy as np

    from pipeline.check.latency import measure
    from pipeline.check.users import known_users

    rng = np.random.default_rng(seed)
    ids = known_users(environment.require("LENTA_POSTGRES_URL", home))
    with steps.step("Latency at one connection") as on_progress:
        seconds = measure(
            gateway, [int(user) for user in rng.choice(ids, requests)], lambda done: on_progress(done, requests)
        )
    taken = seconds * 1000
    half = 1.96 * taken.std() / np.sqrt(len(taken))
    p50, p99 = np.percentile(taken, [50, 99])
    return [
        Figure(
            "latency, mean", float(taken.mean()), float(taken.mean() - half), float(taken.mean() + half), "ms", MEAN_BAR
        ),
        Figure("latency, p50", float(p50), float(p50), float(p50), "ms"),
        Figure("latency, p99", float(p99), float(p99), float(p99), "ms", P99_BAR),
    ]


def _memory(home: Home, compose: str | None) -> list[Figure]:
    """Nothing where the platform runs elsewhere: in a container beside it, on a cluster."""
    from pipeline.check import memory

    held = memory.of_containers(compose) if compose else memory.of_processes(home)
    return memory.figures(held, MEMORY_BAR_BYTES) if held else []


def _show(figures: list[Figure], console: Console) -> None:
    colours = {
        BarVerdict.HOLDS: "green",
        BarVerdict.FAILS: "red",
        BarVerdict.UNCLEAR: "yellow",
        BarVerdict.SHOWN: "dim",
    }
    table = Table("figure", "value", "95 % interval", "bar", "", box=None, pad_edge=False)
    for figure in figures:
        digits = 1 if figure.unit else 3
        has_interval = figure.high > figure.low
        table.add_row(
            figure.name,
            f"{figure.value:.{digits}f} {figure.unit}".strip(),
            f"{figure.low:.{digits}f} to {figure.high:.{digits}f}" if has_interval else "",
            str(figure.bar or ""),
            f"[{colours[figure.verdict]}]{figure.verdict.value}[/]" if figure.verdict.value else "",
        )
    console.print(table)
