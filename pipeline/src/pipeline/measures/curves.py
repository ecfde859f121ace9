"""Sums by bin that plots are drawn from: worlds are pooled by adding them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from pipeline.measures.accuracy import Floats, UserRankings

LIFT_BINS = 20
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Bins:
    """Shape (bins,) each. predicted: sum of probabilities of a like; liked: how many were."""

    rows: Floats
    predicted: Floats
    liked: Floats

    def __add__(self, other: Bins) -> Bins:
        return Bins(self.rows + other.rows, self.predicted + other.predicted, self.liked + other.liked)

    @classmethod
    def of(cls, place: npt.NDArray[np.integer], bins: int, predicted: Floats, liked: npt.NDArray[np.bool_]) -> Bins:
        """place: each row's bin."""
        return cls(
            *(np.bincount(place, values, bins).astype(np.float64) for values in (np.ones(len(place)), predicted, liked))
        )

    @property
    def lift(self) -> Floats:
        """Like rate of the first bins together over that of all, shape (bins,)."""
        total = self.liked.sum() / self.rows.sum()
        return np.asarray(np.cumsum(self.liked) / np.maximum(np.cumsum(self.rows), 1.0) / total)


def lift_bins(scores: Floats, users: npt.NDArray[np.integer], liked: npt.NDArray[np.bool_]) -> Bins:
    """Rows by their place in their own user's list, the best first: a user who likes a lot shifts nothing."""
    ranking = UserRankings.of(scores, users)
    share = ranking.place / np.repeat(ranking.lengths, ranking.lengths.astype(np.intp))
    return Bins.of((share * LIFT_BINS).astype(np.intp), LIFT_BINS, np.zeros(len(share)), liked[ranking.order])


def calibration_bins(log_odds: Floats, liked: npt.NDArray[np.bool_]) -> Bins:
    """Rows in tenths by score, the lowest first."""
    place = np.empty(len(log_odds), np.intp)
    place[np.argsort(log_odds, kind="stable")] = np.arange(len(log_odds)) * CALIBRATION_BINS // len(log_odds)
    return Bins.of(place, CALIBRATION_BINS, expit(log_odds), liked)
