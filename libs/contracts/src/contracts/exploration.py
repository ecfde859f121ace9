"""Exploration: now and then the last slot holds one of the posts worth a try, with a known probability."""

from __future__ import annotations

from hashlib import md5
from typing import NamedTuple


class Explored(NamedTuple):
    """places: of the ranker's list, one a slot. propensities: the probability with which each slot holds its post."""

    places: list[int]
    propensities: list[float]


def explore(ranked: int, limit: int, share: float, key: str) -> Explored:
    """Which of `ranked` posts, the best ones first and then those to explore, fill `limit` slots.

    With probability `share` the last slot holds one of the posts behind it, each as likely as the others; the
    exposure's key decides. Where there are none behind it, nothing is explored. share: 0 to 1.
    """
    places = list(range(min(limit, ranked)))
    behind = ranked - len(places)
    if behind <= 0 or not places:
        return Explored(places, [1.0] * len(places))
    bits = int.from_bytes(md5(f"{key}.exploration".encode(), usedforsecurity=False).digest())
    chance, choice = bits >> 64, bits & (2**64 - 1)
    propensity = 1.0 - share
    if chance < share * 2**64:
        places[-1] = len(places) + choice % behind
        propensity = share / behind
    return Explored(places, [1.0] * (len(places) - 1) + [propensity])
