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
from contracts.arrangement import Candidate
from contracts.features import SCHEMA
from contracts.records import UserRow
from contracts.rules import Boost, Freshness, RuleSet, SlateRules
from contracts.wire import Ranking
from gateway.ruling import Ruling as GatewayRuling
from ranking.candidates import Candidates
from ranking.encoder import Matrix, UserState
from ranking.retrieval import fit_retrieval
from ranking.rules import Ruling
from ranking.scorer import BoundScorer, Scorer
from ranking.vectors import PostVectors
from rich.console import Console
from rich.table import Table

from tests.support.data.toy_model import NOW, toy_artefact, toy_catalogue, toy_row

POSTS, TREES, DEPTH = 7_023, 300, 6
DIMENSIONS, TEXT_COLUMNS = 64, 19
USERS, ROUNDS = 25, 120
BLOCK = SlateRules(blocked_posts=[3, 5, 8])
SIX_RULES = SlateRules(
    blocked_posts=[3, 5, 8],
    pins={2: 17},
    boosts=[Boost(topic="movie", odds=1.5)],
    most_per_topic=2,
    fresh=Freshness(share=0.2, days=5),
    not_again=3,
)
DIVERSE = SlateRules(diversity=0.5)
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
        "both stages, a block": lambda row: _by_rules(bound, row, BLOCK),
        "both stages, six rules": lambda row: _by_rules(bound, row, SIX_RULES),
        "both stages, diversity": lambda row: _by_rules(bound, row, DIVERSE),
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


def _by_rules(bound: BoundScorer, row: UserRow, rules: SlateRules) -> list[int]:
    """The pool in the ranker, as JSON to the gateway, and the slots there."""
    ids, scores, ruled = bound.rank_ruled(row, NOW, 5, Ruling(rules, np.arange(15, dtype=np.uint32)))
    sent = Ranking(model="toy", version="1", posts=ids.tolist(), scores=scores.tolist(), ruled=ruled).model_dump_json()
    told = Ranking.model_validate_json(sent)
    assert told.ruled is not None
    known = zip(told.posts, told.ruled.topics, told.ruled.first_view_at, strict=True)
    candidates = [Candidate(*each) for each in known]
    places, _ = GatewayRuling(RuleSet(rules=rules), NOW).apply(candidates, 5, told.ruled.own, told.ruled.kept_out)
    return [told.posts[place] for place in places]


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


def test_six_rules_take_at_most_as_much_again_as_ranking(seconds: Mapping[str, npt.NDArray[np.float64]]) -> None:
    assert np.median(seconds["both stages, six rules"]) < 2 * np.median(seconds["both stages"])


def test_one_user_is_ranked_within_fifteen_milliseconds_even_on_a_busy_machine(
    seconds: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    assert np.median(seconds["both stages"]) < 0.015
