"""What the five best posts of each user are like.

As for HitRate@5 these are the best of the posts that the user viewed in the window, not of the whole catalogue: they
tell rankings apart, and say little about what the platform would serve.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.measures.accuracy import Floats, K, UserRankings

Places = npt.NDArray[np.intp]


def coverage(top: Places, ranking: UserRankings, posts: int) -> Floats:
    """Each user's part of the share of the catalogue that is in anybody's five: a post in n lists counts 1/n in each.

    The mean over users is the share. Resampling users leaves n as it is: the interval is that of the parts, given the
    other lists. top: index of the post in each row, in the order of `ranking`; posts: how many the catalogue has.
    """
    first = ranking.place < K
    lists = np.bincount(top[first], minlength=posts)
    part = np.where(first, 1.0 / np.maximum(lists[top], 1), 0.0)
    return ranking.by_user(part) * len(ranking.starts) / posts


def topic_share(topic: npt.NDArray[np.integer], ranking: UserRankings) -> Floats:
    """What share of a user's five is of their most frequent topic: 1 for five posts of one topic.

    topic: of each row, in order.
    """
    first = ranking.place < K
    counts = ranking.by_user(np.eye(int(topic.max(initial=0)) + 1)[topic] * first[:, None])
    return np.asarray(counts.max(axis=1) / counts.sum(axis=1))


def novelty(views: Floats, top: Places, ranking: UserRankings) -> Floats:
    """Mean over a user's five of -log2 of the post's share of all views (Zhou et al. 2010), in bits.

    views: of all posts before the cut; one is added to each, so that a new post counts too.
    """
    first = ranking.place < K
    bits = -np.log2((views + 1.0) / (views + 1.0).sum())
    return ranking.by_user(bits[top] * first) / ranking.by_user(first)
