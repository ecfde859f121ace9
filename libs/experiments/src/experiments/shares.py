"""A share of counted things, and what it surely is at least and at most.

Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927): the shares that a score test of
this confidence does not refuse. It keeps its coverage at few things and at shares near 0, where estimate -+ z error
does not (Brown, Cai & DasGupta, "Interval Estimation for a Binomial Proportion", 2001).
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

from experiments.effects import Interval, NotEnough, proper


def wilson(count: int, of: int, confidence: float = 0.95) -> Interval:
    """The share count / of, of independent things. Raises NotEnough for none; ValueError for a count above `of`."""
    if not 0 <= count <= of:
        raise ValueError(f"a count of {of} things, not {count}")
    if not of:
        raise NotEnough("a share of nothing")
    z, share = NormalDist().inv_cdf((1 + proper(confidence)) / 2), count / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), confidence)
