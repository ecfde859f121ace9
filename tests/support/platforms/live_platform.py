"""feature-service on real servers, fed over HTTP alone with a small feed, at the test's own time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from contracts.catalogue import Catalogue
from contracts.own import NOTHING_DECLARED, OwnColumn, OwnColumns
from contracts.records import UserRow
from feature_service.database.engine import connect
from feature_service.database.own import added
from feature_service.ingest.rounds import Ingest
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.connection import connect_redis
from feature_service.log.entries import StreamLog
from feature_service.serving.app import create
from feature_service.settings import Settings
from feature_service.warm.build import warm
from pyarrow.parquet import read_table

from tests.support.data.small_feed import START, Row
from tests.support.fakes.gateway import served
from tests.support.platforms.feature_platform import SHARDS


@dataclass
class Live:
    """feature-service fed over HTTP alone, with a clock of the test's own."""

    http: httpx.Client
    ingest: Ingest
    sent: int = 0

    def replay(self, rows: list[Row], moment: datetime) -> None:
        """Sends what happened before `moment` and was not sent yet, and lets the hours pass."""
        due = [row for row in rows[self.sent :] if START + timedelta(seconds=row.seconds) < moment]
        self.send(self.sent, due)
        self.sent += len(due)
        self.settle(moment)

    def send(self, first: int, rows: list[Row]) -> None:
        """first: the number of the first one, by which its key is made."""
        for low in range(0, len(rows), 500):
            events = [_event(first + place, row) for place, row in enumerate(rows[low : low + 500], low)]
            self.http.post("/events", json={"events": events}).raise_for_status()

    def settle(self, moment: datetime) -> None:
        while self.ingest.step():
            pass
        self.ingest.chores(moment)

    def row(self, user_id: int) -> UserRow:
        return UserRow.unpack(self.http.get(f"/users/{user_id}/row").raise_for_status().content)

    def catalogue(self) -> Catalogue:
        return Catalogue.unpack(self.http.get("/catalogue").raise_for_status().content)


def _event(number: int, row: Row) -> dict[str, object]:
    at = START + timedelta(seconds=row.seconds)
    return {
        "key": f"k{number}",
        "user_id": row.user,
        "post_id": row.post,
        "action": row.action,
        "timestamp": at.isoformat(),
    }


def _with_own(row: dict[str, object], columns: Sequence[OwnColumn]) -> dict[str, object]:
    own = {column.name: row.pop(column.name) for column in columns}
    return row | {"own": own} if own else row


@contextmanager
def live_platform(
    folder: Path, postgres_url: str, redis_url: str, own: OwnColumns = NOTHING_DECLARED
) -> Iterator[Live]:
    """Empty but for the profiles and posts, which come by PUT, the posts in an order of their own. own: columns of the
    folder's tables that the team declared."""
    engine = connect(postgres_url, pool_size=4)
    with engine.begin() as connection:
        for row in added(NOTHING_DECLARED, own):
            connection.exec_driver_sql("INSERT INTO own_columns VALUES (%s, %s, %s, %s)", row)
    warm(redis_url, postgres_url, shards=SHARDS, now=START)
    settings = Settings(postgres_url=postgres_url, redis_url=redis_url, shards=SHARDS)
    with connect_redis(redis_url) as client, served(create(settings)) as url, httpx.Client(base_url=url) as http:
        log = StreamLog(client)
        writer = Writer(engine, log)
        live = Live(http, Ingest(client, engine, writer, Applier(client, engine, log, writer), log, SHARDS))
        for user in read_table(folder / "user_data.parquet").to_pylist():
            http.put(f"/users/{user.pop('user_id')}", json=_with_own(user, own.user)).raise_for_status()
        for post in reversed(read_table(folder / "post_text_df.parquet").to_pylist()):
            http.put(f"/posts/{post.pop('id')}", json=_with_own(post, own.post)).raise_for_status()
        live.settle(START)
        yield live
    engine.dispose()
