"""The import: accepts real-life dumps, refuses what is broken by file, line and column, and loads all or nothing."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_service.database.engine import connect
from feature_service.database.schema import migrate
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


def test_the_zone_that_a_time_names_counts(folder: Path, postgres_url: str, engine: Engine) -> None:
    path = folder / "feed_data.csv"
    path.write_text(path.read_text().replace("2021-10-01 10:00:00", "2021-10-01T10:00:00+03:00"))
    import_tables(folder, postgres_url)
    assert _rows(engine, "SELECT min(timestamp) FROM feed_data") == [(datetime(2021, 10, 1, 7),)]


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


TABLES = ("user_data", "post_text_df", "feed_data")


def _everything(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """All that an import may change: rows, partitions, indexes."""
    rows = {table: _rows(engine, f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}
    kinds = "SELECT relname, relkind::text FROM pg_class WHERE relname LIKE 'feed_data%' ORDER BY 1"
    return rows | {"relations": _rows(engine, kinds)}


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("feed_data", "2021-11-03", "1900-01-01", r"line 6, column timestamp: '1900-01-01 10:00:00' is not a time"),
        ("feed_data", "2021-11-03", "1969-12-31", r"line 6, column timestamp: .* from 1970 to a day from now"),
        ("feed_data", "2021-11-03", "0001-01-01", r"line 6, column timestamp"),
        ("feed_data", "2021-11-03", "9999-01-01", r"line 6, column timestamp"),
        ("feed_data", "2021-11-03", "2021-12-03", r"line 6, column timestamp"),
        ("feed_data", "2021-11-03 10:00:00", "infinity", r"line 6, column timestamp: 'infinity'"),
        ("feed_data", "2021-11-03 10:00:00", "0044-03-15 (BC) 10:00:00", r"line 6, column timestamp"),
        ("feed_data", "777,9,view,\n", '777,9,"view,\n', r"feed_data.csv, line 6: a quote is opened and never closed"),
        ("feed_data", "777,9,view,\n", "777,9,view,", r"feed_data.csv, line 6: the file breaks off"),
        ("feed_data", "777,9", "777\0,9", r"feed_data.csv, line 6: holds a NUL character"),
        ("post_text_df", "2,,sport\n", '2,"cut of', r"post_text_df.csv, line 4: a quote is opened and never closed"),
        ("post_text_df", "2,,sport", "2,a\0b,sport", r"post_text_df.csv, line 4: holds a NUL character"),
        ("user_data", "user_id", "x" * 2_000_000, r"user_data.csv, line 1: column names of more than 100 kB"),
        (
            "user_data",
            "user_id",
            "x" * 10_000,
            r"user_data.csv, line 1: there is no column user_id; it has x{200}\.\.\.$",
        ),
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
    before = _everything(engine)
    path = folder / f"{table}.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(LentaError, match=said) as caught:
        import_tables(folder, postgres_url, now=datetime(2021, 12, 1, tzinfo=UTC))
    assert "\n" not in str(caught.value)
    assert _everything(engine) == before


def test_what_postgres_refuses_leaves_all_three_tables_as_they_were(
    folder: Path, postgres_url: str, engine: Engine
) -> None:
    import_tables(folder, postgres_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE user_data ADD CONSTRAINT young CHECK (age < 100)"))
    before = _everything(engine)
    (folder / "user_data.csv").write_text(USERS.replace("200,21", "200,120"))
    (folder / "post_text_df.csv").write_text(POSTS.replace("movie", "film"))
    (folder / "feed_data.csv").write_text(FEED.replace("2021", "2020"))
    with pytest.raises(LentaError, match="user_data could not be loaded into Postgres"):
        import_tables(folder, postgres_url)
    assert _everything(engine) == before


def test_only_months_that_hold_rows_have_a_partition_and_those_of_an_earlier_feed_go(
    folder: Path, postgres_url: str, engine: Engine
) -> None:
    names = "SELECT DISTINCT tableoid::regclass::text, count(*) FROM feed_data GROUP BY 1 ORDER BY 1"
    made = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'feed_data'::regclass"
    header = FEED.split("\n", maxsplit=1)[0]
    months = [f"{1970 + month // 12}-{1 + month % 12:02}-02" for month in range(0, 600, 3)]
    rows = "".join(f"{month} 10:00:00,200,1,view,0\n" for month in months)
    (folder / "feed_data.csv").write_text(f"{header}\n{rows}")
    assert import_tables(folder, postgres_url).feed_rows == 200
    assert _rows(engine, names)[-1] == ("feed_data_default", 80)
    assert _rows(engine, made)[0][0] in range(121, 127)
    (folder / "feed_data.csv").write_text(FEED.replace("2021-10-01", "1970-01-02"))
    import_tables(folder, postgres_url)
    assert _rows(engine, names) == [("feed_data_1970_01", 2), ("feed_data_2021_11", 2)]
    assert _rows(engine, made)[0][0] in range(3, 9)
    migrate(postgres_url, datetime(2021, 11, 20, tzinfo=UTC))


def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_within_is_followed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret"
    elsewhere.write_text("root:x:0:0\n")
    (folder / "user_data.csv").rename(folder / "users.csv")
    (folder / "user_data.csv").symlink_to(elsewhere)
    with pytest.raises(LentaError, match=r"user_data.csv: a link that leads out of") as caught:
        import_tables(folder, postgres_url)
    assert "root:x" not in str(caught.value)
    (folder / "user_data.csv").unlink()
    (folder / "user_data.csv").symlink_to(folder / "users.csv")
    assert import_tables(folder, postgres_url).users == 2


def test_a_nul_in_a_parquet_file_is_refused_by_row_and_more_topics_than_there_may_be_by_number(
    folder: Path, postgres_url: str
) -> None:
    (folder / "post_text_df.csv").unlink()
    many = pa.table({"id": range(9_000), "text": ["x"] * 9_000, "topic": [str(topic) for topic in range(9_000)]})
    pq.write_table(many, folder / "post_text_df.parquet")
    with pytest.raises(LentaError, match=r"column topic: 9000 topics; there may be 8000"):
        import_tables(folder, postgres_url)
    pq.write_table(
        pa.table({"id": [1, 2], "text": ["a", "b\0"], "topic": ["movie"] * 2}), folder / "post_text_df.parquet"
    )
    with pytest.raises(LentaError, match=r"row 2, column text: .* is not text without NUL characters"):
        import_tables(folder, postgres_url)


def test_a_file_that_holds_one_endless_line_is_refused_in_constant_memory(folder: Path, postgres_url: str) -> None:
    (folder / "post_text_df.csv").unlink()
    with gzip.open(folder / "post_text_df.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"id,text,topic\n1,")
        for _ in range(1_000):
            file.write(b"a" * 2**20)
    program = (
        "import resource, sys; from pathlib import Path; from pipeline.tables.to_postgres import import_tables\n"
        "from pipeline.errors import LentaError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: import_tables(Path(sys.argv[1]), sys.argv[2])\n"
        "except LentaError as error: print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    said = subprocess.check_output([sys.executable, "-c", program, str(folder), postgres_url], text=True)
    *_, message, megabytes = said.strip().splitlines()
    assert message.endswith("post_text_df.csv.gz, line 2: a row of more than 20 MB")
    assert int(megabytes) < 300


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
