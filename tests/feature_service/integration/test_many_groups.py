"""Three groups, from rows in Postgres to a report, a decision, and who serves everybody after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from chassis.errors import InvalidParameter
from contracts.reports import Report
from experiments import sequential
from experiments.ratios import RatioSums, effect
from feature_service.database.engine import connect
from feature_service.experiments.published import otherwise
from feature_service.reports.analysis import analyse
from feature_service.reports.export import as_csv
from sqlalchemy import Engine

from tests.support.data.experiment_rows import START, put, start, visits, write

USERS = range(1_000, 1_900)
LATER = START + timedelta(days=3)
PLAN: dict[str, object] = {
    "rankers": {"control": "control", "test": "test", "challenger": "third"},
    "weights": {"control": 0.4, "test": 0.3, "challenger": 0.3},
    "rules": {"min_users": 100, "min_days": 1, "days": 3, "winsorised": 1},
    "guardrails": [],
}
CHANCE = {"control": 0.04, "test": 0.04, "challenger": 0.14}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def played(engine: Engine, chance: dict[str, float] = CHANCE, **plan: object) -> Report:
    experiment = start(engine, "three", PLAN | plan)
    write(engine, *visits(experiment, USERS, np.random.default_rng(5), chance=chance, degraded=0.0))
    return analyse(engine, "three", LATER)


def test_each_group_is_compared_with_control_at_its_part_of_alpha(engine: Engine) -> None:
    experiment = start(engine, "three", PLAN)
    exposures, likes = visits(experiment, USERS, np.random.default_rng(5), chance=CHANCE, degraded=0.0)
    write(engine, exposures, likes)
    report = analyse(engine, "three", LATER)
    liked = {key for key, _ in likes}
    sums = {}
    for group in experiment.plan.groups:
        users = [user for user in USERS if experiment.assign(user, START).group == group]
        mine = {user: [each for each in exposures if each.user_id == user] for user in users}
        hits = [sum(each.key in liked for each in mine[user]) for user in users if mine[user]]
        sums[group] = RatioSums.of(hits, [len(mine[user]) for user in users if mine[user]])
    assert {one.group for one in report.comparisons} == {"test", "challenger"}
    for one in report.comparisons:
        reading, control = one.metrics[0], sums["control"].ratio
        assert reading.always_valid is not None
        assert reading.test == pytest.approx(sums[one.group].ratio)
        wanted = sequential.interval(effect(sums["control"], sums[one.group]), 600, 0.975)
        assert reading.always_valid.low == pytest.approx(wanted.low / control)
        assert reading.always_valid_p_value is not None
        assert reading.adjusted_p_value == pytest.approx(min(1.0, 2 * reading.always_valid_p_value))
    assert [group.assigned for group in report.groups] == [sums[group].users for group in experiment.plan.groups]
    assert report.split.p_value is not None
    assert not report.split.failed


def test_the_group_that_may_ship_decides_and_the_other_is_named(engine: Engine) -> None:
    report = played(engine)
    assert (report.compared, report.verdict.kind) == ("challenger", "ship")
    assert report.verdict.reasons[0].startswith("challenger: better: hit rate: lift +")
    assert report.verdict.reasons[-1].startswith("test: keep control, unclear: hit rate: lift")
    assert [(one.group, one.verdict.kind) for one in report.comparisons] == [
        ("challenger", "ship"), ("test", "keep_control"),
    ]  # fmt: skip
    lines = as_csv(report).splitlines()
    assert any(line.startswith("verdict,ship,challenger") for line in lines)
    assert any(line.startswith("verdict,keep_control,test") for line in lines)


def test_harm_of_one_group_does_not_keep_the_other_from_shipping(engine: Engine) -> None:
    rules = {"min_users": 100, "min_days": 1, "days": 3, "min_likers": 10}
    report = played(engine, {"control": 0.06, "test": 0.01, "challenger": 0.16}, rules=rules)
    assert {one.group: one.verdict.kind for one in report.comparisons} == {"challenger": "ship", "test": "roll_back"}
    assert report.verdict.kind == "ship"


def test_a_group_without_weight_ends_its_comparison_and_no_other(engine: Engine) -> None:
    whole = played(engine)
    dropped = PLAN | {"weights": {"control": 0.7, "challenger": 0.3}}
    put(engine, "three", START + timedelta(days=2, hours=12), plan=dropped)
    after = {one.group: one for one in analyse(engine, "three", LATER).comparisons}
    before = {one.group: one for one in whole.comparisons}
    assert after["challenger"].metrics[0].test == before["challenger"].metrics[0].test
    assert after["test"].metrics[0].test == before["test"].metrics[0].test, "its users of before still count"


def test_a_decision_names_its_group_and_its_ranker_serves_everybody(engine: Engine) -> None:
    played(engine)
    with pytest.raises(InvalidParameter, match="name the group that it is about: challenger or test"):
        put(engine, "three", LATER, decision="ship")
    with pytest.raises(InvalidParameter, match="nobody is not compared with control"):
        put(engine, "three", LATER, decision="ship", group="nobody")
    decided = put(engine, "three", LATER, decision="ship", group="challenger")
    assert decided.decision is not None
    assert decided.decision.group == "challenger"
    with engine.connect() as connection:
        assert otherwise(connection) == "third"
