"""A leak shows when a model ranks the rows it was trained on far better than days it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ranking.scorer import Scorer

from pipeline.dataset.feed import Feed, microseconds
from pipeline.dataset.history import History, Requests
from pipeline.dataset.samples import training_requests
from pipeline.measures.accuracy import Floats, area_under_curve, auc_error
from pipeline.training.scores import scores_of

ROWS = 50_000
"""Training rows that are drawn: the error of their AUC is then about .004."""
MARGIN = 0.05
"""How much better an honest model may rank its own training rows. See docs/models.md for what was measured."""
ERRORS = 3.0


@dataclass(frozen=True)
class Auc:
    """Over all rows together, not by user. error: the standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, scores: Floats, liked: npt.NDArray[np.generic]) -> Auc:
        likes = float(liked.sum())
        value = area_under_curve(scores, liked.astype(np.float64))
        return cls(value, auc_error(value, max(likes, 1.0), max(len(liked) - likes, 1.0)))


@dataclass(frozen=True)
class Alarm:
    """Of one model on one world."""

    model: str
    train: Auc
    test: Auc

    @property
    def rings(self) -> bool:
        """Whether the gap exceeds MARGIN by more than chance explains."""
        return self.gap - ERRORS * float(np.hypot(self.train.error, self.test.error)) > MARGIN

    @property
    def gap(self) -> float:
        return self.train.value - self.test.value

    def __str__(self) -> str:
        return (
            f"{self.model} looks leaked: AUC {self.train.value:.3f} on the rows it was trained on, "
            f"{self.test.value:.3f} on days it has not seen, and an honest model's gap stays under {MARGIN}. "
            "Look for a feature that counts the row's own like or later ones, or for a model that memorises its rows; "
            "until then its figures mean nothing"
        )


def training_rows(feed: Feed, scorer: Scorer) -> tuple[Requests, npt.NDArray[np.float64]]:
    """Some of the views that the model learned from, those before its `train_until`, and whether a like followed."""
    requests, clicked = training_requests(feed, scorer.manifest.train_seed, ROWS)
    seen = requests.time < microseconds(scorer.manifest.train_until)
    return Requests(requests.user_id[seen], requests.post_id[seen], requests.time[seen]), clicked[seen]


def training_auc(feed: Feed, scorer: Scorer) -> Auc:
    """feed: until the cut or earlier."""
    requests, clicked = training_rows(feed, scorer)
    history = History.of_model(feed, scorer.manifest)
    history.ask(requests)
    return Auc.of(scores_of(history, scorer), clicked)
