"""From somebody's files to the platform's three tables, by a mapping: one TOML file that names columns.

    name = "ml-100k"
    folder = "recbole/dataset_example/ml-100k"    # beneath the folder that `convert` is given

    [feed]
    file = "ml-100k.inter"                        # Parquet by its ending, otherwise text
    separator = "\\t"                              # of text; a comma if missing; the first line names columns
    columns = { user_id = "user_id:token", post_id = "item_id:token", timestamp = "timestamp:float" }
    liked = { column = "rating:float", at_least = 4 }

    [posts]
    file = "ml-100k.item"
    separator = "\\t"
    columns = { id = "item_id:token", text = ["movie_title:token_seq", "class:token_seq"], topic = "class:token_seq" }
    topic_ends_at = " "                           # the first of several genres is the topic

    [users]                                       # may be missing, and so may each of its columns but user_id
    file = "ml-100k.user"
    separator = "\\t"
    columns = { user_id = "user_id:token", age = "age:token", gender = "gender:token", source = "occupation:token" }
    gender = { M = 1, F = 0 }

Ids may be any text: they become numbers, in their alphabetical order. A time is seconds since 1970, or a Parquet
timestamp. Every row of the feed is a view, and one whose `liked` column reaches `at_least` a like too; `liked` without
`at_least` asks for a column of 0 and 1. Rows of posts that `posts` doesn't have stay out. Of an age like "45-54" the
first number counts.

Logs of purchases or plays have no views that came to nothing. `[feed.drawn]` makes some: only the first row of each
user and post stays, as a like, and beside each are `views` others of what was popular just then and the user has not
had until then. `[feed.joined]` brings `columns` of a second file into the feed by `by`, where the feed knows its posts
by another key only.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from pipeline.errors import LentaError
from pipeline.tables.formats import quoted

CATEGORIES = ("country", "city", "os", "source")
NEARBY = 20_000
"""Rows of the feed, back in time, from which views are drawn."""


@dataclass(frozen=True)
class Mapping:
    path: Path
    says: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Mapping:
        """Raises LentaError for a file that is no mapping."""
        try:
            says = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise LentaError(f"{path}: not TOML ({error})") from error
        for part in ("name", "folder", "feed", "posts"):
            if part not in says:
                raise LentaError(f"{path} has no {part}")
        return cls(path, says)

    @property
    def name(self) -> str:
        return str(self.says["name"])

    def column(self, part: str, name: str) -> str:
        """Raises LentaError where the mapping doesn't name the column."""
        columns = self.says[part].get("columns", {})
        if name not in columns:
            raise LentaError(f"{self.path}, [{part}]: columns does not say what {name} is")
        return str(columns[name])


def convert(mapping: Mapping, root: Path, out: Path, seed: int = 0) -> None:
    """Writes user_data, post_text_df, feed_data as Parquet. root: what `folder` lies beneath; seed: of what is drawn.

    Raises LentaError naming the file, and the column where there is one.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder = root / mapping.says["folder"]
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for part in ("feed", "posts", "users"):
            if part in mapping.says:
                _open(database, mapping, part, folder)
        _posts(database, mapping)
        _feed(database, mapping)
        if "drawn" in mapping.says["feed"]:
            _draw(database, int(mapping.says["feed"]["drawn"]["views"]), seed)
        _users(database, mapping)
        tables = {
            "post_text_df": "SELECT id, text, topic FROM posts ORDER BY id",
            "user_data": "SELECT * FROM users ORDER BY user_id",
            "feed_data": """
                SELECT timestamp, user_id, post_id, 'view' AS action, liked::SMALLINT AS target FROM feed UNION ALL
                SELECT timestamp, user_id, post_id, 'like', NULL FROM feed WHERE liked ORDER BY ALL""",
        }
        for name, query in tables.items():
            database.execute(f"COPY ({query}) TO {quoted(str(out / f'{name}.parquet'))} (FORMAT parquet)")


def _open(database: duckdb.DuckDBPyConnection, mapping: Mapping, part: str, folder: Path) -> None:
    """The view `<part>_file`, with every column that the mapping names."""
    says = mapping.says[part]
    _view(database, f"{part}_file", says, folder)
    if "joined" in says:
        joined = says["joined"]
        _view(database, f"{part}_joined", joined, folder)
        _check(database, f"{part}_file", [joined["by"]], says["file"])
        _check(database, f"{part}_joined", [joined["by"], *joined["columns"]], joined["file"])
        more = ", ".join(f'j."{name}"' for name in joined["columns"])
        database.execute(
            f"CREATE OR REPLACE VIEW {part}_all AS SELECT f.*, {more} FROM {part}_file AS f "
            f'JOIN {part}_joined AS j USING ("{joined["by"]}")'
        )
    else:
        database.execute(f"CREATE VIEW {part}_all AS FROM {part}_file")
    named = [name for value in says["columns"].values() for name in ([value] if isinstance(value, str) else value)]
    if "liked" in says:
        named.append(says["liked"]["column"])
    _check(database, f"{part}_all", named, says["file"])


def _view(database: duckdb.DuckDBPyConnection, name: str, says: dict[str, Any], folder: Path) -> None:
    path = folder / says["file"]
    if not path.is_file():
        raise LentaError(f"{path} is not there")
    place = quoted(str(path))
    scan = (
        f"read_parquet({place})"
        if path.suffix == ".parquet"
        else f"read_csv({place}, delim = {quoted(says.get('separator', ','))}, header = true, all_varchar = true, "
        f"quote = {quoted(says.get('quote', ''))}, escape = '', auto_detect = true)"
    )
    try:
        database.execute(f"CREATE VIEW {name} AS FROM {scan}")
    except duckdb.Error as error:
        raise LentaError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _check(database: duckdb.DuckDBPyConnection, view: str, named: list[str], file: str) -> None:
    """Raises LentaError for a column that isn't there."""
    there = [str(row[0]) for row in database.execute(f"DESCRIBE {view}").fetchall()]
    for name in named:
        if name not in there:
            raise LentaError(f"{file} has no column {name}; it has {', '.join(there)}")


def _posts(database: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """`posts(id, key, text, topic)`; of a key that is there twice the first text in alphabetical order stays."""
    says = mapping.says["posts"]
    key = mapping.column("posts", "id")
    text = says["columns"].get("text", [])
    texts = ", ".join(f'"{name}"::VARCHAR' for name in ([text] if isinstance(text, str) else text)) or "''"
    topic = f"""coalesce("{mapping.column("posts", "topic")}"::VARCHAR, '')"""
    if "topic_ends_at" in says:
        topic = f"split_part({topic}, {quoted(says['topic_ends_at'])}, 1)"
    database.execute(
        f"""
        CREATE TEMP TABLE posts AS
        SELECT (row_number() OVER (ORDER BY key) - 1)::INTEGER AS id, key, text, topic FROM (
            SELECT "{key}"::VARCHAR AS key, min(concat_ws(' ', {texts})) AS text, min(coalesce(nullif({topic}, ''), 'none')) AS topic
            FROM posts_all WHERE "{key}" IS NOT NULL GROUP BY 1)
        """
    )


def _feed(database: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """`feed(timestamp, user_key, user_id, post_id, liked)`."""
    user, post, time = (mapping.column("feed", name) for name in ("user_id", "post_id", "timestamp"))
    kinds = {str(row[0]): str(row[1]) for row in database.execute("DESCRIBE feed_all").fetchall()}
    at = (
        f'"{time}"::TIMESTAMP' if kinds[time].startswith("TIMESTAMP") else f'to_timestamp(try_cast("{time}" AS DOUBLE))'
    )
    file = mapping.says["feed"]["file"]
    if not kinds[time].startswith("TIMESTAMP"):
        _check_numbers(database, time, file)
    database.execute(
        f"""
        CREATE TEMP TABLE feed AS
        SELECT ({at})::TIMESTAMP AS timestamp, "{user}"::VARCHAR AS user_key, posts.id AS post_id, {_liked(database, mapping)} AS liked
        FROM feed_all JOIN posts ON "{post}"::VARCHAR = posts.key
        """
    )
    if not database.execute("SELECT count(*) FROM feed").fetchall()[0][0]:
        raise LentaError(f"no row of {file} is of a post in {mapping.says['posts']['file']}")
    database.execute(
        """
        CREATE TEMP TABLE user_keys AS
        SELECT (row_number() OVER (ORDER BY user_key) - 1)::INTEGER AS user_id, user_key FROM (SELECT DISTINCT user_key FROM feed);
        CREATE OR REPLACE TEMP TABLE feed AS SELECT * FROM feed JOIN user_keys USING (user_key)
        """
    )


def _liked(database: duckdb.DuckDBPyConnection, mapping: Mapping) -> str:
    """As SQL. Raises LentaError for values that are no numbers, and for ratings where likes are asked for."""
    says = mapping.says["feed"]
    if "liked" not in says:
        return "TRUE"
    name = says["liked"]["column"]
    _check_numbers(database, name, says["file"])
    value = f'try_cast("{name}" AS DOUBLE)'
    if "at_least" in says["liked"]:
        return f"{value} >= {float(says['liked']['at_least'])}"
    low, high, others = database.execute(
        f"SELECT min({value}), max({value}), count(*) FILTER (WHERE {value} NOT IN (0, 1)) FROM feed_all"
    ).fetchall()[0]
    if others:
        raise LentaError(
            f"{says['file']}, column {name}: {low:g} to {high:g} are ratings, not likes (0 and 1); "
            f"say in {mapping.path} from which one on it is a like: liked = {{ column = {name!r}, at_least = ... }}"
        )
    return f"{value} = 1"


def _check_numbers(database: duckdb.DuckDBPyConnection, name: str, file: str) -> None:
    bad = database.execute(
        f'SELECT "{name}"::VARCHAR FROM feed_all WHERE try_cast("{name}" AS DOUBLE) IS NULL LIMIT 1'
    ).fetchall()
    if bad:
        raise LentaError(
            f"{file}, column {name}: {'a missing value' if bad[0][0] is None else bad[0][0]} is not a number"
        )


def _draw(database: duckdb.DuckDBPyConnection, views: int, seed: int) -> None:
    """First rows of users and posts, and views that came to nothing beside them, out of the NEARBY rows before."""
    first = database.execute(
        "SELECT epoch_us(min(timestamp)) AS at, user_id, post_id FROM feed GROUP BY 2, 3 ORDER BY 1, 2, 3"
    ).fetchnumpy()
    user, post, at = (np.asarray(first[name], np.int64) for name in ("user_id", "post_id", "at"))
    rows = len(at)
    rng = np.random.default_rng(seed)
    low = np.maximum(np.arange(rows) - NEARBY, 0)
    high = np.maximum(np.arange(rows), min(NEARBY, rows))
    drawn = post[rng.integers(low[:, None], high[:, None], (rows, 2 * views))]
    width = int(post.max()) + 1
    pairs = user * width + post
    order = np.argsort(pairs)
    wanted = user[:, None] * width + drawn
    place = np.minimum(np.searchsorted(pairs[order], wanted), rows - 1)
    result = order[place]
    had = (pairs[result] == wanted) & (at[result] <= at[:, None])
    kept = ~had & (np.cumsum(~had, axis=1) <= views)
    row, _ = np.nonzero(kept)
    columns = {"instant": at[row], "user_id": user[row], "post_id": drawn[kept]}
    database.register("arrays", pa.table(columns))
    database.execute(
        """
        CREATE OR REPLACE TEMP TABLE feed AS
        SELECT min(timestamp) AS timestamp, user_key, user_id, post_id, TRUE AS liked FROM feed GROUP BY ALL UNION ALL
        SELECT DISTINCT make_timestamp(instant), user_key, user_id, post_id::INTEGER, FALSE FROM arrays JOIN user_keys USING (user_id)
        """
    )
    database.unregister("arrays")


def _users(database: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """`users`, with the columns of user_data; whoever the feed doesn't have stays out."""
    says = mapping.says.get("users", {"columns": {}})
    columns = says["columns"]
    genders = " ".join(f"WHEN {quoted(word)} THEN {int(number)}" for word, number in says.get("gender", {}).items())
    age = (
        f"""try_cast(regexp_extract("{columns["age"]}"::VARCHAR, '[0-9]+') AS SMALLINT)"""
        if "age" in columns
        else "NULL"
    )
    gender = f'CASE "{columns["gender"]}"::VARCHAR {genders} END' if "gender" in columns and genders else "NULL"
    rest = [f'{_text(columns, name)} AS "{name}"' for name in CATEGORIES]
    source = "user_keys"
    if columns:
        key = mapping.column("users", "user_id")
        source += f' JOIN users_all ON user_key = "{key}"::VARCHAR'
    database.execute(
        f"""
        CREATE TEMP TABLE users AS SELECT DISTINCT ON (user_keys.user_id) user_keys.user_id, {age}::SMALLINT AS age,
            {gender}::SMALLINT AS gender, {", ".join(rest)}, NULL::SMALLINT AS exp_group FROM {source}
        """
    )


def _text(columns: dict[str, str], name: str) -> str:
    return f'"{columns[name]}"::VARCHAR' if name in columns else "NULL::VARCHAR"
