"""Guardrails: a group that breaches one loses its traffic within seconds.

The window is the last minute of real time, however fast the platform's clock runs: exposures carry the platform's time,
so the ends of the window are converted to it. If the clock was set within that minute, the window begins with the new
clock. A share is certainly past its limit when the lower end of its 99 % Wilson interval is, over at least `FEWEST`
answers. Checked every two seconds for weeks, a share that sits right at its limit will now and then look breached: set
limits well above what is usual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from contracts.clock import Clock
from contracts.degradation import FALLBACK_VERSION, RANKER_FAILED_LIKE
from contracts.experiments import Experiment, Guardrail, GuardrailMetric
from experiments.shares import wilson
from prometheus_client import Counter
from sqlalchemy import Connection, Engine, RowMapping

from feature_service.database.engine import naive
from feature_service.database.queries import query
from feature_service.experiments.definitions import record, running
from feature_service.experiments.lifecycle import is_rolled_back, rolled_back
from feature_service.experiments.published import LOCK_EXPERIMENTS, publish
from feature_service.keyspace.connection import Client

WINDOW = timedelta(seconds=60)
SKEW = timedelta(seconds=5)
"""How far a gateway's clock may run ahead of ours."""
FEWEST = 50
CONFIDENCE = 0.99
BY = "guardrail"
ROLLBACKS = Counter("ingest_rollbacks_total", "Experiments whose guardrail was breached.", ["experiment", "metric"])

_COUNTS = query(__package__, "guardrail_counts")
_WORDS = {"ranker_failed": RANKER_FAILED_LIKE, "fallback": FALLBACK_VERSION}
COLUMNS: Mapping[GuardrailMetric, str] = {
    "slow_share": "slow",
    "error_share": "failed",
    "fallback_share": "fallbacks",
}
"""Of each metric: where the answers past it are counted, here and in `exposure_days`."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Breach:
    rule: Guardrail
    past: int
    answers: int
    low: float

    @property
    def reason(self) -> str:
        """Begins with the metric, by which a report recognizes it (`breach_of`)."""
        slower = f" (over {self.rule.over_ms:g} ms)" if self.rule.over_ms else ""
        return (
            f"guardrail {self.rule.metric}{slower}: {self.past} of {self.answers} answers in the last minute, "
            f"for certain over {100 * self.low:.1f} %, limit {100 * self.rule.limit:g} %"
        )


def breach_of(experiment: Experiment) -> str | None:
    """The metric whose breach rolled this experiment back, unless its traffic was given back since."""
    reason = experiment.periods[-1].reason if experiment.periods else ""
    match = re.match(r"guardrail (\w+)", reason)
    return match.group(1) if match else None


class GuardrailWatch:
    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine, self._client = engine, client

    def look(self, real: datetime, clock: Clock) -> list[str]:
        """Rolls back what is breached; the names of those experiments."""
        now = clock.at(real)
        with self._engine.begin() as connection:
            watched = [each for each in running(connection) if each.is_on(now) and _can_breach(each, now)]
            broken = [each for each in watched if _breach(connection, each, real, clock)]
        done = [each.name for each in broken if self._roll_back(each.name, real, clock)]
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

    def _roll_back(self, name: str, real: datetime, clock: Clock) -> bool:
        """Checked again under the lock that every change takes: the breach may be over by then."""
        now = clock.at(real)
        with self._engine.begin() as connection:
            connection.execute(LOCK_EXPERIMENTS)
            current = next((each for each in running(connection) if each.name == name), None)
            if current is None or is_rolled_back(current, now):
                return False
            if (breach := _breach(connection, current, real, clock)) is None:
                return False
            what = "weights control 100 %, test 0 %"
            new = rolled_back(current, now, breach.reason)
            if current.plan.mode == "interleave":  # everybody sees both: only stopping it takes test away
                new = new.model_copy(update={"state": "stopped", "stopped_at": now})
                what = "stopped"
            record(connection, new, now, by=BY, reason=breach.reason, what=what)
        ROLLBACKS.labels(name, breach.rule.metric).inc()
        log.error("guardrail_breached", experiment=name, reason=breach.reason)
        return True


def _can_breach(experiment: Experiment, now: datetime) -> bool:
    return experiment.plan.is_seen and not is_rolled_back(experiment, now)


def _is_over(experiment: Experiment, now: datetime) -> bool:
    return experiment.plan.ends_at is not None and experiment.plan.ends_at <= now


def _breach(connection: Connection, experiment: Experiment, real: datetime, clock: Clock) -> Breach | None:
    """The first guardrail that is certainly past its limit."""
    rules, now = experiment.plan.guardrails, clock.at(real)
    begin = experiment.periods[experiment.period(now)].starts_at
    values = {
        "name": experiment.name,
        "since": naive(max(clock.at(real - WINDOW), begin)),
        "until": naive(now + SKEW * clock.speed),
        "over_ms": next((rule.over_ms for rule in rules if rule.over_ms is not None), None),
        "interleaved": experiment.plan.mode == "interleave",
    }
    counts = connection.execute(_COUNTS, values | _WORDS).mappings().one()
    return _first_breach(rules, counts)


def _first_breach(rules: Sequence[Guardrail], counts: RowMapping) -> Breach | None:
    if (answers := counts["answers"]) < FEWEST:
        return None
    for rule in rules:
        past = counts[COLUMNS[rule.metric]]
        low = wilson(past, answers, CONFIDENCE).low
        if low > rule.limit:
            return Breach(rule, past, answers, low)
    return None
