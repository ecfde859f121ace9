"""A post that is taken down or expires is gone from the very next answer: on running services, over real stores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from contracts.headers import API_KEY, COLD_START, DEGRADED
from feature_service.warm.build import warm
from gateway.app import create
from gateway.settings import Settings

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Ranker
from tests.support.platforms.feature_platform import FeaturePlatform, event
from tests.support.platforms.gateway_stage import KEY, gateway_stage, until, until_ready
from tests.support.platforms.whole_platform import whole_platform
from tests.support.servers import empty_redis, migrated_database

KEYED = {API_KEY: KEY}
STRANGER, MOST = 7_000, 100


@dataclass
class Two:
    """Gateways: one beside the two models, another before rankers that rank what they always did."""

    http: httpx.Client
    other: httpx.Client
    features: FeaturePlatform
    stubborn: Ranker

    def shown(self, http: httpx.Client, path: str = "/post/recommendations/") -> set[int]:
        answer = http.get(path, params={"id": STRANGER, "limit": MOST}).raise_for_status().json()
        return {post["id"] for post in (answer if isinstance(answer, list) else answer["recommendations"])}

    def everywhere(self) -> set[int]:
        """Whatever anybody could be shown."""
        previews = [self.shown(self.http, f"/{group}/post/recommendations/") for group in ("control", "test")]
        popular = self.features.http.get("/popular").json()
        lists = [popular["overall"], *popular["segments"].values()]
        fallbacks = [{post["id"] for post in posts} for posts in lists]
        return set().union(self.shown(self.http), self.shown(self.other), *previews, *fallbacks)

    def publish(self, post: int, **content: object) -> None:
        body = {"text": f"text of {post}", "topic": "movie"} | content
        self.http.put(f"/post/{post}", json=body, headers=KEYED).raise_for_status()


@pytest.fixture(scope="module")
def two(postgres_server: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with ExitStack() as stack:
        postgres_url = stack.enter_context(migrated_database(postgres_server))
        folder = tmp_path_factory.mktemp("platform")
        platform = stack.enter_context(whole_platform(postgres_url, empty_redis(redis_server), folder))
        stubborn = Ranker("stubborn", 1)
        rankers = stack.enter_context(served(stubborn.app()))
        settings = Settings(
            features_url=platform.features.url,
            control_url=rankers,
            test_url=rankers,
            api_keys=KEY,
            deadline_ms=20_000,
            features_ms=10_000,
            exposure_ms=10_000,
            ranker_ms=10_000,
        )
        other = stack.enter_context(httpx.Client(base_url=stack.enter_context(served(create(settings))), timeout=30))
        until_ready(other)
        yield Two(platform.http, other, platform.features, stubborn)


def test_a_post_is_gone_from_the_very_next_answer_of_every_gateway_and_back_once_it_is_published(two: Two) -> None:
    assert 3 in two.everywhere()
    assert two.http.delete("/post/3").status_code == 401
    assert two.http.delete("/post/3", headers=KEYED).status_code == 202
    assert 3 not in two.everywhere()
    assert two.http.get("/post/3").status_code == 404
    assert two.http.get("/post/3/feed").json() != []  # what happened stays
    until(lambda: two.features.count("posts_gone", "post_id = 3") == 1)
    assert two.features.count("post_text_df", "id = 3 AND text = ''") == 1
    two.publish(3)
    assert two.http.get("/post/3").json()["text"] == "text of 3"
    until(lambda: 3 in two.shown(two.http) and 3 in two.shown(two.other))
    until(lambda: two.features.count("posts_gone", "post_id = 3") == 0)


def test_it_stays_gone_through_a_warm_up_and_in_a_service_that_starts_anew(two: Two) -> None:
    two.http.delete("/post/4", headers=KEYED).raise_for_status()
    until(lambda: 4 in two.features.catalogue().gone)
    time.sleep(1.5)  # every gateway hears of it
    two.features.client.delete(two.features.keys.gone)  # as after two minutes
    two.features.warm()
    assert 4 not in two.everywhere()
    assert 4 in two.features.catalogue().gone
    with two.features.serving() as http:
        assert http.get("/posts/4").status_code == 404
    two.publish(4)
    until(lambda: 4 not in two.features.catalogue().gone)
    until(lambda: 4 in two.shown(two.http))


def test_a_ranker_that_never_hears_of_it_makes_no_gateway_show_it(two: Two) -> None:
    """Its catalogue is older than rows look back."""
    two.publish(5)
    assert 5 in two.shown(two.other)
    two.http.delete("/post/5", headers=KEYED).raise_for_status()
    time.sleep(1.5)  # the other gateway hears that texts have changed
    two.features.client.delete(two.features.keys.gone)
    time.sleep(1.5)
    two.stubborn.ids = [5, 6, 7]
    answer = two.other.get("/post/recommendations/", params={"id": STRANGER, "limit": 3})
    two.stubborn.ids = None
    assert 5 not in {post["id"] for post in answer.json()["recommendations"]}
    assert answer.headers[DEGRADED] == "texts"
    two.publish(5)


def test_a_post_is_gone_in_the_second_in_which_it_expires(two: Two) -> None:
    two.publish(6, expires=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    until(lambda: two.features.count("posts_gone", "post_id = 6") == 1)
    assert 6 in two.everywhere()
    end = datetime.now(UTC) + timedelta(seconds=2)
    two.publish(6, expires=end.isoformat())
    assert 6 in two.everywhere()
    time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()))
    assert 6 not in two.everywhere()
    assert two.http.get("/post/6").status_code == 404
    until(lambda: 6 in two.features.catalogue().gone)  # and ingest has taken it down for good
    assert not two.features.client.hexists(two.features.keys.texts, "6")
    two.features.warm()
    assert 6 not in two.everywhere()
    two.publish(6)
    until(lambda: 6 in two.shown(two.http))


def test_events_of_people_who_still_had_it_on_the_screen_are_counted(two: Two) -> None:
    two.http.delete("/post/8", headers=KEYED).raise_for_status()
    two.http.post("/events", json={"events": [event("late", STRANGER, 8, "view")]}, headers=KEYED).raise_for_status()
    until(lambda: two.features.count("feed_data", f"user_id = {STRANGER} AND post_id = 8") == 1)
    two.publish(8)


def test_a_user_who_is_forgotten_is_a_stranger_to_the_very_next_answer(two: Two) -> None:
    user = STRANGER + 1
    two.http.put(f"/user/{user}", json={"age": 30}, headers=KEYED).raise_for_status()
    two.http.post("/events", json={"events": [event("liked", user, 2, "like")]}, headers=KEYED).raise_for_status()

    def ask() -> tuple[set[int], bool]:
        answer = two.http.get("/post/recommendations/", params={"id": user, "limit": MOST}).raise_for_status()
        return {post["id"] for post in answer.json()["recommendations"]}, COLD_START in answer.headers

    shown, is_cold = ask()
    assert 2 not in shown
    assert not is_cold
    until(lambda: two.http.get(f"/user/{user}/feed").json() != [])
    assert two.http.delete(f"/user/{user}").status_code == 401
    two.http.delete(f"/user/{user}", headers=KEYED).raise_for_status()
    shown, is_cold = ask()
    assert 2 in shown
    assert is_cold
    until(lambda: two.http.get(f"/user/{user}").status_code == 404)
    until(lambda: two.http.get(f"/user/{user}/feed").json() == [])


def test_no_fallback_shows_it_while_everything_is_down() -> None:
    with gateway_stage() as stage:
        first = [post["id"] for post in stage.recommend(1).json()["recommendations"]]
        assert stage.http.delete(f"/post/{first[0]}", headers=KEYED).status_code == 202
        stage.http.delete("/post/900", headers=KEYED).raise_for_status()  # the most popular one
        for name in ("features", "control", "test"):
            stage.stop(name)
        left = [post["id"] for post in stage.recommend(1, limit=10).json()["recommendations"]]
        assert left[: len(first) - 1] == first[1:]
        assert 901 in left
        assert not {first[0], 900} & set(left)


def test_a_text_that_was_on_its_way_does_not_bring_it_back(two: Two) -> None:
    """Taken down and published while the next generation is built: what came last holds."""

    def meanwhile(what: str, done: int, total: int) -> None:
        if what == "profiles":
            two.http.delete("/post/9", headers=KEYED).raise_for_status()
            two.http.delete("/post/10", headers=KEYED).raise_for_status()
            two.publish(10)
        elif what == "posts":
            two.http.delete("/post/11", headers=KEYED).raise_for_status()

    warm(two.features.redis_url, two.features.postgres_url, shards=2, progress=meanwhile)
    for post, status in ((9, 404), (10, 200), (11, 404)):
        assert two.http.get(f"/post/{post}").status_code == status
    assert not {9, 11} & two.everywhere()
    until(lambda: 10 in two.shown(two.http))
    until(lambda: {9, 11} <= set(two.features.catalogue().gone.tolist()))
