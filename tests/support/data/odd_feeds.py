"""Feeds that are odd in one way each, as tables in a folder; small, so that a model is trained within seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow.parquet import read_table, write_table

from tests.support.data.small_feed import START, Row, text_of, write_tables

DAYS, WITHHELD = 30, 8
CUT = START + timedelta(days=DAYS - WITHHELD)
DAY = 86_400.0
Ints = npt.NDArray[np.int64]
LANGUAGES = (
    ("матч гол", "актёр сцена", "солнце тепло ярко", "дождь холод темно"),
    ("比赛 进球", "演员 场景", "阳光 温暖 明亮", "下雨 寒冷 黑暗"),
    ("match goal", "actor scene", "sunny warm bright", "rainy cold dark"),
)


@dataclass(frozen=True)
class OddFeed:
    """Even users prefer even posts, odd ones odd posts; what is odd is a change of the rows or of a table's column.

    born: the day from which on a post is shown, and for how many days; None: all are always there.
    """

    users: int = 50
    posts: int = 40
    views: int = 80
    rates: tuple[float, float] = (0.35, 0.1)
    """Of likes: of a user's own kind of posts, and of the other."""
    days_shown: float | None = None
    change: Callable[[list[Row]], list[Row]] = lambda rows: rows
    texts: Callable[[int], str | None] = text_of
    topic: str | None = None
    columns: Mapping[str, None] = field(default_factory=dict)
    """Of users, which nobody has filled in."""

    def write(self, folder: Path, seed: int = 7) -> Path:
        write_tables(folder, self.change(self._rows(np.random.default_rng(seed))), self.users, self.posts)
        posts = folder / "post_text_df.parquet"
        table = _set(read_table(posts), "text", [self.texts(post) for post in range(1, self.posts + 1)])
        write_table(_set(table, "topic", [self.topic] * self.posts) if self.topic else table, posts)
        users = read_table(folder / "user_data.parquet")
        for name in self.columns:
            users = _set(users, name, [None] * self.users)
        write_table(users, folder / "user_data.parquet")
        return folder

    def _rows(self, rng: np.random.Generator) -> list[Row]:
        user = np.repeat(np.arange(200, 200 + self.users), self.views)
        second = np.sort(rng.uniform(0, DAYS * DAY, (self.users, self.views)), axis=1).ravel()
        post = self._shown(second, rng)
        liked = rng.random(len(user)) < np.where(user % 2 == post % 2, *self.rates)
        seen = [
            Row(float(at), int(who), int(what), "view", int(like))
            for at, who, what, like in zip(second, user, post, liked, strict=True)
        ]
        likes = [replace(row, seconds=row.seconds + 30.0, action="like", target=None) for row in seen if row.target]
        return sorted(seen + likes, key=lambda row: row.seconds)

    def _shown(self, second: npt.NDArray[np.float64], rng: np.random.Generator) -> Ints:
        if self.days_shown is None:
            return rng.integers(1, self.posts + 1, len(second))
        newest = np.maximum(second / DAY / DAYS * self.posts, 1.0)
        oldest = np.maximum(newest - self.days_shown / DAYS * self.posts, 0.0)
        return np.asarray(1 + np.floor(rng.uniform(oldest, newest)), np.int64)


def _set(table: pa.Table, name: str, values: Sequence[str | None]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))


def _without_likes(rows: list[Row], low: float, high: float) -> list[Row]:
    """In the days from low to high nobody likes anything."""
    days = [row.seconds / DAY for row in rows]
    quiet = [low <= day < high for day in days]
    return [
        replace(row, target=0 if row.action == "view" else None) if is_quiet else row
        for row, is_quiet in zip(rows, quiet, strict=True)
        if not (is_quiet and row.action == "like")
    ]


def _one_like_each(rows: list[Row]) -> list[Row]:
    """Of each user the first like stays before the cut; after it, all do."""
    cut, liked = (DAYS - WITHHELD) * DAY, set[int]()
    kept: list[Row] = []
    for row in rows:
        is_first = row.user not in liked
        if row.seconds < cut and row.action == "view" and row.target:
            liked.add(row.user)
            row = row if is_first else replace(row, target=0)
        kept.append(row)
    first = {(row.user, row.post, row.seconds + 30.0) for row in kept if row.target}
    return [row for row in kept if row.action == "view" or (row.user, row.post, row.seconds) in first]


def _three_languages(post: int) -> str:
    words = LANGUAGES[post // 2 % 3]
    return f"{words[post // 6 % 2]} {words[2 + post % 2]} {post % 5}"


FEEDS: dict[str, OddFeed] = {
    "three users": OddFeed(users=3, views=300),
    "one topic": OddFeed(topic="movie"),
    "no text": OddFeed(texts=lambda post: None),
    "equal texts": OddFeed(texts=lambda post: "the same for all"),
    "three languages": OddFeed(texts=_three_languages),
    "no likes for a week": OddFeed(change=lambda rows: _without_likes(rows, DAYS - WITHHELD - 7, DAYS - WITHHELD)),
    "a catalogue that turns over daily": OddFeed(posts=300, days_shown=1.0, views=120),
    "users with one like": OddFeed(change=_one_like_each, views=120),
    "posts without a view": OddFeed(posts=120, change=lambda rows: [row for row in rows if row.post % 3]),
    "nothing but chance": OddFeed(rates=(0.2, 0.2)),
    "nearly all liked": OddFeed(rates=(0.97, 0.93)),
    "users without a profile": OddFeed(
        columns=dict.fromkeys(("age", "gender", "country", "city", "exp_group", "os", "source"))
    ),
}
