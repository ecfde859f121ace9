"""The services as they are, one before the other: what one asks for, the next one takes."""

from __future__ import annotations

from pathlib import Path

from tests.support.platforms.gateway_stage import KEY
from tests.support.platforms.whole_platform import whole_platform


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
        like = {"key": "a", "user_id": 200, "post_id": posts[0], "action": "like"}
        sent = platform.http.post("/events", json={"events": [like]}, headers={"X-API-Key": KEY})
        assert sent.status_code == 202
        again = platform.http.get("/post/recommendations/", params={"id": 200}).json()["recommendations"]
        assert posts[0] not in [post["id"] for post in again]
