"""What ranking one user costs in process: both stages, the full catalogue, and a DataFrame as in the original service.

Bounds are ratios of medians, taken in turns, so that a busy machine slows all alike. `make bounds` prints the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from catboost import CatBoost
from contracts.features import SCHEMA
from contracts.records import UserRow
from ranking.candidates import Candidates
from ranking.encoder import Matrix, UserState
from ranking.retrieval import fit_retrieval
from ranking.scorer import BoundScorer, Scorer
from ranking.vectors import PostVectors
from rich.console import Console
from rich.table import Table

from tests.support.data.toy_model import NOW, toy_artefact, toy_catalogue, toy_row

POSTS, TREES, DEPTH = 7_023, 300, 6
DIMENSIONS, TEXT_COLUMNS = 64, 19
USERS, ROUNDS = 25, 120
OF_USER = SCHEMA.index("topic")
"""The schema's first columns are the user's."""


@dataclass(frozen=True)
class WideEncoder:
    """Wider than either model: post vectors, some of their coordinates as columns, and similarity to what was liked."""

    columns: tuple[str, ...] = (*(f"text_{place}" for place in range(TEXT_COLUMNS)), "taste")
    base: tuple[str, ...] = ("post_rate",)
    dimensions: int = DIMENSIONS

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        return np.random.default_rng(0).normal(size=(len(ids), DIMENSIONS)).astype(np.float32)

    def likeness(self, vectors: Matrix) -> Matrix:
        return vectors

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        out[:, :TEXT_COLUMNS] = vectors[:, :TEXT_COLUMNS]
        out[:, TEXT_COLUMNS] = vectors @ (user.liked_sum[0] / max(float(user.liked[0]), 1.0))

    def save(self, folder: Path) -> None:
        (folder / "encoder.txt").write_text("wide")

    @classmethod
    def load(cls, folder: Path) -> WideEncoder:
        assert (folder / "encoder.txt").read_text() == "wide"
        return cls()


@dataclass(frozen=True)
class Ranker:
    bound: BoundScorer
    trees: CatBoost


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    """300 trees of depth 6 over 44 columns, for 7,023 posts."""
    catalogue, encoder = toy_catalogue(POSTS), WideEncoder()
    manifest = toy_artefact(tmp_path_factory.mktemp("toy"), toy_catalogue(80))
    vectors = PostVectors.of(catalogue.post_id, encoder.vectors(catalogue.post_id, [], []))
    candidates = Candidates(catalogue, vectors.rows(catalogue.post_id), manifest, encoder)
    rows = [UserRow.unpack(toy_row(user, catalogue)) for user in range(6)]
    matrix = np.asfortranarray(np.vstack([candidates.matrix(row, NOW) for row in rows]))
    trees = _trees(matrix)
    scorer = Scorer(trees, encoder, vectors, manifest)
    retrieval, fill = fit_retrieval(matrix, scorer.scores(matrix), np.repeat(np.arange(len(rows)), POSTS))
    fitted = manifest.model_copy(update={"retrieval": retrieval, "fill": fill})
    return Ranker(Scorer(trees, encoder, vectors, fitted).bind(catalogue), trees)


def _trees(matrix: Matrix) -> CatBoost:
    rng = np.random.default_rng(1)
    target = matrix[:, SCHEMA.index("user_topic_by_post")] + 0.5 * np.tanh(matrix[:, -1]) + matrix[:, -5] * 0.1
    trees = CatBoost(
        {"iterations": TREES, "depth": DEPTH, "verbose": False, "thread_count": 2, "allow_writing_files": False}
    )
    return trees.fit(matrix, target + rng.normal(size=len(matrix)))


@pytest.fixture(scope="module")
def seconds(ranker: Ranker) -> Mapping[str, npt.NDArray[np.float64]]:
    """Of each way, shape (rounds,)."""
    bound, catalogue = ranker.bound, ranker.bound.catalogue
    rows = [UserRow.unpack(toy_row(user, catalogue)) for user in range(USERS)]
    columns = [*SCHEMA, *bound.scorer.encoder.columns]
    posts = pd.DataFrame(bound.candidates.matrix(rows[0], NOW), catalogue.post_id, columns)[columns[OF_USER:]]
    ways: dict[str, Callable[[UserRow], object]] = {
        "both stages": lambda row: bound.rank(row, NOW, 5),
        "full catalogue": lambda row: bound.rank(row, NOW, 5, kept=POSTS),
        "candidate matrix alone": lambda row: bound.candidates.matrix(row, NOW),
        "a DataFrame, as the original": lambda row: _in_a_frame(ranker.trees, posts, row),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, way in ways.items():
            started = time.perf_counter()
            way(rows[turn % USERS])
            taken[name].append(time.perf_counter() - started)
    measured = {name: np.array(times[ROUNDS // 10 :]) for name, times in taken.items()}
    _show(measured)
    return measured


def _in_a_frame(trees: CatBoost, posts: pd.DataFrame, row: UserRow) -> list[int]:
    """A user's columns assigned to a frame of posts, predicted, liked posts filtered out, the scores sorted.

    Cheaper than the original, which found the likes by scanning a table of all users' and wrote the text columns too.
    """
    filled = posts.assign(**{name: float(row.profile.age or 0) for name in SCHEMA[:OF_USER]})
    filled = filled[[*SCHEMA[:OF_USER], *posts.columns]]
    scores = pd.Series(trees.predict(filled, thread_count=1), index=posts.index)
    best = scores[~scores.index.isin(row.hidden)].sort_values(ascending=False)
    return [int(post) for post in best.index[:5]]


def _show(seconds: Mapping[str, npt.NDArray[np.float64]]) -> None:
    table = Table("way", "median ms", "p99 ms", "of the full", title=f"ranking {POSTS:,} posts, {TREES} trees")
    full = np.median(seconds["full catalogue"])
    for name, times in seconds.items():
        p50, p99 = np.quantile(times, [0.5, 0.99]) * 1_000
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", f"{np.median(times) / full:.2f}")
    Console().print(table)


def test_two_stages_take_at_most_two_thirds_of_ranking_the_full_catalogue(
    seconds: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    assert np.median(seconds["both stages"]) < 0.67 * np.median(seconds["full catalogue"])


def test_two_stages_take_at_most_half_of_the_original_way(seconds: Mapping[str, npt.NDArray[np.float64]]) -> None:
    assert np.median(seconds["both stages"]) < 0.5 * np.median(seconds["a DataFrame, as the original"])


def test_one_user_is_ranked_within_fifteen_milliseconds_even_on_a_busy_machine(
    seconds: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    assert np.median(seconds["both stages"]) < 0.015
