"""A user who is forgotten leaves nothing behind: no row, no key, no entry, no letter; reports keep their sums."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from contracts.records import UserRow
from feature_service.experiments.definitions import experiment as read_experiment
from feature_service.keyspace.keys import log_key, shard_of
from feature_service.log.dead_letters import list_dead_letters, replay
from feature_service.reports.aggregates import aggregate
from feature_service.warm.build import warm
from sqlalchemy import inspect, text

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, exposure, feature_platform

LEAVES, STAYS = 770_001, 770_003
"""Of one shard."""
NUMBER = str(LEAVES)


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _live(platform: FeaturePlatform, user: int) -> None:
    """Everything that the platform may come to know of somebody."""
    platform.http.put(f"/users/{user}", json={"age": 30, "city": "Samara"}).raise_for_status()
    shown = {"exp_group": "test", "weight_period": 0, "experiment": "models", "user_id": user}
    assigned = {"group" if name == "exp_group" else name: value for name, value in shown.items()}
    assigned["at"] = datetime.now(UTC).isoformat()
    platform.http.post("/assignments", json={"assigned": [assigned]}).raise_for_status()
    platform.http.post("/exposures", json=exposure(f"x{user}", user, [1, 2, 3])).raise_for_status()
    shadow = {"key": f"x{user}", "user_id": user, "experiment": "models", "ranker": "control", "took_ms": 1.0}
    platform.http.post("/shadows", json=shadow).raise_for_status()
    platform.send(
        event(f"v{user}", user, 1, "view"),
        {**event(f"l{user}", user, 1, "like"), "request_id": f"x{user}"},
        event(f"u{user}", user, 9_999, "view"),  # becomes a dead letter
    ).raise_for_status()
    platform.client.xadd(log_key(shard_of(user, SHARDS)), {"e": b'{"kind":"odd","user_id": %d}' % user})


def _forget(platform: FeaturePlatform) -> None:
    platform.http.delete(f"/users/{LEAVES}", headers={"Content-Type": "application/json"}).raise_for_status()


def _traces(platform: FeaturePlatform) -> list[str]:
    """Wherever the number stands: in any column of any table, any key of Redis, any value."""
    traces = []
    with platform.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f"SELECT t::text FROM {table} t WHERE t::text LIKE '%{NUMBER}%'"))
            traces += [f"{table}: {row}" for row in rows.scalars()]
    for name in platform.client.scan_iter(match="*"):
        if NUMBER.encode() in name + _dump(platform, name.decode()):
            traces.append(name.decode())
    return traces


def _dump(platform: FeaturePlatform, name: str) -> bytes:
    kinds = {
        b"string": ("GET", name),
        b"hash": ("HGETALL", name),
        b"list": ("LRANGE", name, 0, -1),
        b"set": ("SMEMBERS", name),
        b"zset": ("ZRANGE", name, 0, -1),
        b"stream": ("XRANGE", name, "-", "+"),
    }
    client = platform.client
    kind = client.eval(f"return redis.call('TYPE', '{name}')['ok']", 0)
    command = kinds[kind]
    return repr(client.eval("return redis.call(unpack(ARGV))", 0, *command)).encode()


def _sums(platform: FeaturePlatform) -> dict[str, object]:
    """What a verdict stands on: not what is read from exposures, feed and profiles themselves."""
    with platform.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        read = aggregate(platform.engine, connection, read_experiment(connection, "models"), datetime.now(UTC))
    sides = {group: (each.totals, each.undegraded, each.days) for group, each in read.compared.items()}
    return {"sides": sides, "assigned": read.assigned, "groups": read.groups, "models": read.models}


def test_nothing_is_left_behind_and_reports_say_what_they_said(platform: FeaturePlatform) -> None:
    _live(platform, LEAVES)
    _live(platform, STAYS)
    platform.settle()
    assert len(_traces(platform)) > 8
    before = _sums(platform)
    assert platform.count("assignments") == platform.count("exposure_days") == 2
    platform.warm()  # the generation before waits to be deleted
    _forget(platform)
    row = UserRow.unpack(platform.http.get(f"/users/{LEAVES}/row").content)
    assert not row.known
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert _traces(platform) == []
    assert _sums(platform) == before
    assert platform.count("exposure_likes") == platform.count("shadows") == platform.count("event_ledger") - 2 == 1
    assert platform.row(STAYS).counts.likes.sum() == 1
    platform.warm()
    assert _traces(platform) == []


def test_what_is_still_in_the_log_goes_too_and_who_comes_back_begins_anew(platform: FeaturePlatform) -> None:
    _live(platform, LEAVES)
    _forget(platform)
    platform.http.put(f"/users/{LEAVES}", json={"age": 20}).raise_for_status()
    platform.send(event("again", LEAVES, 4, "like")).raise_for_status()
    assert platform.row(LEAVES).hidden.tolist() == [4]
    platform.settle()
    row = platform.row(LEAVES)
    assert (row.profile.age, row.profile.city, row.hidden.tolist()) == (20, 0, [4])
    assert (row.counts.views.sum(), row.counts.likes.sum(), len(row.counts.recent)) == (0, 1, 0)
    assert platform.count("feed_data", f"user_id = {LEAVES}") == 1
    assert platform.count("exposures", f"user_id = {LEAVES}") == 0
    live = platform.row(LEAVES)
    platform.warm()
    rebuilt = platform.row(LEAVES)
    assert (rebuilt.profile, rebuilt.hidden.tolist()) == (live.profile, live.hidden.tolist())
    assert rebuilt.counts.likes.tolist() == live.counts.likes.tolist()


def test_a_generation_that_is_built_meanwhile_does_not_bring_the_user_back(platform: FeaturePlatform) -> None:
    _live(platform, LEAVES)
    platform.settle()
    stages = []

    def meanwhile(what: str, done: int, total: int) -> None:
        stages.append(what)
        if stages == ["profiles"]:
            _forget(platform)

    warm(platform.redis_url, platform.postgres_url, shards=SHARDS, progress=meanwhile)
    assert {"posts", "counts", "likes"} <= set(stages)
    assert not platform.row(LEAVES).known
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert _traces(platform) == []


def test_an_ingest_that_dies_between_its_two_stores_forgets_all_the_same(platform: FeaturePlatform) -> None:
    _live(platform, LEAVES)
    shard = shard_of(LEAVES, SHARDS)
    platform.writer.write(shard)
    _forget(platform)
    while platform.writer.write(shard):  # and dies before Redis has any of it
        pass
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert _traces(platform) == []


def test_a_letter_is_not_replayed_behind_its_users_erasure(platform: FeaturePlatform) -> None:
    platform.send(event("lost", LEAVES, 9_999, "like")).raise_for_status()
    platform.settle()
    _forget(platform)
    (letter,) = list_dead_letters(platform.client)
    assert replay(platform.client, [letter.id]) == []
    platform.http.put("/posts/9999", json={"text": "late", "topic": "movie"}).raise_for_status()
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert _traces(platform) == []


def test_to_forget_a_stranger_or_twice_changes_nothing(platform: FeaturePlatform) -> None:
    _live(platform, STAYS)
    platform.settle()
    before = _sums(platform)
    for _ in range(2):
        _forget(platform)
    platform.settle()
    assert _sums(platform) == before
