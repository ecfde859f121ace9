"""Offline HitRate@5 over posts that users viewed in a test window, for models and the baselines they must beat.

Features are as of the cut, where the window begins; users with fewer than six views there are not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from contracts.features import SCHEMA
from ranking.scorer import Scorer

from pipeline.dataset.feed import Feed, microseconds
from pipeline.dataset.history import Batch, History, Requests
from pipeline.dataset.samples import Viewed
from pipeline.errors import LentaError
from pipeline.measures.accuracy import (
    Estimate,
    Floats,
    bootstrap,
    hit_rate,
    paired_bootstrap,
    percentiles,
    resampled_means,
)
from pipeline.training.scores import matrices, scores_of

WINDOW = timedelta(days=15)
RANDOM, POPULAR = "random", "most popular"
CEILING, ORACLE = "attainable ceiling", "oracle"
TOWER_SUM = ("post_rate", "topic_taste", "tower")
"""The network's column, and before it what it adds to while it is trained."""
TOWER_ALONE = "two-tower alone"


def popular_scores(batch: Batch) -> Floats:
    """A post's like rate so far, shrunk towards its topic's, in log-odds. Shape (n,)."""
    return _feature(batch, "post_rate")


def user_topic_popular_scores(batch: Batch) -> Floats:
    """The user's rate of the topic times the post's own within it: nothing is learned. Shape (n,)."""
    return _feature(batch, "user_topic_by_post")


def _feature(batch: Batch, name: str) -> Floats:
    return batch.features(SCHEMA.index(name) + 1)[:, SCHEMA.index(name)].astype(np.float64)


def baseline_scores(feed: Feed, viewed: Viewed, cut: datetime, rng: np.random.Generator) -> dict[str, Floats]:
    """Of each viewed (user, post) as of `cut`, by baseline."""
    history = History(feed)
    history.ask(requests_at(viewed, cut))
    scores: dict[str, list[Floats]] = {RANDOM: [], POPULAR: [], "user-topic x popular": []}
    for batch in history.batches():
        scores[RANDOM].append(rng.random(len(batch.user_id)))
        scores[POPULAR].append(popular_scores(batch))
        scores["user-topic x popular"].append(user_topic_popular_scores(batch))
    return {name: np.concatenate([*parts, np.zeros(0)]) for name, parts in scores.items()}


def model_scores(feed: Feed, viewed: Viewed, cut: datetime, scorer: Scorer) -> Floats:
    """Raises LentaError for a model that has seen the window."""
    check_unseen(scorer, cut)
    return scores_of(asked(feed, viewed, cut, scorer), scorer)


def network_and_model_scores(
    feed: Feed, viewed: Viewed, cut: datetime, name: str, scorer: Scorer
) -> Mapping[str, Floats]:
    """Of the model, preceded by its network alone, without trees, where it has one. In one pass.

    Raises LentaError for a model that has seen the window.
    """
    check_unseen(scorer, cut)
    columns = scorer.manifest.columns
    tower = [columns.index(column) for column in TOWER_SUM] if TOWER_SUM[-1] in columns else []
    batches = [
        (matrix[:, tower].sum(axis=1), scorer.scores(matrix))
        for _, matrix in matrices(asked(feed, viewed, cut, scorer), scorer)
    ]
    alone, whole = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return {TOWER_ALONE: alone, name: whole} if tower else {name: whole}


def check_unseen(scorer: Scorer, cut: datetime) -> None:
    """Raises LentaError for a model that learned from the window."""
    if scorer.manifest.train_until > cut:
        raise LentaError(
            f"{scorer.manifest.name}@{scorer.manifest.version} learned from the feed until "
            f"{scorer.manifest.train_until:%Y-%m-%d %H:%M}, past the window's start at {cut:%Y-%m-%d %H:%M}: "
            "judged there it would only remember; train it with --until, or take a later window"
        )


def asked(feed: Feed, viewed: Viewed, cut: datetime, scorer: Scorer) -> History:
    """The feed's history in the model's terms, asked for what was viewed, as of `cut`."""
    history = History.of_model(feed, scorer.manifest)
    history.ask(requests_at(viewed, cut))
    return history


def requests_at(viewed: Viewed, cut: datetime) -> Requests:
    return Requests(viewed.user_id, viewed.post_id, np.full(len(viewed.user_id), microseconds(cut), np.int64))


@dataclass(frozen=True, slots=True)
class Rung:
    """captured: None without an oracle above most popular."""

    own: Estimate
    gain: Estimate
    """Over most popular, paired."""
    captured: Estimate | None


@dataclass(frozen=True)
class Ladder:
    """Hits, or another measure, by user, in the same order of users for every rung; shape (users,) each."""

    hits: Mapping[str, Floats]

    def __add__(self, other: Ladder) -> Ladder:
        """Pools users of several worlds."""
        return Ladder({name: np.append(hits, other.hits[name]) for name, hits in self.hits.items()})

    def estimate(self, name: str, rng: np.random.Generator) -> Estimate:
        return bootstrap(self.hits[name], rng)

    def against(self, name: str, base: str, rng: np.random.Generator) -> Estimate:
        return paired_bootstrap(self.hits[name], self.hits[base], rng)

    def estimates(self, rng: np.random.Generator) -> dict[str, Rung]:
        """Every rung by the same draws of users."""
        names = list(self.hits)
        values = np.column_stack(list(self.hits.values()))
        means, drawn = values.mean(axis=0), resampled_means(values, rng)
        base, top = names.index(POPULAR), names.index(ORACLE) if ORACLE in names else None
        rungs: dict[str, Rung] = {}
        for place, name in enumerate(names):
            lift = None
            if top is not None and means[top] > means[base]:
                way = np.maximum(drawn[:, top] - drawn[:, base], 1e-9)
                share = float((means[place] - means[base]) / (means[top] - means[base]))
                lift = percentiles(share, (drawn[:, place] - drawn[:, base]) / way)
            own = percentiles(float(means[place]), drawn[:, place])
            gain = percentiles(float(means[place] - means[base]), drawn[:, place] - drawn[:, base])
            rungs[name] = Rung(own, gain, lift)
        return rungs

    def captured(self, name: str) -> float | None:
        """(model - popular) / (oracle - popular); None without an oracle above popular."""
        if ORACLE not in self.hits:
            return None
        popular, oracle = self.hits[POPULAR].mean(), self.hits[ORACLE].mean()
        return float((self.hits[name].mean() - popular) / (oracle - popular)) if oracle > popular else None


def ladder(viewed: Viewed, scores: Mapping[str, Floats]) -> Ladder:
    """Raises LentaError when nobody can be judged."""
    check_judged(viewed)
    return Ladder({name: hit_rate(values, viewed.user_id, viewed.liked) for name, values in scores.items()})


def check_judged(viewed: Viewed) -> None:
    """Raises LentaError when nobody can be judged."""
    if not len(viewed.user_id):
        raise LentaError("no user has six views in the test window: there is nobody to judge by")
    _, user = np.unique(viewed.user_id, return_inverse=True)
    views, likes = np.bincount(user), np.bincount(user, viewed.liked)
    if not ((likes > 0) & (likes < views)).any():
        raise LentaError(
            "no user liked some posts of the test window and not others: nothing tells good rankings from bad ones"
        )
