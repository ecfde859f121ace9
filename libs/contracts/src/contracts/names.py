"""What metrics, guardrails, modes, readings, verdicts and outcomes are called.

The console's pages and their JSON, the command line and the reasons of a report all use these names. Colours and tones
are chosen where they are shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from contracts import numbers
from contracts.assignment import Group, Mode
from contracts.experiments import GuardrailMetric, Metric, Outcome, Pause
from contracts.reports import Dimension, ExperimentLine, GuardrailState, HealthCheck, HealthState, Reading, VerdictKind


class MetricName(NamedTuple):
    text: str
    is_are: str
    """The verb that goes with it."""

    @property
    def within(self) -> str:
        """As in the middle of a sentence."""
        return self.text.lower()


METRICS: dict[Metric, MetricName] = {
    "hit_rate": MetricName("Hit rate", "is"),
    "likes_per_exposure": MetricName("Likes per exposure", "are"),
    "likes_per_user": MetricName("Likes per user", "are"),
    "exposures_per_user": MetricName("Exposures per user", "are"),
    "views_per_user": MetricName("Views per user", "are"),
    "returned_within_7_days": MetricName("Share who returned within 7 days", "is"),
    "latency_ms": MetricName("Latency in ms", "is"),
}
"""Those that every plan knows: `metric_name` knows a plan's own too."""
GUARDRAILS: dict[GuardrailMetric, str] = {
    "slow_share": "Slower than",
    "error_share": "Ranker failed",
    "fallback_share": "Answered by a fallback",
}
"""`slow_share` is followed by its bound: `guardrail` gives the whole name."""
MODES: dict[Mode, str] = {
    "ab": "A/B: each group sees its ranker",
    "ramp": "Ramp: an A/B with weights by schedule",
    "interleave": "Interleaving: each list drafts from both rankers",
    "shadow": "Shadow: users see control alone",
}
READINGS: dict[Reading, str] = {
    "better": "Better",
    "worse": "Worse",
    "unclear": "Unclear",
    "cannot_tell": "Can’t tell",
    "watched": "Watched",
}
GUARDRAIL_STATES: dict[GuardrailState, str] = {
    "holds": "Holds",
    "unclear": "Unclear",
    "breached": "Breached",
    "cannot_tell": "Can’t tell",
}
DIMENSIONS: dict[Dimension, str] = {
    "age": "Age",
    "country": "Country",
    "os": "System",
    "history": "New or known",
    "topic": "Likes by topic",
}
HEALTH: dict[HealthCheck, str] = {
    "bursts": "Traffic in bursts",
    "few_ids": "Traffic of few ids",
    "likes_lost": "Likes fell away",
    "unseen": "Answers nobody looked at",
    "unlogged": "Unlogged answers",
    "degraded": "Degraded answers",
    "clock": "Likes before their answer",
}
HEALTH_STATES: dict[HealthState, str] = {
    "good": "As usual",
    "odd": "Odd",
    "bad": "Not to be trusted",
    "cannot_tell": "Can’t tell",
}
VERDICTS: dict[VerdictKind, str] = {
    "too_early": "Too early",
    "split_failed": "Do not decide",
    "roll_back": "Roll back test",
    "hold": "Hold",
    "ship": "Ship test",
    "keep_control": "Keep control",
}
OUTCOMES: dict[Outcome, str] = {
    "ship": "Ship test: everybody gets its ranker",
    "keep_control": "Keep control: enough data, no effect",
    "roll_back": "Roll back test: it does harm",
}
"""Before it is decided."""
DECIDED: dict[Outcome, str] = {"ship": "Shipped test", "keep_control": "Kept control", "roll_back": "Rolled back test"}
COMPARED = "Nothing to decide"
"""The verdict on a shadow experiment that does no harm: nobody saw test, so there is nothing to ship or to keep."""
_ON_WHAT_USERS_SAW: tuple[VerdictKind, ...] = ("hold", "ship", "keep_control")


def metric_name(name: Metric) -> MetricName:
    """A plan's own metric is called by its name: `shares_per_user` is `Shares per user`."""
    return METRICS.get(name) or MetricName(name.replace("_", " ").capitalize(), "is")


def metric(name: Metric) -> str:
    return metric_name(name).text


def guardrail(name: GuardrailMetric, over_ms: float | None) -> str:
    """`Slower than 200 ms`, `Ranker failed`."""
    return GUARDRAILS[name] if over_ms is None else f"{GUARDRAILS[name]} {over_ms:g} ms"


def pause(why: Pause) -> str:
    """Why test's traffic was taken away, as in the middle of a sentence."""
    return "nobody reached its ranker" if why.why == "unreachable" else f"guardrail “{GUARDRAILS[why.why]}”"


def paused(pause: Pause) -> str:
    """`test's traffic pauses`, as within a sentence."""
    return f"{' and '.join(pause.groups) or 'test'}'s traffic pauses"


def only_compares(kind: VerdictKind, mode: str) -> bool:
    """Whether the verdict says how test answers, and not what users think of it."""
    return mode == "shadow" and kind in _ON_WHAT_USERS_SAW


def verdict(kind: VerdictKind, mode: str, group: Group = "test") -> str:
    """Of an experiment in this mode; group: whom it compares with control."""
    return COMPARED if only_compares(kind, mode) else about(VERDICTS[kind], group)


def about(words: str, group: Group) -> str:
    """A verdict's, an outcome's or a decision's words, about this group instead of test."""
    return re.sub(r"\b[Tt]est\b", group, words) if group != "test" else words


def standing(line: ExperimentLine) -> str:
    """Where an experiment stands, in a list: what was decided, else the newest verdict."""
    if line.decision is not None:
        return about(DECIDED[line.decision], line.group)
    if line.started_at is None:
        return "Not started" if line.state == "draft" else "Never started"
    return "Not read yet" if line.verdict is None else verdict(line.verdict, line.mode, line.group)


def progress(line: ExperimentLine) -> str:
    """`day 3 of 14`, `after 9 days`; "" for what never ran."""
    if line.started_at is None or line.days is None:
        return ""
    if line.state != "running":
        return f"after {numbers.days(line.days)}"
    day = int(line.days) + 1
    return (
        f"day {day} of {line.planned_days}" if day <= line.planned_days else f"day {day}, {line.planned_days} planned"
    )
