"""Everything measured about models on one world, or on several pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from pipeline.dataset.feed import Feed, places
from pipeline.dataset.samples import Viewed
from pipeline.evaluation.alarm import Alarm
from pipeline.evaluation.ladder import Ladder, ladder
from pipeline.evaluation.segments import Segment, ViewCounts
from pipeline.measures import lists
from pipeline.measures.accuracy import Floats, UserRankings, auc_by_user, ndcg
from pipeline.measures.curves import Bins, calibration_bins, lift_bins

HIT_RATE = "HitRate@5"
Importance = Mapping[str, tuple[float, ...]]
"""Per cent by column, one figure per world."""
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Judgement:
    """measures: by user, "HitRate@5" first; segments: HitRate@5 in each.

    lift, calibration, importance: by rung or model; sessions: HitRate@5 within them, None where there are none.
    """

    measures: Mapping[str, Ladder]
    segments: Mapping[Segment, Ladder]
    lift: Mapping[str, Bins]
    calibration: Mapping[str, Bins]
    importance: Mapping[str, Importance]
    alarms: tuple[Alarm, ...]
    sessions: Ladder | None = None

    @property
    def ladder(self) -> Ladder:
        return self.measures[HIT_RATE]

    @property
    def leaks(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms if alarm.rings]

    def __add__(self, other: Judgement) -> Judgement:
        """Pools users of several worlds."""
        return Judgement(
            _joined(self.measures, other.measures, add),
            _joined(self.segments, other.segments, add),
            _joined(self.lift, other.lift, add),
            _joined(self.calibration, other.calibration, add),
            _joined(self.importance, other.importance, lambda one, two: _joined(one, two, add)),
            self.alarms + other.alarms,
            self.sessions + other.sessions if self.sessions and other.sessions else self.sessions or other.sessions,
        )


def pooled(judgements: list[Judgement]) -> Judgement:
    """At least one."""
    return reduce(add, judgements)


def _joined(
    one: Mapping[Key, Value], two: Mapping[Key, Value], join: Callable[[Value, Value], Value]
) -> dict[Key, Value]:
    """What only one of the two has stays as it is."""
    both = {key: join(value, two[key]) if key in two else value for key, value in one.items()}
    return both | {key: value for key, value in two.items() if key not in one}


def measures_of(viewed: Viewed, scores: Mapping[str, Floats], feed: Feed, known: ViewCounts) -> dict[str, Ladder]:
    """Each measure of each rung, by user. AUC leaves out users who liked nothing, or all."""
    hits = ladder(viewed, scores)
    by_rung = {name: _by_user(viewed, values, feed, known) for name, values in scores.items()}
    others = {
        measure: Ladder({name: by_measure[measure] for name, by_measure in by_rung.items()})
        for measure in next(iter(by_rung.values()))
    }
    return {HIT_RATE: hits, **others}


def _by_user(viewed: Viewed, scores: Floats, feed: Feed, known: ViewCounts) -> dict[str, Floats]:
    ranking = UserRankings.of(scores, viewed.user_id)
    post = places(feed.posts.ids, viewed.post_id, missing=0)[ranking.order]
    return {
        "nDCG@5": ndcg(scores, viewed.user_id, viewed.liked),
        "AUC": auc_by_user(scores, viewed.user_id, viewed.liked),
        "coverage": lists.coverage(post, ranking, len(feed.posts.ids)),
        "share of one topic": lists.topic_share(feed.posts.topic[post], ranking),
        "novelty": lists.novelty(known.views, post, ranking),
    }


def curves_of(
    viewed: Viewed, scores: Mapping[str, Floats], models: list[str]
) -> tuple[dict[str, Bins], dict[str, Bins]]:
    """Lift of every rung, and calibration of `models`, whose scores are log-odds."""
    lift = {name: lift_bins(values, viewed.user_id, viewed.liked) for name, values in scores.items()}
    return lift, {name: calibration_bins(np.asarray(scores[name]), viewed.liked) for name in models}
