"""An analysis run: one report, as of one moment, over everything that an experiment recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from contracts import numbers
from contracts.assignment import CONTROL, Group
from contracts.experiments import Experiment
from contracts.names import READINGS, VERDICTS, about, guardrail, metric_name
from contracts.reports import (
    Comparison,
    GroupReading,
    GuardrailReading,
    InterleavingReading,
    LeftOutReading,
    MetricReading,
    Range,
    Report,
    Verdict,
)
from experiments import decision
from experiments.effects import Interval
from experiments.srm import SplitCheck
from sqlalchemy import Engine

from feature_service.experiments.definitions import experiment as read_experiment
from feature_service.experiments.definitions import history
from feature_service.reports import breakdowns, health, readings
from feature_service.reports.aggregates import Aggregates, aggregate
from feature_service.reports.metric_sums import SUMMED_TOGETHER

MODE_WITHOUT_GROUPS = {
    "interleave": "interleaved: every user sees both rankers' posts; the votes say who is liked more",
    "shadow": "shadow: every user sees control's posts; nothing of test was seen",
}


def analyse(engine: Engine, name: str, now: datetime, lag_seconds: float | None = None) -> Report:
    """Raises NotFound. now: by the platform's clock. The engine must have three connections to give."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        experiment = read_experiment(connection, name)
        changes = history(connection, name)
        at = min(now, experiment.stopped_at) if experiment.stopped_at else now
        sums = aggregate(engine, connection, experiment, at)
    return read(experiment, sums, at).model_copy(update={"history": changes, "lag_seconds": lag_seconds})


def read(experiment: Experiment, sums: Aggregates, at: datetime) -> Report:
    """The report without its history: pure, so that simulated experiments are decided by what decides real ones."""
    return _Analysis(experiment, sums, at).report()


class _Analysis:
    """Each group against control, and what they say together."""

    def __init__(self, experiment: Experiment, sums: Aggregates, at: datetime) -> None:
        self._experiment, self._sums, self._at = experiment, sums, at
        self._plan = experiment.plan

    def report(self) -> Report:
        split, checked = readings.split(self._experiment, self._sums.assigned)
        groups = self._groups()
        users = {group.group: group.assigned for group in groups}
        sides = {
            group: _Comparison(self._experiment, self._sums, group, self._days, self._at)
            for group in self._plan.compared
        }
        said = {group: side.read(checked, min(users[CONTROL], users[group])) for group, side in sides.items()}
        first = said[self._decisive(said)]
        return Report(
            run=0,
            at=self._at,
            experiment=self._experiment,
            days=self._days,
            groups=groups,
            compared=first.group,
            others=[each for each in said.values() if each is not first],
            likers=first.likers,
            split=split,
            metrics=first.metrics,
            per_protocol=first.per_protocol,
            guardrails=first.guardrails,
            interleaving=sides[first.group].votes,
            shadow=sides[first.group].shadow,
            segments=first.segments,
            novelty=first.novelty,
            latency=first.latency,
            verdict=_together(first, [each for each in said.values() if each is not first]),
            health=health.checks(*self._sums.health, groups, self._sums.unattributed) if self._sums.health else [],
            left_out=[
                LeftOutReading(group=row["exp_group"], users=row["users"], exposures=row["exposures"])
                for row in self._sums.left_out
            ],
            unattributed=self._sums.unattributed,
            history=[],
        )

    def _decisive(self, said: Mapping[Group, Comparison]) -> Group:
        kinds = {group: each.verdict.kind for group, each in said.items()}
        lifts = {group: each.metrics[0].always_valid if each.metrics else None for group, each in said.items()}
        return decision.decisive(kinds, {group: lift.estimate if lift else 0.0 for group, lift in lifts.items()})

    @property
    def _days(self) -> float:
        started = self._experiment.started_at
        if started is None:
            return 0.0
        begin = max(started, self._plan.starts_at or started)
        return max(0.0, (self._at - begin).total_seconds() / 86_400)

    def _groups(self) -> list[GroupReading]:
        assigned = self._sums.assigned
        return [
            GroupReading(
                group=group,
                ranker=self._plan.rankers.get(group, group),
                models=[
                    f"{row['model']}@{row['model_version']}" if row["model_version"] else row["model"]
                    for row in self._sums.models
                    if row["exp_group"] == group
                ],
                assigned=sum(users for (_, name), users in assigned.items() if name == group),
                exposures=self._sum(group, "exposures"),
                degraded=self._sum(group, "degraded"),
                likes=self._sum(group, "likes"),
                unlogged=self._sum(group, "unlogged"),
            )
            for group in self._plan.groups
        ]

    def _sum(self, group: str, column: str) -> int:
        return sum(int(row[column]) for row in self._sums.groups if row["exp_group"] == group)


def _together(first: Comparison, others: list[Comparison]) -> Verdict:
    """That of the group which decides, and what is said of the others."""
    if not others:
        return first.verdict
    said = [
        f"{each.group}: {about(VERDICTS[each.verdict.kind], each.group).lower()}, {each.verdict.reasons[0]}"
        for each in others
    ]
    mine = [f"{first.group}: {reason}" for reason in first.verdict.reasons]
    return Verdict(kind=first.verdict.kind, reasons=[*mine, *said])


class _Comparison:
    """One group against control."""

    def __init__(self, experiment: Experiment, sums: Aggregates, group: Group, days: float, at: datetime) -> None:
        self._experiment, self._sums, self._group, self._days, self._at = experiment, sums, group, days, at
        self._sides, self._plan = sums.compared[group], experiment.plan
        self._scale = readings.Scale(self._plan, group)
        self.votes: InterleavingReading | None = None
        self.shadow = readings.shadow(sums.shadow, self._scale) if sums.shadow is not None else None

    def read(self, checked: SplitCheck | None, users: int) -> Comparison:
        """users: of the smaller of the two groups."""
        metrics, per_protocol = self._metrics()
        rules = self._guardrails()
        ever = _range_as_interval(metrics[0], self._scale.confidence)
        if self._sums.votes is not None:
            self.votes, ever = readings.interleaved(self._sums.votes, self._scale, seed=self._experiment.revision)
        return Comparison(
            group=self._group,
            metrics=metrics,
            per_protocol=per_protocol,
            guardrails=rules,
            likers=self._likers(),
            verdict=self._verdict(users, checked, ever, rules),
            segments=breakdowns.segments(self._sides.segments, self._plan.rules.primary, self._scale),
            novelty=breakdowns.novelty(self._sides.novelty, self._plan.rules.primary, self._scale),
            latency=breakdowns.latency(self._sides.latency, self._sides.totals, self._scale)
            if self._sides.latency
            else [],
        )

    def _metrics(self) -> tuple[list[MetricReading], list[MetricReading]]:
        wanted = [self._plan.rules.primary, *self._plan.watched]
        if why := MODE_WITHOUT_GROUPS.get(self._plan.mode):
            return [readings.unread(metric, why) for metric in wanted], []
        sides, together = self._sides, [name for name in wanted if name in SUMMED_TOGETHER]
        return (
            readings.metrics(wanted, sides.totals, sides.days, self._at, self._scale),
            readings.metrics(together, sides.undegraded, {}, self._at, self._scale),
        )

    def _guardrails(self) -> list[GuardrailReading]:
        if (shadow := self._sums.shadow) is not None:
            asked, failed = int(shadow["asked"]), int(shadow["failed"])
            return [readings.guardrail_of_shadow(rule, asked, failed) for rule in self._plan.guardrails]
        of = readings.guardrail_alone if self._plan.mode == "interleave" else readings.guardrail
        return [of(rule, self._sides.totals, self._scale) for rule in self._plan.guardrails]

    def _likers(self) -> float:
        """On how many users of the smaller group the primary stands; of votes, how many prefer one ranker."""
        if (votes := self._sums.votes) is not None:
            return float(votes["test"] + votes["control"])
        return readings.likers(self._plan.rules.primary, self._sides.totals)

    def _verdict(
        self,
        users: int,
        checked: SplitCheck | None,
        primary: Interval | None,
        rules: list[GuardrailReading],
    ) -> Verdict:
        plan = self._plan
        if plan.mode == "shadow":
            broken = [rule for rule in rules if rule.state == "breached"]
            words = [self._guardrail_in_words(rule) for rule in broken]
            why = "nobody saw what the shadow ranker answered: its latency, errors and overlap are all that there is"
            return Verdict(kind="roll_back" if broken else "hold", reasons=[*words, why])
        ended = self._days >= plan.rules.days or self._experiment.state in ("stopped", "archived")
        evidence = decision.Evidence(
            split=checked,
            primary=primary,
            guardrails={
                rule.metric: "unclear" if rule.state == "cannot_tell" else rule.state
                for rule in sorted(rules, key=lambda rule: rule.state == "breached")
            },
            users=users,
            days=self._days,
            likers=self._likers(),
            least_users=plan.rules.min_users,
            least_likers=plan.rules.min_likers,
            least_days=plan.rules.min_days,
            ended=ended,
            higher_is_better=not self._scale.lower_is_better(plan.rules.primary),
        )
        verdict = decision.decide(evidence)
        reasons = [self._in_words(reason, evidence, rules) for reason in verdict.reasons]
        return Verdict(kind=verdict.kind, reasons=reasons)

    def _in_words(self, reason: decision.Reason, evidence: decision.Evidence, rules: list[GuardrailReading]) -> str:
        plan, primary = self._plan.rules, evidence.primary
        name = (
            f"{self._group}'s share of the votes less a half"
            if self._plan.mode == "interleave"
            else f"{metric_name(plan.primary).within}: lift"
        )
        measured = f"{name} {_signed(primary)}" if primary else f"{name} can't be told yet"
        of_rule = next((rule for rule in rules if rule.metric == reason.metric), None)
        words: Mapping[decision.Code, Callable[[], str]] = {
            "split_failed": lambda: (
                f"sample ratio mismatch: the groups are not split as the weights say (p = {evidence.split.p:.2g}); "
                "find out why before anything else is read"
                if evidence.split
                else ""
            ),
            "split_unknown": lambda: "nobody is assigned yet",
            "guardrail_breached": lambda: self._guardrail_in_words(of_rule) if of_rule else "",
            "guardrail_unclear": lambda: self._guardrail_in_words(of_rule) if of_rule else "",
            "primary_worse": lambda: f"{READINGS['worse'].lower()}: {measured}",
            "primary_unclear": lambda: f"{READINGS['unclear'].lower()}: {measured}",
            "primary_better": lambda: f"{READINGS['better'].lower()}: {measured}",
            "too_few_users": lambda: f"{evidence.users} users in the smaller group, of {plan.min_users} at least",
            "too_few_likers": lambda: (
                f"the primary stands on {evidence.likers:.0f} users in the smaller group, of {plan.min_likers} at least: "
                "too few like, or a few like far more than all others"
            ),
            "too_few_days": lambda: f"{self._days:.1f} days, of {plan.min_days} at least",
            "guardrails_hold": lambda: "all guardrails hold",
            "planned_end": lambda: "the planned end: what is unclear by now keeps control",
        }
        return words[reason.code]()

    def _guardrail_in_words(self, rule: GuardrailReading) -> str:
        past = {
            "breached": "past the limit",
            "unclear": "not clearly within the limit",
            "cannot_tell": "too few answers to hold against the limit",
            "holds": "within the limit",
        }
        shares = _shares(rule, self._group)
        return f"{guardrail(rule.metric, rule.over_ms)}: {shares}, {past[rule.state]} of {_limit(rule)}"


def _shares(rule: GuardrailReading, group: Group) -> str:
    if rule.test is None:
        return "no answers"
    test = f"{numbers.share(rule.test.estimate)} of {group}’s answers"
    if rule.control is None or rule.more is None:
        return f"{test} ({numbers.shares(rule.test)})"
    return f"{test}, {numbers.share(rule.control.estimate)} of control’s: {numbers.points(rule.more)} more"


def _limit(rule: GuardrailReading) -> str:
    return numbers.limit(rule.limit) if rule.control is None else f"{numbers.limit_points(rule.limit)} more"


def _range_as_interval(reading: MetricReading, confidence: float) -> Interval | None:
    ever = reading.always_valid
    return Interval(ever.estimate, ever.low, ever.high, confidence) if ever else None


def _signed(interval: Interval) -> str:
    bounds = Range(estimate=interval.estimate, low=interval.low, high=interval.high)
    return f"{numbers.percent(interval.estimate)} ({numbers.interval(bounds)})"
