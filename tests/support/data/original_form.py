"""Made rows in the form in which the original platform was dumped: its order of columns, its quoting, its gaps.

Of ten profiles two never came; three who came have no profile; a like stands as a row of its own with target 0, and the
view before it with target 1.
"""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path

TOPICS = ("business", "covid", "entertainment", "movie", "politics", "sport", "tech")
CITIES = ("Samara", "Kamensk-Ural’skiy", "Moscow")
POSTS = 40
PROFILES = range(100, 110)
READERS = (*range(100, 108), 900, 901, 902)
VIEWS = 12
LIKED_EVERY = 4
START = datetime(2021, 10, 20, 11, 8, 10)


def write_original_form(folder: Path) -> None:
    _write(
        folder / "user_data.csv",
        ("age", "city", "country", "exp_group", "gender", "user_id", "os", "source"),
        [
            (20 + user % 40, CITIES[user % 3], "Russia", user % 5, user % 2, user, ("Android", "iOS")[user % 2], "ads")
            for user in PROFILES
        ],
    )
    _write(
        folder / "post_text_df.csv",
        ("post_id", "text", "topic"),
        [(post, f'Post {post}: "quoted",\nover two lines', TOPICS[post % 7]) for post in range(1, POSTS + 1)],
    )
    _write(folder / "feed_data.csv", ("timestamp", "user_id", "post_id", "action", "target"), _feed())


def _feed() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for user in READERS:
        for place in range(VIEWS):
            at, post = START + timedelta(days=place, seconds=user), 1 + (user * 7 + place * 3) % POSTS
            is_liked = place % LIKED_EVERY == 0
            rows.append((at, user, post, "view", int(is_liked)))
            if is_liked:
                rows.append((at + timedelta(seconds=15), user, post, "like", 0))
    return rows


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
