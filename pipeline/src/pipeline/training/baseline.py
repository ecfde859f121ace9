"""How much weight counts and a post's age get in the baseline: a logistic regression on views, ahead of the trees.

The encoder's columns are log-odds already, but a post's own rate is worth less where its exposure tells its quality
better, and more where nothing else does; and what a user's or a segment's rate of a topic tells, the encoder's columns
tell in part too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ranking.baseline import Baseline
from ranking.encoder import Encoder, Matrix
from ranking.taste import Floats
from scipy.optimize import minimize
from scipy.special import expit

COUNTED = (
    "topic_rate",
    "post_rate",
    "post_exposure",
    "post_log_age",
    "user_rate",
    "user_topic_lift",
    "segment_topic_lift",
    "segment_post_lift",
    "post_own_rate",
)
PRIOR_PRECISION = 10.0
"""A weight differs from the encoder's own by a standard deviation of .3 before anything is known."""


def fit_baseline(encoder: Encoder, columns: Sequence[str], matrix: Matrix, clicked: Floats) -> dict[str, float]:
    """Weights by column: 1 for the encoder's base, and to COUNTED and the encoder's columns what logistic regression
    with a normal prior adds.

    matrix: shape (n, columns); clicked: shape (n,).
    """
    weights = dict.fromkeys(encoder.base, 1.0)
    moved = [*COUNTED, *encoder.columns]
    start = Baseline.of(weights, columns).log_odds(matrix)
    inputs = np.column_stack([matrix[:, [columns.index(name) for name in moved]], np.ones(len(matrix))])
    precision = np.array([PRIOR_PRECISION] * len(moved) + [0.0])

    def loss(more: Floats) -> float:
        odds = start + inputs @ more
        return float((np.logaddexp(0.0, odds) - clicked * odds).sum() + precision @ more**2 / 2)

    def slope(more: Floats) -> Floats:
        return np.asarray(inputs.T @ (expit(start + inputs @ more) - clicked) + precision * more)

    def curvature(more: Floats) -> Floats:
        chance = expit(start + inputs @ more)
        return np.asarray((inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.diag(precision))

    fitted = minimize(loss, np.zeros(inputs.shape[1]), jac=slope, hess=curvature, method="trust-exact")
    for name, change in zip(moved, fitted.x, strict=False):
        weights[name] = weights.get(name, 0.0) + float(change)
    return weights
