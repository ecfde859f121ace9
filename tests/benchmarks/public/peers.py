"""Peers that need what Lenta's development environment has: EASE and SVD.

Users are folded in: a model's parameters are of before the cut, its input is what is known of the user until theirs.
"""

from __future__ import annotations

import numpy as np
from pipeline.measures.accuracy import Floats
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from tests.benchmarks.public.split import Peer, Side, Split, at


def ease_weights(liked: csr_matrix, l2: float) -> Floats:
    """Item to item, with a diagonal of zeros (Steck 2019). Shape (posts, posts)."""
    gram = (liked.T @ liked).toarray()
    gram[np.diag_indices_from(gram)] += l2
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return np.asarray(weights)


def ease(split: Split, side: Side, l2: float, missed: float) -> Floats:
    weights = ease_weights(split.matrix(split.train, missed), l2)
    return at(split, split.matrix(split.known, missed), weights)


def residual(split: Split, of: csr_matrix, rates: Floats) -> csr_matrix:
    """Likes beyond what the post's rate has expected, of a matrix of 1 (liked) and -1 (only viewed)."""
    cells = of.tocoo()
    values = (cells.data > 0) - rates[cells.col]
    return csr_matrix((values, (cells.row, cells.col)), shape=cells.shape)


def svd(split: Split, side: Side, factors: int, ridge: float) -> Floats:
    """The post's rate, and what the user's likes beyond expectation say by the directions in which users differ."""
    rates = split.rates()
    learned = residual(split, split.matrix(split.train, 1.0), rates)
    _, strength, directions = svds(learned, k=factors, rng=np.random.default_rng(0))
    axes = (strength[:, None] * directions / np.sqrt(max(learned.shape[0], 1))).T
    return by_taste(split, np.asarray(axes, np.float64), ridge)


def by_taste(split: Split, axes: Floats, ridge: float) -> Floats:
    """The post's rate, and a user's likes beyond it regressed on the axes of what they viewed. axes: (posts, k)."""
    rates = split.rates()
    seen = split.matrix(split.known, 1.0)
    known = residual(split, seen, rates).tocsr()
    taste = np.zeros((split.users, axes.shape[1]))
    for user in np.unique(split.judged.user):
        row = slice(seen.indptr[user], seen.indptr[user + 1])
        own = axes[seen.indices[row]]
        pull = own.T @ known.data[row]
        taste[user] = np.linalg.solve(own.T @ own + ridge * np.eye(axes.shape[1]), pull)
    return at(split, csr_matrix(taste), axes.T) + rates[split.judged.post]


PEERS = (
    Peer("EASE", ease, [{"l2": l2, "missed": missed} for l2 in (300.0, 1000.0, 3000.0) for missed in (0.0, 0.5)]),
    Peer(
        "SVD of residuals",
        svd,
        [{"factors": factors, "ridge": ridge} for factors in (8, 24, 64) for ridge in (0.05, 0.5)],
    ),
)
