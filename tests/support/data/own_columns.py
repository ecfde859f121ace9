"""The small feed, with columns that its team declares: users of two plans, posts of three authors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from contracts.own import OwnColumns
from pyarrow.parquet import read_table, write_table

from tests.support.data.small_feed import Row, write_tables

MAPPING = """
user_data:
  own: {plan: categorical, logins: numeric}
post_text_df:
  own: {author: categorical, minutes: numeric}
"""
OWN = OwnColumns.model_validate(
    {
        "user": [{"name": "plan", "kind": "categorical"}, {"name": "logins", "kind": "numeric"}],
        "post": [{"name": "author", "kind": "categorical"}, {"name": "minutes", "kind": "numeric"}],
    }
)


def plan_of(user: int) -> str | None:
    """As of no other column of the profile."""
    return None if user % 10 == 9 else "pro" if user // 7 % 2 else "free"


def author_of(post: int) -> str:
    """As of no topic and no text."""
    return f"author {post // 3 % 3}"


def write_own_tables(folder: Path, users: int = 60, posts: int = 40, days: int = 20) -> list[Row]:
    """Who pays likes the first author, the others the second; a mapping lies beside the tables. The feed's rows."""
    rows = _liking(np.random.default_rng(3), users, posts, days)
    write_tables(folder, rows, users, posts)
    _append(
        folder / "user_data.parquet", "user_id", plan=plan_of, logins=lambda user: None if user % 7 == 3 else user / 3
    )
    _append(folder / "post_text_df.parquet", "id", author=author_of, minutes=lambda post: post * 0.1)
    (folder / "mapping.yaml").write_text(MAPPING)
    return rows


def _liking(rng: np.random.Generator, users: int, posts: int, days: int) -> list[Row]:
    rows: list[Row] = []
    for user in range(200, 200 + users):
        for seconds in np.sort(rng.uniform(0, days * 86_400, 100)):
            post = int(rng.integers(1, posts + 1))
            suits = author_of(post) == ("author 0" if plan_of(user) == "pro" else "author 1")
            likes = bool(rng.random() < (0.9 if suits else 0.05))
            rows.append(Row(float(seconds), user, post, "view", int(likes)))
            if likes:
                rows.append(Row(float(seconds) + 30.0, user, post, "like", None))
    return sorted(rows, key=lambda row: row.seconds)


def _append(path: Path, key: str, **columns: object) -> None:
    table = read_table(path)
    for name, of in columns.items():
        table = table.append_column(name, pa.array([of(value) for value in table[key].to_pylist()]))  # type: ignore[operator]
    write_table(table, path)
