"""The services as they are, one before the other: what one asks for, the next one takes."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.platforms.gateway_stage import ADMIN, KEY, until
from tests.support.platforms.whole_platform import WholePlatform, whole_platform


def test_a_recommendation_its_reasons_and_a_like_go_through_all_services(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with whole_platform(postgres_url, redis_url, tmp_path) as platform:
        answer = platform.http.get("/post/recommendations/", params={"id": 200})
        assert "X-Degraded" not in answer.headers, answer.headers
        posts = [post["id"] for post in answer.json()["recommendations"]]
        assert len(posts) == 5
        for group in ("control", "test"):
            listed = platform.http.get(f"/{group}/post/recommendations/", params={"id": 200}).json()
            reasons = platform.http.get(f"/{group}/post/explanations/", params={"id": 200}).raise_for_status().json()
            assert [post["post_id"] for post in reasons] == [post["id"] for post in listed] == posts
            alike = platform.http.get(f"/{group}/post/{posts[0]}/similar", headers={"X-API-Key": ADMIN})
            near = alike.raise_for_status().json()["posts"]
            assert len(near) == 5
            assert posts[0] not in [post["post_id"] for post in near]
            missing = platform.http.get(f"/{group}/post/99999/similar", headers={"X-API-Key": ADMIN})
            assert missing.status_code == 404
        like = {"key": "a", "user_id": 200, "post_id": posts[0], "action": "like"}
        sent = platform.http.post("/events", json={"events": [like]}, headers={"X-API-Key": KEY})
        assert sent.status_code == 202
        again = platform.http.get("/post/recommendations/", params={"id": 200}).json()["recommendations"]
        assert posts[0] not in [post["id"] for post in again]


def test_rules_go_through_all_services_within_two_seconds_and_back_in_the_exposure(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with whole_platform(postgres_url, redis_url, tmp_path) as platform:
        before = _posts(platform.http.get("/test/post/recommendations/", params={"id": 200}))
        pinned = next(post for post in range(1, 31) if post not in before and not _has_liked(platform, 200, post))
        rules = {"blocked_posts": before[:1], "pins": {"2": pinned}, "boosts": [{"post": before[4], "odds": 1_000}]}
        edit = {"rules": rules, "reason": "the final is today", "by": "ada"}
        platform.http.put("/rules/default", json=edit, headers={"X-API-Key": ADMIN}).raise_for_status()
        until(lambda: "X-Rules" in platform.http.get("/post/recommendations/", params={"id": 200}).headers, seconds=2)
        for group in ("control", "test"):
            answer = platform.http.get(f"/{group}/post/recommendations/", params={"id": 200})
            posts = _posts(answer)
            assert answer.headers["X-Rules"] == "default@1"
            assert before[0] not in posts
            assert (posts[0], posts[1]) == (before[4], pinned)
            reasons = platform.http.get(f"/{group}/post/explanations/", params={"id": 200}).raise_for_status().json()
            assert [post["post_id"] for post in reasons] == posts
            assert reasons[1]["rule"] == "pinned"
        shown = platform.http.get("/post/recommendations/", params={"id": 200})
        key = shown.headers["X-Request-ID"]
        until(lambda: _exposure(platform, key).status_code == 200)  # on a busy machine the log takes it a little later
        exposure = _exposure(platform, key).json()
        assert exposure["rules"] == "default@1"
        assert {(move["post"], move["rule"]) for move in exposure["moves"]} >= {
            (pinned, "pinned"),
            (before[0], "blocked"),
        }


def test_a_preview_of_a_like_changes_the_list_and_nothing_else(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with whole_platform(postgres_url, redis_url, tmp_path) as platform:
        params: dict[str, str] = {"id": "200"}
        before = _posts(platform.http.get("/test/post/recommendations/", params=params))
        likes = platform.features.row(200).hidden.tolist()
        after = _posts(platform.http.get("/test/post/recommendations/", params=params | {"liked": str(before[0])}))
        assert before[0] not in after
        assert len(after) == 5
        assert platform.features.row(200).hidden.tolist() == likes
        assert _posts(platform.http.get("/test/post/recommendations/", params=params)) == before


def _posts(answer: httpx.Response) -> list[int]:
    return [post["id"] for post in answer.raise_for_status().json()]


def _exposure(platform: WholePlatform, key: str) -> httpx.Response:
    platform.features.settle()
    return platform.http.get(f"/exposures/{key}", headers={"X-API-Key": ADMIN})


def _has_liked(platform: WholePlatform, user_id: int, post_id: int) -> bool:
    return post_id in platform.features.row(user_id).hidden
