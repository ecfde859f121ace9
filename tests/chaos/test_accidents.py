"""The small version of `make chaos`: its ledger sees what is lost, doubled and otherwise; its proxy and its disk."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline.stack.servers import HOST, free_port

from tests.chaos.accidents import disk
from tests.chaos.accidents.breaking import Measured
from tests.chaos.accidents.ledger import Balance, Ledger
from tests.chaos.accidents.proxy import Proxy
from tests.chaos.accidents.results import Results, faults
from tests.chaos.accidents.traffic import Log, Traffic
from tests.support.platforms.gateway_stage import KEY
from tests.support.platforms.whole_platform import WholePlatform, whole_platform

USERS = range(200, 206)
EVEN = Balance(0, 0, 0, 0, 0, 0)


@pytest.fixture
def platform(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[WholePlatform]:
    with whole_platform(postgres_url, redis_url, tmp_path) as running:
        yield running


async def _asked(traffic: Traffic, seconds: float) -> Log:
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await traffic.run(10.0, over)
    return traffic.log


def test_the_ledger_sees_what_is_lost_doubled_and_shown_otherwise(platform: WholePlatform) -> None:
    ledger = Ledger(platform.features.postgres_url, platform.features.url, "")
    before = ledger.counts(USERS)
    log = asyncio.run(_asked(Traffic(platform.gateway, KEY, USERS, random.Random(1)), 1.0))
    assert len(log.sent) >= 5
    assert ledger.balance(log, before) == EVEN

    first, shown = log.sent[0], log.answers[0]
    never_written = replace(first, event=replace(first.event, timestamp=first.event.timestamp.replace(year=2020)))
    lost = ledger.balance(Log(log.answers, [*log.sent, never_written]), before, patience=0)
    assert (lost.lost, lost.missing, lost.uncounted, lost.doubled) == (1, 1, 1, 0)
    assert ledger.balance(Log(log.answers, log.sent[1:]), before, patience=0) == replace(EVEN, overcounted=1)
    otherwise = Log([replace(shown, posts=shown.posts[::-1]), replace(shown, key="never")], log.sent)
    assert ledger.balance(otherwise, before, patience=0) == replace(EVEN, otherwise=1, unrecorded=1)


def test_a_proxy_hands_on_late_what_is_answered_and_nothing_else() -> None:
    async def echoed_within(proxy: Proxy) -> float:
        reader, writer = await asyncio.open_connection(HOST, proxy.listen)
        started = time.monotonic()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        return time.monotonic() - started

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(5))
        await writer.drain()
        writer.close()

    async def times() -> tuple[float, float]:
        async with await asyncio.start_server(echo, HOST, to := free_port()), Proxy(free_port(), to).serving() as proxy:
            quick = await echoed_within(proxy)
            proxy.delay = 0.3
            return quick, await echoed_within(proxy)

    quick, slow = asyncio.run(times())
    assert quick < 0.3 <= slow


def test_a_proxy_ends_a_connection_where_nobody_listens_behind_it() -> None:
    async def answered() -> bytes:
        async with Proxy(free_port(), free_port()).serving() as proxy:
            reader, writer = await asyncio.open_connection(HOST, proxy.listen)
            said = await reader.read()
            writer.close()
            return said

    assert asyncio.run(answered()) == b""


def test_a_disk_that_others_use_is_never_filled(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a disk that others use too"):
        disk.fill(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_where_it_ended_and_names_what_should_not_have_been(tmp_path: Path) -> None:
    path = tmp_path / "accidents.jsonl"
    good = Measured("redis", "killed", asked=60, degraded=20, recovered=1.3)
    worker = Measured("gateway", "killed", asked=60, failed=2, open=1, recovered=0.4)
    bad = Measured("ingest", "killed", asked=60, lost=3, doubled=1, recovered=7.0)
    for one in (good, worker, bad):
        Results(path).add(one)
    again = Results(path)
    assert again.measured == [good, worker, bad]
    assert (again.has("redis", "killed"), again.has("redis", "slow")) == (True, False)
    assert faults(again.measured) == [
        "gateway killed: 1 answers failed",
        "ingest killed: 3 events lost",
        "ingest killed: 1 events doubled",
        "ingest killed: 7.0 s until it was back, more than 5",
    ]
