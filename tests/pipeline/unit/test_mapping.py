"""A team's own tables, by a mapping file, mean what the platform's do; what is wrong is named by key and file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pipeline.errors import LentaError
from pipeline.tables.files import TableFiles, opened
from pipeline.tables.folder import Tables
from pipeline.tables.formats import FEED, POSTS, USERS, TableFormat
from pipeline.tables.mapping import TableMapping
from pyarrow.parquet import write_table

MAPPING = """
user_data:
  file: accounts
  columns:
    user_id: id
    age: {column: years, values: {unknown: null}}
    gender: {column: sex, values: {yes: 1, no: 0}}
    country: null
    city: town
    exp_group: null
    os: null
    source: {constant: web}
post_text_df:
  file: articles.csv
  columns: {id: number, text: body, topic: section}
feed_data:
  - file: impressions
    columns:
      timestamp: {column: seen, unit: milliseconds}
      user_id: account
      post_id: article
      action: {constant: view}
      target: null
  - file: hearts
    columns:
      timestamp: {column: given, zone: Europe/Moscow}
      user_id: account
      post_id: article
      action: {constant: like}
      target: null
"""
FILES = {
    "accounts": "id,years,sex,town\n7,30,yes,Perm\n8,unknown,no,\n",
    "articles": "number,body,section\n1,One,news\n2,,art\n",
    "impressions": "account,article,seen\n7,1,1638352800000\n7,1,1638352860500\n7,2,1638352800000\n8,1,1638352800000\n",
    "hearts": "account,article,given\n7,1,2021-12-01 13:01:30\n8,1,2021-12-01T10:00:00Z\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / f"{name}.csv").write_text(content)
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return tmp_path


def read(folder: Path, table: TableFormat, text: str = "") -> list[tuple[object, ...]]:
    """text: instead of the file's."""
    if text:
        (folder / "mapping.yaml").write_text(text)
    with opened() as database:
        files = TableFiles(database, table, folder, TableMapping.read(folder / "mapping.yaml"))
        files.check()
        return database.execute(f"SELECT * FROM ({files.rows()}) ORDER BY ALL").fetchall()


def refused(folder: Path, before: str, after: str) -> str:
    """What is said when that part of the mapping is another."""
    assert before in MAPPING
    (folder / "mapping.yaml").write_text(MAPPING.replace(before, after))
    with pytest.raises(LentaError) as refusal:
        Tables.of_folder(folder, TableMapping.read(folder / "mapping.yaml"))
    return str(refusal.value)


def test_profiles_and_posts_are_read_under_their_own_names(folder: Path) -> None:
    assert read(folder, USERS) == [
        (7, 30, 1, None, "Perm", None, None, "web", None),
        (8, None, 0, None, None, None, None, "web", None),
    ]
    assert read(folder, POSTS) == [(1, "One", "news", None), (2, None, "art", None)]


def test_views_and_likes_of_two_tables_are_one_feed_and_a_like_marks_the_view_before_it(folder: Path) -> None:
    told = [(f"{at:%H:%M:%S.%f}", *rest) for at, *rest in read(folder, FEED)]
    assert told == [
        ("10:00:00.000000", 7, 1, "view", 0),  # the like came after the next view
        ("10:00:00.000000", 7, 2, "view", 0),
        ("10:00:00.000000", 8, 1, "like", None),  # at the very moment; its zone goes before the mapping's
        ("10:00:00.000000", 8, 1, "view", 1),
        ("10:01:00.500000", 7, 1, "view", 1),
        ("10:01:30.000000", 7, 1, "like", None),
    ]


def test_numbers_and_truth_values_of_parquet_are_mapped_as_they_are_written(folder: Path) -> None:
    (folder / "accounts.csv").unlink()
    columns = {"id": [7.0, 8.0], "years": [1.0, 2.0], "sex": [True, False], "town": ["a", None]}
    write_table(pa.table(columns), folder / "accounts.parquet")
    text = MAPPING.replace("{unknown: null}", "{1: 20, 2: null}").replace("yes: 1, no: 0", "true: 1, false: 0")
    assert [row[:3] for row in read(folder, USERS, text)] == [(7, 20, 1), (8, None, 0)]


OWN = """
  own:
    plan: {kind: categorical, column: sex, values: {yes: pro}}
    years: numeric
    town: categorical
post_text_df:"""


def test_columns_of_ones_own_are_declared_in_their_order_and_read_by_name(folder: Path) -> None:
    text = MAPPING.replace("age: {column: years, values: {unknown: null}}", "age: null")
    text = text.replace("\npost_text_df:", OWN.replace("numeric", "{kind: numeric, values: {unknown: null}}"))
    (folder / "mapping.yaml").write_text(text)
    declared = TableMapping.read(folder / "mapping.yaml").own
    assert declared.marks == ["user.plan:categorical", "user.years:numeric", "user.town:categorical"]
    assert [json.loads(str(row[-1])) for row in read(folder, USERS)] == [
        {"plan": "pro", "years": 30.0, "town": "Perm"},
        {"plan": "no", "years": None, "town": None},
    ]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("{plan: text}", "key user_data.own.plan.kind: Input should be 'categorical' or 'numeric'"),
        ("{Plan: numeric}", "key user_data.own.Plan"),
        ("{plan: numeric}", "key user_data.own.plan: {}/accounts.csv, line 1: there is no column plan"),
        (
            "{years: numeric}",
            "key user_data.own.years: {}/accounts.csv, line 3, column years: 'unknown' is not a number",
        ),
        ("{age: numeric}", "key user_data.own.age: user_data has that column: say under `columns` where it is"),
        ("{plan: {kind: numeric, column: id, unit: seconds}}", "only a timestamp has unit or zone"),
        (
            "{plan: {kind: numeric, column: i}}",
            "key user_data.own.plan: {}/accounts.csv, line 1 has no column i; the nearest",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_by_key_file_and_column(folder: Path, own: str, said: str) -> None:
    assert said.format(folder) in refused(folder, "\npost_text_df:", f"\n  own: {own}\npost_text_df:")


def test_the_feed_has_no_columns_of_its_own(folder: Path) -> None:
    said = refused(folder, "  - file: hearts\n", "  - file: hearts\n    own: {depth: numeric}\n")
    assert "key feed_data[1].own.depth: users and posts have columns of their own" in said


@pytest.mark.parametrize(
    ("unit", "written"),
    [("seconds", "1638352800.5"), ("milliseconds", "1638352800500"), ("microseconds", "1638352800500000")],
)
def test_a_number_since_1970_is_a_time(folder: Path, unit: str, written: str) -> None:
    (folder / "impressions.csv").write_text(f"account,article,seen\n7,1,{written}\n")
    (at, *_), *_ = [row for row in read(folder, FEED, MAPPING.replace("milliseconds", unit)) if row[3] == "view"]
    assert str(at) == "2021-12-01 10:00:00.500000"


def test_a_number_means_the_highest_level_that_it_reaches(folder: Path) -> None:
    (folder / "accounts.csv").write_text("id,years,sex,town\n1,0,yes,\n2,17.9,yes,\n3,18,yes,\n4,,yes,\n5,1e3,yes,\n")
    text = MAPPING.replace("values: {unknown: null}", "levels: {0: 10, 18: 30, 100: null}")
    assert [row[:2] for row in read(folder, USERS, text)] == [(1, 10), (2, 10), (3, 30), (4, None), (5, None)]


def test_a_row_whose_kind_means_nothing_is_left_out_whatever_else_it_says(folder: Path) -> None:
    (folder / "hearts.csv").write_text("account,article,given,kind\n7,1,2021-12-01 13:01:30,like\n7,,never,scroll\n")
    text = MAPPING.replace("{constant: like}", "{column: kind, values: {scroll: null}}")
    assert [row[3] for row in read(folder, FEED, text)].count("like") == 1
    (folder / "hearts.csv").write_text("account,article,given,kind\n7,1,2021-12-01 13:01:30,scroll\n7,1,2021-12-01,\n")
    with pytest.raises(LentaError, match=r"line 3, column kind \(action\): nothing is not view or like"):
        read(folder, FEED, text)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param(
            "user_id: id",
            "user_id: ids",
            "key user_data.columns.user_id: {}/accounts.csv, line 1 has no column ids; the nearest is id",
            id="a column that is not there",
        ),
        pytest.param(
            "country: null",
            "county: null",
            "key user_data.columns.county: user_data has no column county; the nearest is country",
            id="a column that the platform does not know",
        ),
        pytest.param(
            "    os: null\n",
            "",
            "key user_data.columns.os: {}/accounts.csv, line 1: there is no column os",
            id="a column that nobody spoke of",
        ),
        pytest.param(
            "user_id: id\n",
            "user_id: null\n",
            "key user_data.columns.user_id: cannot be null: every row must have it",
            id="no ids at all",
        ),
        pytest.param(
            "{unknown: null}",
            "{unkown: null}",
            "key user_data.columns.age: {}/accounts.csv, line 3, column years (age): 'unknown' is not a whole number",
            id="a value that nobody mapped",
        ),
        pytest.param(
            "unit: milliseconds",
            "unit: seconds",
            "key feed_data[0].columns.timestamp: {}/impressions.csv, line 2, column seen (timestamp): '1638352800000' "
            "is not a time like 2021-12-01 10:00:00, from 1970 to a day from now, read as seconds",
            id="another unit",
        ),
        pytest.param(
            "unit: milliseconds", "unit: millis", "key feed_data[0].columns.timestamp.unit: Input should", id="no unit"
        ),
        pytest.param(
            "zone: Europe/Moscow",
            "zone: Moscow",
            "key feed_data[1].columns.timestamp.zone: 'Moscow' is no time zone",
            id="no zone",
        ),
        pytest.param(
            "unit: milliseconds",
            "units: milliseconds",
            "key feed_data[0].columns.timestamp.units: there is no such key; the nearest is unit",
            id="a key of a column that there is not",
        ),
        pytest.param(
            "post_text_df:",
            "posts_text:",
            "key posts_text: there is no such key; the nearest is post_text_df",
            id="a table that there is not",
        ),
        pytest.param(
            "city: town", "city: {column: town, unit: seconds}", "only a timestamp has unit or zone", id="a city's unit"
        ),
        pytest.param("{constant: web}", "{constant: web, column: id}", "a constant stands alone", id="two meanings"),
        pytest.param(
            "{unknown: null}}", "{unknown: null}, levels: {1: 2}}", "a number has levels: leave out one", id="both"
        ),
        pytest.param(
            "values: {unknown: null}",
            "levels: {many: 2}",
            "key user_data.columns.age.levels.many",
            id="a level that is no number",
        ),
        pytest.param(
            "values: {unknown: null}",
            "levels: {50: 2}",
            "line 2, column years (age): '30' is not a whole number, 0 to 130, by levels from 50 on",
            id="a value below every level",
        ),
        pytest.param("    city: town", "    age: town", "not YAML: line 5: 'age' stands there twice", id="twice"),
        pytest.param("file: accounts", "file: account", "{} has no account.csv, account.csv.gz", id="no such file"),
        pytest.param("file: accounts", "file: ../other", "has no ../other.csv", id="a file elsewhere"),
    ],
)
def test_a_wrong_mapping_is_refused_by_key_file_and_column(folder: Path, before: str, after: str, said: str) -> None:
    assert said.format(folder) in refused(folder, before, after)


def test_a_file_outside_of_the_folder_is_not_read(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (folder / "mapping.yaml").write_text("user_data: {file: ../accounts.csv}\n")
    with pytest.raises(LentaError, match="a link that leads out of"):
        Tables.of_folder(inner, TableMapping.read(folder / "mapping.yaml"))


@pytest.mark.parametrize("text", ["", "- a\n", "user_data: [", "user_data: \x00"])
def test_what_is_no_mapping_is_refused_by_its_name(folder: Path, text: str) -> None:
    (folder / "mapping.yaml").write_text(text)
    with pytest.raises(LentaError, match=r"--mapping .*mapping\.yaml: "):
        TableMapping.read(folder / "mapping.yaml")


def test_a_mapping_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match=r"--mapping .*nowhere\.yaml cannot be read"):
        TableMapping.read(tmp_path / "nowhere.yaml")
