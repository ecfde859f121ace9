"""The top of the ladder: rankings by a simulated world's own truth. For judging alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ranking.examples import Index

from pipeline.dataset.feed import MICROSECONDS, Feed, fetch, microseconds
from pipeline.dataset.samples import Viewed
from pipeline.evaluation.ladder import WINDOW
from pipeline.evaluation.sessions import Course, SessionRequests
from pipeline.measures.accuracy import Floats
from pipeline.world.feed import next_mood
from pipeline.world.spec import FIRST_POST
from pipeline.world.truth import FOLDER, Truth


def has_truth(folder: Path) -> bool:
    """Whether the folder is a simulated world."""
    return (folder / FOLDER).exists()


def true_scores(folder: Path, feed: Feed, viewed: Viewed, cut: datetime) -> Floats:
    """Like probabilities by the world's truth in the middle of the window, user by user. feed: until the cut."""
    truth = Truth.load(folder)
    scores = np.asarray(truth.like_probability(viewed.user_id, viewed.post_id, cut + WINDOW / 2), np.float64)
    if truth.spec.repost_share:
        at = np.full(len(scores), microseconds(feed.until), np.int64)
        scores[_shows_what_was_liked(truth, feed, viewed.user_id, viewed.post_id, at)] = 0.0
    return scores


def true_session_scores(folder: Path, feed: Feed, requests: SessionRequests) -> Floats:
    """Log-odds of a like at each request, in the mood that the session's views so far left. Shape (n,)."""
    truth = Truth.load(folder)
    scores = truth.appeal(requests.user_id, requests.post_id, requests.time / MICROSECONDS)
    if truth.spec.momentum:
        numbers, mood = _moods(truth, requests.course)
        vectors = truth.posts.vector[requests.post_id - FIRST_POST]
        scores = scores + np.einsum("nd,nd->n", mood[np.searchsorted(numbers, requests.request)], vectors)
    if truth.spec.repost_share:
        liked = _shows_what_was_liked(truth, feed, requests.user_id, requests.post_id, requests.time)
        scores = np.where(liked, -np.inf, scores)
    return np.asarray(scores)


def _moods(truth: Truth, course: Course) -> tuple[Index, Floats]:
    """The requests' numbers, ascending, and the mood as of each, shape (requests, dimensions)."""
    _, own = np.unique(course.session, return_inverse=True)
    place = np.arange(len(own)) - np.searchsorted(own, own)
    before, mood = np.zeros((2, len(own), truth.posts.vector.shape[1]))
    mood = mood[: int(own[-1]) + 1] if len(own) else mood
    for number in range(int(place.max(initial=-1)) + 1):
        now = np.flatnonzero(place == number)
        before[now] = mood[own[now]]
        vectors = truth.posts.vector[course.post_id[now] - FIRST_POST]
        mood[own[now]] = next_mood(mood[own[now]], vectors, course.liked[now], truth.spec)
    numbers, first = np.unique(course.request, return_index=True)
    return numbers, before[first]


def _shows_what_was_liked(truth: Truth, feed: Feed, user: Index, post: Index, at: Index) -> npt.NDArray[np.bool_]:
    """Whether the user liked before `at`, in microseconds, what the post shows. Shape (n,)."""
    likes = fetch(feed.database, "SELECT user_id, post_id, instant FROM likes")
    base = int(truth.contents(np.arange(len(truth.posts.original)) + FIRST_POST).max()) + 1
    known, place = np.unique(
        likes["user_id"].astype(np.int64) * base + truth.contents(likes["post_id"].astype(np.int64)),
        return_inverse=True,
    )
    first = np.full(len(known) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, place, likes["instant"].astype(np.int64))
    wanted = user * base + truth.contents(post)
    where = np.searchsorted(known, wanted)
    same = np.append(known, -1)[where] == wanted
    return np.asarray(same & (first[where] < at))
