"""The two towers, in numpy: what a trained network computes while serving.

user = taste padded with zeros + relu(inputs W1 + b1) W2 + inputs W3;  post = text padded with zeros + text W4 + topic + own.
A like's log-odds are those that the counts alone give, plus user . post. Both sides start from the closed-form taste, so that
the network learns what that leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from contracts.features import logit, rate
from contracts.records import AGE_BANDS
from ranking.encoder import Column, Matrix, UserState
from ranking.examples import Index

PRIOR_RATE = 0.1
TOPIC_TRUST = 30.0
LEVELS = (("gender", 1, 2), ("exp_group", 2, 5), ("os", 3, 2), ("source", 4, 2), ("country", 5, 6), ("city", 6, 6))
"""Name, place in the profile, and how many values have an input of their own; others share the last."""


@dataclass(frozen=True)
class Towers:
    """own: of each known post, and zeros in the last row for one that training never saw, shape (posts + 1, dimensions);
    topic: likewise, shape (topics + 1, dimensions)."""

    hidden: Matrix
    hidden_bias: Matrix
    outer: Matrix
    direct: Matrix
    text: Matrix
    topic: Matrix
    own: Matrix

    @property
    def dimensions(self) -> int:
        return int(self.own.shape[1])

    def users(self, inputs: Matrix) -> Matrix:
        """Shape (m, dimensions). The taste stands last in the inputs."""
        inner = np.maximum(inputs @ self.hidden + self.hidden_bias, 0.0)
        learned: Matrix = inner @ self.outer + inputs @ self.direct
        rank = self.text.shape[0]
        learned[:, :rank] += inputs[:, inputs.shape[1] - rank :]
        return learned

    def posts(self, text: Matrix, topic: Index, place: Index) -> Matrix:
        """Shape (n, dimensions). topic: -1 for an unknown one; place: in `own`."""
        learned: Matrix = text @ self.text + self.topic[topic] + self.own[place]
        learned[:, : text.shape[1]] += text
        return learned

    def arrays(self) -> dict[str, Matrix]:
        return {f"tower_{part.name}": getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Matrix]) -> Towers:
        return cls(**{part.name: arrays[f"tower_{part.name}"] for part in fields(cls)})


def user_inputs(user: UserState, taste: Matrix) -> Matrix:
    """Profile in levels, leanings to topics, experience, and last the taste. Shape (m, inputs)."""
    experience = np.log1p(user.liked)[:, None] / 4.0
    parts: list[Column] = [*_profile(user.profile), _leanings(user), experience, taste.astype(np.float64)]
    return np.hstack(parts).astype(np.float32)


def _profile(profile: Column) -> list[Column]:
    bands = np.where(np.isnan(profile[:, 0]), -1, np.searchsorted(AGE_BANDS, profile[:, 0], side="right"))
    parts = [_one_hot(bands, len(AGE_BANDS) + 1)]
    for _, place, levels in LEVELS:
        value = profile[:, place]
        parts.append(_one_hot(np.where(np.isnan(value), -1, np.minimum(value, levels)).astype(np.int64), levels + 1))
    return parts


def _one_hot(place: npt.NDArray[np.integer], size: int) -> Column:
    """All zeros for -1."""
    hot: Column = (place[:, None] == np.arange(size)).astype(np.float64)
    return hot


def _leanings(user: UserState) -> Column:
    """How much more the user likes each topic than posts at large, in shrunk log-odds. Shape (m, topics)."""
    views, likes = user.topic_views.sum(axis=1)[:, None], user.topic_likes.sum(axis=1)[:, None]
    own = np.clip(rate(likes, views, PRIOR_RATE, TOPIC_TRUST), 1e-3, 1 - 1e-3)
    by_topic = np.clip(rate(user.topic_likes, user.topic_views, own, TOPIC_TRUST), 1e-3, 1 - 1e-3)
    return logit(by_topic) - logit(own)
