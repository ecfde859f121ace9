"""The example of docs/your-data.md is imported, and its queries make an importable dump of a team's own tables."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from feature_service.database.engine import connect
from pipeline.stack.binaries import postgres_programs
from pipeline.tables.mapping import TableMapping
from pipeline.tables.to_postgres import ImportReport, import_tables
from sqlalchemy import text

from tests.support.checkout import ROOT
from tests.support.commands import Commands
from tests.support.docs import fences, scripts
from tests.support.servers import execute, migrated_database

PAGE = ROOT / "docs/your-data.md"
DUMPING = "YOUR_DATABASE"
ROWS = """
INSERT INTO accounts VALUES (7, current_date - interval '30 years 1 day', true, 'Chile', 'Arica', 'iOS', 'spring'),
  (8, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO articles VALUES (1, 'He said "no"', E'Two\\nlines, one comma.', 'news', true), (2, NULL, NULL, 'art', true),
  (3, 'A draft', '', 'news', false);
INSERT INTO impressions VALUES (7, 1, '2026-03-01 10:00+03'), (7, 1, '2026-03-01 12:00+03'), (7, 2, '2026-03-02 00:00Z'),
  (8, 1, '2026-03-02 00:00Z');
INSERT INTO hearts VALUES (7, 1, '2026-03-01 12:00:30+03');
"""


MAPPED = {
    "members": "number,years,sex,town,device\n7,30,female,Arica,iOS\n8,unknown,male,,\n",
    "stories": "number,body,section\n1,One,news\n",
    "impressions": "member,story,seen\n7,1,1638352800000\n",
    "hearts": "member,story,given\n7,1,2021-12-01 13:00:30\n",
}


@pytest.fixture
def own_database(postgres_server: str) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


def test_the_example_is_imported(tmp_path: Path, postgres_url: str) -> None:
    for name, content in re.findall(r"`(\w+\.csv)`:\n\n```csv\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(content)
    assert import_tables(tmp_path, postgres_url) == ImportReport(
        users=3,
        posts=3,
        feed_rows=10,
        first=datetime(2026, 11, 2, 10, tzinfo=UTC),
        last=datetime(2026, 11, 4, 9, tzinfo=UTC),
        duplicate_users=0,
        duplicate_posts=0,
        duplicate_rows=0,
        withheld_rows=0,
        users_without_profile=1,
        profiles_without_feed=0,
        rows_of_unknown_posts=0,
    )


def test_a_teams_own_tables_are_dumped_and_imported(tmp_path: Path, own_database: str, postgres_url: str) -> None:
    tables, numbering = [typed for language, typed in fences(PAGE) if language == "sql"]
    execute(own_database, tables + ROWS)
    _dump(own_database, tmp_path)
    report = import_tables(tmp_path / "dump", postgres_url)
    assert (report.users, report.posts, report.feed_rows) == (2, 2, 5)
    assert _rows(postgres_url, "SELECT * FROM user_data ORDER BY user_id") == [
        (7, 30, 1, "Chile", "Arica", None, "iOS", "ads"),
        (8, None, None, None, None, None, None, "organic"),
    ]
    assert _rows(postgres_url, "SELECT id, text FROM post_text_df ORDER BY id") == [
        (1, 'He said "no"\nTwo\nlines, one comma.'),
        (2, ""),
    ]
    feed = "SELECT timestamp, target FROM feed_data WHERE user_id = 7 AND post_id = 1 AND action = 'view' ORDER BY 1"
    assert _rows(postgres_url, feed) == [
        (datetime(2026, 3, 1, 7), 0),  # the like came after the next view
        (datetime(2026, 3, 1, 9), 1),
    ]
    execute(own_database, "CREATE TABLE members AS SELECT gen_random_uuid() AS uuid FROM generate_series(1, 3)")
    for statement in (*numbering.split(";")[:2], numbering.split(";")[1]):
        execute(own_database, statement)
    assert _rows(own_database, "SELECT count(*), min(number) FROM lenta_users") == [(3, 0)]


def test_the_mapping_of_the_page_reads_the_tables_that_it_speaks_of(tmp_path: Path, postgres_url: str) -> None:
    mapping, *_ = [typed for language, typed in fences(PAGE) if language == "yaml"]
    (tmp_path / "mapping.yaml").write_text(mapping)
    for name, content in MAPPED.items():
        (tmp_path / f"{name}.csv").write_text(content)
    command = ("import", str(tmp_path), "--mapping", str(tmp_path / "mapping.yaml"), "--postgres-url", postgres_url)
    Commands().ok(*command)
    assert _rows(postgres_url, "SELECT * FROM user_data ORDER BY user_id") == [
        (7, 30, 1, None, "Arica", None, "iOS", "web"),
        (8, None, 0, None, None, None, None, "web"),
    ]
    assert _rows(postgres_url, "SELECT * FROM feed_data ORDER BY timestamp, action DESC") == [
        (datetime(2021, 12, 1, 10), 7, 1, "view", 1),
        (datetime(2021, 12, 1, 10, 0, 30), 7, 1, "like", None),
    ]
    yers = (tmp_path / "mapping.yaml").read_text().replace("column: years", "column: yers")
    (tmp_path / "mapping.yaml").write_text(yers)
    (said,) = re.findall(r"lenta: (mapping\.yaml, key .*)", PAGE.read_text())
    assert Commands().refuses(*command).replace(f"{tmp_path}/", "").replace("members", "dump/members") == said


def test_the_feedback_of_the_page_is_read_by_what_it_means(tmp_path: Path, postgres_url: str) -> None:
    _, feedback, _ = [typed for language, typed in fences(PAGE) if language == "yaml"]
    (tmp_path / "mapping.yaml").write_text(feedback)
    for name, content in re.findall(r"`(\w+\.csv)`:\n\n```csv\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).write_text(content)
    head = "timestamp,user_id,post_id"
    log = "".join(f"2026-11-02 10:00:0{n},200,1,{kind}\n" for n, kind in enumerate(("seen", "share", "scroll", "hide")))
    (tmp_path / "log.csv").write_text(f"{head},kind\n{log}2026-11-02 11:00:00,201,2,seen\n")
    times = "".join(f"2026-11-02 11:00:{seconds},201,2,{seconds}\n" for seconds in (29, 31))
    (tmp_path / "reading_times.csv").write_text(f"{head},seconds\n{times}")
    report = import_tables(tmp_path, postgres_url, mapping=TableMapping.read(tmp_path / "mapping.yaml"))
    assert (report.feed_rows, report.rows_left_out, report.duplicate_rows) == (4, 3, 0)
    assert _rows(postgres_url, "SELECT user_id, action, target FROM feed_data ORDER BY timestamp") == [
        (200, "view", 1),
        (200, "like", None),
        (201, "view", 1),
        (201, "like", None),
    ]


def test_the_columns_of_ones_own_on_the_page_are_declared_and_loaded(tmp_path: Path, postgres_url: str) -> None:
    *_, declaration = [typed for language, typed in fences(PAGE) if language == "yaml"]
    (tmp_path / "mapping.yaml").write_text(declaration)
    for name, content in re.findall(r"`(\w+\.csv)`:\n\n```csv\n(.*?)```", PAGE.read_text(), re.DOTALL):
        head, *rows = content.splitlines()
        more, value = {
            "user_data.csv": (",plan,logins_30d", ",pro,12"),
            "post_text_df.csv": (",author,minutes", ",staff,"),
        }.get(name, ("", ""))
        (tmp_path / name).write_text("\n".join([head + more, *(row + value for row in rows)]) + "\n")
    import_tables(tmp_path, postgres_url, mapping=TableMapping.read(tmp_path / "mapping.yaml"))
    declared = "SELECT entity, name, kind FROM own_columns ORDER BY entity DESC, place"
    assert _rows(postgres_url, declared) == [
        ("user", "plan", "categorical"),
        ("user", "logins", "numeric"),
        ("post", "author", "categorical"),
        ("post", "minutes", "numeric"),
    ]
    assert _rows(postgres_url, "SELECT own FROM user_own WHERE user_id = 200") == [({"plan": "pro", "logins": 12.0},)]
    assert _rows(postgres_url, "SELECT own FROM post_own WHERE post_id = 1") == [({"author": None, "minutes": None},)]


def _dump(url: str, folder: Path) -> None:
    """Types the page's lines into a shell, with the test's server's own psql."""
    (script,) = [script for script in scripts(PAGE) if DUMPING in script and "COPY" in script]
    path = f"{postgres_programs().folder}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, DUMPING: url}
    subprocess.run(["bash", "-euc", script], cwd=folder, env=environ, check=True, timeout=60)


def _rows(url: str, query: str) -> list[tuple[object, ...]]:
    engine = connect(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()
