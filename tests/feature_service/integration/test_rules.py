"""Rules of the business are saved with who and why, live at once, and refused by the name of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from contracts.experiments import RunningExperiments
from contracts.rules import RulesPage
from contracts.wire import Exposure, Move, PopularPosts

from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _put(platform: FeaturePlatform, rules: dict[str, Any], name: str = "default", **edit: Any) -> httpx.Response:
    return platform.http.put(f"/rules/{name}", json={"reason": "a test", "rules": rules, **edit})


def _saved(platform: FeaturePlatform, rules: dict[str, Any], name: str = "default", **edit: Any) -> RulesPage:
    answer = _put(platform, rules, name, **edit)
    assert answer.status_code == 200, answer.text
    return RulesPage.model_validate_json(answer.content)


def _running(platform: FeaturePlatform) -> RunningExperiments:
    return RunningExperiments.model_validate_json(platform.http.get("/running").raise_for_status().content)


def test_the_platform_starts_without_a_rule(platform: FeaturePlatform) -> None:
    assert _running(platform).rule_sets == {}
    (default,) = platform.http.get("/rules").json()
    assert (default["name"], default["revision"]) == ("default", 0)
    assert platform.http.get("/rules/default").json()["history"] == []


def test_a_rule_is_published_at_once_and_its_history_says_who_and_why(platform: FeaturePlatform) -> None:
    etag = platform.http.get("/running").headers["ETag"]
    _saved(platform, {"most_per_topic": 2}, by="ada", reason="too much of one thing")
    page = _saved(platform, {"pins": {"1": 7}, "boosts": [{"topic": "sport", "odds": 1.5}]}, by="joan")
    assert platform.http.get("/running", headers={"If-None-Match": etag}).status_code == 200
    assert _running(platform).rule_sets["default"] == page.rule_set
    assert [(line.by, line.reason, line.what, line.revision) for line in page.history] == [
        ("ada", "too much of one thing", "most_per_topic: 2", 1),
        ("joan", "a test", "pins: 1 → 7; boosts: sport × 1.5; most_per_topic: none", 2),
    ]
    assert page.history[0].rules.most_per_topic == 2


def test_saving_the_same_rules_again_makes_no_line(platform: FeaturePlatform) -> None:
    _saved(platform, {"not_again": 2})
    assert len(_saved(platform, {"not_again": 2}).history) == 1


def test_a_save_on_an_older_revision_is_refused(platform: FeaturePlatform) -> None:
    _saved(platform, {"not_again": 2}, revision=0)
    late = _put(platform, {"not_again": 3}, revision=0)
    assert (late.status_code, late.json()["field"]) == (409, "revision")
    assert "revision 1" in late.json()["message"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"blocked_posts": [1, 999]}, "rules.blocked_posts.1", "no post 999"),
    ({"pins": {"2": 999}}, "rules.pins.2", "no post 999"),
    ({"boosts": [{"topic": "sports", "odds": 2}]}, "rules.boosts.0.topic", "no topic 'sports'"),
    ({"most_of": {"films": 1}}, "rules.most_of.films", "no topic 'films'"),
    ({"most_per_topic": 0}, "rules.most_per_topic", "greater than or equal to 1"),
    ({"pins": {"1": 5, "2": 5}}, "rules.pins", "pinned to two slots"),
    ({"min_age_days": 3, "max_age_days": 1}, "rules.max_age_days", "no post would be left"),
    ({"fresh": {"share": 2, "days": 1}}, "rules.fresh.share", "less than or equal to 1"),
    ({"bloked_posts": [1]}, "rules.bloked_posts", "not permitted"),
]


def test_a_refusal_names_the_rule_and_saves_nothing(platform: FeaturePlatform) -> None:
    for rules, field, says in REFUSED:
        answer = _put(platform, rules)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert says in answer.json()["message"]
    assert platform.count("rule_sets") == 0


def test_an_unknown_set_is_not_there_and_an_odd_name_is_none(platform: FeaturePlatform) -> None:
    assert platform.http.get("/rules/spring").status_code == 404
    assert _put(platform, {}, name="Spring!").json()["field"] == "name"


def test_an_experiment_compares_rule_sets_that_exist(platform: FeaturePlatform) -> None:
    platform.http.put("/experiments/models", json={"reason": "a test", "state": "stopped"}).raise_for_status()
    edit = {"reason": "a test", "plan": {"rule_sets": {"test": "varied"}}, "state": "running"}
    refused = platform.http.put("/experiments/variety", json=edit)
    assert (refused.status_code, refused.json()["field"]) == (422, "plan.rule_sets.test")
    _saved(platform, {"diversity": 1.0}, name="varied")
    platform.http.put("/experiments/variety", json=edit).raise_for_status()
    running = _running(platform)
    assert running.experiments[0].plan.rule_set("test") == "varied"
    assert running.rule_sets["varied"].rules.diversity == 1.0


def test_what_rules_did_is_kept_with_the_exposure(platform: FeaturePlatform) -> None:
    moved = [Move(post=7, rule="pinned", slot=1, own=4), Move(post=9, rule="blocked", own=1)]
    exposure = Exposure.model_validate(
        {
            "key": "ruled", "user_id": 200, "experiment": "models", "group": "test", "ranker": "test",
            "model": "test", "model_version": "1", "posts": [7, 3], "asked_for": "2026-11-24T10:00:00Z",
            "served_at": "2026-11-24T10:00:00Z", "rules": "default@3", "moves": moved,
        }
    )  # fmt: skip
    plain = exposure.model_copy(update={"key": "plain", "rules": None, "moves": []})
    for each in (exposure, plain):
        platform.http.post("/exposures", json=each.model_dump(mode="json")).raise_for_status()
    platform.settle()
    for each in (exposure, plain):
        assert Exposure.model_validate_json(platform.http.get(f"/exposures/{each.key}").content) == each
    assert platform.count("exposures", "moves IS NULL") == 1


def test_popular_posts_say_when_they_were_first_seen(platform: FeaturePlatform) -> None:
    platform.warm()
    popular = PopularPosts.model_validate_json(platform.http.get("/popular").content)
    catalogue = platform.catalogue()
    first = dict(zip(catalogue.post_id.tolist(), catalogue.first_view_at.tolist(), strict=True))
    assert popular.first_view_at == {post.id: first[post.id] for post in popular.overall}
