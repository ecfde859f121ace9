"""What users' likes tell of posts beyond any text: a vector of factors for each post, and a user's taste for them.

A post's factors z and a user's taste w are such that the log-odds of a like, over what user's and post's rates make
expected, are w . z, with w ~ N(what the profile tells, diag(left)) over users (`ranking.factors_fit` learns z from all
views). z has mean 0 over likes, so that a user without preferences sums up to about 0, and covariance diag(spread)
there. Of n liked posts with sum r, at the feed's rate p, (1 - p) r is about normal with mean n (1 - p)^2 diag(spread) w
and that as covariance: one Newton step of the logistic likelihood from 0. So the posterior mean of w is
((1 - p) r + told / left) / (n (1 - p)^2 spread + 1 / left).
Where likes have weights, r has n = their sum in its mean and s = the sum of their squares in its covariance: the
posterior mean is that of (n / s) r with n^2 / s likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix
from ranking.examples import Index
from ranking.last_likes import FadedSum
from ranking.profiles import INPUTS

Floats = npt.NDArray[np.float64]
TINY = 1e-9


@dataclass(frozen=True)
class Factors:
    """known: ids of the posts that were viewed, ascending; own: their factors, shape (known, k); spread: shape (k,).

    A post that nobody viewed yet has constant + text vector @ by_text + by_topic[topic], which a regression of the
    others' factors gives; by_text: shape (dimensions, k); by_topic: (topics + 1, k), last an unknown one's.
    """

    known: Index
    own: Matrix
    constant: Floats
    by_text: Floats
    by_topic: Floats
    spread: Floats
    rate: Floats
    """Of likes per view, shape (1,)."""
    by_profile: Floats
    """What each of `profile_inputs` tells of a taste, shape (inputs, k)."""
    left: Floats
    """The variance of tastes that profiles leave open, shape (k,)."""

    @property
    def dimensions(self) -> int:
        return int(self.own.shape[1])

    def coordinates(self, ids: npt.NDArray[np.integer], texts: Matrix, topic: npt.NDArray[np.integer]) -> Matrix:
        """Shape (n, k). texts: vectors, shape (n, dimensions); topic: among those of training, -1 for another."""
        z: Matrix = (self.constant + texts @ self.by_text + self.by_topic[topic]).astype(np.float32)
        if len(self.known):
            place = np.minimum(np.searchsorted(self.known, ids), len(self.known) - 1)
            known = self.known[place] == ids
            z[known] = self.own[place[known]]
        return z

    def taste(self, liked_sum: Matrix, liked: Column, told: Floats | float = 0.0) -> Matrix:
        """Posterior mean of w, shape (m, k).

        liked_sum: shape (m, k); liked: how many posts it sums up, shape (m,); told: by the profile, shape (m, k).
        """
        seen = 1.0 - self.rate
        known = liked[:, None] * seen**2 * self.spread + 1.0 / self.left
        taste: Matrix = ((seen * liked_sum + told / self.left) / known).astype(np.float32)
        return taste

    def faded_taste(self, likes: FadedSum) -> Matrix:
        """The same of likes that count the less, the more followed them, whatever the profile."""
        worth = likes.weight / np.maximum(likes.square, TINY)
        return self.taste((worth[:, None] * likes.sums).astype(np.float32), worth * likes.weight)

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        return {f"{prefix}_{part.name}": getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Factors:
        return cls(**{part.name: arrays[f"{prefix}_{part.name}"] for part in fields(cls)})

    @classmethod
    def none(cls, dimensions: int, topics: int) -> Factors:
        """Of a feed in which users differ by no more than chance: one factor, 0 everywhere."""
        nothing = np.zeros((0, 1), np.float32)
        zeros = np.zeros((dimensions, 1)), np.zeros((topics + 1, 1))
        by_profile = np.zeros((INPUTS, 1))
        return cls(
            np.zeros(0, np.int64), nothing, np.zeros(1), *zeros, np.ones(1), np.full(1, 0.5), by_profile, np.ones(1)
        )
