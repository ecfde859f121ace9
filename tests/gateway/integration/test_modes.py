"""The modes of an experiment, end to end through the gateway: interleaving, shadows, exploration."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from contracts.experiments import EXPLORED, Plan, RunningExperiments
from contracts.headers import DEGRADED, MODEL, REQUEST_ID
from contracts.interleaving import team_draft
from gateway.shadows import AT_ONCE

from tests.support.fakes.upstreams import IN_SEGMENT, Features, started
from tests.support.platforms.gateway_stage import Stage, gateway_stage, until

CONTROL, TEST = list(range(100, 105)), list(range(200, 205))
SHADOW = started(Plan(mode="shadow"), "beside")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


@pytest.fixture
def interleaving(stage: Stage) -> Stage:
    stage.features.run(started(Plan(mode="interleave")))
    stage.await_poll()
    return stage


@pytest.fixture
def shadowing(stage: Stage) -> Stage:
    stage.features.run(SHADOW)
    stage.await_poll()
    return stage


def ids(answer: dict[str, list[dict[str, int]]]) -> list[int]:
    return [post["id"] for post in answer["recommendations"]]


def test_an_interleaved_list_is_the_draft_that_the_exposures_key_makes(interleaving: Stage) -> None:
    for user in range(200, 220):
        answer = interleaving.recommend(user)
        exposure = interleaving.features.exposures[-1]
        draft = team_draft(CONTROL, TEST, 5, answer.headers[REQUEST_ID])
        assert (ids(answer.json()), exposure.posts, exposure.teams) == (draft.posts, draft.posts, draft.teams)
        assert answer.json()["exp_group"] == {"c": "control", "t": "test"}[draft.teams[0]]
        assert exposure.scores == [-float(post) for post in draft.posts]


def test_an_interleaved_exposure_names_both_models_and_the_group_that_was_assigned(interleaving: Stage) -> None:
    for user in range(200, 210):
        answer = interleaving.recommend(user)
        exposure = interleaving.features.exposures[-1]
        assert (exposure.mode, exposure.model, exposure.model_version) == ("interleave", "control+test", "v1+v1")
        assert answer.headers[MODEL] == "control+test@v1+v1"
        assert exposure.group == interleaving.features.experiment.assign(user, exposure.served_at).group
        assert exposure.ranker == answer.json()["exp_group"]
        assert DEGRADED not in answer.headers


def test_a_draft_without_one_text_keeps_the_teams_of_the_other_posts(interleaving: Stage) -> None:
    interleaving.features.without_text = {101, 201}
    for user in range(200, 210):
        answer = interleaving.recommend(user)
        draft = team_draft(CONTROL, TEST, 5, answer.headers[REQUEST_ID])
        kept = [(post, team) for post, team in zip(draft.posts, draft.teams, strict=True) if post not in {101, 201}]
        exposure = interleaving.features.exposures[-1]
        assert list(zip(exposure.posts, exposure.teams or "", strict=True)) == kept
        assert ids(answer.json()) == exposure.posts


def test_both_rankers_are_asked_at_once(interleaving: Stage) -> None:
    interleaving.control.delay = interleaving.test.delay = 0.15
    took = []
    for _ in range(5):
        started_at = time.monotonic()
        interleaving.recommend(200)
        took.append(time.monotonic() - started_at)
    assert min(took) < 0.28


@pytest.mark.parametrize(("dead", "alive", "posts"), [("control", "test", TEST), ("test", "control", CONTROL)])
def test_where_one_ranker_fails_the_others_list_comes_without_teams(
    interleaving: Stage, dead: str, alive: str, posts: list[int]
) -> None:
    interleaving.stop(dead)
    answer = interleaving.recommend(200)
    exposure = interleaving.features.exposures[-1]
    assert (ids(answer.json()), answer.json()["exp_group"]) == (posts, alive)
    assert (exposure.teams, exposure.degraded, exposure.ranker) == (None, "ranker_refused", alive)
    assert exposure.model == alive
    assert answer.headers[DEGRADED] == "ranker_refused"


def test_where_both_rankers_fail_the_last_interleaved_list_comes(interleaving: Stage) -> None:
    before = ids(interleaving.recommend(200).json())
    interleaving.control.status = interleaving.test.status = 500
    answer = interleaving.recommend(200)
    exposure = interleaving.features.exposures[-1]
    assert ids(answer.json()) == before
    assert (answer.headers[MODEL], answer.headers[DEGRADED]) == ("last_slate", "ranker_error")
    assert (exposure.teams, exposure.scores) == (None, [])
    assert ids(interleaving.recommend(201).json()) == [post.id for post in IN_SEGMENT[:5]]


def test_posts_of_both_lists_come_once(interleaving: Stage) -> None:
    interleaving.control.ids, interleaving.test.ids = [1, 2, 3, 4, 5, 6], [3, 1, 7, 2, 8, 9]
    for user in range(200, 210):
        shown = ids(interleaving.recommend(user).json())
        assert len(set(shown)) == 5
        assert shown[0] in (1, 3)


def test_a_shadow_is_asked_beside_and_nobody_sees_it(shadowing: Stage) -> None:
    answer = shadowing.recommend(200)
    assert (answer.json()["exp_group"], ids(answer.json())) == ("control", CONTROL)
    until(lambda: len(shadowing.features.shadowed) == 1)
    shadow, exposure = shadowing.features.shadowed[0], shadowing.features.exposures[-1]
    assert shadow.key == exposure.key == answer.headers[REQUEST_ID]
    assert (shadow.experiment, shadow.ranker, shadow.posts) == ("beside", "test", TEST)
    assert (shadow.model, shadow.model_version, shadow.failed) == ("test", "v1", None)
    assert (exposure.mode, exposure.ranker, exposure.posts) == ("shadow", "control", CONTROL)


def test_a_slow_shadow_keeps_nobody_waiting_and_is_told_as_failed() -> None:
    with gateway_stage(Features(running=RunningExperiments(experiments=[SHADOW])), ranker_ms=1_500) as stage:
        stage.test.delay = 5.0
        started_at = time.monotonic()
        assert stage.recommend(200).status_code == 200
        assert time.monotonic() - started_at < 1.0
        until(lambda: len(stage.features.shadowed) == 1)
        shadow = stage.features.shadowed[0]
    assert (shadow.failed, shadow.posts, shadow.model) == ("ranker_timeout", [], "")
    assert shadow.took_ms >= 1_490


def test_shadows_beyond_a_few_at_once_are_dropped_and_counted(shadowing: Stage) -> None:
    shadowing.test.delay = 1.0
    for user in range(200, 230):
        shadowing.recommend(user)
    until(lambda: shadowing.test.at_once == 0)
    assert shadowing.test.most_at_once <= AT_ONCE
    assert 'gateway_shadows_total{outcome="dropped"}' in shadowing.http.get("/metrics").text


def test_a_shadow_changes_nothing_of_what_another_experiment_decides(stage: Stage) -> None:
    stage.features.run(started(), started(Plan(mode="shadow", layer="shadows"), "beside"))
    stage.await_poll()
    for user in range(200, 220):
        answer = stage.recommend(user)
        exposure = stage.features.exposures[-1]
        assert exposure.experiment == "models"
        assert answer.json()["exp_group"] == exposure.group == exposure.ranker
        until(lambda: len(stage.features.shadowed) == user - 199)  # noqa: B023
        shadow = stage.features.shadowed[-1]
        assert (shadow.key, shadow.experiment) == (exposure.key, "beside")
        assert shadow.ranker != exposure.ranker


def test_whose_shadow_is_asked_was_assigned_too(shadowing: Stage) -> None:
    shadowing.recommend(200)
    shadowing.stop("gateway")
    assert [line.experiment for line in shadowing.features.assigned] == ["beside"]


def test_a_share_of_answers_ends_with_a_random_one_of_the_next_posts_and_says_how_likely_it_was(stage: Stage) -> None:
    stage.features.run(started(Plan(exploration=0.4)))
    stage.await_poll()
    lasts = Counter[int]()
    for user in range(200, 300):
        answer = stage.recommend(user)
        exposure = stage.features.exposures[-1]
        first = exposure.posts[0]
        place = exposure.posts[4] - first
        assert exposure.posts[:4] == list(range(first, first + 4))
        assert exposure.propensities is not None
        assert exposure.propensities == pytest.approx([1, 1, 1, 1, 0.6 if place == 4 else 0.4 / EXPLORED])
        assert exposure.scores == [-float(post) for post in exposure.posts]
        assert ids(answer.json()) == exposure.posts
        lasts[place] += 1
    assert 40 <= lasts[4] <= 80
    assert len(lasts) > 8
    assert max(lasts) < 5 + EXPLORED


def test_without_exploration_no_more_is_asked_of_a_ranker_and_no_propensity_said(stage: Stage) -> None:
    stage.recommend(200)
    assert set(stage.control.asked + stage.test.asked) == {(5, 0)}
    assert stage.features.exposures[-1].propensities is None


def test_answers_and_failures_are_counted_by_group(stage: Stage) -> None:
    stage.stop("test")
    for user in range(200, 230):
        stage.recommend(user)
    metrics = stage.http.get("/metrics").text
    assert 'gateway_recommendation_seconds_count{group="control"}' in metrics
    assert 'gateway_recommendation_seconds_count{group="test"}' in metrics
    assert 'gateway_degraded_total{group="test",reason="ranker_refused"}' in metrics
