"""The verdict: the first rule that speaks, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from experiments.decision import Evidence, Kind, decide, decisive
from experiments.effects import Interval
from experiments.srm import SplitCheck

better, worse, unclear = (Interval(e, e - 0.02, e + 0.02, 0.95) for e in (0.03, -0.03, 0.01))
EVEN, UNEVEN = SplitCheck(0.4, 1_000, 0.001), SplitCheck(0.0001, 1_000, 0.001)
GOOD = Evidence(
    split=EVEN,
    primary=better,
    guardrails={"latency": "holds", "hidden": "holds"},
    users=3_000,
    days=8,
    least_users=2_000,
    least_days=7,
    likers=100,
    least_likers=100,
)


def said(evidence: Evidence) -> tuple[Kind, list[str]]:
    verdict = decide(evidence)
    return verdict.kind, [f"{r.code} {r.metric}" if r.metric else r.code for r in verdict.reasons]


@pytest.mark.parametrize(
    ("evidence", "kind", "reasons"),
    [
        (GOOD, "ship", ["primary_better", "guardrails_hold"]),
        (replace(GOOD, guardrails={}), "ship", ["primary_better", "guardrails_hold"]),
        (replace(GOOD, ended=True), "ship", ["primary_better", "guardrails_hold"]),
        (replace(GOOD, split=UNEVEN, primary=worse), "split_failed", ["split_failed"]),
        (replace(GOOD, primary=worse), "roll_back", ["primary_worse"]),
        (replace(GOOD, primary=worse, higher_is_better=False), "ship", ["primary_better", "guardrails_hold"]),
        (replace(GOOD, primary=better, higher_is_better=False), "roll_back", ["primary_worse"]),
        (replace(GOOD, guardrails={"latency": "breached", "hidden": "unclear"}), "roll_back", ["guardrail_breached latency"]),
        (replace(GOOD, users=10, guardrails={"latency": "breached"}), "roll_back", ["guardrail_breached latency"]),
        (replace(GOOD, primary=worse, days=1), "roll_back", ["primary_worse"]),
        (replace(GOOD, primary=worse, users=1_999), "too_early", ["too_few_users"]),
        (replace(GOOD, primary=worse, likers=99.9), "too_early", ["too_few_likers"]),
        (replace(GOOD, likers=99.9, days=2), "too_early", ["too_few_likers", "too_few_days"]),
        (replace(GOOD, likers=5, guardrails={"latency": "breached"}), "roll_back", ["guardrail_breached latency"]),
        (replace(GOOD, users=312), "too_early", ["too_few_users"]),
        (replace(GOOD, days=2, users=312), "too_early", ["too_few_users", "too_few_days"]),
        (replace(GOOD, users=312, primary=None, ended=True), "too_early", ["too_few_users"]),
        (replace(GOOD, primary=unclear), "hold", ["primary_unclear"]),
        (replace(GOOD, primary=None), "hold", ["primary_unclear"]),
        (replace(GOOD, split=None), "hold", ["split_unknown"]),
        (replace(GOOD, guardrails={"latency": "unclear"}), "hold", ["guardrail_unclear latency"]),
        (replace(GOOD, primary=unclear, ended=True), "keep_control", ["primary_unclear", "planned_end"]),
        (replace(GOOD, guardrails={"hidden": "unclear"}, ended=True), "keep_control", ["guardrail_unclear hidden", "planned_end"]),
    ],
)  # fmt: skip
def test_the_first_rule_that_speaks_decides(evidence: Evidence, kind: Kind, reasons: list[str]) -> None:
    assert said(evidence) == (kind, reasons)


def test_negative_users_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        replace(GOOD, users=-1)


@pytest.mark.parametrize(
    ("kinds", "lifts", "group"),
    [
        ({"b": "hold", "c": "ship"}, {"b": 0.3, "c": 0.1}, "c"),
        ({"b": "ship", "c": "ship"}, {"b": 0.1, "c": 0.2}, "c"),
        ({"b": "roll_back", "c": "too_early"}, {"b": 0.0, "c": 0.0}, "c"),
        ({"b": "roll_back", "c": "keep_control"}, {"b": 0.0, "c": -0.1}, "c"),
        ({"b": "too_early", "c": "hold"}, {"b": 0.0, "c": 0.5}, "b"),
        ({"b": "roll_back", "c": "roll_back"}, {"b": -0.2, "c": -0.1}, "c"),
        ({"b": "split_failed", "c": "split_failed"}, {"b": 0.0, "c": 0.0}, "b"),
    ],
)
def test_of_several_groups_what_may_ship_decides_and_harm_alone_comes_last(
    kinds: dict[str, Kind], lifts: dict[str, float], group: str
) -> None:
    assert decisive(kinds, lifts) == group
