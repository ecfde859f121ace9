"""Counts what happened before each request: the SQL of `pipeline.dataset.history`, which DuckDB and Spark both run.

Counters run over every row of the feed, but in groups: each feed row is added to the first moment of its user that
comes after it, and the moments are then summed up. So the memory grows with the requests and not with the feed. Windows
take the place of ASOF joins, which Spark lacks.
"""

from __future__ import annotations

from contracts.catalogue import TICK_SECONDS
from contracts.records import RECENT_VIEWS, SEGMENTS

from pipeline.dataset.engine import Engine
from pipeline.dataset.feed import MICROSECONDS

TICK = TICK_SECONDS * MICROSECONDS
_SEGMENT = f"coalesce(s.segment, {len(SEGMENTS) - 1}) AS segment"


def sum_up(engine: Engine, topics: int) -> None:
    """Keeps tables of what was known, of which `sums_of` speaks. topics: how many the feed's posts have."""
    engine.take("feed", "likes", "posts", "segments", "requests")
    _sum_users(engine, topics)
    _sum_ticks(engine)
    _sum_segments(engine)
    _find_repeats(engine)


def sums_of(low: int, high: int, topics: int) -> str:
    """SQL: the requests with rows from `low` to below `high`, in order, each with all that `sum_up` counted for it.

    Columns are called as the fields of `contracts.features.Pairs` that they give, in their units: times in seconds.
    """
    by_topic = "".join(f", coalesce(k.{name}, 0) AS {name}" for name in _topic_columns(topics))
    count = "CAST(coalesce({0}, 0) AS DOUBLE) AS {1}".format
    time = f"CAST(floor(CAST(coalesce({{0}}, 0) AS DOUBLE) / {MICROSECONDS}e0) AS DOUBLE) AS {{1}}".format
    return f"""
        SELECT a.user_id, a.post_id, a.instant, a.topic, CAST(coalesce(k.liked, 0) AS BIGINT) AS liked,
            {time("a.instant", "now")}, {time("k.last_view", "last_view_at")}, {time("k.last_like", "last_like_at")},
            CAST(CASE WHEN seen.row IS NULL THEN 0 ELSE 1 END AS DOUBLE) AS seen,
            {count("e.views", "total_views")}, {count("e.likes", "total_likes")},
            {time("e.counted_until", "counted_until")},
            {count("t.views", "topic_views")}, {count("t.likes", "topic_likes")},
            {count("fi.posts", "topic_posts")}, {time("fi.first_views", "topic_first_views")},
            {count("p.views", "post_views")}, {count("p.likes", "post_likes")}, {time("p.first_view", "first_view_at")},
            {count("st.views", "segment_topic_views")}, {count("st.likes", "segment_topic_likes")},
            {count("sp.views", "segment_views")}, {count("sp.likes", "segment_likes")}{by_topic}
        FROM (SELECT * FROM request_ticks WHERE row >= {low} AND row < {high}) AS a
        LEFT JOIN known AS k ON k.user_id = a.user_id AND k.instant = a.instant
        LEFT JOIN known_by_post AS p ON p.post_id = a.post_id AND p.tick = a.tick
        LEFT JOIN known_by_topic AS t ON t.topic = a.topic AND t.tick = a.tick
        LEFT JOIN known_by_first AS fi ON fi.topic = a.topic AND fi.tick = a.tick
        LEFT JOIN known_by_everything AS e ON e.tick = a.tick
        LEFT JOIN known_by_segment_topic AS st ON st.topic = a.topic AND st.segment = a.segment AND st.tick = a.tick
        LEFT JOIN known_by_segment_post AS sp ON sp.post_id = a.post_id AND sp.segment = a.segment AND sp.tick = a.tick
        LEFT JOIN seen ON seen.row = a.row
        ORDER BY a.row
    """


def _sum_users(engine: Engine, topics: int) -> None:
    """`known(user_id, instant, v0.., l0.., last_view, last_like, liked)`: as of each moment of each user."""
    counts = "".join(
        f", CAST(count(*) FILTER (WHERE {'' if kind == 'l' else 'NOT '}is_like AND topic = {place}) AS DOUBLE) "
        f"AS {kind}{place}"
        for kind in ("v", "l")
        for place in range(topics)
    )
    sums = "".join(f", sum({name}) OVER so_far AS {name}" for name in _topic_columns(topics))
    engine.keep("moments", "SELECT DISTINCT user_id, instant FROM requests")
    engine.keep(
        "known",
        f"""
        WITH added AS (
            SELECT user_id, moment AS instant, max(instant) FILTER (WHERE NOT is_like) AS last_view,
                max(instant) FILTER (WHERE is_like) AS last_like{counts}
            FROM ({_before_moments("feed", "moments", "is_like", "topic")}) GROUP BY user_id, moment
        ), new_likes AS (
            SELECT user_id, moment AS instant, CAST(count(*) AS DOUBLE) AS liked
            FROM ({_before_moments("likes", "moments", "post_id")}) GROUP BY user_id, moment
        )
        SELECT user_id, instant, max(last_view) OVER so_far AS last_view, max(last_like) OVER so_far AS last_like,
            sum(liked) OVER so_far AS liked{sums}
        FROM moments LEFT JOIN added USING (user_id, instant) LEFT JOIN new_likes USING (user_id, instant)
        WINDOW so_far AS (PARTITION BY user_id ORDER BY instant ROWS UNBOUNDED PRECEDING)
        """,
    )


def _sum_ticks(engine: Engine) -> None:
    """`known_by_post`, `known_by_topic`, `known_by_everything`: as of each tick that is asked for."""
    engine.keep(
        "request_ticks",
        f"""
        SELECT r.row, r.user_id, r.post_id, r.instant, {_tick("r.instant")} AS tick, coalesce(p.topic, -1) AS topic,
            {_SEGMENT}, 0 AS everything
        FROM requests AS r LEFT JOIN posts AS p ON p.id = r.post_id LEFT JOIN segments AS s ON s.user_id = r.user_id
        """,
    )
    engine.keep(
        "ticks",
        f"""
        SELECT post_id, topic, 0 AS everything, {_tick("instant")} AS tick,
            CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
            CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes,
            min(instant) FILTER (WHERE NOT is_like) AS first_view, {_tick("instant")} + {TICK} AS counted_until
        FROM feed GROUP BY post_id, topic, {_tick("instant")}
        """,
    )
    engine.keep(
        "first_ticks",
        f"""
        SELECT topic, {_tick("first_view")} AS tick, CAST(count(*) AS DOUBLE) AS posts,
            CAST(sum({_second("first_view")}) AS DOUBLE) AS first_views
        FROM (SELECT post_id, topic, min(first_view) AS first_view FROM ticks GROUP BY post_id, topic)
        WHERE first_view IS NOT NULL GROUP BY topic, {_tick("first_view")}
        """,
    )
    for name, of_key, more in (
        ("post", "post_id", {"first_view": "min"}),
        ("topic", "topic", {}),
        ("everything", "everything", {"counted_until": "max"}),
    ):
        engine.keep(f"known_by_{name}", _before_ticks(of_key, "ticks", views="sum", likes="sum", **more))
    engine.keep("known_by_first", _before_ticks("topic", "first_ticks", posts="sum", first_views="sum"))


def _sum_segments(engine: Engine) -> None:
    """`known_by_segment_topic`, `known_by_segment_post`: as of each tick that is asked for.

    Posts, segments and hours together are nearly as many as the feed's rows: those rows are not grouped by hours, but
    added to the first tick of their post and segment that is asked for, as rows of a user are.
    """
    audience = f"""
        (SELECT f.post_id, f.topic, {_tick("f.instant")} AS tick, f.is_like, {_SEGMENT}
        FROM feed AS f LEFT JOIN segments AS s ON s.user_id = f.user_id)
    """
    engine.keep(
        "segment_ticks",
        f"""
        SELECT topic, segment, tick, CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
            CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes
        FROM {audience} GROUP BY topic, segment, tick
        """,
    )
    engine.keep("known_by_segment_topic", _before_ticks("topic, segment", "segment_ticks", views="sum", likes="sum"))
    engine.keep("post_ticks", "SELECT DISTINCT post_id, segment, tick FROM request_ticks")
    engine.keep(
        "known_by_segment_post",
        f"""
        WITH added AS (
            SELECT post_id, segment, moment AS tick, CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
                CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes
            FROM ({_before_moments(audience, "post_ticks", "is_like", key="post_id, segment", time="tick")})
            GROUP BY post_id, segment, moment
        )
        SELECT post_id, segment, tick, sum(views) OVER so_far AS views, sum(likes) OVER so_far AS likes
        FROM post_ticks LEFT JOIN added USING (post_id, segment, tick)
        WINDOW so_far AS (PARTITION BY post_id, segment ORDER BY tick ROWS UNBOUNDED PRECEDING)
        """,
    )


def _find_repeats(engine: Engine) -> None:
    """`seen(row)`: the requests for a post among the user's last views; those of one second are in the order of posts.

    Few requests are repeats at all: only for them is counted what the user viewed since.
    """
    engine.keep(
        "repeats",
        """
        SELECT r.row, r.user_id, r.post_id, r.instant, max(f.instant) AS viewed_at
        FROM requests AS r JOIN feed AS f ON f.user_id = r.user_id AND f.post_id = r.post_id
        WHERE NOT f.is_like AND f.instant < r.instant GROUP BY r.row, r.user_id, r.post_id, r.instant
        """,
    )
    then, since = _second("r.viewed_at"), _second("f.instant")
    engine.keep(
        "seen",
        f"""
        SELECT r.row FROM repeats AS r JOIN feed AS f ON f.user_id = r.user_id
        WHERE NOT f.is_like AND f.instant < r.instant GROUP BY r.row
        HAVING count(*) FILTER (WHERE {since} > {then} OR ({since} = {then} AND f.post_id > r.post_id)) < {RECENT_VIEWS}
        """,
    )


def _topic_columns(topics: int) -> list[str]:
    return [f"{kind}{place}" for kind in ("v", "l") for place in range(topics)]


def _tick(instant: str) -> str:
    """SQL: the start of the hour."""
    return f"({instant} - {instant} % {TICK})"


def _second(instant: str) -> str:
    """SQL: the start of the second; records keep no more."""
    return f"({instant} - {instant} % {MICROSECONDS})"


def _before_moments(events: str, moments: str, *columns: str, key: str = "user_id", time: str = "instant") -> str:
    """SQL: the rows of `events` before the last of their key's `moments`, each with `moment`, the first one after it.

    It goes back in time, so that both engines pass once over a key's rows; of what happens at once, moments come last.
    """
    own, none = ", ".join(columns), ", ".join(["NULL"] * len(columns))
    return f"""
        SELECT {key}, {time}, moment, {own} FROM (
            SELECT {key}, {time}, {own}, is_event, min(moment) OVER (
                PARTITION BY {key} ORDER BY {time} DESC, is_event DESC ROWS UNBOUNDED PRECEDING) AS moment
            FROM (
                SELECT {key}, {time}, {own}, 1 AS is_event, CAST(NULL AS BIGINT) AS moment FROM {events}
                UNION ALL SELECT {key}, {time}, {none}, 0, {time} FROM {moments}
            )
        ) WHERE is_event = 1 AND moment IS NOT NULL
    """


def _before_ticks(key: str, ticks: str, **columns: str) -> str:
    """SQL: for each value of `key` and each tick asked for, columns of `ticks` over all earlier ticks.

    columns: by name the aggregate function that combines them.
    """
    names = ", ".join(columns)
    in_tick = ", ".join(f"{how}({name}) AS {name}" for name, how in columns.items())
    so_far = ", ".join(f"{how}({name}) OVER so_far AS {name}" for name, how in columns.items())
    nothing = ", ".join("NULL" for _ in columns)
    return f"""
        SELECT {key}, tick, {names} FROM (
            SELECT {key}, tick, is_event, {so_far}
            FROM (
                SELECT {key}, tick, {in_tick}, 1 AS is_event FROM {ticks} GROUP BY {key}, tick
                UNION ALL SELECT DISTINCT {key}, tick, {nothing}, 0 FROM request_ticks
            )
            WINDOW so_far AS (PARTITION BY {key} ORDER BY tick, is_event ROWS UNBOUNDED PRECEDING)
        ) WHERE is_event = 0
    """
