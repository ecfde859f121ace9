"""A small platform as Parquet files, where users like what suits their own taste in words; quick to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.parquet import write_table

START = datetime(2026, 3, 1, tzinfo=UTC)
TOPICS = ("sport", "movie", "tech")
WORDS = {"sport": ("match", "goal"), "movie": ("scene", "actor"), "tech": ("phone", "chip")}
FLAVOURS = ("sunny bright warm", "rainy cold dark")


@dataclass(frozen=True)
class Row:
    """One row of feed_data; seconds since START."""

    seconds: float
    user: int
    post: int
    action: str
    target: int | None


def write_tables(folder: Path, rows: list[Row], users: int, posts: int) -> Path:
    """Users from 200 on, posts from 1 on; post p is of topic p % 3 and of flavour p % 2."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(_users(users), folder / "user_data.parquet")
    write_table(_posts(posts), folder / "post_text_df.parquet")
    feed = {
        "timestamp": pa.array(
            [(START + timedelta(seconds=row.seconds)).replace(tzinfo=None) for row in rows], pa.timestamp("us")
        ),
        "user_id": pa.array([row.user for row in rows], pa.int32()),
        "post_id": pa.array([row.post for row in rows], pa.int32()),
        "action": pa.array([row.action for row in rows], pa.string()),
        "target": pa.array([row.target for row in rows], pa.int16()),
    }
    write_table(pa.table(feed), folder / "feed_data.parquet")
    return folder


def age_of(user: int) -> int | None:
    return None if user % 7 == 0 else 15 + user % 50


def _users(users: int) -> pa.Table:
    ids = range(200, 200 + users)
    return pa.table(
        {
            "user_id": pa.array(ids, pa.int32()),
            "age": pa.array([age_of(user) for user in ids], pa.int16()),
            "gender": pa.array([user % 2 for user in ids], pa.int16()),
            "country": pa.array(["Russia" if user % 5 else "Belarus" for user in ids], pa.string()),
            "city": pa.array([None if user % 11 == 0 else f"city {user % 4}" for user in ids], pa.string()),
            "exp_group": pa.array([user % 5 for user in ids], pa.int16()),
            "os": pa.array(["Android" if user % 3 else "iOS" for user in ids], pa.string()),
            "source": pa.array(["ads" if user % 2 else "organic" for user in ids], pa.string()),
        }
    )


def text_of(post: int) -> str:
    one, two = WORDS[TOPICS[post % 3]]
    return f"{one} {two} {FLAVOURS[post % 2]} {one} and word{post % 5} other{post % 4}"


def _posts(posts: int) -> pa.Table:
    ids = range(1, posts + 1)
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "text": pa.array([text_of(post) for post in ids], pa.string()),
            "topic": pa.array([TOPICS[post % 3] for post in ids], pa.string()),
        }
    )


def lively(rng: np.random.Generator, users: int = 60, posts: int = 40, views: int = 120, days: int = 20) -> list[Row]:
    """`views` views per user, spread over `days`; even users prefer one flavour of text, odd ones the other."""
    rows: list[Row] = []
    for user in range(200, 200 + users):
        for seconds in np.sort(rng.uniform(0, days * 86_400, views)):
            post = int(rng.integers(1, posts + 1))
            likes = bool(rng.random() < (0.35 if post % 2 == user % 2 else 0.08))
            rows.append(Row(float(seconds), user, post, "view", int(likes)))
            if likes:
                rows.append(Row(float(seconds) + 30.0, user, post, "like", None))
    return rows
