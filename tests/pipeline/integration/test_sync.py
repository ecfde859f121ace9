"""What comes or changes in a team's own Postgres comes over once, whenever the sync dies; by the page's queries."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from feature_service.log.bulk import BulkAppender
from pipeline.errors import LentaError
from pipeline.tables.append import Append, Appending, AppendReport, Row, Where
from pipeline.tables.formats import FEED, POSTS, TableFormat
from pipeline.tables.sync import Queries, Sync

from tests.support.checkout import ROOT
from tests.support.docs import fences
from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, feature_platform, ingesting
from tests.support.platforms.gateway_stage import until
from tests.support.servers import execute, migrated_database

PAGE = ROOT / "docs/your-data.md"
CHANGES = """
ALTER TABLE accounts ADD COLUMN changed_at timestamptz DEFAULT '2026-03-01 00:00Z';
ALTER TABLE articles ADD COLUMN changed_at timestamptz DEFAULT '2026-03-01 00:00Z';
INSERT INTO accounts (id, born, female, city) VALUES (7007, current_date - interval '30 years 1 day', true, 'Arica');
INSERT INTO articles (id, headline, body, section, published) SELECT n, 'No ' || n, NULL, 'news', true
FROM generate_series(1001, 1010) n;
"""
VIEWS = """
INSERT INTO impressions SELECT 7000 + n % 10, 1001 + n % 10, '2026-03-01 00:00Z'::timestamptz + n * interval '1 second'
FROM generate_series({}, {}) n
"""


LITTLE = timedelta(seconds=10)


class Died(BaseException):
    """As a process that is killed: nothing catches it."""


class Dying(Appending):
    """Dies once it has put so many rows of the feed into the log, before anybody hears of it."""

    rows_left = 0

    def of(self, table: TableFormat) -> Append:
        append = super().of(table)

        def dying(rows: Sequence[Row], where: Where) -> None:
            append(rows, where)
            self.rows_left -= len(rows) if table is FEED else 0
            if self.rows_left < 0:
                raise Died

        return dying


@dataclass
class Team:
    """A team's database beside a platform."""

    url: str
    platform: FeaturePlatform
    queries: Queries

    def sync(self, late: timedelta = timedelta(minutes=10)) -> AppendReport:
        appending = self.appending(Appending)
        Sync(self.url, self.platform.engine, appending, late).run(self.queries)
        return appending.report

    def appending(self, kind: type[Appending], batch: int = 5_000) -> Appending:
        return kind(self.platform.engine, BulkAppender(self.platform.client, SHARDS), batch=batch)

    def views(self, first: int, last: int) -> None:
        execute(self.url, VIEWS.format(first, last))

    @property
    def views_there(self) -> int:
        return self.platform.count("feed_data", "user_id >= 7000")


@pytest.fixture
def team(postgres_server: str, postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Team]:
    with migrated_database(postgres_server) as url, feature_platform(postgres_url, redis_url) as platform:
        execute(url, next(typed for language, typed in fences(PAGE) if language == "sql") + CHANGES)
        file = tmp_path / "sync.toml"
        file.write_text(next(typed for language, typed in fences(PAGE) if language == "toml"))
        with ingesting(platform):
            yield Team(url, platform, Queries.read(file))


def test_what_came_and_changed_comes_over_and_the_rest_stays_where_it_is(team: Team) -> None:
    team.views(1, 50)
    execute(team.url, "INSERT INTO hearts VALUES (7001, 1001, '2026-03-01 00:01Z')")
    report = team.sync()
    assert (report.users.appended, report.posts.appended, report.feed.appended) == (1, 10, 51)
    row = team.platform.row(7001)
    assert (row.counts.views.sum(), row.counts.likes.sum(), row.hidden.tolist()) == (5, 1, [1001])
    assert team.platform.row(7007).profile.age == 30
    execute(team.url, "UPDATE articles SET headline = 'New', changed_at = '2026-03-02 00:00Z' WHERE id = 1002")
    execute(team.url, "UPDATE articles SET published = false, changed_at = '2026-03-02 00:00Z' WHERE id = 1003")
    execute(team.url, VIEWS.format(90_000, 90_009))
    report = team.sync()
    assert (report.users.appended, report.posts.appended, report.feed.appended) == (0, 2, 10)
    assert team.platform.http.get("/posts/1002").json()["text"] == "New"
    assert team.platform.http.get("/posts/1003").status_code == 404
    report = team.sync()
    assert (report.users.appended, report.posts.appended, report.feed.appended) == (0, 0, 0)
    assert report.feed.read < 60  # not from the beginning


def test_rows_that_come_late_and_rows_of_equal_times_are_seen(team: Team) -> None:
    team.views(1, 10)
    execute(team.url, VIEWS.format(5_000, 5_000))
    team.sync()
    team.views(4_500, 4_500)  # five minutes late
    execute(
        team.url, "INSERT INTO impressions VALUES (7003, 1004, '2026-03-01 00:00Z'::timestamptz + interval '5000 s')"
    )
    assert team.sync().feed.appended == 2
    team.views(20, 20)  # an hour late
    assert team.sync().feed.appended == 0
    assert team.sync(timedelta(hours=2)).feed.appended == 1


def test_a_sync_that_dies_after_any_batch_loses_and_doubles_nothing(team: Team) -> None:
    team.views(1, 1_200)
    for rows_left in (400, 500):
        dying = team.appending(Dying, batch=100)
        dying.rows_left = rows_left  # type: ignore[attr-defined]
        with pytest.raises(Died):
            Sync(team.url, team.platform.engine, dying, LITTLE).run(team.queries)
    report = team.sync(LITTLE)
    assert report.feed.read < 1_200  # it went on from where it was
    assert team.views_there == 1_200
    assert sum(int(team.platform.row(user).counts.views.sum()) for user in range(7_000, 7_010)) == 1_200


def test_a_sync_that_is_killed_loses_and_doubles_nothing(team: Team, tmp_path: Path) -> None:
    team.views(1, 5_200)
    command = [str(Path(sys.executable).with_name("lenta")), "sync", team.url, "--shards", str(SHARDS)]
    command += ["--queries", str(tmp_path / "sync.toml")]
    urls = {"LENTA_POSTGRES_URL": team.platform.postgres_url, "LENTA_REDIS_URL": team.platform.redis_url}
    with subprocess.Popen(command, env=os.environ | urls, stdout=subprocess.DEVNULL) as process:
        until(lambda: team.views_there > 0, seconds=60)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, env=os.environ | urls, text=True, capture_output=True, check=True)
    assert "Next: lenta retrain" in done.stdout
    assert team.views_there == 5_200
    assert team.platform.count("event_ledger") == 5_200


def test_a_bad_row_is_named_and_stops_nothing_before_it(team: Team) -> None:
    team.views(1, 5)
    team.sync()
    execute(team.url, "INSERT INTO impressions VALUES (-1, 1001, '2026-03-01 01:00Z')")
    with pytest.raises(
        LentaError, match=r"feed_data, the row whose timestamp is 2026-03-01 01:00.*, column user_id: '-1'"
    ):
        team.sync()
    execute(team.url, "DELETE FROM impressions WHERE account = -1")
    team.views(10, 12)
    assert team.sync().feed.appended == 3


def test_a_file_and_a_query_that_are_wrong_are_named(team: Team, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    for content, said in (
        ("[feed_dat]\nquery = 'x'\nwatermark = 'x'", "feed_dat"),
        ("[feed_data]\nquery = 'x'", "watermark"),
        ("[feed_data", "wrong.toml"),
    ):
        wrong.write_text(content)
        with pytest.raises(LentaError, match=said):
            Queries.read(wrong)
    for query, said in (
        ({"query": "SELECT 1 AS id, '100%' AS at", "watermark": "changed"}, "changed"),
        ({"query": "SELECT 1 AS id, 7 AS at", "watermark": "at"}, "at is no time but 7"),
        ({"query": "SELECT FROM nothing", "watermark": "at"}, "nothing"),
    ):
        queries = Queries.model_validate({POSTS.name: query})
        with pytest.raises(LentaError, match=said):
            Sync(team.url, team.platform.engine, team.appending(Appending)).run(queries)
    assert Sync(team.url, team.platform.engine, team.appending(Appending)).watermark(POSTS) is None
    for url, said in (("not a url", "address"), ("postgresql://nobody@127.0.0.1:1/shop", "127.0.0.1:1/shop refused")):
        with pytest.raises(LentaError, match=said):
            Sync(url, team.platform.engine, team.appending(Appending)).run(team.queries)
