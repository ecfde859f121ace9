"""The assignment is published: its vectors never change, and a change of weights moves as few buckets as it can."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from contracts.assignment import BUCKETS, Group, bucket, reweight
from contracts.clock import REAL, Clock
from contracts.experiments import Experiment, Guardrail, Pause, Plan, RampStep, RunningExperiments, periods
from feature_service.experiments.lifecycle import put_on_pause, resumed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.checkout import ROOT

NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
VECTORS = {
    (200, "models.enrolment"): 5160,
    (200, "models.group"): 1157,
    (201, "models.group"): 5937,
    (1, "a"): 828,
    (163405, "models.group"): 3720,
}


@pytest.mark.parametrize(
    ("user_id", "salt", "expected"), [(user, salt, value) for (user, salt), value in VECTORS.items()]
)
def test_buckets_are_the_published_ones(user_id: int, salt: str, expected: int) -> None:
    assert bucket(user_id, salt) == expected


def test_the_documentation_publishes_the_same_vectors() -> None:
    text = (ROOT / "docs/experiments.md").read_text()
    published = re.findall(r"^\| (\d+) \| `([\w.]+)` \| (\d+) \|", text, re.MULTILINE)
    assert {(int(user), salt): int(value) for user, salt, value in published} == VECTORS


Weights = dict[Group, float]


def _weights(control: int) -> Weights:
    return {"control": control / BUCKETS, "test": 1 - control / BUCKETS}


shares = st.integers(0, BUCKETS).map(_weights)


@given(shares, shares)
def test_a_change_of_weights_moves_no_more_buckets_than_the_weights_changed(before: Weights, after: Weights) -> None:
    first = reweight("", before)
    second = reweight(first, after)
    assert second.count("0") == round(after["control"] * BUCKETS)
    moved = sum(a != b for a, b in zip(first, second, strict=True))
    assert moved == abs(first.count("0") - second.count("0"))


@given(st.lists(shares, min_size=1, max_size=5), st.integers(0, 2**31 - 1))
def test_a_user_changes_group_only_if_the_bucket_had_to_move(weights: list[Weights], user_id: int) -> None:
    ramp = [RampStep(at=NOW + timedelta(days=day + 1), weights=each) for day, each in enumerate(weights)]
    ramped = Experiment.started("r", Plan(mode="ramp", ramp=ramp), NOW)
    assert [period.weights for period in ramped.periods[1:]] == weights
    for before, after in zip(ramped.periods, ramped.periods[1:], strict=False):
        moved = sum(a != b for a, b in zip(before.table, after.table, strict=True))
        assert moved == abs(before.table.count("0") - after.table.count("0"))
    seen = [ramped.assign(user_id, NOW + timedelta(days=day)) for day in range(len(weights) + 1)]
    place = bucket(user_id, "r.group")
    assert [each.group for each in seen] == [("control", "test")[int(p.table[place])] for p in ramped.periods]
    assert [each.weight_period for each in seen] == list(range(len(weights) + 1))


@given(st.integers(0, 2**31 - 1), st.floats(0, 0.5))
def test_enrolment_grows_without_losing_anybody(user_id: int, first: float) -> None:
    widening = [
        Experiment.started("models", Plan(enrolment_from=first, enrolment=share), NOW).assign(user_id, NOW).enrolled
        for share in (0.0, 0.1, 0.3, 0.5)
    ]
    assert widening == sorted(widening)
    assert Experiment.started("models", Plan(), NOW).assign(user_id, NOW).enrolled


@given(st.integers(0, 2**31 - 1), st.integers(0, BUCKETS))
def test_two_slices_of_a_layer_share_no_user_and_leave_none_out(user_id: int, cut: int) -> None:
    low = Experiment.started("a", Plan(enrolment=cut / BUCKETS), NOW)
    high = Experiment.started("b", Plan(enrolment_from=cut / BUCKETS, enrolment=1 - cut / BUCKETS), NOW)
    assert low.assign(user_id, NOW).enrolled != high.assign(user_id, NOW).enrolled


def test_whoever_is_not_enrolled_is_in_control() -> None:
    nobody = Experiment.started("models", Plan(enrolment=0.0, weights={"control": 0.0, "test": 1.0}), NOW)
    assert nobody.assign(7, NOW) == ("control", False, 0)


def test_a_forced_user_is_in_his_group() -> None:
    plan = Plan(weights={"control": 1.0, "test": 0.0}, enrolment=0.0, forced={7: "test"})
    assert Experiment.started("models", plan, NOW).assign(7, NOW) == ("test", True, 0)


def test_an_experiment_assigns_from_its_start_to_its_end_and_only_while_it_runs() -> None:
    plan = Plan(starts_at=NOW + timedelta(hours=1), ends_at=NOW + timedelta(hours=2))
    experiment = Experiment.started("models", plan, NOW)
    on = [experiment.is_on(NOW + timedelta(minutes=minutes)) for minutes in (0, 59, 60, 119, 120)]
    assert on == [False, False, True, True, False]
    assert not experiment.model_copy(update={"state": "stopped"}).is_on(NOW + timedelta(minutes=60))


def test_a_change_of_weights_keeps_the_periods_that_have_begun_and_drops_those_to_come() -> None:
    ramp = [
        RampStep(at=NOW + timedelta(days=day), weights={"control": 1 - day / 10, "test": day / 10}) for day in (1, 2, 3)
    ]
    plan = Plan(mode="ramp", ramp=ramp, weights={"control": 1.0, "test": 0.0})
    begun = periods(plan, NOW)
    later = NOW + timedelta(days=1, hours=1)
    changed = periods(plan.model_copy(update={"ramp": ramp[2:]}), later, begun, "slower")
    assert [period.starts_at for period in changed] == [NOW, ramp[0].at, later, ramp[2].at]
    assert [period.reason for period in changed] == ["start", "ramp", "slower", "ramp"]
    assert changed[:2] == begun[:2]


THREE = {"control": "control", "test": "test", "challenger": "challenger"}


@given(
    st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any),
    st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any),
)
def test_three_groups_have_their_shares_and_no_user_moves_without_need(before: list[int], after: list[int]) -> None:
    first, then = (
        {group: share / sum(shares) for group, share in zip(THREE, shares, strict=True)} for shares in (before, after)
    )
    step = RampStep(at=NOW + timedelta(days=1), weights=then)
    plan = Plan(mode="ramp", rankers=THREE, weights=first, ramp=[step])
    one, two = Experiment.started("three", plan, NOW).periods
    assert plan.groups == ("control", "challenger", "test"), "control first, then by name"
    for period, weights in ((one, first), (two, then)):
        have = [period.table.count(str(place)) for place in range(3)]
        assert all(abs(have[n] - BUCKETS * weights[group]) < 1 for n, group in enumerate(plan.groups)), have
    grown = (max(0, two.table.count(str(place)) - one.table.count(str(place))) for place in range(3))
    assert sum(a != b for a, b in zip(one.table, two.table, strict=True)) == sum(grown)


def test_a_pause_takes_the_traffic_of_its_groups_alone_and_their_testers() -> None:
    plan = Plan(
        rankers=THREE, weights={"control": 0.4, "test": 0.3, "challenger": 0.3}, forced={7: "test", 8: "challenger"}
    )
    experiment, later = Experiment.started("three", plan, NOW), NOW + timedelta(hours=1)
    pause = Pause(why="unreachable", until=later + timedelta(minutes=1), groups=["test"])
    paused = put_on_pause(experiment, later, pause, "a test")
    before = {user: experiment.assign(user, NOW).group for user in range(2_000)}
    now = {user: paused.assign(user, later).group for user in range(2_000)}
    assert all(now[user] == ("control" if before[user] == "test" else before[user]) for user in before)
    assert (now[7], now[8]) == ("control", "challenger")
    assert paused.periods[-1].weights == pytest.approx({"control": 0.7, "challenger": 0.3, "test": 0.0})
    back = resumed(paused, later + timedelta(minutes=1), "over")
    assert {user: back.assign(user, later + timedelta(minutes=2)).group for user in before} == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rankers": THREE, "mode": "interleave"}, "rankers names 3 groups; the mode interleave compares two"),
        ({"rankers": {f"g{n}": "test" for n in range(11)} | THREE}, "10 are the most"),
        ({"rankers": {"control": "control", "test": "shipped"}, "mode": "shadow"}, "the mode shadow cannot ask"),
        ({"rankers": {"control": "control", "Test me": "test"}}, "pattern"),
        ({"weights": {"control": 0.5, "test": 0.6}}, "weights add up to 1.1"),
        ({"rankers": {"control": "control"}}, "weights names the group test, which has no ranker"),
        (
            {"rankers": {"control": "control"}, "weights": {"control": 1}, "forced": {7: "test"}},
            "forced.7 names the group test",
        ),
        ({"starts_at": "2026-02-02", "ends_at": "2026-02-01"}, "ends_at lies before starts_at"),
        ({"enrolment_from": 0.6, "enrolment": 0.5}, "beyond the layer's end"),
        ({"mode": "ramp"}, "a ramp has steps"),
        ({"ramp": [{"at": "2026-02-02", "weights": {"control": 1}}]}, "only a ramp has them"),
        ({"mode": "ramp", "ramp": [{"at": "2026-02-02", "weights": {"test": 0.9}}]}, "ramp.0.weights add up to 0.9"),
        ({"enrolment_salt": "same", "group_salt": "same"}, "must differ"),
        ({"group_salt": "2a"}, "pattern"),
        ({"watched": ["hit_rate"]}, "primary metric and watched too"),
        ({"rules": {"min_days": 20}}, "more than the 14 days planned"),
        ({"guardrails": [{"metric": "slow_share"}]}, "needs over_ms"),
        ({"guardrails": [{"metric": "error_share", "over_ms": 5}]}, "no other metric has it"),
        ({"forced": {"-1": "test"}}, "greater than or equal to 0"),
        ({"speed": 2}, "Extra inputs"),
    ],
)
def test_a_plan_that_does_not_hang_together_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Plan.model_validate(change)


def test_ramp_steps_out_of_order_are_refused() -> None:
    steps = [{"at": at, "weights": {"control": 1.0}} for at in ("2026-02-02", "2026-02-01")]
    with pytest.raises(ValidationError, match="order of their times"):
        Plan.model_validate({"mode": "ramp", "ramp": steps})


def test_what_gateways_know_survives_its_json() -> None:
    experiment = Experiment.started(
        "models", Plan(forced={7: "test"}, guardrails=[Guardrail(metric="error_share")]), NOW
    )
    running = RunningExperiments(
        experiments=[experiment], clock=Clock(since=NOW, then=NOW + timedelta(days=3), speed=600)
    )
    assert RunningExperiments.model_validate_json(running.model_dump_json()) == running


def test_the_clock_is_real_time_until_it_is_moved_and_then_runs_from_there() -> None:
    assert REAL.at(NOW) == NOW
    moved = Clock(since=NOW, then=NOW - timedelta(days=30), speed=60)
    assert moved.at(NOW + timedelta(minutes=1)) == NOW - timedelta(days=30) + timedelta(hours=1)
    assert moved.at(NOW - timedelta(minutes=1)) == NOW - timedelta(days=30)


def test_periods_of_before_they_had_numbers_are_named_by_their_place() -> None:
    ramp = [RampStep(at=NOW + timedelta(days=1), weights={"control": 0.5, "test": 0.5})]
    stored = Experiment.started("r", Plan(mode="ramp", ramp=ramp), NOW).model_dump(mode="json")
    for period in stored["periods"]:
        del period["number"], period["pause"]
    read = Experiment.model_validate(stored)
    assert [period.number for period in read.periods] == [0, 1]
    assert read.assign(1, NOW + timedelta(days=2)).weight_period == 1
    assert read.paused is None
