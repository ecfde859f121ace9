"""Ingest dies between any two of its steps; its successor loses nothing and counts nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from feature_service.ingest.rounds import Ingest
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.keys import Keys
from feature_service.log.entries import Entry, StreamLog
from sqlalchemy import Connection, text

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, exposure, feature_platform

START = "2026-01-01T00:00:00"
LIKES = 8 + 20  # of the mixture, on posts that exist: 8 and two a user


class Killed(BaseException):
    pass


class Fuse:
    """Fails the first time that the named seam is reached."""

    def __init__(self, seam: str) -> None:
        self._seam: str | None = seam

    def at(self, seam: str) -> None:
        if seam == self._seam:
            self._seam = None
            raise Killed(seam)


class FusedWriter(Writer):
    fuse: Fuse

    def write(self, shard: int) -> int:
        self.fuse.at("before reading the log")
        written = super().write(shard)
        if written:
            self.fuse.at("after the commit")
        return written

    def _write(self, connection: Connection, shard: int, entries: Sequence[Entry]) -> None:
        self.fuse.at("before the rows")
        super()._write(connection, shard, entries)
        self.fuse.at("before the commit")


class FusedApplier(Applier):
    fuse: Fuse

    def apply(self, keys: Keys, shard: int, up_to: str | None = None) -> int:
        self.fuse.at("before applying")
        applied = super().apply(keys, shard, up_to)
        if applied:
            self.fuse.at("after applying")
        return applied


SEAMS = (
    "before reading the log",
    "before the rows",
    "before the commit",
    "after the commit",
    "before applying",
    "after applying",
)


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _fused(platform: FeaturePlatform, seam: str) -> Ingest:
    log, fuse = StreamLog(platform.client), Fuse(seam)
    writer = FusedWriter(platform.engine, log)
    applier = FusedApplier(platform.client, platform.engine, log, writer)
    writer.fuse = applier.fuse = fuse
    return Ingest(platform.client, platform.engine, writer, applier, log, SHARDS)


def _send_a_mixture(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/500", json={"text": "news", "topic": "science"})
    platform.http.put("/users/990", json={"age": 40})
    for number in range(10):
        post = (3, 25, 500, 7777)[number % 4]
        platform.send(event(f"v{number}", 200 + number, post, "view"), event(f"l{number}", 200 + number, post, "like"))
    platform.send(event("v0", 200, 3, "view"))
    for number in range(10):
        user, key = 200 + number, f"x{number}"
        assigned = {"experiment": "models", "user_id": user, "group": "test", "weight_period": 0, "at": START}
        platform.http.post("/assignments", json={"assigned": [assigned]})
        platform.http.post("/exposures", json=exposure(key, user, [27, 29, 30]))
        shadow = {"key": key, "user_id": user, "experiment": "models", "ranker": "control", "posts": [3], "took_ms": 5}
        platform.http.post("/shadows", json=shadow)
        platform.send(
            event(f"m{number}", user, 29, "like") | {"request_id": key}, event(f"n{number}", user, 28, "like")
        )


def _assert_experiment_is_whole(platform: FeaturePlatform) -> None:
    """Each exposure, assignment, shadow and like once, whatever died in between."""
    assert platform.count("exposures", "likes = 1") == platform.count("exposures") == 10
    assert platform.count("exposure_likes", "post_id = 29") == platform.count("exposure_likes") == 10
    assert platform.count("assignments", f"at = '{START:.19}' AND views_before > 0") == 10
    assert platform.count("assignments") == platform.count("shadows") == 10
    with platform.engine.connect() as connection:
        lost = connection.execute(text("SELECT sum(likes) FROM unattributed_likes")).scalar_one()
    assert lost == LIKES - 10


def _settle(ingest: Ingest) -> None:
    while ingest.step():
        pass


@pytest.mark.parametrize("seam", SEAMS)
def test_a_kill_at_any_seam_loses_nothing_and_counts_nothing_twice(platform: FeaturePlatform, seam: str) -> None:
    _send_a_mixture(platform)
    dying = _fused(platform, seam)
    with pytest.raises(Killed):
        _settle(dying)
    dying.release()
    platform.settle()
    assert platform.count("feed_data", "timestamp > '2022-01-01'") == 16 + 20
    assert platform.count("event_ledger") == 20 + 20
    _assert_experiment_is_whole(platform)
    assert platform.row(201).counts.views.sum() == platform.count("feed_data", "user_id = 201 AND action = 'view'")
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_two_ingests_at_once_count_once(platform: FeaturePlatform) -> None:
    """Even if both believed that they own the shards: the offsets decide."""
    _send_a_mixture(platform)
    for shard in range(SHARDS + 1):
        for _ in range(2):
            platform.writer.write(shard)
    for shard in range(SHARDS + 1):
        platform.applier.apply(platform.keys, shard)
        assert platform.applier.apply(platform.keys, shard) == 0
    assert platform.count("feed_data", "timestamp > '2022-01-01'") == 16 + 20
    _assert_experiment_is_whole(platform)
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_a_lock_keeps_a_second_ingest_off_until_it_runs_out(platform: FeaturePlatform) -> None:
    _send_a_mixture(platform)
    first = _fused(platform, "never")
    first.step()
    assert platform.ingest.step() == 0
    first.release()
    platform.send(event("z", 205, 3, "view"))
    assert platform.ingest.step() > 0
