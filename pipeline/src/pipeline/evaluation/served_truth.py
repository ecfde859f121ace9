"""What a policy would really get on a simulated world. Reads the world's truth: for judging alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.evaluation.ladder import WINDOW
from pipeline.evaluation.off_policy import Logged, Slates
from pipeline.measures.accuracy import K
from pipeline.world.effects import HOURS
from pipeline.world.truth import Truth


def true_value(folder: Path, logged: Logged, slates: Slates, cut: datetime) -> tuple[float, float]:
    """Like rate and hit probability of full slates.

    Means over users by their views, the middle day's hours, and places in a session.
    """
    truth, midnight = Truth.load(folder), (cut + WINDOW / 2).replace(hour=0, minute=0, second=0, microsecond=0)
    user, post = np.repeat(logged.users, K), slates.post_id.ravel()
    rates, hits = [], []
    for hour in HOURS:
        like = truth.like_probability(user, post, midnight + timedelta(hours=int(hour))).reshape(-1, K)
        rates.append(np.average(like.mean(axis=1), weights=logged.views))
        hits.append(np.average(1.0 - np.prod(1.0 - like, axis=1), weights=logged.views))
    return float(np.mean(rates)), float(np.mean(hits))
