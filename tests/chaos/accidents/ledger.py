"""What became of a client's events and answers, against what the client itself has kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import psycopg2
from chassis.inner_door import internal_headers
from contracts.records import UserRow
from psycopg2.extras import execute_values

from tests.chaos.accidents.traffic import Answer, Log, Sent

SETTLE_SECONDS = 30.0
Counts = Mapping[int, tuple[int, int]]
"""Views and likes in Redis, by user."""


@dataclass(frozen=True, slots=True)
class Balance:
    """missing, too_many: of accepted events, rows in Postgres. uncounted, overcounted: of them, in Redis. unrecorded:
    answers without an exposure. otherwise: exposures of other posts than were shown."""

    missing: int
    too_many: int
    unrecorded: int
    otherwise: int
    uncounted: int
    overcounted: int

    @property
    def lost(self) -> int:
        return max(self.missing, self.uncounted)

    @property
    def doubled(self) -> int:
        return max(self.too_many, self.overcounted)


@dataclass(frozen=True)
class Ledger:
    postgres_url: str
    features: str
    internal_key: str

    def counts(self, users: Iterable[int]) -> Counts:
        with httpx.Client(base_url=self.features, headers=internal_headers(self.internal_key)) as http:
            rows = {user: UserRow.unpack(http.get(f"/users/{user}/row").raise_for_status().content) for user in users}
        return {user: (int(row.counts.views.sum()), int(row.counts.likes.sum())) for user, row in rows.items()}

    def balance(self, log: Log, before: Counts, patience: float = SETTLE_SECONDS) -> Balance:
        """Even as soon as ingest has settled, else as it is after `patience` seconds.

        before: of all users, when the log began."""
        answers = [answer for answer in log.answers if answer.key]
        until = time.monotonic() + patience
        while (balance := self._balance(log.sent, answers, before)) != Balance(0, 0, 0, 0, 0, 0):
            if time.monotonic() > until:
                break
            time.sleep(0.5)
        return balance

    def _balance(self, sent: Sequence[Sent], answers: Sequence[Answer], before: Counts) -> Balance:
        return Balance(*self._rows(sent), *self._exposures(answers), *_difference(sent, before, self.counts(before)))

    def _rows(self, sent: Sequence[Sent]) -> tuple[int, int]:
        """Events without a row in feed_data, and rows too many."""
        if not sent:
            return 0, 0
        query = (
            "WITH sent (user_id, post_id, action, timestamp) AS (VALUES %s) SELECT count(*) FILTER (WHERE rows = 0), "
            "coalesce(sum(rows - 1) FILTER (WHERE rows > 1), 0) FROM (SELECT sent, count(feed_data.user_id) AS rows "
            "FROM sent LEFT JOIN feed_data USING (user_id, post_id, action, timestamp) GROUP BY sent) AS counted"
        )
        events = [(one.event.user_id, one.event.post_id, one.event.action, one.event.timestamp) for one in sent]
        ((lost, doubled),) = self._asked(query, events)
        return int(lost), int(doubled)

    def _exposures(self, answers: Sequence[Answer]) -> tuple[int, int]:
        """Answers without an exposure, and those that were recorded with other posts."""
        if not answers:
            return 0, 0
        query = (
            "WITH shown (key, posts) AS (VALUES %s) SELECT count(*) FILTER (WHERE exposures.key IS NULL), "
            "count(*) FILTER (WHERE exposures.posts <> shown.posts) FROM shown LEFT JOIN exposures USING (key)"
        )
        ((unrecorded, otherwise),) = self._asked(query, [(answer.key, list(answer.posts)) for answer in answers])
        return int(unrecorded), int(otherwise)

    def _asked(self, query: str, values: Sequence[tuple[object, ...]]) -> Sequence[tuple[int, ...]]:
        connection = psycopg2.connect(self.postgres_url)
        try:
            with connection.cursor() as cursor:
                rows: Sequence[tuple[int, ...]] = execute_values(
                    cursor, query, values, page_size=len(values), fetch=True
                )
                return rows
        finally:
            connection.close()


def _difference(sent: Sequence[Sent], before: Counts, now: Counts) -> tuple[int, int]:
    """Events that Redis has not counted, and those that it has counted too often."""
    told = Counter((one.event.user_id, one.event.action) for one in sent)
    more = [
        now[user][place] - before[user][place] - told[user, action]
        for user in before
        for place, action in enumerate(("view", "like"))
    ]
    return -sum(min(one, 0) for one in more), sum(max(one, 0) for one in more)
