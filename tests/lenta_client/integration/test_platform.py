"""The client, a gateway and the real feature-service: what is sent is counted, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from gateway.app import create
from gateway.settings import Settings
from lenta_client import AsyncLenta, Event, Lenta, Options

from tests.support.fakes.gateway import served
from tests.support.fakes.line import Line, line_to
from tests.support.fakes.upstreams import Ranker
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform
from tests.support.platforms.gateway_stage import KEY

USER = 5_000


@dataclass
class Platform:
    features: FeaturePlatform
    line: Line

    def counted(self, where: str) -> int:
        self.features.settle()
        return self.features.count("feed_data", f"user_id = {USER} AND {where}")


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[Platform]:
    """Behind a line that a test cuts."""
    with feature_platform(postgres_url, redis_url) as features, ExitStack() as stack:
        settings = Settings(
            features_url=features.url,
            control_url=stack.enter_context(served(Ranker("control", 1).app())),
            test_url=stack.enter_context(served(Ranker("test", 11).app())),
            api_keys=KEY,
        )
        gateway = stack.enter_context(served(create(settings)))
        yield Platform(features, stack.enter_context(line_to(gateway)))


def test_an_event_whose_answer_is_lost_is_sent_again_and_counts_once(platform: Platform) -> None:
    with Lenta(platform.line.url, KEY, Options(linger=60)) as lenta:
        lenta.send(*(Event(user_id=USER, post_id=post, action="view") for post in range(1, 31)))
        lenta.send(Event(user_id=USER, post_id=1, action="like"))
        platform.line.cuts = 2
        lenta.flush()
    assert platform.line.lost == [b"HTTP/1.1 202"] * 2  # it was durable, both times
    assert platform.counted("action = 'view'") == 30
    assert platform.counted("action = 'like'") == 1


def test_the_async_clients_event_whose_answer_is_lost_counts_once_too(platform: Platform) -> None:
    async def play() -> None:
        async with AsyncLenta(platform.line.url, KEY, Options(linger=60)) as lenta:
            lenta.send(*(Event(user_id=USER, post_id=post, action="view") for post in range(1, 31)))
            platform.line.cuts = 1

    asyncio.run(play())
    assert platform.line.lost == [b"HTTP/1.1 202"]
    assert platform.counted("action = 'view'") == 30


def test_thousands_of_events_over_a_line_that_breaks_are_each_counted_once(platform: Platform) -> None:
    start = datetime.now(UTC) - timedelta(hours=2)
    with Lenta(platform.line.url, KEY, Options(linger=0.01)) as lenta:
        for number in range(2_500):
            if number % 700 == 0:
                platform.line.cuts += 1
            at = start + timedelta(seconds=number)
            lenta.send(Event(user_id=USER, post_id=1 + number % 30, action="view", timestamp=at))
    assert platform.counted("TRUE") == 2_500
    assert platform.line.lost


def test_a_bad_event_stops_none_of_the_others(platform: Platform) -> None:
    refused: list[tuple[Event, str | None]] = []
    options = Options(linger=60, on_refused=lambda event, error: refused.append((event, error.field)))
    early, late = datetime(1960, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    bad = [Event(user_id=USER, post_id=2, action="view", timestamp=moment) for moment in (early, late)]
    with Lenta(platform.line.url, KEY, options) as lenta:
        for event in bad:
            lenta.send(Event(user_id=USER, post_id=1, action="view"), event)
    assert platform.counted("post_id = 1") == 2
    assert platform.counted("post_id = 2") == 0
    assert refused == [(bad[0], "events.1.timestamp"), (bad[1], "events.2.timestamp")]


def test_a_like_is_honoured_by_the_very_next_answer(platform: Platform) -> None:
    with Lenta(platform.line.url, KEY) as lenta:
        first = lenta.recommend(USER)
        lenta.send(first.like(first.posts[0].id))
        lenta.flush()
        assert first.posts[0] not in lenta.recommend(USER).posts
