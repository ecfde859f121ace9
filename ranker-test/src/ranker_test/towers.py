"""The two towers, in numpy: what a trained network computes while serving.

    user = taste padded with zeros + relu(inputs W1 + b1) W2 + inputs W3
    post = text padded with zeros + text W4 + topic + own

A like's log-odds are those of the post's counts and of the user's taste for its topic, plus user . post. Both sides
start from the closed-form taste, so that the network learns what that leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from ranking.encoder import Column, Matrix
from ranking.examples import Index
from ranking.taste import Floats


@dataclass(frozen=True)
class Towers:
    """The network's weights, in the formula above: hidden W1, hidden_bias b1, outer W2, direct W3, text W4."""

    hidden: Matrix
    hidden_bias: Matrix
    outer: Matrix
    direct: Matrix
    text: Matrix
    topic: Matrix
    """Of each topic, and zeros last for one that training never saw, shape (topics + 1, dimensions)."""
    own: Matrix
    """Of each post, and zeros last likewise, shape (posts + 1, dimensions)."""

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


def user_inputs(profile: Column, liked: Column, theta: Floats) -> Matrix:
    """Profile in levels (`profile_inputs`), experience, and last the preference theta. Shape (m, inputs)."""
    return np.hstack([profile, np.log1p(liked)[:, None] / 4.0, theta]).astype(np.float32)
