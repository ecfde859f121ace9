"""Users of the feed: they ask for five posts, view them, like some, and must never see a liked post again.

More and more of them come, until the platform answers too late or not with the user's own model: the knee
(`staircase`). Every answer is checked: distinct posts, five of them unless the answer says why not, none that the user
has liked, from the group to which the published hash assigns the user, by that group's model unless it says by what
instead. A wrong one counts as a failure; one that is refused with `Retry-After` does not. Run it by `make load`, or by
hand:

    LENTA_API_KEY=... locust -f tests/load/locustfile.py --host http://127.0.0.1:8000 --headless
"""

from __future__ import annotations

import os
import random
import time
import uuid
from itertools import count
from typing import Any

import httpx
from contracts.experiments import ExperimentPage, RunningExperiments
from contracts.headers import API_KEY, DEGRADED, MODEL, SHORT
from gateway.split import Split
from locust import FastHttpUser, LoadTestShape, between, events, task

from tests.load.staircase import Staircase

LIKE_RATE = 0.3
SCROLLS = 10
"""Of one user, before the next one comes."""
FIRST_USER, LAST_USER = (int(part) for part in os.environ.get("LENTA_LOAD_USERS", "200-1199").split("-"))
RECOMMENDATIONS = "/post/recommendations/"
STAIRCASE = Staircase(float(os.environ.get("LOAD_STEP_SECONDS", "8")))
SPLIT = Split()
_numbers, _began = count(), time.monotonic()

if not os.environ.get("LENTA_API_KEY"):
    raise SystemExit("LENTA_API_KEY is not set: POST /events needs it (`make load` sets it)")


def know_the_split(environment: Any, **_: object) -> None:
    """As the gateway knows it: the running experiments, when nobody changes them meanwhile."""
    with httpx.Client(base_url=environment.host, headers={API_KEY: os.environ["LENTA_API_KEY"]}) as http:
        names = [
            line["name"] for line in http.get("/experiments").raise_for_status().json() if line["state"] == "running"
        ]
        pages = [http.get(f"/experiments/{name}").raise_for_status().content for name in names]
    running = [ExperimentPage.model_validate_json(page).experiment for page in pages]
    SPLIT.update(RunningExperiments(experiments=running))


def say_where_the_knee_is(environment: Any, **_: object) -> None:
    print(STAIRCASE.report)
    if environment.stats.total.num_failures:
        environment.process_exit_code = 1


hooks: Any = events  # which locust has not typed
hooks.test_start.add_listener(know_the_split)
hooks.quitting.add_listener(say_where_the_knee_is)


class MoreAndMore(LoadTestShape):
    def tick(self) -> tuple[int, float] | None:
        users = STAIRCASE.users_at(time.monotonic() - _began)
        return None if users is None else (users, float(users))


class FeedUser(FastHttpUser):
    """One place in front of a screen: a user asks, views, likes some, asks again; after a while the next one comes."""

    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        self.headers = {API_KEY: os.environ["LENTA_API_KEY"]}
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
        """The ids of the posts, checked; none when the answer was wrong or refused."""
        asked = time.monotonic()
        with self.client.get(
            f"{RECOMMENDATIONS}?id={self.user_id}&limit=5", name=RECOMMENDATIONS, catch_response=True
        ) as response:
            milliseconds = 1_000 * (time.monotonic() - asked)
            refused = response.status_code == 503 and "Retry-After" in response.headers
            own = response.status_code == 200 and DEGRADED not in response.headers
            word = "own" if own else "refused" if refused else "instead"
            STAIRCASE.answered(asked - _began, milliseconds, word)
            if refused:
                response.success()
                return []
            ids, fault = self._checked(response)
            if fault:
                response.failure(fault)
            return ids

    def _checked(self, response: Any) -> tuple[list[int], str]:
        """And what is wrong with the answer, if anything."""
        if response.status_code != 200:
            return [], f"status {response.status_code}"
        body, headers = response.json(), response.headers
        ids = [int(post["id"]) for post in body["recommendations"]]
        placement = SPLIT.place(self.user_id, SPLIT.now())
        split = placement.visible is None or placement.visible.experiment.plan.mode == "ab"
        faults = {
            f"{len(ids)} posts instead of 5": len(ids) != 5 and SHORT not in headers,
            "the same post twice": len(set(ids)) != len(ids),
            "a post that the user has liked": bool(self.liked & set(ids)),
            f"group {body['exp_group']} instead of {placement.group}": split and body["exp_group"] != placement.group,
            f"{headers[MODEL]} unflagged": split
            and DEGRADED not in headers
            and not headers[MODEL].startswith(f"{placement.ranker}@"),
        }
        return ids, next((fault for fault, holds in faults.items() if holds), "")

    def _send(self, batch: list[dict[str, object]]) -> bool:
        with self.client.post(
            "/events", json={"events": batch}, headers=self.headers, name="/events", catch_response=True
        ) as response:
            if response.status_code == 503 and "Retry-After" in response.headers:
                response.success()
            elif response.status_code != 202:
                response.failure(f"status {response.status_code}")
            return bool(response.status_code == 202)

    def _event(self, post: int, action: str) -> dict[str, object]:
        return {"key": uuid.uuid4().hex, "user_id": self.user_id, "post_id": post, "action": action}
