"""What stands behind a post's content in its vector, and what of it says that posts are alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ranking.copies import MARKS
from ranking.diversity import diversified
from ranking.encoder import Matrix, UserState
from ranking.factors import Factors
from ranking.hybrid import HybridEncoder
from ranking.quality import Quality


class OneWord:
    """A post's content is whether it speaks of the sea."""

    columns, base, dimensions, topics = ("sea",), ("post_rate",), 2, ["news"]

    def embed(self, texts: Sequence[str]) -> Matrix:
        return np.array([[float("sea" in text), float("sea" not in text)] for text in texts], np.float32)

    def vectors(self, ids: npt.NDArray[np.integer], embedded: Matrix, topics: Sequence[str]) -> Matrix:
        return embedded

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        out[:, 0] = vectors[:, 0]

    def save(self, folder: Path) -> None:
        raise NotImplementedError


ENCODER = HybridEncoder(OneWord(), Factors.none(2, 1), Quality.none(2, 1))
TEXTS = ["storm at sea", "the sea is calm", "a dry summer"]
VECTORS = ENCODER.vectors(np.array([1, 2, 3]), TEXTS, ["news"] * 3)


def test_a_vector_is_as_long_as_the_encoder_says() -> None:
    assert VECTORS.shape == (3, ENCODER.dimensions) == (3, 2 + 1 + 1 + MARKS)


def test_marks_make_no_posts_alike() -> None:
    """They are large numbers, in which nearly all posts would look the same."""
    alike = ENCODER.likeness(VECTORS)
    assert diversified(np.array([3.0, 2.0, 1.5]), alike, 3, penalty=1.0).tolist() == [0, 2, 1]
    assert diversified(np.array([3.0, 2.0, 1.5]), VECTORS, 3, penalty=1.0).tolist() != [0, 2, 1]
