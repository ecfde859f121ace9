"""The import: accepts real-life dumps, refuses what is broken by file, line and column, and loads all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_service.database.engine import connect
from pipeline.errors import LentaError
from pipeline.tables.to_postgres import ImportReport, import_tables
from sqlalchemy import Engine, text

from tests.support.data.original_form import CITIES, LIKED_EVERY, READERS, VIEWS, write_original_form
from tests.support.data.original_form import POSTS as POSTS_MADE

USERS = "user_id,age,gender,country,city,exp_group,os,source\n200,21,0,Russia,Samara,4,Android,ads\n201,,,,,,,\n"
POSTS = 'post_id,text,topic\n1,"one, ""quoted"",\nand broken",movie\n2,,sport\n'
FEED = (
    "timestamp,user_id,post_id,action,target\n"
    "2021-10-01 10:00:00,200,1,view,1\n"
    "2021-10-01 10:01:33,200,1,like,0\n"
    "2021-11-02 10:00:00,777,2,view,0\n"
    "2021-11-02 10:00:00,777,2,view,0\n"
    "2021-11-03 10:00:00,777,9,view,\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("user_data", USERS), ("post_text_df", POSTS), ("feed_data", FEED)):
        (tmp_path / f"{name}.csv").write_text(content)
    return tmp_path


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    engine = connect(postgres_url)
    yield engine
    engine.dispose()


def _rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_dump_with_its_usual_defects_is_loaded_and_reported(folder: Path, postgres_url: str, engine: Engine) -> None:
    report = import_tables(folder, postgres_url)
    assert report == ImportReport(
        users=2,
        posts=2,
        feed_rows=4,
        first=datetime(2021, 10, 1, 10, tzinfo=UTC),
        last=datetime(2021, 11, 3, 10, tzinfo=UTC),
        duplicate_users=0,
        duplicate_posts=0,
        duplicate_rows=1,
        withheld_rows=0,
        users_without_profile=1,
        profiles_without_feed=1,
        rows_of_unknown_posts=1,
    )
    assert _rows(engine, "SELECT target FROM feed_data WHERE action = 'like'") == [(None,)]
    assert _rows(engine, "SELECT age, city FROM user_data WHERE user_id = 201") == [(None, None)]
    assert _rows(engine, "SELECT text FROM post_text_df ORDER BY id") == [('one, "quoted",\nand broken',), ("",)]
    assert _rows(engine, "SELECT DISTINCT tableoid::regclass::text FROM feed_data ORDER BY 1") == [
        ("feed_data_2021_10",),
        ("feed_data_2021_11",),
    ]


def test_importing_again_replaces(folder: Path, postgres_url: str, engine: Engine) -> None:
    for _ in range(2):
        import_tables(folder, postgres_url)
    assert _rows(engine, "SELECT count(*) FROM feed_data") == [(4,)]


def test_until_keeps_the_later_rows_out(folder: Path, postgres_url: str, engine: Engine) -> None:
    report = import_tables(folder, postgres_url, datetime(2021, 11, 1, tzinfo=UTC))
    assert (report.feed_rows, report.withheld_rows) == (2, 3)
    assert _rows(engine, "SELECT max(timestamp) < '2021-11-01' FROM feed_data") == [(True,)]


def test_parquet_and_folders_of_parts_are_read_alike(
    folder: Path, tmp_path: Path, postgres_url: str, engine: Engine
) -> None:
    parts = tmp_path / "parquet"
    (parts / "feed_data").mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [200.0, 201.0], "age": [21.0, None]}), parts / "user_data.parquet")
    with pytest.raises(LentaError, match="no column gender"):
        import_tables(_with(parts, folder), postgres_url)
    import_tables(folder, postgres_url)
    users = pa.table(
        {
            name: pa.array([200, 201]) if name == "user_id" else pa.nulls(2)
            for name in USERS.split("\n", maxsplit=1)[0].split(",")
        }
    )
    pq.write_table(users, parts / "user_data.parquet")
    times = pa.array([datetime(2021, 10, 1), datetime(2021, 10, 2)], pa.timestamp("us"))
    for number in range(2):
        part = {
            "timestamp": times[number : number + 1],
            "user_id": [200],
            "post_id": [1],
            "action": ["view"],
            "target": [0],
        }
        pq.write_table(pa.table(part), parts / f"feed_data/part-{number}.parquet")
    report = import_tables(parts, postgres_url)
    assert (report.users, report.feed_rows) == (2, 2)


def _with(parts: Path, folder: Path) -> Path:
    for name in ("post_text_df",):
        (parts / f"{name}.csv").write_text((folder / f"{name}.csv").read_text())
    pq.write_table(pa.table({"timestamp": ["x"]}), parts / "feed_data/part-0.parquet")
    return parts


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        (
            "feed_data",
            "2021-11-03 10:00:00",
            "yesterday",
            r"feed_data.csv, line 6, column timestamp: 'yesterday' is not a time",
        ),
        ("feed_data", "777,9", "seven,9", r"feed_data.csv, line 6, column user_id: 'seven' is not a whole number"),
        ("feed_data", "777,9,view", "777,9,share", r"line 6, column action: 'share' is not view or like"),
        (
            "feed_data",
            "like,0",
            "like,5",
            r"line 3, column target: '5' is not 0 or 1 \(a rating has to be made a like",
        ),
        ("feed_data", "777,9,", "777,,", r"line 6, column post_id: nothing is not a whole number"),
        ("feed_data", "777,9,", "777,-9,", r"line 6, column post_id: '-9' is not a whole number"),
        ("feed_data", "777,9,", "777,1.5,", r"line 6, column post_id: '1.5' is not a whole number"),
        ("feed_data", "777,9,view,", "777,9", r"feed_data.csv: .*line.*6"),
        ("feed_data", "target\n", "aim\n", r"feed_data.csv, line 1: there is no column target"),
        ("user_data", "200,21,", "200,old,", r"user_data.csv, line 2, column age: 'old'"),
        ("user_data", "200,21,0", "200,21,7", r"user_data.csv, line 2, column gender: '7' is not 0 or 1"),
        ("post_text_df", ",sport", ",", r"post_text_df.csv, line 3, column topic: nothing is not a topic"),
    ],
)
def test_a_broken_file_is_refused_by_file_line_and_column_and_nothing_changes(
    folder: Path, postgres_url: str, engine: Engine, table: str, old: str, new: str, said: str
) -> None:
    import_tables(folder, postgres_url)
    path = folder / f"{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(LentaError, match=said) as caught:
        import_tables(folder, postgres_url)
    assert "\n" not in str(caught.value)
    assert _rows(engine, "SELECT count(*) FROM feed_data") == [(4,)]
    assert _rows(engine, "SELECT count(*) FROM user_data") == [(2,)]


def test_an_empty_file_a_missing_file_and_bytes_that_are_no_text_are_refused(folder: Path, postgres_url: str) -> None:
    (folder / "feed_data.csv").write_bytes(b"")
    with pytest.raises(LentaError, match=r"feed_data.csv: the file is empty"):
        import_tables(folder, postgres_url)
    (folder / "feed_data.csv").write_bytes(FEED.encode() + b"2021-11-03 10:00:00,777,9,vi\xff\xfew,0\n")
    with pytest.raises(LentaError, match=r"feed_data.csv"):
        import_tables(folder, postgres_url)
    (folder / "feed_data.csv").unlink()
    with pytest.raises(LentaError, match=r"has no feed_data.csv"):
        import_tables(folder, postgres_url)


def test_a_truncated_parquet_file_is_refused(folder: Path, postgres_url: str) -> None:
    (folder / "feed_data.csv").unlink()
    pq.write_table(pa.table({"timestamp": ["2021-10-01"] * 1000}), folder / "feed_data.parquet")
    whole = (folder / "feed_data.parquet").read_bytes()
    (folder / "feed_data.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LentaError, match=r"feed_data.parquet"):
        import_tables(folder, postgres_url)


def test_a_feed_without_rows_is_loaded(folder: Path, postgres_url: str, engine: Engine) -> None:
    (folder / "feed_data.csv").write_text(FEED.split("\n", maxsplit=1)[0] + "\n")
    assert import_tables(folder, postgres_url).feed_rows == 0


def test_rows_in_the_form_of_the_original_platform_are_loaded(
    postgres_url: str, engine: Engine, tmp_path: Path
) -> None:
    write_original_form(tmp_path)
    report = import_tables(tmp_path, postgres_url)
    likes = len(READERS) * VIEWS // LIKED_EVERY
    assert (report.users, report.posts, report.feed_rows) == (10, POSTS_MADE, len(READERS) * VIEWS + likes)
    assert (report.users_without_profile, report.profiles_without_feed) == (3, 2)
    assert (report.duplicate_rows, report.rows_of_unknown_posts) == (0, 0)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT city FROM user_data WHERE user_id = 100")).scalar_one() == CITIES[1]
        assert connection.execute(text("SELECT count(*) FROM feed_data WHERE target = 1")).scalar_one() == likes


@pytest.mark.original
def test_the_original_rows_are_loaded(postgres_url: str, original_rows: Path) -> None:
    report = import_tables(original_rows, postgres_url)
    assert (report.users, report.posts, report.feed_rows) == (15, 7_023, 50_157)
    assert (report.users_without_profile, report.profiles_without_feed) == (116, 15)
    assert (report.duplicate_rows, report.rows_of_unknown_posts) == (0, 0)
