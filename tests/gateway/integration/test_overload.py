"""Far more than the gateway may take at once, by callers who never wait: over raw sockets, as the benchmark asks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from chassis.door import FOR_AN_ANSWER, LONGEST_SECONDS, MOST_CREDIT

from tests.benchmarks.load.generator import FAILED, FALLBACK, OWN, SHED, UNLOGGED, Target, closed_loop, open_loop
from tests.support.platforms.gateway_stage import Stage, gateway_stage, until

SECONDS = 1.5
AT_ONCE = 8


def target(stage: Stage) -> Target:
    url = urlsplit(str(stage.http.base_url))
    return Target(url.hostname or "", url.port or 0, range(200, 500), random.Random(3))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage(max_concurrent=AT_ONCE) as stage:
        stage.features.delay = stage.control.delay = stage.test.delay = 0.01
        yield stage


def test_a_hundred_connections_that_never_wait_take_nothing_from_those_who_are_served(stage: Stage) -> None:
    quiet = asyncio.run(closed_loop(target(stage), 4, SECONDS))
    flooded = asyncio.run(closed_loop(target(stage), 100, SECONDS))
    assert flooded.rate(OWN) > 0.8 * quiet.rate(OWN)
    said_at_once, said_late = 100 + MOST_CREDIT, 100 * SECONDS / LONGEST_SECONDS
    assert flooded.kinds.count(SHED) < FOR_AN_ANSWER * flooded.kinds.count(OWN) + said_at_once + said_late
    assert {*flooded.kinds} == {OWN, SHED}
    answered = quiet.kinds.count(OWN) + flooded.kinds.count(OWN)
    until(lambda: len(stage.features.exposures) >= answered)
    assert len({one.key for one in stage.features.exposures}) == len(stage.features.exposures)
    until(lambda: stage.recommend(200).status_code == 200)


def test_a_flood_behind_a_proxy_is_answered_or_refused_to_the_last_request(stage: Stage) -> None:
    outcome = asyncio.run(open_loop(target(stage), 800, SECONDS))
    assert len(outcome.kinds) > 0.9 * 800 * SECONDS
    assert outcome.share(FAILED, FALLBACK, UNLOGGED) == 0
    assert outcome.kinds.count(OWN) > 50
    until(lambda: len(stage.features.exposures) == outcome.kinds.count(OWN))
