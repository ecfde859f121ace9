"""Learns `ranking.quality` from all views: how much of what posts differ by their texts tell. For training only.

Empirical Bayes: what texts tell by ridge regression, what they leave open by expectation and maximisation. Where texts
tell nothing, the regression's own prior shrinks it to nothing.
"""

from __future__ import annotations

import numpy as np

from ranking.encoder import Matrix
from ranking.examples import Index
from ranking.factors_fit import TINY, Residuals, Side, ridge
from ranking.quality import Floats, Quality

ROUNDS = 8
LEAST = 1e-4
"""The least variance that texts leave open."""


def fit_quality(residuals: Residuals, ids: Index, texts: Matrix, topic: Index, topics: int, lengths: Floats) -> Quality:
    """ids: of the posts, ascending; texts: their vectors; topic, lengths (`ranking.quality.log_lengths`): shape
    (posts,)."""
    weight, seen = residuals.post_weight, residuals.post_weight > 0
    if not seen.any():
        return Quality.none(texts.shape[1], topics)
    side = Side.of(texts, topic, topics)
    centre, scale = float(lengths.mean()), max(float(lengths.std()), TINY)
    inputs = np.column_stack([side.inputs, (lengths - centre) / scale])
    told, left = _told(inputs, _observed(residuals), weight)
    share = 1.0 / (1.0 + left * weight[seen])
    size = texts.shape[1]
    by_text, by_topic, by_length = told[:size] / side.scale, told[size:-1], told[-1:] / scale
    return Quality(
        known=ids[seen],
        own=(share * (inputs[seen] @ told)).astype(np.float32),
        constant=np.atleast_1d(-side.centre @ by_text - centre * by_length[0]),
        by_text=by_text,
        by_topic=np.append(by_topic, 0.0),
        by_length=by_length,
    )


def _observed(residuals: Residuals) -> Floats:
    """Each post's log-odds over the feed's rate, users' rates aside: one Newton step from what was expected."""
    liked_more = np.asarray(residuals.sums.sum(axis=0), np.float64).ravel()
    return residuals.post_odds + liked_more / np.maximum(residuals.post_weight, TINY)


def _told(inputs: Floats, observed: Floats, weight: Floats) -> tuple[Floats, float]:
    """Coefficients, shape (inputs,), and the variance that they leave open. weight: what each post's views tell."""
    seen, left, told = weight > 0, 1.0, np.zeros(inputs.shape[1])
    for _ in range(ROUNDS):
        trust = weight / (left * weight + 1.0)
        centred = np.where(seen, observed - trust @ observed / trust.sum(), 0.0)
        told = ridge(inputs, centred[:, None], trust)[:, 0]
        shrunk = left * weight / (left * weight + 1.0)
        own = (shrunk * (centred - inputs @ told)) ** 2 + left * (1.0 - shrunk)
        left = max(float(own[seen].mean()), LEAST)
    return told, left
