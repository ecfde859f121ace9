"""Exposures that the log did not take at once: none is lost to load, and what is lost to an outage is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from chassis.hops import Hop
from contracts.headers import DEGRADED, REQUEST_ID
from contracts.wire import Exposure
from gateway.exposures import WaitingExposures
from gateway.upstream import Upstream
from prometheus_client import REGISTRY

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Features
from tests.support.platforms.gateway_stage import gateway_stage, until

NOWHERE = "http://127.0.0.1:1"


def exposure(key: str) -> Exposure:
    now = datetime(2026, 3, 14, tzinfo=UTC)
    return Exposure(key=key, user_id=1, experiment="models", group="test", ranker="test", model="test",
                    model_version="1", posts=[1], asked_for=now, served_at=now)  # fmt: skip


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("gateway_lost_exposures_total", {"group": "test", "reason": reason}) or 0.0


def test_a_log_that_is_dead_for_a_while_has_every_answer_in_the_end_once_and_as_it_was_shown() -> None:
    with gateway_stage() as stage:
        stage.features.exposure_status = 503
        answers = [stage.recommend(user) for user in range(200, 215)]
        stage.features.exposure_status = 202
        until(lambda: len(stage.features.exposures) == len(answers))
        shown = {
            answer.headers[REQUEST_ID]: [post["id"] for post in answer.json()["recommendations"]] for answer in answers
        }
        assert {one.key: one.posts for one in stage.features.exposures} == shown
        assert all("unlogged" in answer.headers[DEGRADED] for answer in answers)
        assert all("unlogged" in (one.degraded or "") for one in stage.features.exposures)


def test_what_is_still_waiting_at_the_stop_is_sent_then() -> None:
    with gateway_stage() as stage:
        stage.features.exposure_status = 503
        stage.recommend(200)
        stage.features.exposure_status = 202
        stage.stop("gateway")
        assert [one.user_id for one in stage.features.exposures] == [200]


def test_what_is_under_way_at_the_stop_is_sent_once_more() -> None:
    """Its call is given up, and may have been in vain."""

    async def stop_meanwhile(url: str, features: Features) -> None:
        async with Hop(url) as hop:
            waiting = WaitingExposures(Upstream("records", hop))
            waiting.keep(exposure("a"))
            sending = asyncio.create_task(waiting.run())
            await asyncio.to_thread(until, lambda: len(features.exposures) == 1)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            features.exposure_delay = 0.0
            await waiting.close()

    features = Features(exposure_delay=5.0)
    with served(features.app()) as url:
        asyncio.run(stop_meanwhile(url, features))
    assert [one.key for one in features.exposures] == ["a", "a"]


def test_under_more_than_it_takes_every_answer_is_the_models_or_a_refusal_and_every_exposure_recorded() -> None:
    with gateway_stage(max_concurrent=4) as stage, ThreadPoolExecutor(24) as pool:
        stage.features.delay = 0.02
        answers = list(pool.map(stage.recommend, range(200, 320)))
        answered = [answer for answer in answers if answer.status_code == 200]
        kinds = Counter(answer.status_code for answer in answers)
        assert kinds.keys() == {200, 503}
        assert [answer.headers.get(DEGRADED) for answer in answered] == [None] * len(answered)
        assert {one.key for one in stage.features.exposures} == {answer.headers[REQUEST_ID] for answer in answered}
        assert stage.http.get("/readyz").json() == {"status": "ready"}


def test_a_ranker_that_is_busy_is_not_left_alone() -> None:
    with gateway_stage() as stage:
        stage.test.status = 429
        reasons = [stage.in_group("test").headers[DEGRADED] for _ in range(20)]
        assert reasons == ["ranker_timeout"] * 20
        assert stage.test.calls == 20
        stage.test.status = 200
        assert DEGRADED not in stage.in_group("test").headers


@pytest.mark.parametrize("capacity", [1, 3])
def test_beyond_what_is_kept_the_oldest_give_way_and_are_counted(capacity: int) -> None:
    async def keep() -> None:
        async with Hop(NOWHERE) as hop:
            waiting = WaitingExposures(Upstream("records", hop), capacity)
            for number in range(5):
                waiting.keep(exposure(str(number)))
            await waiting.close()

    before = lost("overflow"), lost("stopped")
    asyncio.run(keep())
    assert (lost("overflow") - before[0], lost("stopped") - before[1]) == (5 - capacity, capacity)
