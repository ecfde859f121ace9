"""Scores of any pairs of users and posts as of a moment, in a stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from ranking.encoder import Matrix, UserState
from ranking.examples import Posts, topic_places
from ranking.last_likes import LastLikes
from ranking.liked_posts import LikedPosts
from ranking.scorer import Scorer
from ranking.vectors import PostVectors

from pipeline.dataset.history import CHUNK, Batch, History


def scores_of(history: History, scorer: Scorer) -> npt.NDArray[np.float64]:
    """A model's log-odds of all that `history` was asked, in its order."""
    return np.concatenate([*(scores for _, scores in scored(history, scorer)), np.zeros(0)])


def scored(history: History, scorer: Scorer, chunk: int = CHUNK) -> Iterator[tuple[Batch, npt.NDArray[np.float64]]]:
    """Chunk by chunk."""
    for batch, matrix in matrices(history, scorer, chunk):
        yield batch, scorer.scores(matrix)


def matrices(history: History, scorer: Scorer, chunk: int = CHUNK) -> Iterator[tuple[Batch, Matrix]]:
    """All columns of the model, chunk by chunk. Posts that training never saw are seen by their text."""
    vectors = post_vectors(history, scorer)
    topic = topic_places(scorer.manifest.topics, history.feed.posts.topic_names)
    for batch in history.batches(chunk):
        yield batch, _matrix(batch, history, scorer, vectors, topic)


def post_vectors(history: History, scorer: Scorer) -> Matrix:
    """Of the feed's posts in their order, and zeros behind them for a post that does not exist."""
    posts = history.feed.posts
    rows = all_vectors(posts, scorer).rows(posts.ids)
    return np.vstack([rows, np.zeros((1, scorer.encoder.dimensions), np.float32)])


def all_vectors(posts: Posts, scorer: Scorer) -> PostVectors:
    """The model's own, and those of posts that training never saw, by their text."""
    held, names = scorer.vectors, posts.topic_names
    new = np.flatnonzero(held.find(posts.ids) < 0)
    fresh = scorer.encoder.vectors(posts.ids[new], [posts.texts[at] for at in new], [names[at] for at in new])
    return held.with_posts([int(post) for post in posts.ids[new]], fresh)


def _matrix(batch: Batch, history: History, scorer: Scorer, vectors: Matrix, topic: npt.NDArray[np.int64]) -> Matrix:
    features = batch.features(scorer.manifest.schema_length)
    width = features.shape[1]
    out = np.empty((len(batch.user_id), width + len(scorer.encoder.columns)), np.float32, order="F")
    out[:, :width] = features
    state = UserState(
        profile=batch.profile,
        topic_views=batch.topic_views,
        topic_likes=batch.topic_likes,
        liked_sum=history.liked.sums(vectors, batch.liked_from, batch.liked),
        liked=batch.liked.astype(np.float64),
        last=LastLikes(vectors, history.liked.last(batch.liked_from, batch.liked), batch.since_like),
        liked_posts=LikedPosts(vectors, history.liked.posts, batch.liked_from, batch.liked),
    )
    scorer.encoder.write(state, vectors[batch.post], np.append(topic, -1)[batch.post], out[:, width:])
    return out
