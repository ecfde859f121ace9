"""Users of the feed: they ask for five posts, view them, like some, and must never see a liked post again.

Fewer than five posts are right only where the answer says so.

Every answer is checked; a wrong one counts as a failure. Run it by `make load`, or by hand:

    LENTA_API_KEY=... locust -f tests/load/locustfile.py --host http://127.0.0.1:8000
"""

from __future__ import annotations

import os
import random
import uuid
from itertools import count

from locust import FastHttpUser, between, task

LIKE_RATE = 0.3
SCROLLS = 10
"""Of one user, before the next one comes."""
FIRST_USER, LAST_USER = (int(part) for part in os.environ.get("LENTA_LOAD_USERS", "200-1199").split("-"))
_numbers = count()

if not os.environ.get("LENTA_API_KEY"):
    raise SystemExit("LENTA_API_KEY is not set: POST /events needs it (`make load` sets it)")


class FeedUser(FastHttpUser):
    """One place in front of a screen: a user asks, views, likes some, asks again; after a while the next one comes."""

    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        self.headers = {"X-API-Key": os.environ["LENTA_API_KEY"]}
        self._somebody_else()

    def _somebody_else(self) -> None:
        number = next(_numbers)
        self.rng = random.Random(number)
        self.user_id = FIRST_USER + number % (LAST_USER - FIRST_USER + 1)
        self.liked: set[int] = set()
        self.left = SCROLLS

    @task(10)
    def scroll(self) -> None:
        if not self.left:
            self._somebody_else()
        self.left -= 1
        posts = self._ask()
        if not posts:
            return
        seen = [self._event(post, "view") for post in posts]
        liked = [post for post in posts if self.rng.random() < LIKE_RATE]
        if self._send(seen + [self._event(post, "like") for post in liked]):
            self.liked.update(liked)
            self._ask()

    @task(1)
    def look_at_history(self) -> None:
        self.client.get(f"/user/{self.user_id}/feed?limit=10", name="/user/{id}/feed")

    def _ask(self) -> list[int]:
        """The ids of the five posts, checked; none when the answer was wrong."""
        with self.client.get(
            f"/post/recommendations/?id={self.user_id}&limit=5", name="/post/recommendations/", catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"status {response.status_code}")
                return []
            ids = [int(post["id"]) for post in response.json()["recommendations"]]
            if len(ids) != 5 and "X-Short" not in response.headers:
                response.failure(f"{len(ids)} posts instead of 5")
            elif len(set(ids)) != len(ids):
                response.failure("the same post twice")
            elif self.liked & set(ids):
                response.failure("a post that the user has liked")
            return ids

    def _send(self, batch: list[dict[str, object]]) -> bool:
        with self.client.post(
            "/events", json={"events": batch}, headers=self.headers, name="/events", catch_response=True
        ) as response:
            if response.status_code != 202:
                response.failure(f"status {response.status_code}")
            return bool(response.status_code == 202)

    def _event(self, post: int, action: str) -> dict[str, object]:
        return {"key": uuid.uuid4().hex, "user_id": self.user_id, "post_id": post, "action": action}
