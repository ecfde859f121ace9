"""Measures of how good scores are: formulas and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
K = 5
DRAWS = 2_000
LEAST = 1e-15


def log_loss(probability: npt.NDArray[np.floating], clicked: Floats) -> float:
    """Mean negative log likelihood; shapes (n,)."""
    p = np.clip(np.asarray(probability, np.float64), LEAST, 1 - LEAST)
    return float(-np.mean(clicked * np.log(p) + (1 - clicked) * np.log1p(-p)))


def area_under_curve(scores: npt.NDArray[np.floating], clicked: Floats) -> float:
    """Chance that a liked row scores above one that was not, ties half (Mann & Whitney 1947). 0.5 for one class."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    liked = float(clicked.sum())
    others = len(clicked) - liked
    if not liked or not others:
        return 0.5
    return float((rank[clicked > 0].sum() - liked * (liked + 1) / 2) / (liked * others))


@dataclass(frozen=True, slots=True)
class UserRankings:
    """Rows of many users, each user's best-scored first. Ties go to the earlier row.

    order: row numbers; place: in the user's list, from 0; shape (n,) both. starts: where each user's rows begin in
    `order`, shape (distinct users,), users ascending.
    """

    order: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]

    @classmethod
    def of(cls, scores: npt.NDArray[np.floating], users: npt.NDArray[np.integer]) -> UserRankings:
        order = np.lexsort((-np.asarray(scores, np.float64), users))
        first = np.concatenate([[True], np.diff(users[order]) != 0]) if len(order) else np.zeros(0, bool)
        starts = np.flatnonzero(first)
        return cls(order, np.arange(len(order)) - starts[np.cumsum(first) - 1], starts)

    def by_user(self, values: npt.NDArray[np.generic]) -> Floats:
        """Sums over each user's rows of `values`, which stand in `order`; shape (distinct users, ...)."""
        return np.add.reduceat(values, self.starts, axis=0, dtype=np.float64) if len(self.starts) else np.zeros(0)

    @property
    def lengths(self) -> Floats:
        return self.by_user(np.ones(len(self.order)))


def hit_rate(
    scores: npt.NDArray[np.floating],
    users: npt.NDArray[np.integer],
    liked: npt.NDArray[np.bool_],
    k: int = K,
) -> Floats:
    """HitRate@k by user: 1 where one of the user's k best-scored rows was liked, else 0.

    All of shape (n,); the result is of shape (distinct users,), users ascending. Ties go to the earlier row.
    """
    ranking = UserRankings.of(scores, users)
    return np.minimum(ranking.by_user(liked[ranking.order] & (ranking.place < k)), 1.0)


def ndcg(
    scores: npt.NDArray[np.floating],
    users: npt.NDArray[np.integer],
    liked: npt.NDArray[np.bool_],
    k: int = K,
) -> Floats:
    """nDCG@k by user with gain 1 for a like (Järvelin & Kekäläinen 2002); 0 for a user who liked nothing.

    Shapes as in `hit_rate`.
    """
    ranking = UserRankings.of(scores, users)
    discount = 1.0 / np.log2(np.arange(k) + 2.0)
    worth = np.append(discount, 0.0)[np.minimum(ranking.place, k)]
    best = np.append(0.0, np.cumsum(discount))
    likes = ranking.by_user(liked[ranking.order])
    ideal = best[np.minimum(likes, k).astype(np.intp)]
    return np.asarray(ranking.by_user(worth * liked[ranking.order]) / np.where(likes > 0, ideal, 1.0))


def auc_by_user(
    scores: npt.NDArray[np.floating], users: npt.NDArray[np.integer], liked: npt.NDArray[np.bool_]
) -> Floats:
    """`area_under_curve` of each user who liked some and not all, in the order of users; others have none."""
    ranking = UserRankings.of(scores, users)
    own, chosen = np.asarray(scores, np.float64)[ranking.order], liked[ranking.order]
    new = np.concatenate([[True], (np.diff(own) != 0) | (ranking.place[1:] == 0)]) if len(own) else np.zeros(0, bool)
    tie = np.cumsum(new) - 1
    size = np.bincount(tie)
    place = ranking.place[np.flatnonzero(new)[tie]] + (size[tie] - 1) / 2.0
    length = ranking.lengths
    likes = ranking.by_user(chosen)
    others = length - likes
    # Places count from the best: the sum of the liked rows' places is least where all of them stand first.
    above = likes * (length - 1) - ranking.by_user(place * chosen) - likes * (likes - 1) / 2
    mixed = (likes > 0) & (others > 0)
    return np.asarray(above[mixed] / (likes * others)[mixed])


def auc_error(auc: float, liked: float, others: float) -> float:
    """Standard error of an area under the curve of `liked` and `others` rows (Hanley & McNeil 1982, eq. 2)."""
    both_liked, both_others = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (liked - 1) * (both_liked - auc**2) + (others - 1) * (both_others - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (liked * others)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def resampled_means(values: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """Means over users drawn with replacement (Efron 1979), shape (draws, columns).

    values: shape (users, columns), at least one user. All columns meet the same users, so that their differences and
    ratios are paired.
    """
    users = len(values)
    if not users:
        raise ValueError("no users to resample")
    drawn = (np.bincount(rng.integers(0, users, users), minlength=users) for _ in range(draws))
    return np.array([counts @ values for counts in drawn]) / users


def percentiles(value: float, draws: Floats) -> Estimate:
    """The percentile interval of a figure by its draws, shape (draws,)."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def bootstrap(values: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Estimate:
    """Percentile bootstrap of the mean. values: one per user, at least one."""
    drawn = resampled_means(values[:, None], rng, draws)[:, 0]
    return percentiles(float(values.mean()), drawn)


def paired_bootstrap(better: Floats, worse: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Estimate:
    """Of the mean difference, user by user: what both get right alike adds no noise."""
    return bootstrap(better - worse, rng, draws)
