"""What metrics, guardrails and modes are called."""

from __future__ import annotations

from typing import NamedTuple

from contracts.assignment import Mode
from contracts.experiments import Guardrail, GuardrailMetric, Metric, Outcome
from contracts.reports import VerdictKind

from console.words import duration


class Name(NamedTuple):
    text: str
    is_are: str


METRICS: dict[Metric, Name] = {
    "hit_rate": Name("Hit rate", "is"),
    "likes_per_exposure": Name("Likes per exposure", "are"),
    "likes_per_user": Name("Likes per user", "are"),
    "exposures_per_user": Name("Exposures per user", "are"),
}
MODES: dict[Mode, str] = {
    "ab": "A/B: each group sees its ranker",
    "ramp": "Ramp: an A/B with weights by schedule",
    "interleave": "Interleaving: each list drafts from both rankers",
    "shadow": "Shadow: users see control alone",
}
DECIDED: dict[Outcome, str] = {"ship": "Shipped test", "keep_control": "Kept control", "roll_back": "Rolled back test"}
OUTCOMES: dict[Outcome, str] = {
    "ship": "Ship test: everybody gets its ranker",
    "keep_control": "Keep control: enough data, no effect",
    "roll_back": "Roll back test: it does harm",
}
KINDS: dict[VerdictKind, str] = {
    "too_early": "Too early",
    "split_failed": "Do not decide",
    "roll_back": "Roll back test",
    "hold": "Hold",
    "ship": "Ship test",
    "keep_control": "Keep control",
}


def metric(name: Metric) -> str:
    return METRICS[name].text


def guardrail(name: GuardrailMetric, over_ms: float | None) -> str:
    if name == "slow_share":
        return f"Slower than {duration((over_ms or 0) / 1000)}"
    return {"error_share": "Ranker failed", "fallback_share": "Answered by a fallback"}[name]


def guardrail_of(planned: Guardrail) -> str:
    return guardrail(planned.metric, planned.over_ms)
