"""What serving knew at a moment, out of Postgres: the catalogue, and the user's row.

Live, a user's latest events and the last hour's counts arrive a little late. So serving may have known less than
Postgres tells of the same moment, in two ways, and never more: a snapshot of an earlier hour, and counts without the
user's last events. A like hides its post at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from contracts.catalogue import Catalogue, tick_of
from contracts.records import UserRow
from ranking.scorer import BoundScorer, Scorer

from pipeline.dataset.feed import Feed, fetch, moment_of
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.training.scores import all_vectors

MOST_HOURS, MOST_EVENTS = 6, 40
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, order=True)
class Lag:
    """How much less than everything serving knew."""

    hours: int = 0
    """By which the snapshot was older than the last full hour."""
    events: int = 0
    """Of the user, the latest ones, that were not counted yet."""


class Memory:
    """Of one user at one moment. feed: what happened before `served_at`, no more."""

    def __init__(self, feed: Feed, user_id: int, served_at: datetime) -> None:
        self._feed, self._user, self._at = feed, user_id, served_at
        self.catalogue = cache(self._catalogue)
        self.row = cache(self._row)

    @property
    def latest(self) -> list[datetime]:
        """When the user's last events happened, the latest first; MOST_EVENTS at most."""
        query = f"SELECT instant FROM feed WHERE user_id = {self._user} ORDER BY instant DESC LIMIT {MOST_EVENTS}"
        return [moment_of(int(at)) for at in fetch(self._feed.database, query)["instant"]]

    def tick(self, hours: int = 0) -> datetime:
        """Of the snapshot."""
        return datetime.fromtimestamp(tick_of(self._at), self._at.tzinfo) - hours * HOUR

    def lags(self) -> Iterator[Lag]:
        """From none to the longest."""
        many = len(self.latest)
        each = (Lag(hours, events) for hours in range(MOST_HOURS + 1) for events in range(many + 1))
        yield from sorted(each, key=lambda lag: (lag.hours + lag.events, lag.hours))

    def bound(self, scorer: Scorer, hours: int) -> BoundScorer:
        """The model over the snapshot; posts that it never learned from are seen by their text."""
        catalogue = self.catalogue(hours)
        return scorer.bind(catalogue, all_vectors(self._feed.posts, scorer))

    def _catalogue(self, hours: int = 0) -> Catalogue:
        return catalogue_at(self._feed, self._at - hours * HOUR)

    def _row(self, events: int = 0) -> UserRow:
        whole = UserRow.unpack(rows_at(self._feed, [self._user], self._at)[0])
        if not events:
            return whole
        return replace(
            whole, counts=UserRow.unpack(rows_at(self._feed, [self._user], self.latest[events - 1])[0]).counts
        )
