"""Learns `ranking.factors` from all views: a factorisation of what was liked beyond expectation. For training only.

Of user u and post i, with R the sum over the views of (liked - expected) and w = expected (1 - expected), R is about
normal with mean W_ui theta_u . z_i and variance W_ui, W_ui = sum of w, taken as D_u D_i / D (the margins' product; only
margins are held). theta_u ~ N(0, 1); z_i ~ N(what the post's text and topic tell, G). First a truncated SVD of R scaled
to unit noise, of which the directions stay that reach beyond chance: beyond the largest singular value after each
entry's sign is drawn anew (parallel analysis; Hong, Sheng & Dobriban 2020, "Selecting the number of components in PCA
via random signs"). The same within the directions that the texts span, where chance reaches less far. Then rounds of
expectation and maximisation (probabilistic PCA: Tipping & Bishop 1999; with side information as prior mean: Agarwal &
Chen 2009). A direction that chance explains, or a text that tells nothing, shrinks to nothing by itself. At last, what
profiles tell of tastes, by the same kind of regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from chassis.progress import OnProgress, silent
from scipy.linalg import orth
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

from ranking.encoder import Matrix
from ranking.examples import Index
from ranking.factors import Factors, Floats
from ranking.profiles import profile_inputs

FACTORS = 32
"""The most that are kept."""
ROUNDS = 6
OVERSAMPLED, POWER_ROUNDS = 8, 7
"""Of the randomised SVD (Halko, Martinsson & Tropp 2011). Near the noise fewer rounds miss directions."""
FLOOR = 0.05
"""Least variance that a direction starts from, in that of chance: the rounds decide."""
POSTS_AT_ONCE = 4_096
RIDGE_ROUNDS = 50
LEAST_LEFT = 0.05
"""Of the variance of tastes, whatever profiles tell."""
TINY = 1e-9


@dataclass(frozen=True)
class Residuals:
    """What was liked beyond expectation. sums: sparse, shape (users, posts), an entry a view or a pair;
    user_weight: D_u, shape (users,); post_weight: D_i, shape (posts,); likes: of each post; rate: likes per view;
    profile: as `ranking.encoder.UserState.profile`, shape (users, 7); post_odds: log-odds over the feed's rate that
    were expected of each post, shape (posts,)."""

    sums: csr_matrix
    user_weight: Floats
    post_weight: Floats
    likes: Floats
    rate: float
    profile: Floats
    post_odds: Floats

    @property
    def total(self) -> float:
        return float(self.user_weight.sum())


@dataclass(frozen=True)
class Side:
    """What is known of posts beside their views. inputs: texts' vectors, centred and scaled, and topics in indicators,
    shape (posts, inputs)."""

    inputs: Floats
    centre: Floats
    scale: float
    topics: int

    @classmethod
    def of(cls, texts: Matrix, topic: Index, topics: int) -> Side:
        centre = texts.mean(axis=0).astype(np.float64)
        centred = texts - centre
        scale = float(np.sqrt((centred**2).mean())) if centred.size else 0.0
        scale = scale if scale > TINY else 1.0
        return cls(np.hstack([centred / scale, np.eye(topics)[topic]]), centre, scale, topics)


@dataclass(frozen=True)
class _Posts:
    """Factors as of a round, shape (posts, k). told: what texts and topics tell of them, whose mean is then
    constant + inputs @ told; spread: G, their covariance about that mean, shape (k, k)."""

    z: Floats
    spread: Floats
    constant: Floats
    told: Floats

    def turned(self, turn: Floats) -> _Posts:
        return _Posts(self.z @ turn, turn.T @ self.spread @ turn, self.constant @ turn, self.told @ turn)

    def moved(self, centre: Floats) -> _Posts:
        return _Posts(self.z - centre, self.spread, self.constant - centre, self.told)


def fit_factors(
    residuals: Residuals,
    ids: Index,
    texts: Matrix,
    topic: Index,
    topics: int,
    seed: int,
    on_progress: OnProgress = silent,
) -> Factors:
    """ids: of the posts, ascending; texts: their vectors, shape (posts, dimensions); topic: of each, shape (posts,)."""
    side = Side.of(texts, topic, topics)
    start = _directions(residuals, side, np.random.default_rng(seed)) if residuals.likes.any() else None
    on_progress(1, 1 + ROUNDS)
    if start is None:
        return Factors.none(texts.shape[1], topics)
    weight = residuals.post_weight[:, None] / residuals.total
    centred = start - (weight * start).sum(axis=0)
    size = start.shape[1]
    posts = _Posts(start, (weight * centred).T @ centred, np.zeros(size), np.zeros((side.inputs.shape[1], size)))
    for number in range(ROUNDS):
        posts = _round(residuals, side, posts)
        on_progress(2 + number, 1 + ROUNDS)
    return _factors(residuals, side, posts, ids)


def _directions(residuals: Residuals, side: Side, rng: np.random.Generator) -> Floats | None:
    """Where the rounds start, shape (posts, k); None where users differ by no more than chance."""
    users, posts = residuals.sums.shape
    most = min(FACTORS, users - 1, posts - 1)
    if most < 1:
        return None
    by_user = 1.0 / np.sqrt(residuals.user_weight + 1.0)
    by_post = 1.0 / np.sqrt(residuals.post_weight + 1.0)
    scaled = _scaled(residuals.sums, by_user * np.sqrt(residuals.total), by_post)
    signs = rng.choice(np.array([-1, 1], np.float32), len(scaled.data))
    chance = csr_matrix((scaled.data * signs, scaled.indices, scaled.indptr), scaled.shape)
    told = orth(side.inputs * np.sqrt(residuals.post_weight)[:, None])
    seeds = [int(seed) for seed in rng.integers(2**31, size=2)]
    overall_and_within_texts = [
        _beyond(*_svd(scaled, most, seeds[0]), float(_svd(chance, 1, seeds[1])[0][0])),
        _beyond(*_svd_within(scaled, told), float(_svd_within(chance, told)[0][0])) if told.size else None,
    ]
    kept = [directions for directions in overall_and_within_texts if directions is not None]
    if not kept:
        return None
    _, size, direction = np.linalg.svd(np.vstack(kept), full_matrices=False)
    most = min(most, len(size))
    size, direction = size[:most], direction[:most]
    scale = np.sqrt(residuals.total / max(float(residuals.user_weight.mean()), TINY) / users)
    return np.asarray(direction.T * size * by_post[:, None] * scale)


def _scaled(sums: csr_matrix, by_user: Floats, by_post: Floats) -> csr_matrix:
    """Rows and columns times a number each, float32."""
    rows = np.repeat(by_user.astype(np.float32), np.diff(sums.indptr))
    return csr_matrix(
        (sums.data * rows * by_post.astype(np.float32)[sums.indices], sums.indices, sums.indptr), sums.shape
    )


def _svd(matrix: csr_matrix, most: int, seed: int) -> tuple[Floats, Floats]:
    """Singular values, shape (most,), and directions of posts, shape (most, posts)."""
    _, size, direction = randomized_svd(matrix, most, n_oversamples=OVERSAMPLED, n_iter=POWER_ROUNDS, random_state=seed)
    return size.astype(np.float64), direction.astype(np.float64)


def _svd_within(matrix: csr_matrix, basis: Floats) -> tuple[Floats, Floats]:
    """The same of the matrix projected on what `basis`, orthonormal, shape (posts, d), spans."""
    within = np.asarray(matrix @ basis.astype(np.float32), np.float64)
    square, turn = np.linalg.eigh(within.T @ within)
    return np.sqrt(np.maximum(square[::-1], 0.0)), (basis @ turn[:, ::-1]).T


def _beyond(size: Floats, direction: Floats, chance: float) -> Floats | None:
    """Directions larger than chance, times the size that is left without it."""
    real = size > chance
    if not real.any():
        return None
    left = np.sqrt(np.maximum(size[real] ** 2 - chance**2, FLOOR * chance**2))
    return direction[real] * left[:, None]


def _round(residuals: Residuals, side: Side, posts: _Posts) -> _Posts:
    """Tastes given factors, factors given tastes; then tastes have covariance 1 again."""
    weight = residuals.post_weight
    posts = posts.moved(weight @ posts.z / residuals.total)
    spread, turn = np.linalg.eigh((posts.z * weight[:, None]).T @ posts.z / residuals.total)
    posts = posts.turned(turn)
    of_user = residuals.user_weight[:, None]
    known = of_user * np.maximum(spread, 0.0) + 1.0
    taste = np.asarray(residuals.sums @ posts.z.astype(np.float32), np.float64) / known
    evidence = ((taste * of_user).T @ taste + np.diag((of_user / known).sum(axis=0))) / residuals.total
    covariance = (taste.T @ taste + np.diag((1.0 / known).sum(axis=0))) / len(taste)
    sums = np.asarray(residuals.sums.T @ taste.astype(np.float32), np.float64)
    learned = _learned(side, sums, weight, evidence, posts.spread)
    value, axes = np.linalg.eigh(covariance)
    return learned.turned((axes * np.sqrt(np.maximum(value, TINY))) @ axes.T)


def _learned(side: Side, sums: Floats, weight: Floats, evidence: Floats, spread: Floats) -> _Posts:
    """The posterior of z, where sums ~ N(weight evidence z, weight evidence) and z ~ N(what content tells, spread)."""
    size = len(spread)
    evidence = evidence + TINY * np.eye(size)
    inverse = np.linalg.inv(evidence)
    seen = weight > 0
    by_itself = (sums @ inverse) / np.maximum(weight, TINY)[:, None]
    noise = np.trace(inverse) / size / np.maximum(weight, TINY)
    trust = np.where(seen, 1.0 / (noise + np.trace(spread) / size), 0.0)
    constant = trust @ by_itself / trust.sum()
    told = ridge(side.inputs, np.where(seen[:, None], by_itself - constant, 0.0), trust)
    mean = constant + side.inputs @ told
    precision = np.linalg.inv(spread + TINY * np.eye(size))
    z, about = mean.copy(), np.zeros((size, size))
    for low in range(0, len(z), POSTS_AT_ONCE):
        part = slice(low, low + POSTS_AT_ONCE)
        covariance = np.linalg.inv(weight[part, None, None] * evidence + precision)
        z[part] = np.einsum("pkl,pl->pk", covariance, sums[part] + mean[part] @ precision)
        about += covariance[seen[part]].sum(axis=0)
    left = (z - mean)[seen]
    return _Posts(np.where(seen[:, None], z, mean), (left.T @ left + about) / seen.sum(), constant, told)


def ridge(inputs: Floats, values: Floats, trust: Floats) -> Floats:
    """Regression of values, shape (n, k), on inputs, weighted; one prior variance of all coefficients, chosen by
    marginal likelihood (MacKay 1992). Shape (inputs, k)."""
    weighted = inputs * trust[:, None]
    strength, axes = np.linalg.eigh(weighted.T @ inputs)
    strength, seen = np.maximum(strength, 0.0), axes.T @ (weighted.T @ values)
    precision = 1.0
    for _ in range(RIDGE_ROUNDS):
        mean = seen / (strength[:, None] + precision)
        variance = float(((mean**2).mean(axis=1) + 1.0 / (strength + precision)).mean())
        precision = float(np.clip(1.0 / max(variance, TINY), 1e-3, 1e9))
    return np.asarray(axes @ (seen / (strength[:, None] + precision)))


def _factors(residuals: Residuals, side: Side, posts: _Posts, ids: Index) -> Factors:
    """With mean 0 over likes and their directions apart, which is what a user's likes are summed up in."""
    share = residuals.likes / residuals.likes.sum()
    posts = posts.moved(share @ posts.z)
    spread, turn = np.linalg.eigh((posts.z * share[:, None]).T @ posts.z)
    posts = posts.turned(turn[:, ::-1])
    spread = np.maximum(spread[::-1], 0.0)
    by_profile, left = _profiles(residuals, posts.z, spread)
    seen = residuals.post_weight > 0
    dimensions = len(side.centre)
    by_text, by_topic = posts.told[:dimensions] / side.scale, posts.told[dimensions:]
    return Factors(
        known=ids[seen],
        own=posts.z[seen].astype(np.float32),
        constant=posts.constant - side.centre @ by_text,
        by_text=by_text,
        by_topic=np.vstack([by_topic, np.zeros((1, by_topic.shape[1]))]),
        spread=spread,
        rate=np.full(1, residuals.rate),
        by_profile=by_profile,
        left=left,
    )


def _profiles(residuals: Residuals, z: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """What profiles tell of tastes, each direction by itself, and the variance that they leave open.

    A user's own estimate of a taste, from W z' z w by all views, has variance 1 / known about it.
    """
    inputs = profile_inputs(residuals.profile)
    sums = np.asarray(residuals.sums @ z.astype(np.float32), np.float64)
    known = np.outer(residuals.user_weight, spread) + TINY
    trust = known / (known + 1.0)
    by_profile = [ridge(inputs, (sums / known)[:, [place]], trust[:, place]) for place in range(len(spread))]
    told = np.hstack(by_profile)
    return told, np.clip(1.0 - (inputs @ told).var(axis=0), LEAST_LEFT, 1.0)
