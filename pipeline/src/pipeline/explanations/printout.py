"""An explanation as people read it, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

from contracts.interleaving import CONTROL, TEST
from rich.console import Console
from rich.table import Table

from pipeline.explanations.explanation import ExposureExplanation, ReplayedRanking
from pipeline.explanations.replay import WITHIN

SHOWN_MOVED = 8
_TEAM_NAMES = {CONTROL: "control", TEST: "test"}


def print_explanation(explanation: ExposureExplanation, console: Console) -> None:
    _what(explanation, console)
    _assignment(explanation, console)
    _rules(explanation, console)
    if explanation.ranking is None:
        _line(console, f"\n[yellow]Nothing to rank again: {explanation.nothing}.[/yellow]")
        return
    _ranking(explanation, explanation.ranking, console)


def as_json(explanation: ExposureExplanation) -> str:
    ranking = explanation.ranking
    return json.dumps(
        {
            "exposure": explanation.exposure.model_dump(mode="json"),
            "assignment": {**asdict(explanation.assignment), "is_equal": explanation.assignment.is_equal},
            "nothing": explanation.nothing,
            "ranking": None
            if ranking is None
            else {**_plain(ranking), "is_equal": ranking.is_equal, "words": ranking.words},
        },
        indent=1,
        default=str,
    )


def _plain(ranking: ReplayedRanking) -> dict[str, object]:
    reasons = {post: [reason.model_dump() for reason in strongest] for post, strongest in ranking.reasons.items()}
    return {**asdict(ranking), "reasons": reasons}


def _what(explanation: ExposureExplanation, console: Console) -> None:
    exposure = explanation.exposure
    version = f"@{exposure.model_version}" if exposure.model_version else ""
    asked = f", for {exposure.asked_for:%Y-%m-%d %H:%M:%S}" if exposure.asked_for != exposure.served_at else ""
    _line(
        console,
        f"[bold]User {exposure.user_id}[/bold] got {len(exposure.posts)} posts from {exposure.model}{version} on "
        f"{exposure.served_at:%Y-%m-%d %H:%M:%S} UTC{asked}, in {exposure.took_ms:.1f} ms",
    )


def _assignment(explanation: ExposureExplanation, console: Console) -> None:
    made, experiment = explanation.assignment, explanation.exposure.experiment
    inside = "is in" if made.first <= made.enrolment_bucket < made.end else "is not in"
    _line(console, f"\n[bold]Assignment[/bold] by {experiment} ({explanation.exposure.mode})")
    _line(
        console,
        f"enrolment: bucket {made.enrolment_bucket:,} by {made.enrolment_salt} {inside} "
        f"{made.first:,} to {made.end - 1:,}",
    )
    by = "named in forced" if made.forced else f"bucket {made.group_bucket:,} by {made.group_salt}"
    _line(console, f"group: {by} is {made.group} in weight period {made.weight_period}")
    _line(console, f"[red]{made.words}[/red]" if made.words else "[green]as served[/green]")


def _rules(explanation: ExposureExplanation, console: Console) -> None:
    exposure = explanation.exposure
    if exposure.rules is None:
        return
    _line(console, f"\n[bold]Rules[/bold] by {exposure.rules}")
    for move in exposure.moves:
        own = "from further down" if move.own is None else f"from the model's place {move.own}"
        where = "kept out," if move.slot is None else f"to slot {move.slot},"
        _line(console, f"{move.rule}: post {move.post} {where} {own}")
    if not exposure.moves:
        _line(console, "they moved nothing")


def _ranking(explanation: ExposureExplanation, ranking: ReplayedRanking, console: Console) -> None:
    _line(console, "\n[bold]The user as the model saw them[/bold]")
    console.print(_user_table(ranking))
    _line(console, f"\n[bold]The posts[/bold], of {ranking.allowed:,} that they had not liked")
    console.print(_posts_table(explanation, ranking))
    if ranking.moved:
        _line(console, "\n[bold]What serving saw otherwise than Postgres tells[/bold]")
        console.print(_moved_table(ranking))
    if ranking.offline is not None:
        _line(console, f"[dim]lenta score gives these posts the same scores within {ranking.offline:.1g}[/dim]")
    _line(console, f"\n[{'green' if ranking.is_equal else 'red'}]{ranking.words[:1].upper()}{ranking.words[1:]}.[/]")


def _user_table(ranking: ReplayedRanking) -> Table:
    table = Table.grid(padding=(0, 2))
    names = list(ranking.user)
    half = (len(names) + 1) // 2
    for left, right in zip(names[:half], [*names[half:], ""][:half], strict=True):
        cells = (left, f"{ranking.user[left]:.4g}", right, f"{ranking.user[right]:.4g}" if right else "")
        table.add_row(f"[dim]{cells[0]}[/dim]", cells[1], f"[dim]{cells[2]}[/dim]", cells[3])
    return table


def _posts_table(explanation: ExposureExplanation, ranking: ReplayedRanking) -> Table:
    table = Table("slot", "post", "score served", "score now", "rank of all", box=None, pad_edge=False)
    exposure = explanation.exposure
    if exposure.teams:
        table.add_column("drafted by")
    if exposure.propensities:
        table.add_column("propensity")
    table.add_column("liked")
    table.add_column("what moved its score most", overflow="fold")
    for number, place in enumerate(ranking.places, 1):
        again = "" if place.again is None else f"{place.again:.6f}"
        differs = place.again is None or abs(place.again - place.score) > WITHIN
        cells = (str(number), str(place.post), f"{place.score:.6f}", f"[yellow]{again}[/yellow]" if differs else again)
        more = [_TEAM_NAMES[place.team]] if place.team else []
        if exposure.propensities:
            more.append(f"{exposure.propensities[number - 1]:.3g}")
        more.append("liked" if place.post in exposure.likes else "")
        reasons = ranking.reasons.get(place.post, [])
        more.append(", ".join(f"{reason.feature} {reason.contribution:+.2f}" for reason in reasons))
        table.add_row(*cells, "" if place.rank is None else f"{place.rank:,}", *more)
    return table


def _moved_table(ranking: ReplayedRanking) -> Table:
    table = Table("column", "post", "while serving", "by Postgres", box=None, pad_edge=False)
    for line in ranking.moved[:SHOWN_MOVED]:
        table.add_row(line.column, str(line.post), f"{line.before:.6g}", f"{line.now:.6g}")
    return table


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
