"""Team-draft interleaving: both rankers fill one feed, and the user votes by liking.

Chapelle, Joachims, Radlinski & Yue, "Large-Scale Validation and Analysis of Interleaved Search Evaluation" (ACM
Transactions on Information Systems 30(1), 2012): a like is credited to the ranker that put the post there; who has more
credits wins; test's share of the wins, ties half to each, less a half, is their Delta_AB. Here the voter
is the user, not the request, since a user's requests are not independent: one vote a user.

The share's interval is the percentile bootstrap over users (Efron & Tibshirani 1993, section 13.3): drawing users anew
is drawing the three counts from a multinomial. The test is the sign test, ties dropped (Dixon & Mood 1946; Conover
1999, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np

from experiments.effects import Effect, Interval, NotEnough, proper


@dataclass(frozen=True, slots=True)
class Votes:
    """Users with more likes on test's posts, more on control's, and as many on both. Raises ValueError below 0."""

    test: int = 0
    control: int = 0
    ties: int = 0

    def __post_init__(self) -> None:
        if min(self.test, self.control, self.ties) < 0:
            raise ValueError(f"votes that no users can cast: {self}")

    @classmethod
    def of(cls, control_likes: Sequence[float], test_likes: Sequence[float]) -> Votes:
        """One entry a user: likes on the posts of each ranker. Raises ValueError for unequal lengths."""
        leads = [t - c for c, t in zip(control_likes, test_likes, strict=True)]
        wins, losses = sum(lead > 0 for lead in leads), sum(lead < 0 for lead in leads)
        return cls(wins, losses, len(leads) - wins - losses)

    def __add__(self, other: Votes) -> Votes:
        """Of the users of both; no user may be in both."""
        return Votes(self.test + other.test, self.control + other.control, self.ties + other.ties)

    @property
    def users(self) -> int:
        return self.test + self.control + self.ties

    @property
    def share(self) -> float:
        """Test's, ties half to each: 0.5 where neither is liked more. Raises NotEnough without votes."""
        if not self.users:
            raise NotEnough("no user has voted")
        return (self.test + self.ties / 2) / self.users


def p_value(votes: Votes) -> float:
    """Sign test, two-sided and exact, that either is preferred as often. At one look fixed in advance.

    Raises NotEnough where no user prefers one.
    """
    n = votes.test + votes.control
    if not n:
        raise NotEnough("no user prefers one ranker")
    return min(1.0, 2 * _lower_tail(min(votes.test, votes.control), n))


def win_share(votes: Votes, rng: np.random.Generator, confidence: float = 0.95, samples: int = 10_000) -> Interval:
    """Test's share of the users' votes, 0 to 1, ties half to each, with its bootstrap interval.

    Raises NotEnough without users who differ; ValueError for a confidence outside (0, 1) or no samples.
    """
    share, _ = votes.share, effect(votes).error
    if samples < 1:
        raise ValueError(f"at least one sample, not {samples}")
    parts = np.array([votes.test, votes.control, votes.ties]) / votes.users
    drawn = rng.multinomial(votes.users, parts, size=samples)
    shares = (drawn[:, 0] + drawn[:, 2] / 2) / votes.users
    tail = (1 - proper(confidence)) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Interval(share, float(low), float(high), confidence)


def effect(votes: Votes) -> Effect:
    """Delta_AB: test's share less a half, a mean over users of 1/2, -1/2 or 0; for `sequential.interval`.

    Raises NotEnough for fewer than two users.
    """
    n, delta = votes.users, votes.share - 0.5
    if n < 2:
        raise NotEnough("a variance needs two users")
    return Effect(delta, max((votes.test + votes.control) / 4 - n * delta**2, 0.0) / (n - 1) / n, n)


def _lower_tail(k: int, n: int) -> float:
    """P(X <= k) of Binomial(n, 1/2), k <= n / 2: from the largest term down, each a rational multiple of the last."""
    term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) - n * log(2))
    total = term
    for i in range(k, 0, -1):
        term *= i / (n - i + 1)
        total += term
        if term < total * 1e-17:
            break
    return total
