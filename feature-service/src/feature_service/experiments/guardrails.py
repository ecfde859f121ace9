"""The switch: within seconds it takes traffic from a group that answers badly, and gives it back by itself.

It is no verdict: the report draws that from whole users over the whole experiment (`reports.readings.guardrail`). The
switch looks every two seconds at the last minute of real time, however fast the platform's clock runs: exposures carry
the platform's time, so the ends of the window are converted to it. If the clock was set within that minute, the window
begins with the new clock.

Test's share of bad answers must lie above control's of the same seconds by more than the guardrail's limit for certain:
Newcombe's interval of a difference (Newcombe 1998, method 10) at 99.99 %, because it is read 20,000 times a fortnight,
with users for answers, because a user's answers are alike; over `FEWEST_USERS` and trouble in `FEWEST_SECONDS`. So what
hits both groups, and what lasts a moment, moves nothing.

A pause lasts a minute, and four times as long each time again within a day, six hours at most. Then test is tried anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

import structlog
from contracts.assignment import CONTROL, Group
from contracts.clock import Clock
from contracts.degradation import FALLBACK_VERSION, RANKER_FAILED_LIKE, UNREACHABLE_LIKE
from contracts.experiments import Experiment, Guardrail, GuardrailMetric, Pause
from experiments.effects import Interval
from experiments.shares import wilson
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, RowMapping

from feature_service.database.engine import naive
from feature_service.database.queries import query
from feature_service.experiments.definitions import record, running
from feature_service.experiments.lifecycle import paused, put_on_pause, resumed
from feature_service.experiments.published import LOCK_EXPERIMENTS, publish
from feature_service.keyspace.connection import Client

WINDOW = timedelta(seconds=60)
SKEW = timedelta(seconds=5)
"""How far a gateway's clock may run ahead of ours."""
FEWEST_USERS = 20
FEWEST_SECONDS = 4
"""In which test had trouble: a machine that stalls for three answers slowly in three."""
CONFIDENCE = 0.9999
FIRST_PAUSE, LONGEST_PAUSE, GROWS = timedelta(minutes=1), timedelta(hours=6), 4
REMEMBERED = timedelta(days=1)
BY = "guardrail"
PAUSES = Counter("ingest_pauses_total", "Pauses of an experiment, by what test answered.", ["experiment", "why"])

_COUNTS = query(__package__, "guardrail_counts")
_WORDS = {"ranker_failed": RANKER_FAILED_LIKE, "unreachable": list(UNREACHABLE_LIKE), "fallback": FALLBACK_VERSION}
COLUMNS: Mapping[GuardrailMetric, str] = {
    "slow_share": "slow",
    "error_share": "failed",
    "fallback_share": "fallbacks",
}
"""Of each metric: where the answers past it are counted."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Of the group `of`. more: what it has more than control; of an interleaved experiment, what it has."""

    of: Group
    rule: Guardrail
    test: RowMapping
    control: RowMapping | None
    more: Interval

    @property
    def is_unreachable(self) -> bool:
        """Whether most of it is a ranker that nobody reached."""
        past: int = self.test[COLUMNS[self.rule.metric]]
        return self.rule.metric != "slow_share" and self.test["unreachable"] > past / 2

    @property
    def reason(self) -> str:
        past, slower = COLUMNS[self.rule.metric], f" (over {self.rule.over_ms:g} ms)" if self.rule.over_ms else ""
        what = "ranker can't be reached" if self.is_unreachable else f"{self.rule.metric}{slower}"
        beside = f", {self.control[past]} of {self.control['answers']} of control's" if self.control else ""
        return (
            f"{what}: {self.test[past]} of {self.test['answers']} answers in the last minute{beside}; "
            f"for certain {100 * self.more.low:.1f} points more, limit {100 * self.rule.limit:g}"
        )


class GuardrailWatch:
    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine, self._client = engine, client

    def look(self, real: datetime, clock: Clock) -> list[str]:
        """Pauses what is in trouble, resumes what has paused long enough; the names of those experiments."""
        with self._engine.begin() as connection:
            due = [each.name for each in _watched(connection, clock.at(real)) if _next(connection, each, real, clock)]
        done = [name for name in due if self._change(name, real, clock)]
        if done:
            publish(self._engine, self._client)
        return done

    def end(self, now: datetime) -> list[str]:
        """Stops the experiments whose planned end has come; their names."""
        with self._engine.begin() as connection:
            if not any(_is_over(each, now) for each in running(connection)):
                return []
            connection.execute(LOCK_EXPERIMENTS)
            over = [each for each in running(connection) if _is_over(each, now)]
            for each in over:
                stopped = {"state": "stopped", "stopped_at": each.plan.ends_at, "revision": each.revision + 1}
                new = each.model_copy(update=stopped)
                record(connection, new, now, by="the platform", reason="the planned end has come", what="stopped")
        if over:
            publish(self._engine, self._client)
        return [each.name for each in over]

    def _change(self, name: str, real: datetime, clock: Clock) -> bool:
        """Looked at again under the lock that every change takes: it may be over by then."""
        with self._engine.begin() as connection:
            connection.execute(LOCK_EXPERIMENTS)
            current = next((each for each in _watched(connection, clock.at(real)) if each.name == name), None)
            change = _next(connection, current, real, clock) if current else None
            if current is None or change is None:
                return False
            new, reason, what = change
            record(connection, new, clock.at(real), by=BY, reason=reason, what=what)
        log.warning(
            "experiment_paused" if what.startswith("paused") else "experiment_resumed", experiment=name, reason=reason
        )
        return True


Change = tuple[Experiment, str, str]
"""The experiment after it, its reason, and what it is, for the history."""


def _watched(connection: Connection, now: datetime) -> list[Experiment]:
    return [each for each in running(connection) if each.is_on(now) and each.plan.is_seen]


def _is_over(experiment: Experiment, now: datetime) -> bool:
    return experiment.plan.ends_at is not None and experiment.plan.ends_at <= now


def _next(connection: Connection, experiment: Experiment, real: datetime, clock: Clock) -> Change | None:
    now = clock.at(real)
    if (pause := paused(experiment, now)) and now >= pause.until:
        return _resumed(experiment, now)
    weights = experiment.periods[experiment.period(now)].weights
    if not any(weights.get(group) for group in experiment.plan.compared):
        return None
    trouble = _trouble(connection, experiment, real, clock)
    return _paused(experiment, trouble, now, clock) if trouble else None


def _resumed(experiment: Experiment, now: datetime) -> Change:
    pause = paused(experiment, now)
    whom = " and ".join(pause.groups if pause and pause.groups else experiment.plan.compared)
    reason = f"the pause is over: {whom} {'are' if ' and ' in whom else 'is'} tried anew"
    new = resumed(experiment, now, reason)
    return new.model_copy(update={"revision": experiment.revision + 1}), reason, "resumed"


def _paused(experiment: Experiment, trouble: Trouble, now: datetime, clock: Clock) -> Change:
    lasts = _lasts(experiment, now, clock)
    why = "unreachable" if trouble.is_unreachable else trouble.rule.metric
    already = pause.groups or list(experiment.plan.compared) if (pause := paused(experiment, now)) else []
    until = max(now + lasts * clock.speed, pause.until if pause else now)
    pause = Pause.model_validate({"why": why, "until": until, "groups": [*already, trouble.of]})
    PAUSES.labels(experiment.name, why).inc()
    minutes = lasts.total_seconds() / 60
    new = put_on_pause(experiment, now, pause, trouble.reason)
    shares = new.periods[-1].weights
    weights = ", ".join(f"{group} {100 * shares[group]:g} %" for group in experiment.plan.groups)
    return new, trouble.reason, f"paused for {minutes:g} minutes: weights {weights}"


def _lasts(experiment: Experiment, now: datetime, clock: Clock) -> timedelta:
    """In real time."""
    since = now - REMEMBERED * clock.speed
    before = sum(period.pause is not None and period.starts_at > since for period in experiment.periods)
    return min(FIRST_PAUSE * float(GROWS ** min(before, 10)), LONGEST_PAUSE)


def _trouble(connection: Connection, experiment: Experiment, real: datetime, clock: Clock) -> Trouble | None:
    """The first guardrail that a group is certainly past."""
    rules, now = experiment.plan.guardrails, clock.at(real)
    begin = experiment.periods[experiment.period(now)].starts_at
    values = {
        "name": experiment.name,
        "since": naive(max(clock.at(real - WINDOW), begin)),
        "until": naive(now + SKEW * clock.speed),
        "speed": clock.speed,
        "over_ms": next((rule.over_ms for rule in rules if rule.over_ms is not None), None),
        "drafted": experiment.plan.compared[0] if experiment.plan.mode == "interleave" else None,
    }
    groups = {row["exp_group"]: row for row in connection.execute(_COUNTS, values | _WORDS).mappings()}
    weights, control = experiment.periods[experiment.period(now)].weights, groups.get(CONTROL)
    alone = bool(not weights.get(CONTROL) or values["drafted"])
    enough = [
        (group, row)
        for group in experiment.plan.compared
        if weights.get(group) and (row := groups.get(group)) is not None and _says_enough(row)
    ]
    troubles = (
        Trouble(group, rule, row, control, _more(rule, row, control, alone)) for group, row in enough for rule in rules
    )
    return next((each for each in troubles if each.more.low > each.rule.limit), None)


def _says_enough(group: RowMapping) -> bool:
    return bool(group["users"] >= FEWEST_USERS and group["seconds"] >= FEWEST_SECONDS)


def _more(rule: Guardrail, test: RowMapping, control: RowMapping | None, alone: bool) -> Interval:
    """Test's share less control's. alone: there is no control to compare with."""
    worse = _share(rule, test)
    if alone:
        return worse
    beside = _share(rule, control) if control else Interval(0.0, 0.0, 1.0, CONFIDENCE)
    more = worse.estimate - beside.estimate
    low = more - sqrt((worse.estimate - worse.low) ** 2 + (beside.high - beside.estimate) ** 2)
    high = more + sqrt((worse.high - worse.estimate) ** 2 + (beside.estimate - beside.low) ** 2)
    return Interval(more, low, high, CONFIDENCE)


def _share(rule: Guardrail, group: RowMapping) -> Interval:
    """As if each user were one answer."""
    past, users = group[COLUMNS[rule.metric]], group["users"]
    return wilson(round(past / group["answers"] * users), users, CONFIDENCE)
