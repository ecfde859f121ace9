"""Whether a model is worse than the one in service: `lenta publish` and `lenta retrain` ask before they replace it.

Both are judged by HitRate@5 of what users viewed (`evaluation.ladder`) over the feed's last 15 days, or since the model
in service was trained where that is later: it has seen none of them. A candidate that has is judged twice. Its twin,
trained in the same way without these days, shows what such a model is worth; and the candidate itself, whose memory can
only flatter it, must not be worse either. A model is worse when the whole 95 % interval of the difference, paired by
user, lies below zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from ranking.artefact import Manifest
from ranking.scorer import Scorer

from pipeline.dataset.feed import Feed, opened
from pipeline.dataset.samples import Viewed, viewed_in
from pipeline.errors import LentaError
from pipeline.evaluation.ladder import WINDOW, asked
from pipeline.measures.accuracy import Estimate, Floats, hit_rate, paired_bootstrap
from pipeline.tables.folder import Tables
from pipeline.training.scores import scores_of

MINUTE = "%Y-%m-%d %H:%M"


class WorseModelError(LentaError):
    """A model that must not replace the one in service. The message says by how much it is worse, and on which days."""


@dataclass(frozen=True)
class Days:
    """Days from `start` to the newest row that the model in service has not seen, and what was viewed there."""

    tables: Tables
    start: datetime
    end: datetime
    viewed: Viewed


@dataclass(frozen=True)
class Comparison:
    """difference: candidate less the model in service, in HitRate@5."""

    candidate: str
    serving: str
    days: Days
    users: int
    difference: Estimate

    @property
    def worse(self) -> bool:
        return self.difference.high < 0

    def check(self) -> None:
        """Raises WorseModelError."""
        if self.worse:
            raise WorseModelError(f"the model in service is better, and stays. {self}")

    def __str__(self) -> str:
        gain = self.difference
        return (
            f"{self.candidate} less {self.serving}: HitRate@5 {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}), "
            f"{self.users:,} users from {self.days.start:{MINUTE}} to {self.days.end:{MINUTE}}"
        )


def unseen_days(tables: Tables, serving: Manifest) -> Days | None:
    """None where no user has six views since the model in service was trained."""
    with opened(tables) as feed:
        start = max(feed.until - WINDOW, serving.train_until)
        viewed = viewed_in(feed, start, feed.until)
        return Days(tables, start, feed.until, viewed) if len(viewed.user_id) else None


def compare(days: Days, candidate: Scorer, serving: Scorer, seed: int = 0) -> Comparison:
    with opened(days.tables, days.start) as feed:
        own, other = (_hits(feed, days, scorer) for scorer in (candidate, serving))
    manifest = candidate.manifest
    seen = ", which has seen these days," if manifest.train_until > days.start else ""
    difference = paired_bootstrap(own, other, np.random.default_rng(seed))
    return Comparison(f"{name_of(manifest)}{seen}", name_of(serving.manifest), days, len(own), difference)


def _hits(feed: Feed, days: Days, scorer: Scorer) -> Floats:
    """By user."""
    history = asked(feed, days.viewed, days.start, scorer)
    return hit_rate(scores_of(history, scorer), days.viewed.user_id, days.viewed.liked)


def name_of(manifest: Manifest) -> str:
    return f"{manifest.name}@{manifest.version}"
