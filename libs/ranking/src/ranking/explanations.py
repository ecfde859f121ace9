"""Why a model put a post where it stands: what each of its columns moves the post's score by.

The score is the base (a sum of columns, log-odds already) and what the trees add to it. The trees' part comes from
CatBoost's SHAP values (Lundberg et al., "From local explanations to global understanding with explainable AI for
trees", 2020), the base's from those of a sum: a column's value less its mean over the catalogue (Lundberg and Lee 2017,
corollary 1). So a reason tells this post from the user's other candidates, and all of them and the bias make the score.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from chassis.deadline import Deadline
from chassis.errors import NotFound, Unavailable
from contracts.records import UserRow
from contracts.wire import AlikePost, AlikePosts, Explanation, Explanations, Reason

from ranking.scorer import BoundScorer

REASONS = 8
"""The strongest; the others are summed up in `rest`."""
LIKES, SAMPLED, NEAR = 100, 2_000, 0.05
"""The last likes that a post is compared with; posts that say what is usual; the share of them that is "much alike"."""
TINY = 1e-9
WAITING = 4
T = TypeVar("T")
NICE = 10


def explain(bound: BoundScorer, row: UserRow, now: int, posts: Sequence[int], most: int = REASONS) -> list[Explanation]:
    """In the posts' order, those that the catalogue knows."""
    places = bound.catalogue.index_of(np.asarray(posts, np.int64))
    places = places[places >= 0]
    if not len(places):
        return []
    scorer, matrix = bound.scorer, bound.candidates.matrix(row, now)
    chosen = matrix[places]
    parts, bias = scorer.contributions(chosen), 0.0
    for place, weight in zip(scorer.baseline.places, scorer.baseline.weights, strict=True):
        mean = float(matrix[:, place].mean(dtype=np.float64))
        parts[:, place] += weight * (chosen[:, place].astype(np.float64) - mean)
        bias += float(weight) * mean
    scores, ids = scorer.scores(np.asfortranarray(chosen)), bound.catalogue.post_id[places]
    like = like_liked(bound, row, places)
    return [
        _explanation(
            scorer.manifest.columns, int(ids[i]), float(scores[i]), bias + parts[i, -1], chosen[i], parts[i], most
        ).model_copy(update={"like": like[i]})
        for i in range(len(places))
    ]


def _explanation(
    columns: Sequence[str],
    post: int,
    score: float,
    bias: float,
    values: npt.NDArray[np.float32],
    parts: npt.NDArray[np.float64],
    most: int,
) -> Explanation:
    order = np.argsort(-np.abs(parts[: len(columns)]), kind="stable")
    reasons = [Reason(feature=columns[i], value=_finite(values[i]), contribution=float(parts[i])) for i in order[:most]]
    return Explanation(
        post_id=post, score=score, bias=float(bias), reasons=reasons, rest=float(parts[order[most:]].sum())
    )


def like_liked(bound: BoundScorer, row: UserRow, places: npt.NDArray[np.intp]) -> list[int | None]:
    """Of each post the liked one that is most like it, by the cosine of the model's vectors.

    None where more than `NEAR` of the other posts are as much like that liked one: then it says nothing.
    """
    catalogue, vectors = bound.catalogue, bound.candidates.vectors
    liked = catalogue.index_of(row.hidden[-LIKES:].astype(np.int64))
    liked = np.unique(liked[liked >= 0])
    if not len(liked):
        return [None] * len(places)
    others = np.arange(0, len(catalogue), 1 + len(catalogue) // SAMPLED)
    towards = _unit(vectors[liked]).T
    likeness, usual = _unit(vectors[places]) @ towards, np.quantile(_unit(vectors[others]) @ towards, 1 - NEAR, axis=0)
    ids = catalogue.post_id[liked].tolist()
    best = np.argmax(np.where(likeness > usual, likeness, -np.inf), axis=1)
    return [ids[j] if likeness[i, j] > usual[j] else None for i, j in enumerate(best.tolist())]


def alike(bound: BoundScorer, post: int, limit: int) -> list[AlikePost]:
    """Other posts that may be shown, the most like it first; ties go to the lower id. Raises NotFound."""
    catalogue, directions = bound.catalogue, _unit(bound.candidates.vectors)
    (place,) = catalogue.index_of(np.array([post], np.int64)).tolist()
    if place < 0:
        raise NotFound(f"the model knows no post {post}")
    likeness = (directions @ directions[place]).astype(np.float64)
    others = np.flatnonzero(catalogue.shown & (np.arange(len(catalogue)) != place))
    best = others[np.lexsort((catalogue.post_id[others], -likeness[others]))[:limit]]
    return [AlikePost(post_id=int(catalogue.post_id[each]), likeness=float(likeness[each])) for each in best]


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), TINY), np.float32)


def _finite(value: np.float32) -> float | None:
    return float(value) if math.isfinite(value) else None


class Explainer:
    """One explanation at a time, on a thread that gives way to ranking."""

    def __init__(self) -> None:
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain", initializer=_give_way)

    async def explain(
        self,
        bound: BoundScorer,
        row: UserRow,
        now: int,
        limit: int,
        deadline: Deadline,
        posts: Sequence[int] | None = None,
    ) -> Explanations:
        """Of these posts; by default of those that `rank` would answer.

        Raises Unavailable when others wait, or the caller's time is up.
        """
        return await self._in_turn(partial(_explanations, bound, row, now, limit, posts), deadline)

    async def alike(self, bound: BoundScorer, post: int, limit: int, deadline: Deadline) -> AlikePosts:
        """Raises NotFound, and Unavailable as `explain`."""
        return await self._in_turn(partial(_alike, bound, post, limit), deadline)

    async def _in_turn(self, work: Callable[[], T], deadline: Deadline) -> T:
        if self._waiting >= WAITING:
            raise Unavailable("too many explanations are asked for")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _before, deadline, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._thread.shutdown()


def _before(deadline: Deadline, work: Callable[[], T]) -> T:
    """Raises Unavailable where nobody waits for it any more."""
    if deadline.remaining() <= 0:
        raise Unavailable("the deadline passed before explaining began")
    return work()


def _explanations(bound: BoundScorer, row: UserRow, now: int, limit: int, posts: Sequence[int] | None) -> Explanations:
    chosen = bound.rank(row, now, limit)[0].tolist() if posts is None else posts
    manifest = bound.scorer.manifest
    return Explanations(model=manifest.name, version=manifest.version, posts=explain(bound, row, now, chosen))


def _alike(bound: BoundScorer, post: int, limit: int) -> AlikePosts:
    manifest = bound.scorer.manifest
    return AlikePosts(model=manifest.name, version=manifest.version, posts=alike(bound, post, limit))


def _give_way() -> None:
    """On Linux a thread has a niceness of its own; elsewhere it goes without."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
