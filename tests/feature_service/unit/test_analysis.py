"""A report made of sums: its groups, its days, and why it decides as it does, in words."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from contracts.experiments import Experiment, Plan, Rules
from contracts.reports import Report
from feature_service.reports.aggregates import Aggregates, Sides
from feature_service.reports.analysis import read

from tests.support.data.simulated_users import START, World, drawn, experiment_of, summed

RULES = Rules(min_users=100, min_days=1, days=3)


def sums_of(world: World) -> Aggregates:
    """At the end of its days."""
    return list(summed(world, drawn(world, np.random.default_rng(1))))[-1]


def told(
    world: World, *, days: float = 2.5, plan: dict[str, Any] | None = None, state: str = "running",
    starts_at: datetime | None = None, **changes: Any,
) -> Report:  # fmt: skip
    """changes: of the sums."""
    made = experiment_of(world)
    wanted = made.plan.model_dump() | (plan or {}) | {"starts_at": starts_at}
    experiment = made.model_copy(update={"plan": Plan.model_validate(wanted), "state": state})
    return read(experiment, replace(sums_of(world), **changes), START + timedelta(days=days))


NOBODY = Sides(totals={}, undegraded={}, days={})
ALIKE = World("alike", "light", 600, rules=RULES)
BETTER = World("better", "light", 600, lift=1.0, rules=RULES)
WORSE = World("worse", "light", 1_200, lift=-0.6, rules=RULES)
BROKEN = World("broken", "light", 600, broken=0.2, rules=RULES)


@pytest.mark.parametrize(
    ("world", "days", "kind", "reasons"),
    [
        (BETTER, 2.5, "ship", [r"better: hit rate: lift \+\d+\.\d% \(\+\d+\.\d to \+\d+\.\d%\)", "all guardrails hold"]),
        (WORSE, 0.5, "roll_back", [r"worse: hit rate: lift −\d+\.\d% \(−\d+\.\d to −\d+\.\d%\)"]),
        (ALIKE, 2.5, "hold", [r"unclear: hit rate: lift [+−]?\d+\.\d% \(−\d+\.\d to \+\d+\.\d%\)"]),
        (ALIKE, 3.0, "keep_control", [r"unclear: .*", "the planned end: what is unclear by now keeps control"]),
        (BETTER, 0.5, "too_early", ["0.5 days, of 1 at least"]),
        (
            BROKEN, 0.5, "roll_back",
            [r"Ranker failed: \d+\.\d% of test’s answers, .*% of control’s: \d+ to \d+ points more, past the limit of "
             r"2 points more"],
        ),
    ],
)  # fmt: skip
def test_every_verdict_says_why(world: World, days: float, kind: str, reasons: list[str]) -> None:
    verdict = told(world, days=days).verdict
    assert verdict.kind == kind
    assert len(verdict.reasons) == len(reasons), verdict.reasons
    for said, wanted in zip(verdict.reasons, reasons, strict=True):
        assert re.fullmatch(wanted, said), said


def test_few_users_and_few_likers_are_counted_in_words() -> None:
    strict = World(
        "strict", "light", 600, lift=1.0, rules=RULES.model_copy(update={"min_users": 400, "min_likers": 390})
    )
    report = told(strict)
    assert report.verdict.kind == "too_early"
    few, likers = report.verdict.reasons
    least = min(group.assigned for group in report.groups)
    assert few == f"{least} users in the smaller group, of 400 at least"
    assert report.likers is not None
    assert likers.startswith(f"the primary stands on {report.likers:.0f} users in the smaller group, of 390 at least: ")
    assert likers.endswith("too few like, or a few like far more than all others")
    assert 30 < report.likers < least


def test_a_split_that_failed_says_how_sure_that_is() -> None:
    report = told(BETTER, assigned={(0, "control"): 200, (0, "test"): 400})
    assert report.verdict.kind == "split_failed"
    (said,) = report.verdict.reasons
    assert said.startswith("sample ratio mismatch: the groups are not split as the weights say (p = ")
    assert said.endswith("); find out why before anything else is read")
    assert report.split.failed
    assert [group.assigned for group in report.groups] == [200, 400]


def test_before_anybody_came_nothing_is_told() -> None:
    report = told(ALIKE, compared={"test": NOBODY}, assigned={}, days=0.0)
    assert report.verdict.kind == "too_early"
    assert report.verdict.reasons[0] == "0 users in the smaller group, of 100 at least"
    assert (report.metrics[0].why, report.likers) == ("nobody is assigned to control yet", 0.0)
    assert [one.state for one in report.guardrails] == ["cannot_tell"] * 3
    lenient = {"rules": {"min_users": 2, "min_likers": 0, "min_days": 1, "days": 3}}
    unread = told(ALIKE, compared={"test": NOBODY}, assigned={(0, "control"): 2, (0, "test"): 2}, plan=lenient)
    assert unread.verdict.reasons[0] == "unclear: hit rate: lift can't be told yet"
    assert "Slower than 200 ms: no answers, too few answers to hold against the limit of 1%" in unread.verdict.reasons


def test_a_guardrail_that_is_not_clear_holds_the_verdict() -> None:
    world = replace(BETTER, broken=0.02)
    report = told(world)
    assert report.verdict.kind == "hold"
    (said,) = report.verdict.reasons
    assert said.startswith("Ranker failed: ")
    assert said.endswith(", not clearly within the limit of 2 points more")


def test_days_count_from_the_planned_start_and_never_below_none() -> None:
    assert told(ALIKE, days=2.5).days == 2.5
    assert told(ALIKE, days=2.5, starts_at=START + timedelta(days=1)).days == 1.5
    assert told(ALIKE, days=2.5, starts_at=START - timedelta(days=1)).days == 2.5
    assert told(ALIKE, days=0.5, starts_at=START + timedelta(days=1)).days == 0.0
    draft = read(Experiment(name="drafted", plan=Plan()), sums_of(ALIKE), START)
    assert (draft.days, draft.at, draft.run, draft.final) == (0.0, START, 0, False)


@pytest.mark.parametrize("state", ["stopped", "archived"])
def test_what_is_over_is_decided_as_at_its_planned_end(state: str) -> None:
    assert told(ALIKE, days=2.5, state=state).verdict.kind == "keep_control"


ROWS: list[dict[str, Any]] = [
    {"exp_group": "test", "exposures": 70, "degraded": 7, "likes": 30, "unlogged": 2},
    {"exp_group": "control", "exposures": 60, "degraded": 5, "likes": 20, "unlogged": 1},
    {"exp_group": "control", "exposures": 4, "degraded": 1, "likes": 3, "unlogged": 0},
]
MODELS: list[dict[str, Any]] = [
    {"exp_group": "control", "model": "control", "model_version": "7"},
    {"exp_group": "test", "model": "test", "model_version": "9"},
    {"exp_group": "control", "model": "popular", "model_version": ""},
]


def test_a_group_s_counts_and_models_are_its_own() -> None:
    plan = {"rankers": {"control": "test", "test": "test"}}
    assigned = {(0, "control"): 30, (1, "control"): 12, (0, "test"): 41}
    report = told(ALIKE, plan=plan, groups=ROWS, models=MODELS, assigned=assigned, unattributed={"late": 3})
    control, test = report.groups
    assert (control.group, control.ranker, control.models) == ("control", "test", ["control@7", "popular"])
    assert (control.assigned, control.exposures, control.degraded, control.likes, control.unlogged) == (
        42,
        64,
        6,
        23,
        1,
    )
    assert (test.group, test.models, test.assigned, test.exposures, test.unlogged) == ("test", ["test@9"], 41, 70, 2)
    assert report.unattributed == {"late": 3}


def test_the_primary_stands_first_and_per_protocol_has_no_course() -> None:
    report = told(BETTER, plan={"watched": ["likes_per_user"]})
    assert [one.metric for one in report.metrics] == ["hit_rate", "likes_per_user"]
    assert [one.metric for one in report.per_protocol] == ["hit_rate", "likes_per_user"]
    assert report.per_protocol[0].why == "nobody is assigned to control yet", "these sums hold no undegraded answers"


VOTES = {"test": 150, "control": 60, "ties": 90, "excluded": 4}


def test_an_interleaved_experiment_is_decided_by_its_votes() -> None:
    report = told(ALIKE, plan={"mode": "interleave"}, votes=VOTES)
    assert report.verdict.kind == "ship"
    assert report.verdict.reasons[0].startswith("better: test's share of the votes less a half +15.0% (+")
    assert report.likers == 210.0
    assert report.interleaving is not None
    assert report.interleaving.excluded == 4
    assert {one.why for one in report.metrics} == {
        "interleaved: every user sees both rankers' posts; the votes say who is liked more"
    }
    assert report.per_protocol == []
    assert all(one.control is None and one.more is None for one in report.guardrails)
    early = told(ALIKE, plan={"mode": "interleave"}, votes={**VOTES, "test": 1, "control": 0, "ties": 0})
    assert early.verdict.kind == "too_early"


@pytest.mark.parametrize(("failed", "kind", "said"), [(3, "hold", 1), (400, "roll_back", 2)])
def test_a_shadow_is_held_or_rolled_back_and_never_shipped(failed: int, kind: str, said: int) -> None:
    asked: dict[str, Any] = {
        "asked": 4_000, "failed": failed, "quantiles": [3.0, 20.0], "overlap": [None] * 6, "correlation": [None] * 6,
    }  # fmt: skip
    report = told(ALIKE, plan={"mode": "shadow"}, shadow=asked)
    assert report.verdict.kind == kind
    assert len(report.verdict.reasons) == said
    assert report.verdict.reasons[-1] == (
        "nobody saw what the shadow ranker answered: its latency, errors and overlap are all that there is"
    )
    if kind == "roll_back":
        assert report.verdict.reasons[0].startswith("Ranker failed: 10.0% of test’s answers (")
        assert report.verdict.reasons[0].endswith("), past the limit of 2%")
    assert report.shadow is not None
    assert report.shadow.failed == failed
    assert report.metrics[0].why == "shadow: every user sees control's posts; nothing of test was seen"


THREE = {
    "rankers": {"control": "control", "challenger": "test", "test": "test"},
    "weights": {"control": 0.4, "challenger": 0.3, "test": 0.3},
}


def of_three(**worlds: World) -> Report:
    compared = {group: sums_of(world).compared["test"] for group, world in worlds.items()}
    assigned = {(0, "control"): 400, (0, "challenger"): 300, (0, "test"): 300}
    made = Experiment.started("simulated", Plan.model_validate(experiment_of(BETTER).plan.model_dump() | THREE), START)
    return read(made, replace(sums_of(BETTER), compared=compared, assigned=assigned), START + timedelta(days=2.5))


def test_of_several_groups_the_one_that_decides_is_told_first_and_the_others_behind_it() -> None:
    report = of_three(challenger=ALIKE, test=BETTER)
    assert (report.compared, [other.group for other in report.others]) == ("test", ["challenger"])
    assert report.verdict.kind == "ship"
    better, guardrails, other = report.verdict.reasons
    assert re.fullmatch(r"test: better: hit rate: lift .*%\)", better)
    assert guardrails == "test: all guardrails hold"
    assert re.fullmatch(r"challenger: hold, unclear: hit rate: lift .*%\)", other)
    assert report.metrics == of_three(challenger=WORSE, test=BETTER).metrics
    assert report.others[0].metrics != report.metrics


def test_the_best_of_several_ships_whatever_its_name() -> None:
    report = of_three(challenger=BETTER, test=ALIKE)
    assert (report.compared, report.verdict.kind) == ("challenger", "ship")
    assert report.verdict.reasons[-1].startswith("test: hold, unclear: ")
    assert [group.ranker for group in report.groups] == ["control", "test", "test"]


def test_each_of_several_groups_gets_its_part_of_alpha() -> None:
    alone, three = told(BETTER).metrics[0].always_valid, of_three(challenger=ALIKE, test=BETTER).metrics[0].always_valid
    assert alone is not None
    assert three is not None
    assert three.low < alone.low < alone.estimate == three.estimate < alone.high < three.high
