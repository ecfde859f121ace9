"""Rules of the business hold in every answer, whoever ranked it and whatever is down, and the exposure says so."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from contracts.experiments import Plan
from contracts.headers import DEGRADED, MODEL, RULES, SHORT
from contracts.rules import Boost, Freshness, SlateRules

from gateway import refresh
from tests.support.fakes.upstreams import IN_SEGMENT, POPULAR, Features, Ranker, all_in, started
from tests.support.platforms.gateway_stage import ADMIN, KEY, Stage, gateway_stage, until


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    """One that asks for the rules twenty times a second, so that no test waits for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh, "RUNNING_SECONDS", 0.05)
        with gateway_stage() as stage:
            yield stage


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """As it was at the beginning, but for what the gateway remembers of users."""
    vars(shared.features).update(vars(Features()))
    for ranker in (shared.control, shared.test):
        vars(ranker).update(vars(Ranker(ranker.name, ranker.first)))
    shared.await_poll()
    return shared


@pytest.fixture
def own_stage() -> Iterator[Stage]:
    """One whose parts a test may stop."""
    with gateway_stage() as stage:
        yield stage


def rule(stage: Stage, rules: SlateRules, name: str = "default") -> None:
    stage.features.rule(rules, name)
    stage.await_poll()


def shown(answer: httpx.Response) -> list[int]:
    body = answer.json()
    return [post["id"] for post in (body if isinstance(body, list) else body["recommendations"])]


def moved(stage: Stage) -> list[tuple[int, str, int | None, int | None]]:
    """Of the last exposure."""
    return [(move.post, move.rule, move.slot, move.own) for move in stage.features.exposures[-1].moves]


def test_a_rule_is_live_within_two_seconds_for_both_models(own_stage: Stage) -> None:
    assert RULES not in own_stage.recommend(200).headers
    own_stage.features.rule(SlateRules(blocked_posts=[100, 201]))
    until(lambda: RULES in own_stage.recommend(200).headers, seconds=2)
    assert shown(own_stage.in_group("control")) == [101, 102, 103, 104, 105]
    assert shown(own_stage.in_group("test")) == [200, 202, 203, 204, 205]
    assert own_stage.in_group("test").headers[RULES] == "default@1"


def test_the_exposure_names_the_rules_and_what_each_moved(stage: Stage) -> None:
    stage.features.run(started(all_in("test")))
    stage.test.topics = {204: "sport", 208: "sport"}
    rule(stage, SlateRules(blocked_posts=[200], pins={1: 215}, boosts=[Boost(post=208, odds=1_000)]))
    assert shown(stage.recommend(1)) == [215, 201, 208, 202, 203]
    exposure = stage.features.exposures[-1]
    assert (exposure.rules, exposure.scores[0]) == ("default@1", -215.0)
    assert moved(stage) == [(215, "pinned", 1, None), (208, "boosted", 3, None), (200, "blocked", None, 1)]


def test_without_a_rule_nothing_is_sent_along_and_nothing_recorded(stage: Stage) -> None:
    rule(stage, SlateRules())
    answer = stage.recommend(200)
    assert RULES not in answer.headers
    assert (stage.features.exposures[-1].rules, stage.features.exposures[-1].moves) == (None, [])


def test_rules_that_leave_fewer_posts_give_fewer_and_say_so(stage: Stage) -> None:
    rule(stage, SlateRules(most_per_topic=2))
    answer = stage.in_group("test")
    assert (len(answer.json()), answer.headers[SHORT]) == (2, "1")
    rule(stage, SlateRules(blocked_topics=["movie"]))
    nothing = stage.in_group("test")
    assert (nothing.status_code, nothing.json(), nothing.headers[SHORT]) == (200, [], "1")
    assert DEGRADED not in nothing.headers


def test_a_pin_yields_to_a_like(stage: Stage) -> None:
    stage.features.hidden[1] = [203]
    rule(stage, SlateRules(pins={1: 203, 2: 210}))
    stage.test.ids = [200, 201, 202, 204, 210]
    assert 203 not in shown(stage.in_group("test"))
    assert shown(stage.in_group("test"))[1] == 210


def test_what_was_shown_does_not_come_again_until_enough_answers_have_passed(stage: Stage) -> None:
    stage.features.run(started(all_in("test")))
    rule(stage, SlateRules(not_again=2))
    first, second, third = (shown(stage.recommend(71)) for _ in range(3))
    assert not set(first) & set(second)
    assert not set(third) & {*first, *second}
    assert shown(stage.recommend(71)) == first
    assert shown(stage.recommend(72)) == first


def test_a_preview_shows_what_the_user_would_see_and_uses_nothing_up(stage: Stage) -> None:
    rule(stage, SlateRules(not_again=1))
    assert shown(stage.in_group("test")) == shown(stage.in_group("test"))


def test_rules_hold_for_the_last_slate_and_for_popular_posts(own_stage: Stage) -> None:
    assert len(own_stage.in_group("test", limit=8).json()) == 8
    own_stage.test.status = 500
    rule(own_stage, SlateRules(blocked_posts=[200, IN_SEGMENT[1].id], most_of={"movie": 3}))
    answer = own_stage.in_group("test", limit=6)
    assert shown(answer) == [201, 202, 203, IN_SEGMENT[0].id, IN_SEGMENT[2].id, IN_SEGMENT[3].id]
    assert answer.headers[MODEL] == "last_slate"


def test_where_no_age_is_known_a_limit_on_ages_lets_no_popular_post_pass(own_stage: Stage) -> None:
    own_stage.stop("test")
    rule(own_stage, SlateRules(max_age_days=3))
    answer = own_stage.in_group("test")
    assert (answer.status_code, answer.json(), answer.headers[SHORT]) == (200, [], "1")


def test_the_ages_of_the_last_slate_are_remembered(own_stage: Stage) -> None:
    now = 1_700_000_000
    own_stage.test.first_view_at = {200: now - 10 * 86_400, 201: now - 86_400}
    rule(own_stage, SlateRules(fresh=Freshness(share=0.2, days=2)))
    time = "2023-11-14T22:13:20"
    assert shown(own_stage.in_group("test", time=time)) == [200, 201, 202, 203, 204]
    own_stage.test.status = 500
    rule(own_stage, SlateRules(max_age_days=5))
    assert shown(own_stage.in_group("test", time=time))[:4] == [201, 202, 203, 204]


def test_with_feature_service_down_the_rules_known_last_hold(own_stage: Stage) -> None:
    rule(own_stage, SlateRules(blocked_posts=[POPULAR[0].id]))
    own_stage.stop("features")
    assert POPULAR[0].id not in shown(own_stage.recommend(200))


def test_an_interleaved_list_keeps_the_rules_which_neither_list_breaks_alone(stage: Stage) -> None:
    stage.control.topics = stage.test.topics = {100: "sport", 200: "sport"}
    stage.features.run(started(Plan(mode="interleave")))
    rule(stage, SlateRules(most_of={"sport": 1}, pins={3: 110}))
    for user in range(20):
        posts = shown(stage.recommend(user))
        assert len({100, 200} & set(posts)) == 1
        assert posts[2] == 110
        exposure = stage.features.exposures[-1]
        assert exposure.teams is not None
        assert len(exposure.teams) == len(exposure.posts) == len(exposure.scores) == 5


def test_a_pin_that_both_rankers_have_votes_for_either_alike(stage: Stage) -> None:
    stage.control.ids = [*range(100, 120), 500]
    stage.test.ids = [500, *range(200, 220)]
    stage.features.run(started(Plan(mode="interleave")))
    rule(stage, SlateRules(pins={1: 500}))
    for user in range(60):
        stage.recommend(user)
    first = [exposure.teams[0] for exposure in stage.features.exposures if exposure.teams]
    assert 12 < first.count("c") < 48


def test_what_is_explored_breaks_no_rule(stage: Stage) -> None:
    stage.test.topics = dict.fromkeys(range(225, 230), "sport")
    stage.features.run(started(all_in("test").model_copy(update={"exploration": 0.5})))
    rule(stage, SlateRules(blocked_topics=["sport"], pins={1: 205}))
    for user in range(30):
        assert not set(shown(stage.recommend(user))) & set(range(225, 230))
        exposure = stage.features.exposures[-1]
        assert exposure.posts[0] == 205
        assert exposure.propensities is not None
        assert exposure.propensities[:4] == [1.0] * 4
    assert any(exposure.propensities and exposure.propensities[4] < 0.5 for exposure in stage.features.exposures)


def test_a_pin_in_the_last_slot_is_never_explored_away(stage: Stage) -> None:
    stage.features.run(started(all_in("test").model_copy(update={"exploration": 0.5})))
    rule(stage, SlateRules(pins={5: 205}))
    assert {shown(stage.recommend(user))[4] for user in range(20)} == {205}


def test_an_experiment_compares_two_rule_sets(stage: Stage) -> None:
    rule(stage, SlateRules(blocked_posts=[100]), "strict")
    stage.features.run(started(Plan(rankers={"control": "control", "test": "control"}, rule_sets={"test": "strict"})))
    stage.await_poll()
    lists = {stage.recommend(user).json()["exp_group"]: shown(stage.recommend(user)) for user in range(20)}
    assert lists == {"control": [100, 101, 102, 103, 104], "test": [101, 102, 103, 104, 105]}
    assert {exposure.rules for exposure in stage.features.exposures} == {None, "strict@1"}


def test_a_rule_set_can_be_looked_at_before_anybody_sees_it(stage: Stage) -> None:
    rule(stage, SlateRules(pins={1: 222}), "spring")
    assert shown(stage.in_group("test"))[0] == 200
    assert shown(stage.in_group("test", rules="spring"))[0] == 222
    assert stage.in_group("test", rules="No set!").status_code == 422


def test_a_shadow_ranks_by_the_same_rules(stage: Stage) -> None:
    stage.features.run(started(Plan(mode="shadow")))
    rule(stage, SlateRules(blocked_posts=[200], most_per_topic=3))
    assert shown(stage.recommend(1)) == [100, 101, 102]
    until(lambda: bool(stage.features.shadowed))
    assert stage.features.shadowed[0].posts == [201, 202, 203]


def test_an_explanation_is_of_the_posts_as_rules_leave_them_and_names_the_rule(stage: Stage) -> None:
    rule(stage, SlateRules(pins={2: 222}, blocked_posts=[200]))
    explained = stage.http.get("/test/post/explanations/", params={"id": 1, "limit": 3})
    assert [(post["post_id"], post["rule"]) for post in explained.json()] == [
        (201, None),
        (222, "pinned"),
        (202, None),
    ]
    assert explained.headers[RULES] == "default@1"


def test_rules_are_read_with_a_key_and_edited_by_who_administers(stage: Stage) -> None:
    edit = {"rules": {"most_per_topic": 2}, "reason": "too much of one thing"}
    assert stage.http.get("/rules").status_code == 401
    assert stage.http.get("/rules/default", headers={"X-API-Key": KEY}).status_code == 200
    assert stage.http.put("/rules/default", headers={"X-API-Key": KEY}, json=edit).status_code == 403
    stage.http.put("/rules/default", headers={"X-API-Key": ADMIN}, json=edit)
    assert stage.features.administered[-1] == ("PUT", "/rules/default")
    bad = stage.http.put("/rules/default", headers={"X-API-Key": ADMIN}, json=edit | {"rules": {"pins": {"0": 1}}})
    assert bad.status_code == 422
    assert bad.json()["field"].startswith("rules.pins")


def test_a_preview_with_likes_asks_both_rankers_as_if_they_were_made_and_keeps_nothing(stage: Stage) -> None:
    first = shown(stage.in_group("test"))
    assert shown(stage.in_group("test", liked="200,201")) == [202, 203, 204, 205, 206]
    assert shown(stage.in_group("test")) == first
    assert stage.features.exposures == []
    stage.test.status = 500
    assert not {200, 201} & set(shown(stage.in_group("test", liked="200,201")))
    assert shown(stage.in_group("test"))[:2] == [200, 201]
    for odd in ("1;2", "9999999999", ",".join(["1"] * 21)):
        assert stage.in_group("test", liked=odd).json()["field"] == "liked"
    explained = stage.http.get("/test/post/explanations/", params={"id": 1, "liked": "200"})
    assert explained.status_code == 200
    assert stage.test.explained[-1]["liked"] == "200"
