"""To which exposure a like belongs: by name or by (user, post) within a window, each once, and the rest by reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.wire import Exposure
from sqlalchemy import text

from tests.support.platforms.feature_platform import FeaturePlatform, event, exposure, feature_platform

SERVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _show(platform: FeaturePlatform, key: str, user: int, posts: list[int], at: datetime, **other: object) -> None:
    platform.http.post("/exposures", json=exposure(key, user, posts, at, **other)).raise_for_status()


def _like(platform: FeaturePlatform, user: int, post: int, at: datetime, name: str | None = None) -> None:
    key = f"{user} {post} {at} {name}"
    platform.send(event(key, user, post, "like", at) | ({"request_id": name} if name else {})).raise_for_status()


def _likes(platform: FeaturePlatform) -> dict[str, list[int]]:
    """By exposure, those that have any; read by the public call and equal to the counts in the table."""
    with platform.engine.connect() as connection:
        counted = {row.key: row.likes for row in connection.execute(text("SELECT key, likes FROM exposures"))}
    attributed = {
        key: Exposure.model_validate_json(platform.http.get(f"/exposures/{key}").content).likes for key in counted
    }
    assert {key: len(likes) for key, likes in attributed.items()} == counted
    assert_days_are_sums(platform)
    return {key: likes for key, likes in attributed.items() if likes}


def assert_days_are_sums(platform: FeaturePlatform) -> None:
    """What a report reads is what the exposures add up to."""
    summed = (
        "SELECT experiment, user_id, served_at::date, weight_period, count(*), count(*) FILTER (WHERE likes > 0), "
        "sum(likes), count(degraded), count(degraded) FILTER (WHERE likes > 0), "
        "coalesce(sum(likes) FILTER (WHERE degraded IS NOT NULL), 0), "
        "count(*) FILTER (WHERE degraded LIKE '%ranker\\_%'), count(*) FILTER (WHERE model_version = ''), "
        "count(*) FILTER (WHERE took_ms > 200), count(*) FILTER (WHERE degraded LIKE '%unlogged%'), "
        "min(exp_group) FROM exposures GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
    kept = (
        "SELECT experiment, user_id, day, weight_period, exposures, hits, likes, degraded, degraded_hits, degraded_likes, "
        "failed, fallbacks, slow, unlogged, exp_group "
        "FROM exposure_days ORDER BY 1, 2, 3, 4"
    )
    with platform.engine.connect() as connection:
        assert connection.execute(text(kept)).all() == connection.execute(text(summed)).all()
        models = "SELECT experiment, exp_group, model, model_version, {} FROM {} ORDER BY 1, 2, 3, 4"
        counted = models.format("count(*)", "exposures GROUP BY 1, 2, 3, 4")
        told = connection.execute(text(models.format("exposures", "exposure_models"))).all()
        assert told == connection.execute(text(counted)).all()


def _unattributed(platform: FeaturePlatform) -> dict[tuple[str, str], int]:
    with platform.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT experiment, reason, sum(likes) AS likes FROM unattributed_likes GROUP BY 1, 2")
        )
        return {(row.experiment, row.reason): row.likes for row in rows}


def test_every_like_goes_where_the_rules_say(platform: FeaturePlatform) -> None:
    _show(platform, "first", 200, [1, 2, 3], SERVED)
    _show(platform, "second", 200, [3, 4], SERVED + HOUR)
    _show(
        platform,
        "other",
        201,
        [5, 6],
        SERVED,
        degraded="ranker_timeout",
        took_ms=250,
        model="popular",
        model_version="",
    )
    _show(platform, "late", 201, [7], SERVED, degraded="unlogged")
    _like(platform, 200, 1, SERVED + MINUTE)  # by user and post
    _like(platform, 200, 3, SERVED + 2 * HOUR)  # the latest exposure that holds it
    _like(platform, 200, 3, SERVED + 2 * HOUR + MINUTE, "first")  # the one that it names
    _like(platform, 200, 2, SERVED - 4 * MINUTE)  # clocks are not equal
    _like(platform, 200, 4, SERVED - HOUR, "second")  # an hour slow, and named
    _like(platform, 201, 5, SERVED + MINUTE, "first")  # named, but another user's
    _like(platform, 201, 6, SERVED + MINUTE, "nobody knows")
    platform.settle()
    assert _likes(platform) == {"first": [2, 1, 3], "second": [4, 3], "other": [5, 6]}
    assert _unattributed(platform) == {}
    assert platform.count("feed_data", "action = 'view' AND timestamp > '2026-01-01'") == 0


def test_what_belongs_nowhere_is_counted_by_its_reason_and_in_the_feed(platform: FeaturePlatform) -> None:
    _show(platform, "first", 200, [1, 2, 3], SERVED)
    _like(platform, 200, 1, SERVED + timedelta(days=7))  # a week late
    _like(platform, 200, 2, SERVED + 25 * HOUR, "first")  # named, and late all the same
    _like(platform, 200, 3, SERVED - HOUR)  # an hour slow, without a name
    _like(platform, 200, 9, SERVED + MINUTE)  # never shown
    _like(platform, 205, 1, SERVED + MINUTE)  # shown to somebody else
    platform.settle()
    assert _likes(platform) == {}
    assert _unattributed(platform) == {
        ("models", "late"): 2,
        ("models", "early"): 1,
        ("models", "no_exposure"): 1,
        ("", "no_exposure"): 1,
    }
    assert platform.count("feed_data", "action = 'like' AND timestamp > '2026-01-01'") == 5


def test_a_post_of_an_exposure_counts_once_however_often_it_is_liked(platform: FeaturePlatform) -> None:
    _show(platform, "first", 200, [1, 2], SERVED)
    for minute in (1, 1, 2):  # the same event twice is one like already
        _like(platform, 200, 1, SERVED + minute * MINUTE)
    platform.settle()
    _like(platform, 200, 1, SERVED + 3 * MINUTE, "first")
    platform.settle()
    assert _likes(platform) == {"first": [1]}
    assert _unattributed(platform) == {("models", "repeated"): 2}


def test_the_window_is_the_experiments_own(platform: FeaturePlatform) -> None:
    rules = {"rules": {"join_hours": 2}, "mode": "shadow", "layer": "wide"}
    put = {"plan": rules, "state": "running", "reason": "a short window"}
    platform.http.put("/experiments/short", json=put).raise_for_status()
    _show(platform, "short", 200, [1, 2], SERVED, experiment="short")
    _like(platform, 200, 1, SERVED + 2 * HOUR)
    _like(platform, 200, 2, SERVED + 2 * HOUR + timedelta(seconds=1))
    platform.settle()
    assert _likes(platform) == {"short": [1]}
    assert _unattributed(platform) == {("short", "late"): 1}


def test_a_user_is_assigned_once_a_period_with_what_he_did_strictly_before(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        connection.execute(text("DELETE FROM feed_data WHERE user_id = 200"))
    for minute, action in ((-3, "view"), (-2, "view"), (-2, "like"), (0, "view"), (5, "view")):
        platform.send(event(f"{minute} {action}", 200, 1, action, SERVED + minute * MINUTE))
    assigned = {"experiment": "models", "user_id": 200, "group": "test", "weight_period": 0}
    rows: list[dict[str, Any]] = [assigned | {"at": (SERVED + minute * MINUTE).isoformat()} for minute in (0, 10)]
    rows.append(assigned | {"weight_period": 1, "at": (SERVED + 6 * MINUTE).isoformat()})
    for _ in range(2):
        assert platform.http.post("/assignments", json={"assigned": rows}).status_code == 202
        platform.settle()
    with platform.engine.connect() as connection:
        recorded = connection.execute(
            text("SELECT weight_period, exp_group, at, views_before, likes_before FROM assignments ORDER BY 1")
        ).all()
    naive = SERVED.replace(tzinfo=None)
    assert [tuple(row) for row in recorded] == [(0, "test", naive, 2, 1), (1, "test", naive + 6 * MINUTE, 4, 1)]


def test_an_exposure_stands_for_an_assignment_that_was_never_told(platform: FeaturePlatform) -> None:
    _show(platform, "first", 200, [1], SERVED)
    _show(platform, "second", 200, [1], SERVED + MINUTE)
    platform.settle()
    assert platform.count("assignments", "user_id = 200 AND at = '2026-03-01 12:00' AND exp_group = 'test'") == 1


def test_an_exposure_comes_back_as_it_was_recorded(platform: FeaturePlatform) -> None:
    shown = exposure("x", 200, [3, 1], SERVED, mode="interleave", scores=[0.1 + 0.2, -1e-17], teams="ct", took_ms=12.5,
                     propensities=[1.0, 0.05], degraded="ranker_timeout", weight_period=2)  # fmt: skip
    platform.http.post("/exposures", json=shown)
    platform.settle()
    assert Exposure.model_validate_json(platform.http.get("/exposures/x").content) == Exposure.model_validate(shown)
    assert platform.http.get("/exposures/unknown").status_code == 404


def test_what_a_shadow_answered_is_recorded_once(platform: FeaturePlatform) -> None:
    shadow = {"key": "x", "user_id": 200, "experiment": "beside", "ranker": "test", "posts": [4, 5], "took_ms": 8.5}
    for _ in range(2):
        assert platform.http.post("/shadows", json=shadow).status_code == 202
    failed = shadow | {"key": "y", "posts": [], "failed": "ranker_timeout"}
    platform.http.post("/shadows", json=failed)
    platform.settle()
    assert platform.count("shadows", "posts = '{4,5}' AND failed IS NULL") == 1
    assert platform.count("shadows", "failed = 'ranker_timeout'") == 1


def test_an_exposure_liked_twice_in_two_batches_is_one_hit(platform: FeaturePlatform) -> None:
    _show(platform, "once", 200, [1, 2, 3], SERVED)
    _show(platform, "bad", 200, [4, 5], SERVED + MINUTE, degraded="ranker_timeout")
    platform.settle()
    for post in (1, 4, 2, 5, 3):
        _like(platform, 200, post, SERVED + 2 * MINUTE)
        platform.settle()
    assert _likes(platform) == {"once": [1, 2, 3], "bad": [4, 5]}
    with platform.engine.connect() as connection:
        days = connection.execute(text("SELECT hits, likes, degraded_hits, degraded_likes FROM exposure_days")).one()
    assert tuple(days) == (2, 5, 1, 2)
