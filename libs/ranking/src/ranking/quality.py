"""What a post's text, length and topic tell of how much it will be liked, as far as its own views leave that open.

Let a post be liked with log-odds q over expectation, q ~ N(told, left): told by a regression on text, topic and length,
left what they don't tell (`ranking.quality_fit`). After views of information w, the posterior mean of q is
(w observed + told / left) / (w + 1 / left). The first part stands in the post's rates; this is the second, told times
1 / (1 + left w): all of it for a post that nobody viewed, next to nothing for one that everybody did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix
from ranking.examples import Index
from ranking.text import TOKEN

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """known: ids of the posts that were viewed, ascending; own: what is told of them, less what views showed, shape
    (known,). Of any other post: constant + text vector @ by_text + by_topic[topic] + by_length * log(1 + words)."""

    known: Index
    own: Matrix
    constant: Floats
    by_text: Floats
    by_topic: Floats
    """Last an unknown one's, shape (topics + 1,)."""
    by_length: Floats

    def values(
        self, ids: npt.NDArray[np.integer], texts: Matrix, topic: npt.NDArray[np.integer], lengths: Floats
    ) -> Matrix:
        """Shape (n,). texts: vectors; topic: -1 for an unknown one; lengths: as `log_lengths`."""
        told: Matrix = (self.constant + texts @ self.by_text + self.by_topic[topic] + self.by_length * lengths).astype(
            np.float32
        )
        if len(self.known):
            place = np.minimum(np.searchsorted(self.known, ids), len(self.known) - 1)
            known = self.known[place] == ids
            told[known] = self.own[place[known]]
        return told

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        return {f"{prefix}_{part.name}": getattr(self, part.name) for part in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Quality:
        return cls(**{part.name: arrays[f"{prefix}_{part.name}"] for part in fields(cls)})

    @classmethod
    def none(cls, dimensions: int, topics: int) -> Quality:
        """Nothing is told of any post."""
        nobody = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(*nobody, np.zeros(1), np.zeros(dimensions), np.zeros(topics + 1), np.zeros(1))


def log_lengths(texts: Sequence[str]) -> Floats:
    """Logarithm of 1 + words, shape (n,)."""
    return np.log1p(np.array([sum(1 for _ in TOKEN.finditer(text)) for text in texts], np.float64))
