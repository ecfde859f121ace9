"""Every verdict, from rows in Postgres to its words; each by rules that would say otherwise if one were lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from contracts.experiments import Pause
from contracts.reports import Report
from contracts.wire import Exposure
from feature_service.database.engine import connect
from feature_service.experiments.lifecycle import put_on_pause
from feature_service.reports.analysis import analyse
from sqlalchemy import Engine

from tests.support.data.experiment_rows import START, exposure, put, start, visits, write

USERS = range(1_000, 1_500)
RULES: dict[str, object] = {"min_users": 100, "min_days": 1, "days": 3}
ALIKE = {"control": 0.1, "test": 0.1}
BETTER = {"control": 0.04, "test": 0.12}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def told(
    engine: Engine,
    *,
    chance: dict[str, float],
    rules: dict[str, object] | None = None,
    days: float = 3.0,
    plan: dict[str, object] | None = None,
    test: dict[str, object] | None = None,
) -> Report:
    """test: what test's answers have, as trouble."""
    experiment = start(engine, "told", {"rules": RULES | (rules or {}), "guardrails": [], **(plan or {})})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(1), chance=chance, degraded=0.0)
    if test:
        exposures = [each.model_copy(update=test) if each.group == "test" else each for each in exposures]
    write(engine, exposures, likes)
    return analyse(engine, "told", START + timedelta(days=days))


@pytest.mark.parametrize(
    ("chance", "rules", "days", "kind", "reason"),
    [
        (BETTER, {}, 3.0, "ship", "better: hit rate: lift +"),
        (BETTER, {}, 1.0, "ship", "better: hit rate: lift +"),
        (BETTER, {"min_users": 400}, 3.0, "too_early", "users in the smaller group, of 400 at least"),
        (BETTER, {"min_likers": 400}, 3.0, "too_early", "users in the smaller group, of 400 at least: too few like"),
        (BETTER, {"min_days": 2}, 1.5, "too_early", "1.5 days, of 2 at least"),
        (ALIKE, {}, 2.9, "hold", "unclear: hit rate: lift"),
        (ALIKE, {}, 3.0, "keep_control", "unclear: hit rate: lift"),
        ({"control": 0.12, "test": 0.04}, {"min_days": 3}, 1.0, "roll_back", "worse: hit rate: lift"),
        ({"control": 0.12, "test": 0.04}, {"min_users": 400}, 3.0, "too_early", "of 400 at least"),
    ],
)
def test_rows_become_a_verdict(
    engine: Engine, chance: dict[str, float], rules: dict[str, object], days: float, kind: str, reason: str
) -> None:
    verdict = told(engine, chance=chance, rules=rules, days=days).verdict
    assert verdict.kind == kind
    assert any(reason in words for words in verdict.reasons), verdict.reasons


def test_the_last_reason_of_what_is_shipped_or_kept_says_the_rest(engine: Engine) -> None:
    assert told(engine, chance=BETTER).verdict.reasons[1:] == ["all guardrails hold"]
    put(engine, "told", START + timedelta(days=3), state="stopped")
    stopped = analyse(engine, "told", START + timedelta(days=9))
    assert (stopped.verdict.kind, stopped.days) == ("ship", 3.0), "it goes by the time of the stop"


LIMITS: dict[str, object] = {
    "guardrails": [{"metric": "slow_share", "limit": 0.05, "over_ms": 200.0}, {"metric": "error_share", "limit": 0.3}]
}


@pytest.mark.parametrize(
    ("test", "kind", "state", "reason"),
    [
        ({"took_ms": 201.0}, "roll_back", "breached", "100% of test’s answers, 0% of control’s: 99 to 100 points more"),
        ({"degraded": "ranker_timeout"}, "roll_back", "holds", "Ranker failed: 100% of test’s"),
        ({"degraded": "ranker_refused"}, "ship", "holds", "all guardrails hold"),
        ({"degraded": "features_timeout"}, "ship", "holds", "all guardrails hold"),
        ({"took_ms": 200.0}, "ship", "holds", "all guardrails hold"),
    ],
)
def test_what_test_has_more_of_than_control_is_held_against_the_limit(
    engine: Engine, test: dict[str, object], kind: str, state: str, reason: str
) -> None:
    report = told(engine, chance=BETTER, plan=LIMITS, test=test)
    assert (report.verdict.kind, report.guardrails[0].state) == (kind, state)
    assert any(reason in words for words in report.verdict.reasons), report.verdict.reasons


def test_trouble_of_both_groups_is_no_fault_of_test(engine: Engine) -> None:
    experiment = start(engine, "weather", {"rules": RULES, **LIMITS})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(1), chance=BETTER, degraded=0.0)
    slow = [each.model_copy(update={"took_ms": 500.0}) if n % 50 else each for n, each in enumerate(exposures)]
    write(engine, slow, likes)
    report = analyse(engine, "weather", START + timedelta(days=3))
    assert report.guardrails[0].test is not None
    assert report.guardrails[0].test.estimate > 0.9
    assert report.verdict.kind == "ship"


def test_a_few_users_say_nothing_of_a_guardrail(engine: Engine) -> None:
    experiment = start(engine, "young", {"rules": RULES, **LIMITS})
    users = [user for user in range(1_000, 2_000) if experiment.assign(user, START).group == "test"][:90]
    control = [user for user in range(1_000, 2_000) if experiment.assign(user, START).group == "control"][:90]
    write(
        engine, [exposure(experiment, f"y{u}", u, START, took_ms=900.0 if u in users else 9.0) for u in users + control]
    )
    report = analyse(engine, "young", START + timedelta(days=3))
    assert report.guardrails[0].state == "cannot_tell"
    assert report.verdict.kind == "too_early"


def test_what_a_person_writes_about_a_guardrail_is_no_breach(engine: Engine) -> None:
    experiment = start(engine, "words", {"rules": RULES, **LIMITS})
    write(engine, *visits(experiment, USERS, np.random.default_rng(1), chance=BETTER, degraded=0.0))
    put(
        engine, "words", START + timedelta(days=2), plan=experiment.plan.model_dump(mode="json") | {"weights": {"control": 0.6, "test": 0.4}},
        reason="guardrail slow_share looked at by hand, all is well",
    )  # fmt: skip
    assert analyse(engine, "words", START + timedelta(days=3)).verdict.kind == "ship"


def test_a_first_stage_without_a_like_does_not_silence_a_ramp(engine: Engine) -> None:
    ramp = [{"at": (START + timedelta(days=1)).isoformat(), "weights": {"control": 0.5, "test": 0.5}}]
    plan = {"mode": "ramp", "weights": {"control": 0.7, "test": 0.3}, "ramp": ramp, "rules": RULES, "guardrails": []}
    experiment = start(engine, "stages", plan)
    early = visits(experiment, range(2_000, 2_500), np.random.default_rng(2), days=1, degraded=0.0)[0]
    change = START + timedelta(days=1, seconds=1)
    late = visits(experiment, USERS, np.random.default_rng(3), days=2, chance=BETTER, begin=change, degraded=0.0)
    write(engine, early)
    write(engine, [each.model_copy(update={"key": f"l{each.key}"}) for each in late[0]],
          [(f"l{key}", post) for key, post in late[1]])  # fmt: skip
    report = analyse(engine, "stages", START + timedelta(days=3))
    assert report.metrics[0].reading == "better"
    assert report.verdict.kind == "ship"


def test_users_of_a_pause_and_a_few_strays_do_not_fail_the_split(engine: Engine) -> None:
    experiment = start(engine, "strays", {"rules": RULES})
    shown = [exposure(experiment, f"s{user}", user, START) for user in USERS]
    strays = [
        each.model_copy(update={"key": f"x{n}", "user_id": 90_000 + n, "weight_period": 7})
        for n, each in enumerate(shown[:11])
    ]
    write(engine, [*shown, *strays[:10]])
    split = analyse(engine, "strays", START + timedelta(days=1)).split
    assert (split.failed, split.strays) == (False, 10)
    write(engine, strays[10:])
    split = analyse(engine, "strays", START + timedelta(days=1)).split
    assert (split.failed, split.strays) == (True, 11)


def test_a_period_that_never_began_leaves_its_number_to_nobody(engine: Engine) -> None:
    ramp = [{"at": (START + timedelta(days=9)).isoformat(), "weights": {"control": 0.5, "test": 0.5}}]
    plan: dict[str, object] = {"mode": "ramp", "weights": {"control": 0.9, "test": 0.1}, "ramp": ramp}
    first = start(engine, "edited", plan)
    ramp[0]["weights"] = {"control": 0.8, "test": 0.2}
    after = put(engine, "edited", START + timedelta(days=1), plan=first.plan.model_dump(mode="json") | {"ramp": ramp})
    assert [period.number for period in first.periods] == [0, 1]
    assert [period.number for period in after.periods] == [0, 2, 3]
    assert after.assign(1, START + timedelta(days=10)).weight_period == 3


def test_testers_do_not_vote_and_votes_carry_the_verdict(engine: Engine) -> None:
    """All of control's votes but a few are testers'; without them test is preferred."""
    testers = list(range(5_000, 5_200))
    forced = {str(user): "control" for user in testers}
    experiment = start(engine, "drafts", {"mode": "interleave", "forced": forced, "rules": RULES, "guardrails": []})
    voters = [*range(1_000, 1_360), *testers]
    shown = [exposure(experiment, f"v{user}", user, START, teams="ctctc") for user in voters]
    likes = [(each.key, 2 if each.user_id < 1_300 else 1) for each in shown]
    write(engine, shown, likes)
    report = analyse(engine, "drafts", START + timedelta(days=3))
    assert report.interleaving is not None
    assert (report.interleaving.for_test, report.interleaving.for_control) == (300, 60)
    assert report.verdict.kind == "ship"


def test_few_votes_decide_nothing(engine: Engine) -> None:
    experiment = start(engine, "few", {"mode": "interleave", "rules": RULES, "guardrails": []})
    shown = [exposure(experiment, f"f{user}", user, START, teams="ctctc") for user in USERS]
    write(engine, shown, [(each.key, 2) for each in shown[:49]])
    report = analyse(engine, "few", START + timedelta(days=3))
    assert report.verdict.kind == "too_early"
    assert "stands on 49 users" in report.verdict.reasons[0]


def test_while_it_pauses_nothing_is_excluded_from_the_votes(engine: Engine) -> None:
    experiment = start(engine, "rest", {"mode": "interleave", "rules": RULES})
    later = START + timedelta(hours=1)
    pause = Pause(why="unreachable", until=later + timedelta(minutes=1))
    paused = put_on_pause(experiment, later, pause, "a test").served(later)
    shown: list[Exposure] = [exposure(paused, f"p{user}", user, later, teams=None) for user in USERS]
    write(engine, [*shown, exposure(experiment, "failed", 1_000, START, teams=None)])
    votes = analyse(engine, "rest", START + timedelta(days=1)).interleaving
    assert votes is not None
    assert votes.excluded == 1
