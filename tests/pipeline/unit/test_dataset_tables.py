"""A folder of tables means for training and judging what it means for the import, and is refused in the same words."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from contracts.records import code
from pipeline.dataset import Tables, opened
from pipeline.errors import LentaError
from pyarrow.parquet import read_table, write_table

from tests.support.data.small_feed import Row, write_tables

VIEWED = Row(1.0, 200, 1, "view", 1)
LIKED = Row(2.0, 200, 1, "like", None)
USERS = "user_id,age,gender,country,city,exp_group,os,source\n"
FEED = "timestamp,user_id,post_id,action,target\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tables(tmp_path, [VIEWED, LIKED], 3, 3)


def change(folder: Path, table: str, column: str, values: list[object]) -> None:
    path = folder / f"{table}.parquet"
    whole = read_table(path)
    place = whole.column_names.index(column)
    write_table(whole.set_column(place, column, pa.array(values)), path)


def cities(folder: Path) -> list[int]:
    with opened(Tables.of_folder(folder)) as feed:
        return [int(one) for one in feed.people.codes["city"]]


def test_whole_numbers_are_categories_as_their_text(folder: Path) -> None:
    change(folder, "user_data", "city", [7, 8, None])
    assert cities(folder) == [code("7"), code("8"), code(None)]


def test_a_category_of_csv_is_its_text_or_missing(folder: Path) -> None:
    (folder / "user_data.parquet").unlink()
    (folder / "user_data.csv").write_text(f"{USERS}200,21,0,,007,1,,\n201,,,,NaN,,,\n202,,,,,,,\n")
    assert cities(folder) == [code("007"), code(None), code(None)]


def test_compressed_csv_is_read(folder: Path) -> None:
    (folder / "feed_data.parquet").unlink()
    (folder / "feed_data.csv.gz").write_bytes(gzip.compress(f"{FEED}2026-03-01,200,1,view,1\n".encode()))
    with opened(Tables.of_folder(folder)) as feed:
        assert (feed.rows, feed.views) == (1, 1)


def test_equal_rows_count_once(tmp_path: Path) -> None:
    rows = [VIEWED, VIEWED, LIKED, Row(2.0, 200, 1, "like", 0), Row(3.0, 200, 1, "view", 0)]
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 3))) as feed:
        assert (feed.rows, feed.views) == (3, 2)


def test_of_two_rows_of_one_user_the_last_counts(folder: Path) -> None:
    change(folder, "user_data", "user_id", [200, 201, 200])
    change(folder, "user_data", "city", ["Omsk", "Perm", None])
    assert cities(folder) == [code(None), code("Perm")]


def test_a_target_written_as_text_is_a_number(folder: Path) -> None:
    change(folder, "feed_data", "target", ["1", None])
    with opened(Tables.of_folder(folder)) as feed:
        assert feed.database.execute("SELECT clicked FROM feed ORDER BY instant").fetchall() == [(True,), (False,)]


def test_a_feed_of_a_header_alone_has_no_rows(folder: Path) -> None:
    (folder / "feed_data.parquet").unlink()
    (folder / "feed_data.csv").write_text(FEED)
    with opened(Tables.of_folder(folder)) as feed:
        assert feed.rows == 0


def test_another_file_beside_the_table_is_left_alone(folder: Path) -> None:
    write_table(read_table(folder / "feed_data.parquet").slice(0, 1), folder / "feed_data_old.parquet")
    with opened(Tables.of_folder(folder)) as feed:
        assert feed.rows == 2


def drop_target(folder: Path) -> None:
    path = folder / "feed_data.parquet"
    write_table(read_table(path).drop_columns(["target"]), path)


def add_csv(folder: Path) -> None:
    (folder / "feed_data.csv").write_text(FEED)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(drop_target, r"feed_data\.parquet: there is no column target", id="a column is missing"),
        pytest.param(
            lambda folder: change(folder, "post_text_df", "id", [1, None, 3]),
            r"post_text_df\.parquet, row 2, column id: nothing is not a whole number",
            id="an id is missing",
        ),
        pytest.param(
            lambda folder: change(folder, "feed_data", "user_id", [200.5, 200.0]),
            r"feed_data\.parquet, row 1, column user_id: '200\.5' is not a whole number",
            id="an id is a fraction",
        ),
        pytest.param(add_csv, r"has feed_data twice: feed_data\.parquet, feed_data\.csv; remove one", id="two files"),
    ],
)
def test_what_import_refuses_is_refused_here(folder: Path, spoil: Callable[[Path], None], reason: str) -> None:
    spoil(folder)
    with pytest.raises(LentaError, match=reason):
        Tables.of_folder(folder)
