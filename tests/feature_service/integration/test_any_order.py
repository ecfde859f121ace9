"""Events, posts, ingest, warm-ups, crashes and replays in any order: each event counts once, a like hides at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import pytest
from feature_service.ingest.rounds import Ingest
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.keys import all_shards
from feature_service.log.dead_letters import list_dead_letters, replay
from feature_service.log.entries import StreamLog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import text

from tests.support.fuzz import FUZZ
from tests.support.platforms.feature_platform import POSTS, SHARDS, TOPICS, FeaturePlatform, event, feature_platform

JSON = {"Content-Type": "application/json"}
EXAMPLES = 6 * FUZZ
LATE_POSTS = 4
"""Posts of each example that events name before they are published, or after."""
events = st.tuples(st.integers(0, 2), st.integers(0, 9))
"""A user and the number of one of the user's events: what it says follows from the two, as when a client repeats it."""


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


class AnyOrder(RuleBasedStateMachine):
    """Each example has users and late posts of its own, on one platform."""

    examples = 0

    def __init__(self, platform: FeaturePlatform) -> None:
        super().__init__()
        AnyOrder.examples += 1
        self.platform = platform
        self.first_user, self.first_post = 10_000 + 10 * AnyOrder.examples, 10_000 + LATE_POSTS * AnyOrder.examples
        self.sent = set[tuple[int, int]]()

    def post_of(self, user: int, number: int) -> int:
        return self.first_post + number if number < LATE_POSTS else POSTS[(7 * user + number) % len(POSTS)]

    @staticmethod
    def action_of(number: int) -> str:
        return "like" if number % 2 else "view"

    @rule(several=st.lists(events, min_size=1, max_size=5))
    def send(self, several: list[tuple[int, int]]) -> None:
        batch = [
            event(f"k{number}", self.first_user + user, self.post_of(user, number), self.action_of(number))
            for user, number in several
        ]
        assert self.platform.send(*batch).status_code == 202
        self.sent |= set(several)
        for user, number in several:
            if self.action_of(number) == "like":
                assert self.post_of(user, number) in self.platform.row(self.first_user + user).hidden

    @rule(number=st.integers(0, LATE_POSTS - 1))
    def publish(self, number: int) -> None:
        content = {"text": "late", "topic": TOPICS[number % len(TOPICS)]}
        self.platform.http.put(f"/posts/{self.first_post + number}", json=content).raise_for_status()

    @rule(user=st.integers(0, 2), age=st.integers(0, 130))
    def register_user(self, user: int, age: int) -> None:
        self.platform.http.put(f"/users/{self.first_user + user}", json={"age": age}).raise_for_status()
        assert self.platform.row(self.first_user + user).profile.age == age

    @rule(user=st.integers(0, 2))
    def forget(self, user: int) -> None:
        self.platform.http.delete(f"/users/{self.first_user + user}", headers=JSON).raise_for_status()
        self.sent = {(who, number) for who, number in self.sent if who != user}
        assert not self.platform.row(self.first_user + user).known

    @rule(number=st.integers(0, LATE_POSTS - 1))
    def take_down(self, number: int) -> None:
        self.platform.http.delete(f"/posts/{self.first_post + number}", headers=JSON).raise_for_status()
        assert self.platform.http.get(f"/posts/{self.first_post + number}").status_code == 404
        assert self.first_post + number in self.platform.row(1).gone

    @rule(shard=st.sampled_from(all_shards(SHARDS)))
    def write(self, shard: int) -> None:
        self.platform.writer.write(shard)

    @rule(shard=st.sampled_from(all_shards(SHARDS)))
    def apply(self, shard: int) -> None:
        self.platform.applier.apply(self.platform.keys, shard)

    @rule()
    def settle(self) -> None:
        self.platform.settle()

    @rule()
    def warm(self) -> None:
        self.platform.warm()

    @rule()
    def crash(self) -> None:
        """What an ingest holds in memory is gone; its locks stay, as another one's would."""
        platform, log = self.platform, StreamLog(self.platform.client)
        platform.ingest.release()
        platform.writer = Writer(platform.engine, log)
        platform.applier = Applier(platform.client, platform.engine, log, platform.writer)
        platform.ingest = Ingest(platform.client, platform.engine, platform.writer, platform.applier, log, SHARDS)

    @rule()
    def replay(self) -> None:
        replay(self.platform.client, [letter.id for letter in list_dead_letters(self.platform.client)])

    def teardown(self) -> None:
        """Once every post is there and what had to wait is replayed, nothing is missing and nothing is double."""
        for number in range(LATE_POSTS):
            self.publish(number)
        self.settle()
        self.replay()
        self.settle()
        self.check(exactly=False)
        self.warm()
        self.check(exactly=True)

    def check(self, exactly: bool) -> None:
        """exactly: nothing else is hidden, as after a warm-up."""
        assert list_dead_letters(self.platform.client) == []
        late = {self.first_post + number for number in range(LATE_POSTS)}
        assert not late & set(self.platform.catalogue().gone.tolist())
        assert not late & set(self.platform.row(1).gone.tolist())
        assert all(self.platform.http.get(f"/posts/{post}").status_code == 200 for post in late)
        for user in range(3):
            numbers = [number for who, number in self.sent if who == user]
            wanted = Counter((self.post_of(user, number), self.action_of(number)) for number in numbers)
            assert self.rows(self.first_user + user) == wanted
            row = self.platform.row(self.first_user + user)
            totals = (row.counts.views.sum(), row.counts.likes.sum())
            assert totals == (_total(wanted, "view"), _total(wanted, "like"))
            liked = {post for post, action in wanted if action == "like"}
            assert liked <= set(row.hidden.tolist())
            assert not exactly or liked == set(row.hidden.tolist())

    def rows(self, user: int) -> Counter[tuple[int, str]]:
        query = text("SELECT post_id, action FROM feed_data WHERE user_id = :user")
        with self.platform.engine.connect() as connection:
            rows: Sequence[tuple[int, str]] = [
                (row.post_id, row.action) for row in connection.execute(query, {"user": user})
            ]
        return Counter(rows)


def _total(rows: Counter[tuple[int, str]], action: str) -> int:
    return sum(many for (_, did), many in rows.items() if did == action)


def test_in_any_order_each_event_counts_once_and_a_like_hides_at_once(platform: FeaturePlatform) -> None:
    run_state_machine_as_test(
        cast(type[RuleBasedStateMachine], partial(AnyOrder, platform)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
