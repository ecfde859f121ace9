"""A user's preference in closed form: for topics and directions of taste together, from counts, likes and the profile.

theta = (taste for each topic, taste along each direction of a `Space`) is normal over users, with a mean by profile and
one covariance C for all. A user has N_k views and L_k likes of topic k, whose rate is p_k, and n liked posts whose
coordinates add up to r; p is the rate of all topics. Then

    s = (L_k - N_k p_k; (1 - p) r)    is about normal with mean H theta and covariance H,
    H = diag(N_k p_k (1 - p_k); n (1 - p)^2),

one Newton step of the logistic likelihood from 0, and the posterior mean is (H + C^-1)^-1 (s + C^-1 mean). C and the
means are learned over all users by moments. (Empirical Bayes; Efron & Morris 1973.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix, UserState
from ranking.examples import Examples
from ranking.profiles import profile_inputs

Floats = npt.NDArray[np.float64]
ROUNDS = 3
LEAST = 1e-4
"""The least variance of a preference over users."""
PROFILE_PRECISION = 100.0
"""Prior precision of what one entry of the profile adds: a standard deviation of .1 in log-odds."""
SOLVED_AT_ONCE = 4_000_000
"""Entries of the matrices that are solved at once."""


@dataclass(frozen=True)
class PreferencePosterior:
    """The prior and the rates by which a user's counts become the posterior mean theta; size = topics + rank."""

    rates: Floats
    """Likes per view of each topic, and last of all topics together, shape (topics + 1,)."""
    precision: Floats
    """C^-1, shape (size, size)."""
    by_profile: Floats
    """What each entry of a profile adds to the prior mean, shape (profile inputs, size)."""

    @property
    def topics(self) -> int:
        return len(self.rates) - 1

    def posterior(self, user: UserState, coordinate_sum: Matrix, inputs: Floats) -> Floats:
        """The mean theta, shape (m, size).

        coordinate_sum: of the posts that each user liked, shape (m, rank); inputs: `profile_inputs` of the users.
        """
        s, h = _evidence(user, coordinate_sum, self.rates)
        s += inputs @ (self.by_profile @ self.precision)
        if len(s) == 1:
            return self._solved(s, h)
        # neighbouring rows are often of one user, with the same evidence: solved once
        first = np.append(True, (s[1:] != s[:-1]).any(axis=1) | (h[1:] != h[:-1]).any(axis=1))
        theta: Floats = self._solved(s[first], h[first])[np.cumsum(first) - 1]
        return theta

    def _solved(self, s: Floats, h: Floats) -> Floats:
        size = len(self.precision)
        theta = np.empty_like(s)
        step = max(1, SOLVED_AT_ONCE // size**2)
        for low in range(0, len(s), step):
            part = slice(low, low + step)
            matrix = np.repeat(self.precision[None], len(s[part]), axis=0)
            matrix[:, np.arange(size), np.arange(size)] += h[part]
            theta[part] = np.linalg.solve(matrix, s[part, :, None])[..., 0]
        return theta

    def tastes(self, theta: Floats) -> Matrix:
        """The part of theta along the directions of taste, shape (m, rank)."""
        return theta[:, self.topics :].astype(np.float32)

    def topic_log_odds(self, theta: Floats, topic: npt.NDArray[np.integer]) -> Floats:
        """Log-odds that a post's topic adds, for one user and n posts or row by row, shape (n,).

        An unknown topic, -1, adds the mean over all topics.
        """
        tastes = np.column_stack([theta[:, : self.topics], theta[:, : self.topics].mean(axis=1)])
        return np.asarray(tastes[0 if len(theta) == 1 else np.arange(len(theta)), topic])

    def arrays(self, prefix: str) -> dict[str, Floats]:
        return {f"{prefix}_{part.name}": getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Floats], prefix: str) -> PreferencePosterior:
        return cls(**{part.name: arrays[f"{prefix}_{part.name}"] for part in fields(cls)})


def fit_preference(z: Matrix, examples: Examples) -> PreferencePosterior:
    """z: coordinates of all posts, shape (posts, rank)."""
    last = examples.where(examples.last_rows())
    user = last.state(z)
    rates = _rates(user)
    s, h = _evidence(user, user.liked_sum, rates)
    inputs = profile_inputs(user.profile)
    by_profile = np.zeros((inputs.shape[1], s.shape[1]))
    covariance = _covariance(s, h)
    for _ in range(ROUNDS - 1):
        for place in range(s.shape[1]):
            by_profile[:, place] = _by_profile(inputs, s[:, place], h[:, place], covariance[place, place])
        covariance = _covariance(s - h * (inputs @ by_profile), h)
    return PreferencePosterior(rates, np.asarray(np.linalg.inv(covariance), np.float64), by_profile)


def _rates(user: UserState) -> Floats:
    views, likes = (np.append(counts.sum(axis=0), counts.sum()) for counts in (user.topic_views, user.topic_likes))
    return np.asarray(np.clip((likes + 1.0) / (views + 10.0), 1e-3, 0.9))


def _evidence(user: UserState, coordinate_sum: Matrix, rates: Floats) -> tuple[Floats, Floats]:
    """s and the diagonal of H, shapes (m, size)."""
    by_topic, overall = rates[:-1], rates[-1]
    s = np.hstack([user.topic_likes - user.topic_views * by_topic, (1 - overall) * coordinate_sum.astype(np.float64)])
    likes = np.repeat((user.liked * (1 - overall) ** 2)[:, None], coordinate_sum.shape[1], axis=1)
    return s, np.hstack([user.topic_views * by_topic * (1 - by_topic), likes])


def _covariance(s: Floats, h: Floats) -> Floats:
    """C by moments over users, E[s s'] = diag(H) + H C H, each entry weighted by its information; (size, size)."""
    weight = 1.0 / (h.mean(axis=0) + h + LEAST)
    information = h * weight
    moment = (s * weight).T @ (s * weight) - np.diag((information * weight).sum(axis=0))
    variance, turn = np.linalg.eigh(moment / np.maximum(information.T @ information, LEAST))
    return np.asarray((turn * np.maximum(variance, LEAST)) @ turn.T)


def _by_profile(inputs: Floats, s: Floats, h: Floats, variance: float) -> Floats:
    """Ridge regression of s on h inputs, weighted by the inverse of s' variance. Shape (inputs,)."""
    design = inputs * h[:, None]
    weight = 1.0 / (h + h**2 * variance + LEAST)
    weighted = (design * weight[:, None]).T
    normal = weighted @ design + PROFILE_PRECISION * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(normal, weighted @ s), np.float64)
