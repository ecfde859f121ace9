"""Posts that are chosen together: good ones first, and copies of a chosen one only where nothing else comes near."""

from __future__ import annotations

import numpy as np
import pytest
from ranking.diversity import diversified

NORTH, ALMOST_NORTH, EAST, SOUTH, NOWHERE = [0.0, 1.0], [0.1, 1.0], [1.0, 0.0], [0.0, -1.0], [0.0, 0.0]


def chosen(scores: list[float], vectors: list[list[float]], penalty: float, limit: int = 3) -> list[int]:
    return [int(place) for place in diversified(np.array(scores), np.array(vectors, np.float32), limit, penalty)]


def test_without_a_penalty_the_ranking_stays() -> None:
    rng = np.random.default_rng(1)
    scores, vectors = rng.normal(size=50), rng.normal(size=(50, 4)).astype(np.float32)
    assert diversified(scores, vectors, 10, 0.0).tolist() == np.argsort(-scores)[:10].tolist()


@pytest.mark.parametrize(("penalty", "second"), [(0.3, 1), (0.7, 2)])
def test_a_copy_of_a_chosen_post_comes_behind_what_is_worse_by_less_than_the_penalty(
    penalty: float, second: int
) -> None:
    assert chosen([1.0, 0.9, 0.4], [NORTH, NORTH, EAST], penalty)[:2] == [0, second]


def test_what_counts_is_the_most_alike_of_all_that_were_chosen() -> None:
    assert chosen([1.0, 0.9, 0.8, 0.3], [NORTH, EAST, ALMOST_NORTH, SOUTH], penalty=1.0) == [0, 1, 3]


def test_an_opposite_is_no_better_than_an_unlike_post() -> None:
    assert chosen([1.0, 0.5, 0.4], [NORTH, EAST, SOUTH], penalty=5.0) == [0, 1, 2]


def test_posts_without_a_vector_are_like_none() -> None:
    assert chosen([1.0, 0.9, 0.8], [NOWHERE, NOWHERE, NORTH], penalty=9.0) == [0, 1, 2]


def test_a_post_is_chosen_once_and_no_more_posts_than_there_are() -> None:
    assert sorted(chosen([1.0, 1.0], [NORTH, NORTH], penalty=9.0, limit=5)) == [0, 1]
    assert diversified(np.zeros(0), np.zeros((0, 2), np.float32), 5, 1.0).tolist() == []
