"""HitRate@5 within sessions: a user asks every few views, and what they view next judges the answer.

A cut days before its window shows nothing that lives shorter: a mood, a piece of news, the likes of a minute ago. Here
every request has features as of its own moment, from a model that has seen none of these days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from ranking.examples import Index
from ranking.scorer import Scorer

from pipeline.dataset.feed import MICROSECONDS, Feed, fetch, microseconds
from pipeline.dataset.history import History, Requests
from pipeline.dataset.samples import LEAST_VIEWS
from pipeline.evaluation.ladder import POPULAR, RANDOM, Ladder, check_unseen, popular_scores
from pipeline.measures.accuracy import Floats, hit_rate
from pipeline.training.scores import scores_of

BREAK = timedelta(minutes=30)
"""A longer pause ends a session, as is usual for visits of a site."""
FIRST_VIEWS = 5
"""After which the user asks first."""
NEXT_VIEWS = 10
"""Between a request and the next one: what it is judged by."""
MOST = 5_000
"""Sessions that are judged: about as many, drawn by a hash of the user and the session's number."""
PARTS = 1_000_000


@dataclass(frozen=True)
class Course:
    """All views of the judged sessions, by session and time; shape (m,) each.

    request: the one that the view judges, -1 for none; liked: whether a like followed.
    """

    session: Index
    request: Index
    post_id: Index
    liked: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SessionRequests:
    """The distinct posts that were viewed next after each request, by request, then post; shape (n,) each.

    request: a number; time: of it, microseconds since the epoch: its first post is viewed then.
    """

    request: Index
    user_id: Index
    post_id: Index
    liked: npt.NDArray[np.bool_]
    time: Index
    course: Course

    def __len__(self) -> int:
        return len(self.request)

    @property
    def asked(self) -> Requests:
        return Requests(self.user_id, self.post_id, self.time)


def requests_in(feed: Feed, start: datetime, end: datetime, most: int = MOST) -> SessionRequests:
    """Of sessions in [start, end): after FIRST_VIEWS, and then every NEXT_VIEWS, where at least LEAST_VIEWS follow.

    liked: by a view with target 1, or a like row from the request on within the session.
    """
    _keep_sessions(feed, start, end, most)
    rows = fetch(
        feed.database,
        """
        WITH next AS (
            SELECT request, session, user_id, post_id, asked_at, bool_or(clicked) AS clicked FROM judged_views
            WHERE request >= 0 GROUP BY ALL
        ), liked AS (SELECT session, post_id, max(instant) AS last FROM judged_likes GROUP BY ALL)
        SELECT request, user_id, next.post_id, asked_at, clicked OR coalesce(last >= asked_at, false) AS liked
        FROM next LEFT JOIN liked USING (session, post_id) ORDER BY request, next.post_id
        """,
    )
    views = fetch(
        feed.database, "SELECT session, request, post_id, clicked FROM judged_views ORDER BY session, instant, post_id"
    )
    request, user, post, time = (rows[name].astype(np.int64) for name in ("request", "user_id", "post_id", "asked_at"))
    own, judges, shown = (views[name].astype(np.int64) for name in ("session", "request", "post_id"))
    course = Course(own, judges, shown, views["clicked"].astype(np.bool_))
    return SessionRequests(request, user, post, rows["liked"].astype(np.bool_), time, course)


def _keep_sessions(feed: Feed, start: datetime, end: datetime, most: int) -> None:
    """`judged_views` and `judged_likes`: rows of sessions drawn; of a view which request it judges (-1: none), made
    when."""
    pause = int(BREAK.total_seconds()) * MICROSECONDS
    so_far = "(PARTITION BY user_id ORDER BY instant, is_like, post_id ROWS UNBOUNDED PRECEDING)"
    feed.database.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE in_sessions AS
        WITH shown AS (
            SELECT *, coalesce(instant - lag(instant) OVER (PARTITION BY user_id ORDER BY instant, is_like, post_id)
                > {pause}, true) AS begins
            FROM feed WHERE instant >= {microseconds(start)} AND instant < {microseconds(end)}
        ), numbered AS (SELECT *, count(*) FILTER (WHERE begins) OVER {so_far} AS number FROM shown)
        SELECT *, dense_rank() OVER (ORDER BY user_id, number) AS session FROM numbered
        """
    )
    (sessions,) = feed.database.execute("SELECT coalesce(max(session), 0) FROM in_sessions").fetchall()[0]
    share = int(PARTS * min(1.0, most / max(sessions, 1)))
    feed.database.execute(
        f"""
        DELETE FROM in_sessions WHERE hash(user_id, number) % {PARTS} >= {share};
        CREATE OR REPLACE TEMP TABLE judged_likes AS SELECT * FROM in_sessions WHERE is_like;
        CREATE OR REPLACE TEMP TABLE judged_views AS
        WITH placed AS (
            SELECT *, row_number() OVER (PARTITION BY session ORDER BY instant, post_id) - 1 AS place
            FROM in_sessions WHERE NOT is_like
        ), paged AS (
            SELECT *, CASE WHEN place < {FIRST_VIEWS} THEN -1 ELSE (place - {FIRST_VIEWS}) // {NEXT_VIEWS} END AS page
            FROM placed
        ), counted AS (SELECT *, page >= 0 AND count(*) OVER whole >= {LEAST_VIEWS} AS judged,
            dense_rank() OVER (ORDER BY session, page) AS number_of_page, min(instant) OVER whole AS asked_at
            FROM paged WINDOW whole AS (PARTITION BY session, page))
        SELECT *, CASE WHEN judged THEN number_of_page ELSE -1 END AS request FROM counted
        """
    )


def session_scores(
    feed: Feed, requests: SessionRequests, scorers: Mapping[str, Scorer], cut: datetime, seed: int
) -> dict[str, Floats]:
    """Of each row of `requests` by rung, as of its request. feed: all of it, the window included.

    Raises LentaError for a model that has seen the window.
    """
    history = History(feed)
    history.ask(requests.asked)
    popular = np.concatenate([*(popular_scores(batch) for batch in history.batches()), np.zeros(0)])
    scores = {RANDOM: np.random.default_rng(seed).random(len(requests)), POPULAR: popular}
    for name, scorer in scorers.items():
        check_unseen(scorer, cut)
        asked = History.of_model(feed, scorer.manifest)
        asked.ask(requests.asked)
        scores[name] = scores_of(asked, scorer)
    return scores


def session_ladder(requests: SessionRequests, scores: Mapping[str, Floats]) -> Ladder | None:
    """The share of each user's requests with a hit; None where there is none to judge by."""
    if not len(requests):
        return None
    _, first = np.unique(requests.request, return_index=True)
    _, user = np.unique(requests.user_id[first], return_inverse=True)
    hits = {name: hit_rate(values, requests.request, requests.liked) for name, values in scores.items()}
    return Ladder({name: np.bincount(user, values) / np.bincount(user) for name, values in hits.items()})
