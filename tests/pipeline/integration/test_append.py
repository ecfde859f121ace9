"""Rows that are appended while the platform serves: each once, however often they come and whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from contracts.own import pack
from contracts.records import code
from feature_service.log.bulk import BulkAppender, BulkError
from pipeline.commands.import_tables import register
from pipeline.errors import LentaError
from pipeline.tables.append import Appending
from pipeline.tables.append_files import append_folder, append_lines
from pipeline.tables.mapping import TableMapping
from sqlalchemy import text
from typer.testing import CliRunner

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, feature_platform, ingesting
from tests.support.platforms.gateway_stage import until

USERS = "user_id,age,gender,country,city,exp_group,os,source\n5000,21,0,Russia,Samara,4,Android,ads\n"
POSTS = "id,text,topic\n600,a new post,opera\n"
FEED = (
    "timestamp,user_id,post_id,action,target\n"
    "2021-12-02 10:01:00,5000,600,like,\n"
    "2021-12-02 10:00:00,5000,600,view,1\n"
    "2021-12-02 10:00:00.000001,5000,600,view,0\n"
    "2021-12-02 10:00:00,5000,600,view,1\n"
    "2021-12-02 10:05:00,5000,9999,view,0\n"
)


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running, ingesting(running):
        yield running


@pytest.fixture
def appending(platform: FeaturePlatform) -> Appending:
    return Appending(platform.engine, BulkAppender(platform.client, SHARDS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("user_data", USERS), ("post_text_df", POSTS), ("feed_data", FEED)):
        (tmp_path / f"{name}.csv").write_text(content)
    return tmp_path


def _again(platform: FeaturePlatform) -> Appending:
    return Appending(platform.engine, BulkAppender(platform.client, SHARDS))


def _line(number: int, **other: object) -> str:
    at = datetime(2021, 12, 3, tzinfo=UTC) + timedelta(seconds=number)
    row = {"timestamp": at.isoformat(), "user_id": 5000 + number % 7, "post_id": 1 + number % 30, "action": "view"}
    return json.dumps(row | other) + "\n"


def test_a_folder_is_added_and_features_follow(platform: FeaturePlatform, appending: Appending, folder: Path) -> None:
    before = platform.count("feed_data")
    append_folder(folder, appending)
    report = appending.report
    assert (report.users.appended, report.posts.appended, report.feed.appended) == (1, 1, 3)
    assert (report.feed.read, report.feed.known, report.feed.absent) == (5, 1, 1)
    assert platform.count("feed_data") == before + 3
    assert platform.count("feed_data", "user_id = 5000 AND action = 'view' AND target = 1") == 2
    row = platform.row(5000)
    assert (row.profile.age, row.counts.views.sum(), row.counts.likes.sum(), row.hidden.tolist()) == (21, 2, 1, [600])
    assert 600 in platform.catalogue().post_id
    live = platform.state()
    platform.warm()
    assert platform.state()["users"] == live["users"]


def test_a_folder_that_comes_twice_changes_nothing(platform: FeaturePlatform, folder: Path) -> None:
    append_folder(folder, _again(platform))
    rows, entries, state = platform.count("feed_data"), platform.count("event_ledger"), platform.state()
    second = _again(platform)
    append_folder(folder, second)
    report = second.report
    assert (report.users.appended, report.posts.appended, report.feed.appended) == (0, 0, 0)
    assert (platform.count("feed_data"), platform.count("event_ledger"), platform.state()) == (rows, entries, state)


def test_own_columns_that_a_mapping_declares_are_added_once_and_serve_after_a_warm_up(
    platform: FeaturePlatform, folder: Path
) -> None:
    for name, head, value in (("user_data", ",plan,logins", ",pro,"), ("post_text_df", ",author", ",staff")):
        first, *rows = (folder / f"{name}.csv").read_text().splitlines()
        (folder / f"{name}.csv").write_text("\n".join([first + head, *(row + value for row in rows), ""]))
    path = folder / "mapping.yaml"
    path.write_text(
        "user_data: {own: {plan: categorical, logins: numeric}}\npost_text_df: {own: {author: categorical}}\n"
    )
    mapping = TableMapping.read(path)
    for appended in (1, 0):
        appending = _again(platform)
        append_folder(folder, appending, mapping)
        assert (appending.report.users.appended, appending.report.posts.appended) == (appended, appended)
    platform.warm()
    assert platform.row(5000).profile.own == pack(mapping.own.user, {"plan": "pro"})
    catalogue = platform.catalogue()
    (place,) = np.flatnonzero(catalogue.post_id == 600)
    assert catalogue.own_values[place].tolist() == [code("staff")]
    path.write_text("user_data: {own: {plan: {kind: numeric, column: age}}}\n")
    with pytest.raises(LentaError, match=r"mapping\.yaml, key own: user\.plan was declared categorical"):
        append_folder(folder, _again(platform), TableMapping.read(path))


def test_rows_that_an_import_or_the_api_brought_are_not_added_once_more(
    platform: FeaturePlatform, appending: Appending
) -> None:
    with platform.engine.connect() as connection:
        known = [
            dict(row) for row in connection.execute(text("SELECT * FROM feed_data ORDER BY 1 LIMIT 20")).mappings()
        ]
    platform.send(event("k1", 200, 5, "view", datetime(2021, 12, 4, tzinfo=UTC))).raise_for_status()
    until(lambda: platform.count("event_ledger") == 1)
    before = platform.count("feed_data")
    lines = [json.dumps(row, default=str) for row in known]
    lines.append(_line(0, timestamp="2021-12-04T00:00:00Z", user_id=200, post_id=5))
    lines.append(_line(0, key="k1", user_id=200))  # by its key the same event, whatever else it says
    append_lines(lines, appending)
    assert (appending.report.feed.known, platform.count("feed_data")) == (22, before)


def test_ingest_holds_the_promise_by_itself(platform: FeaturePlatform, appending: Appending) -> None:
    """Two appends at once: neither sees in Postgres what the other has only in the log."""
    before = platform.count("feed_data")
    other = _again(platform)
    rows = [json.loads(_line(number)) for number in range(50)]
    for each in (appending, other, appending):
        each.feed(rows, str)
    appending.settle()
    assert platform.count("feed_data") == before + 50
    platform.send(event("own", 5000, 1, "view", datetime(2021, 12, 3, tzinfo=UTC))).raise_for_status()
    until(lambda: platform.count("feed_data") == before + 51)  # a client's own key is an event of its own


def test_an_append_that_is_killed_is_resumed_by_running_it_again(platform: FeaturePlatform) -> None:
    before = platform.count("feed_data")
    lines = [_line(number) for number in range(600)]
    command = [str(Path(sys.executable).with_name("lenta")), "import", "-", "--append", "--shards", str(SHARDS)]
    environ = os.environ | {"LENTA_POSTGRES_URL": platform.postgres_url, "LENTA_REDIS_URL": platform.redis_url}
    with subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.writelines(lines[:300])
        process.stdin.flush()
        until(lambda: platform.count("feed_data") > before, seconds=60)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environ, input="".join(lines), text=True, capture_output=True, check=True)
    assert "Next: lenta retrain" in done.stdout
    assert platform.count("feed_data") == before + 600
    assert sum(int(platform.row(user).counts.views.sum()) for user in range(5_000, 5_007)) == 600


def test_a_stream_that_pauses_is_counted_as_far_as_it_has_come(platform: FeaturePlatform, appending: Appending) -> None:
    before = platform.count("feed_data")

    def slowly() -> Iterator[str]:
        yield _line(1)
        until(lambda: platform.count("feed_data") == before + 1)
        yield _line(2)

    append_lines(slowly(), appending)
    assert platform.count("feed_data") == before + 2


def test_a_bad_line_is_named_and_a_second_run_goes_on(platform: FeaturePlatform, appending: Appending) -> None:
    lines = [_line(1), _line(2, action="share"), _line(3)]
    with pytest.raises(LentaError, match=r"line 2, column action: 'share'"):
        append_lines(lines, appending)
    lines[1] = _line(2)
    append_lines(lines, appending)
    assert appending.report.feed.appended == 3
    for broken, said in (
        ("{", "line 1: not JSON"),
        ("[1]", "one JSON object a line"),
        (_line(1, user_id="7"), "user_id"),
    ):
        with pytest.raises(LentaError, match=said):
            append_lines([broken], appending)
    ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    with pytest.raises(LentaError, match=r"column timestamp: .* in the future"):
        append_lines([_line(1, timestamp=ahead)], appending)


def test_a_post_comes_before_its_rows_and_one_that_was_taken_down_stays_down(
    platform: FeaturePlatform, appending: Appending
) -> None:
    post = json.dumps({"id": 700, "text": "news", "topic": "movie"})
    append_lines([_line(1, post_id=700)], appending)
    assert appending.report.feed.absent == 1
    append_lines([post, _line(1, post_id=700)], appending)
    assert appending.report.feed.appended == 1
    platform.http.delete("/posts/700", headers={"Content-Type": "application/json"}).raise_for_status()
    until(lambda: platform.count("posts_gone") == 1)
    append_lines([post], appending)
    assert appending.report.posts.absent == 1
    assert platform.http.get("/posts/700").status_code == 404


def test_own_columns_come_along_and_stay_where_a_row_says_nothing(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        connection.execute(text("INSERT INTO own_columns VALUES ('user', 0, 'plan', 'categorical')"))
    paid = json.dumps({"user_id": 5001, "age": 30, "own": {"plan": "paid"}})
    for line, appended in ((paid, 1), (paid, 0), (json.dumps({"user_id": 5001, "age": 31}), 1)):
        appending = _again(platform)
        append_lines([line], appending)
        assert appending.report.users.appended == appended
    assert platform.count("user_own", "own->>'plan' = 'paid'") == platform.count("user_data", "age = 31") == 1
    with pytest.raises(LentaError, match=r"user 5002, column own\.colour: no such column is declared"):
        append_lines([json.dumps({"user_id": 5002, "own": {"colour": "red"}})], _again(platform))


def test_a_log_that_nobody_reads_is_said(postgres_url: str, redis_url: str) -> None:
    with feature_platform(postgres_url, redis_url) as platform:
        appending = Appending(platform.engine, BulkAppender(platform.client, SHARDS, patience_seconds=0.5))
        with pytest.raises(BulkError, match="does it run"):
            append_lines([_line(1)], appending)


def test_a_folder_without_tables_and_standard_input_without_append_are_refused(
    platform: FeaturePlatform, appending: Appending, tmp_path: Path
) -> None:
    with pytest.raises(LentaError, match="holds none of user_data"):
        append_folder(tmp_path, appending)
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    refused = CliRunner().invoke(app, ["import", "-", "--postgres-url", platform.postgres_url])
    assert "--append" in str(refused.exception)
