"""The verdict, by rules in order; one function for page, JSON and log.

1. The split check fails: do not decide.
2. A guardrail's whole interval lies past its limit, or the primary is clearly worse: roll back.
3. Fewer users, likers or days than planned as the least: too early.
4. Anything unclear (the primary, or a guardrail): hold; at the planned end, keep control.
5. Else ship.

Intervals that are looked at more than once must be sequential ones (`sequential.interval`). Below the least users and
likers nothing reads the primary, rule 2 included: there the central limit theorem does not hold yet, and a clear
difference is chance more often than the interval says. Its days may be few: harm does not wait for a week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from experiments.effects import Interval
from experiments.guardrails import State
from experiments.srm import SplitCheck

Kind = Literal["split_failed", "roll_back", "too_early", "hold", "keep_control", "ship"]
Code = Literal[
    "split_failed",
    "split_unknown",
    "guardrail_breached",
    "primary_worse",
    "too_few_users",
    "too_few_likers",
    "too_few_days",
    "primary_unclear",
    "guardrail_unclear",
    "primary_better",
    "guardrails_hold",
    "planned_end",
]


@dataclass(frozen=True, slots=True)
class Reason:
    """metric: the guardrail's name, where the code speaks of one."""

    code: Code
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Kind
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict is made of. None: not enough data to say.

    users, likers: of the group that has fewer; likers: effective ones (`RatioSums.effective_users`); days: full days
    since the start; primary: test - control, always valid.
    """

    split: SplitCheck | None
    primary: Interval | None
    guardrails: Mapping[str, State]
    users: int
    days: float
    least_users: int
    least_days: float
    likers: float = 0.0
    least_likers: float = 0.0
    ended: bool = False
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        if min(self.users, self.days, self.likers, self.least_users, self.least_days, self.least_likers) < 0:
            raise ValueError(f"users, likers and days are not negative: {self}")


def decide(evidence: Evidence) -> Verdict:
    """The first rule that speaks; its reasons, all of them, the primary's before the guardrails'."""
    if evidence.split is not None and evidence.split.failed:
        return Verdict("split_failed", (Reason("split_failed"),))
    if harms := _harms(evidence):
        return Verdict("roll_back", harms)
    if early := _early(evidence):
        return Verdict("too_early", early)
    if unclear := _unclear(evidence):
        return (
            Verdict("keep_control", (*unclear, Reason("planned_end"))) if evidence.ended else Verdict("hold", unclear)
        )
    return Verdict("ship", (Reason("primary_better"), Reason("guardrails_hold")))


def decisive(kinds: Mapping[str, Kind], lifts: Mapping[str, float]) -> str:
    """Of several groups, each judged against control, the one whose verdict is that of the experiment.

    A failed split is everybody's. Whatever may be shipped comes first, the higher lift before the lower; then what is
    still open; harm alone is the verdict only where all do harm. lifts: as far as they are known, else 0.
    """
    return min(kinds, key=lambda group: (_BY_WEIGHT.index(kinds[group]), -lifts[group]))


_BY_WEIGHT: tuple[Kind, ...] = ("split_failed", "ship", "too_early", "hold", "keep_control", "roll_back")


def _harms(evidence: Evidence) -> tuple[Reason, ...]:
    worse = _side(evidence) == "worse" and not _few(evidence)
    return ((Reason("primary_worse"),) if worse else ()) + _guardrails(evidence, "breached", "guardrail_breached")


def _few(evidence: Evidence) -> tuple[Reason, ...]:
    """What the primary needs before anything reads it."""
    users = (Reason("too_few_users"),) if evidence.users < evidence.least_users else ()
    likers = (Reason("too_few_likers"),) if evidence.likers < evidence.least_likers else ()
    return users + likers


def _early(evidence: Evidence) -> tuple[Reason, ...]:
    days = (Reason("too_few_days"),) if evidence.days < evidence.least_days else ()
    return _few(evidence) + days


def _unclear(evidence: Evidence) -> tuple[Reason, ...]:
    split = (Reason("split_unknown"),) if evidence.split is None else ()
    primary = (Reason("primary_unclear"),) if _side(evidence) == "unclear" else ()
    return split + primary + _guardrails(evidence, "unclear", "guardrail_unclear")


def _guardrails(evidence: Evidence, state: State, code: Code) -> tuple[Reason, ...]:
    return tuple(Reason(code, name) for name, verdict in evidence.guardrails.items() if verdict == state)


def _side(evidence: Evidence) -> Literal["better", "worse", "unclear"]:
    interval = evidence.primary
    if interval is None or interval.holds(0.0):
        return "unclear"
    return "better" if (interval.estimate > 0) == evidence.higher_is_better else "worse"
