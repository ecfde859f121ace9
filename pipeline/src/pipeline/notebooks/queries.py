"""What is in the feed: each function answers one question with a small frame. Times are UTC."""

from __future__ import annotations

import numpy as np
import pandas as pd
from contracts.records import AGE_BANDS

from pipeline.dataset.feed import MICROSECONDS, Feed
from pipeline.evaluation.segments import age_names

NEW_SESSION_SECONDS = 1_800
"""A longer silence than this begins a new session."""
DAY = 86_400 * MICROSECONDS
BORN_AFTER_DAYS = 7
"""A post first shown less than this after the feed's start may be older than the feed."""
AGE_EDGES = (0, 1, 2, 4, 7, 11, 16, 23, 32, 45)
"""Of a post, in days."""
_RATED = "count(*) AS views, sum(clicked::INT) AS likes"


def sizes(feed: Feed) -> pd.Series[str]:
    """How much of everything there is."""
    (likes, repeated, shown), *_ = feed.database.execute(
        "SELECT count(*) FILTER (WHERE is_like), count(*) FILTER (WHERE NOT is_like) "
        "- count(DISTINCT (user_id, post_id)) FILTER (WHERE NOT is_like), "
        "count(DISTINCT post_id) FILTER (WHERE NOT is_like) FROM feed"
    ).fetchall()
    views = max(feed.views, 1)
    return pd.Series(
        {
            "users": f"{len(feed.people.ids):,}",
            "posts": f"{len(feed.posts.ids):,}",
            "posts ever shown": f"{shown:,}",
            "views": f"{feed.views:,}",
            "likes": f"{likes:,}",
            "likes per view": f"{likes / views:.3f}",
            "views of a post seen before": f"{repeated / views:.1%}",
            "from": f"{feed.first:%Y-%m-%d %H:%M}",
            "until": f"{feed.until:%Y-%m-%d %H:%M}",
        },
        name="the feed",
    )


def people(feed: Feed) -> pd.DataFrame:
    """One row per profile; missing values are NaN or None."""
    return feed.database.execute("SELECT * FROM people ORDER BY user_id").df()


def by_user(feed: Feed) -> pd.DataFrame:
    """views and likes, one row per user who viewed anything."""
    return _asked(feed, f"SELECT user_id, {_RATED} FROM feed WHERE NOT is_like GROUP BY 1 ORDER BY 1")


def by_post(feed: Feed) -> pd.DataFrame:
    """topic, views and likes, one row per post that was shown."""
    return _asked(feed, f"SELECT post_id, topic, {_RATED} FROM feed WHERE NOT is_like GROUP BY 1, 2 ORDER BY 1")


def by_topic(feed: Feed) -> pd.DataFrame:
    """posts, views and likes by topic, the largest first; indexed by its name."""
    topics = _asked(
        feed,
        f"SELECT topic, posts, views, likes FROM (SELECT topic, count(*) AS posts FROM posts GROUP BY 1) "
        f"LEFT JOIN (SELECT topic, {_RATED} FROM feed WHERE NOT is_like GROUP BY 1) USING (topic) ORDER BY posts DESC",
    ).fillna(0)
    topics.index = pd.Index([feed.posts.topics[int(place)] for place in topics["topic"]], name="topic")
    return topics.drop(columns="topic")


def by_place(feed: Feed, places: int = 30) -> pd.DataFrame:
    """By place in the session, from 1."""
    return _asked(
        feed,
        f"""
        WITH views AS (
            SELECT user_id, instant, clicked,
                coalesce(instant - lag(instant) OVER own > {NEW_SESSION_SECONDS * MICROSECONDS}, true) AS new
            FROM feed WHERE NOT is_like WINDOW own AS (PARTITION BY user_id ORDER BY instant)
        ), numbered AS (
            SELECT *, sum(new::INT) OVER (PARTITION BY user_id ORDER BY instant) AS session FROM views
        ), placed AS (
            SELECT clicked, row_number() OVER (PARTITION BY user_id, session ORDER BY instant) AS place FROM numbered
        )
        SELECT place, {_RATED} FROM placed WHERE place <= {places} GROUP BY 1 ORDER BY 1
        """,
    )


def by_hour(feed: Feed) -> pd.DataFrame:
    return _asked(
        feed, f"SELECT instant // {DAY // 24} % 24 AS hour, {_RATED} FROM feed WHERE NOT is_like GROUP BY 1 ORDER BY 1"
    )


def by_week(feed: Feed) -> pd.DataFrame:
    """With how many posts were shown for the first time; week: its first day; an incomplete last week is left out."""
    start = int(feed.first.timestamp() * MICROSECONDS) // DAY * DAY
    weeks = _asked(
        feed,
        f"""
        WITH born AS (SELECT post_id, min(instant) AS first FROM feed WHERE NOT is_like GROUP BY 1),
        weeks AS (SELECT (instant - {start}) // {7 * DAY} AS week, {_RATED} FROM feed WHERE NOT is_like GROUP BY 1),
        new AS (SELECT (first - {start}) // {7 * DAY} AS week, count(*) AS new_posts FROM born GROUP BY 1)
        SELECT week, views, likes, coalesce(new_posts, 0) AS new_posts
        FROM weeks LEFT JOIN new USING (week) ORDER BY week
        """,
    )
    whole = int(feed.until.timestamp() * MICROSECONDS - start) // (7 * DAY)
    weeks = weeks[weeks["week"] < max(whole, 1)]
    return weeks.assign(week=pd.to_datetime(start, unit="us") + pd.to_timedelta(7 * weeks["week"], unit="D"))


def by_post_age(feed: Feed) -> pd.DataFrame:
    """By days since a post was first shown, of posts born within the feed; days: the middle of each bin."""
    bin_of = " + ".join(f"(days >= {edge})::INT" for edge in AGE_EDGES[1:-1])
    ages = _asked(
        feed,
        f"""
        WITH born AS (SELECT post_id, min(instant) AS first FROM feed WHERE NOT is_like GROUP BY 1),
        aged AS (
            SELECT clicked, (instant - first) / {DAY} AS days FROM feed JOIN born USING (post_id)
            WHERE NOT is_like AND first >= {int(feed.first.timestamp()) * MICROSECONDS + BORN_AFTER_DAYS * DAY}
        )
        SELECT {bin_of} AS bin, {_RATED} FROM aged
        WHERE days < {AGE_EDGES[-1]} GROUP BY 1 ORDER BY 1
        """,
    )
    middles = (np.array(AGE_EDGES[:-1]) + np.array(AGE_EDGES[1:])) / 2
    return ages.assign(days=middles[ages["bin"].to_numpy(np.int64)])


def by_age_and_topic(feed: Feed) -> pd.DataFrame:
    """views and likes by age band (as `segments.age_names`) and topic."""
    band = " + ".join(f"(age >= {edge})::INT" for edge in AGE_BANDS)
    unknown = len(AGE_BANDS) + 1
    counts = _asked(
        feed,
        f"SELECT CASE WHEN isnan(age) OR age IS NULL THEN {unknown} ELSE {band} END AS band, topic, {_RATED} "
        "FROM feed LEFT JOIN people USING (user_id) WHERE NOT is_like GROUP BY 1, 2 ORDER BY 1, 2",
    )
    names, topics = age_names(), feed.posts.topics
    return counts.assign(
        band=pd.Categorical([names[int(place)] for place in counts["band"]], categories=names),
        topic=[topics[int(place)] for place in counts["topic"]],
    )


def by_profile(
    feed: Feed, columns: tuple[str, ...] = ("gender", "exp_group", "os", "source", "country")
) -> pd.DataFrame:
    """views and likes for each value of each of `columns` that has a fiftieth of the views."""
    parts = " UNION ALL ".join(
        f"SELECT '{name}' AS field, coalesce({name}::VARCHAR, 'unknown') AS value, {_RATED} "
        f"FROM feed LEFT JOIN people USING (user_id) WHERE NOT is_like GROUP BY 1, 2"
        for name in columns
    )
    counts = _asked(feed, f"SELECT * FROM ({parts}) WHERE views >= {feed.views / 50} ORDER BY value")
    counts["value"] = counts["value"].str.removesuffix(".0")
    order = {name: place for place, name in enumerate(columns)}
    return counts.sort_values("field", key=lambda fields: fields.map(order), kind="stable", ignore_index=True)


def _asked(feed: Feed, query: str) -> pd.DataFrame:
    return feed.database.execute(query).df()
