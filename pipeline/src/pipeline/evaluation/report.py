"""A judgement as tables for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from contracts.assignment import GROUPS
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.evaluation.judgement import HIT_RATE, Judgement
from pipeline.evaluation.ladder import ORACLE, POPULAR, RANDOM, Ladder, Rung
from pipeline.evaluation.sessions import NEXT_VIEWS
from pipeline.measures.accuracy import Estimate

SEED = 0
PAIRS = [(name, POPULAR) for name in GROUPS] + [("test", "control")]
NOT_CAUGHT = {RANDOM, POPULAR, ORACLE}
"""For these a captured lift says nothing."""
SHOWN = (POPULAR, *GROUPS, ORACLE)
"""The rungs that a table by segment has room to show."""


def rungs(ladder: Ladder) -> dict[str, Rung]:
    """The same at every call."""
    return ladder.estimates(np.random.default_rng(SEED))


def differences(ladder: Ladder) -> Iterator[tuple[str, str, Estimate]]:
    """The paired differences that matter, as far as the ladder has them."""
    rng = np.random.default_rng(SEED)
    for name, base in PAIRS:
        if name in ladder.hits and base in ladder.hits:
            yield name, base, ladder.against(name, base, rng)


def users_of(ladder: Ladder) -> int:
    return len(next(iter(ladder.hits.values())))


def as_table(ladder: Ladder, title: str) -> Table:
    return _rung_table(ladder, f"{title}: HitRate@5, offline viewed")


def sessions_table(ladder: Ladder) -> Table:
    return _rung_table(ladder, f"HitRate@5 within sessions, of the {NEXT_VIEWS} next views")


def _rung_table(ladder: Ladder, title: str) -> Table:
    table = _table(f"{title}, {users_of(ladder):,} users; ± half a 95 % interval")
    for head in ("HitRate@5", "less most popular", "captured lift"):
        table.add_column(head, justify="right")
    for name, rung in rungs(ladder).items():
        table.add_row(
            name,
            with_half(rung.own),
            "" if name == POPULAR else with_half(rung.gain, "+.3f"),
            caught(name, rung),
        )
    return table


def difference(gain: Estimate) -> str:
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def caught(name: str, rung: Rung) -> str:
    if rung.captured is None or name in NOT_CAUGHT:
        return ""
    return with_half(rung.captured, ".2f")


def with_half(estimate: Estimate, form: str = ".3f") -> str:
    """The value, and half of its interval."""
    half = f"{(estimate.high - estimate.low) / 2:{form.removeprefix('+')}}".removeprefix("0")
    return f"{estimate.value:{form}}\N{NO-BREAK SPACE}±{half}"


def measures_table(judgement: Judgement) -> Table:
    """Every measure but the hit rate, of the posts that users viewed."""
    others = {measure: rungs(part) for measure, part in judgement.measures.items() if measure != HIT_RATE}
    table = _table("Other measures by user, ± half a 95 % interval")
    for measure in others:
        table.add_column(measure, justify="right")
    for name in judgement.ladder.hits:
        table.add_row(name, *(with_half(part[name].own) for part in others.values()))
    return table


def segments_table(judgement: Judgement) -> Table:
    """Some segments are small: the interval of the models' difference says how small."""
    table = _table("HitRate@5 by segment, each ranked by itself")
    names = [name for name in SHOWN if name in judgement.ladder.hits]
    for head in ("", "users", *names, "test less control"):
        table.add_column(head, justify="right" if head else "left", no_wrap=not head)
    for segment, part in judgement.segments.items():
        gain = next((gain for name, base, gain in differences(part) if (name, base) == PAIRS[-1]), None)
        table.add_row(
            segment.kind,
            escape(segment.name),
            f"{users_of(part):,}",
            *(f"{part.hits[name].mean():.3f}" for name in names),
            with_half(gain, "+.3f") if gain else "",
        )
    return table


def alarm_lines(judgement: Judgement) -> Iterator[str]:
    """One line per model, with a figure for each world."""
    for name in dict.fromkeys(alarm.model for alarm in judgement.alarms):
        own = [alarm for alarm in judgement.alarms if alarm.model == name]
        train, test = (
            ", ".join(f"{auc.value:.3f}" for auc in aucs)
            for aucs in zip(*((a.train, a.test) for a in own), strict=True)
        )
        verdict = "a leak" if any(alarm.rings for alarm in own) else "no leak"
        yield f"{name}: AUC {train} on rows that it was trained on, {test} on unseen days: {verdict}"


def difference_lines(ladder: Ladder) -> Iterator[str]:
    """Between the models; over most popular see the table."""
    for name, base, gain in differences(ladder):
        if base != POPULAR:
            yield f"{name} less {base}, user by user: {difference(gain)}"


def as_json(judgement: Judgement) -> dict[str, Any]:
    return {
        "metric": "HitRate@5, offline viewed",
        "users": users_of(judgement.ladder),
        "rungs": _rungs(judgement.ladder),
        "differences": _differences(judgement.ladder),
        "measures": {
            measure: {name: _plain(rung.own) for name, rung in rungs(part).items()}
            for measure, part in judgement.measures.items()
            if measure != HIT_RATE
        },
        "sessions": _rungs(judgement.sessions) if judgement.sessions else {},
        "segments": [
            {
                "kind": segment.kind,
                "name": segment.name,
                "users": users_of(part),
                "rungs": _rungs(part),
                "differences": _differences(part),
            }
            for segment, part in judgement.segments.items()
        ],
        "leaks": [
            {"model": alarm.model, "train_auc": alarm.train.value, "test_auc": alarm.test.value, "leak": alarm.rings}
            for alarm in judgement.alarms
        ],
    }


def _rungs(ladder: Ladder) -> dict[str, Any]:
    return {
        name: {**_plain(rung.own), "captured_lift": rung.captured.value if rung.captured else None}
        for name, rung in rungs(ladder).items()
    }


def _differences(ladder: Ladder) -> list[dict[str, Any]]:
    return [{"of": name, "less": base, **_plain(gain)} for name, base, gain in differences(ladder)]


def _plain(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _table(title: str) -> Table:
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    return table
