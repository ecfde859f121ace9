"""What `lenta evaluate` says of a model on a small world: rungs in order, segments that add up, leaks that ring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from contracts.features import SCHEMA
from pipeline.dataset import Feed, History, Requests, Tables, opened
from pipeline.dataset.feed import MICROSECONDS
from pipeline.dataset.samples import training_requests, viewed_in
from pipeline.errors import LentaError
from pipeline.evaluation.alarm import ROWS, Alarm, Auc, training_rows
from pipeline.evaluation.backtest import judge
from pipeline.evaluation.ceiling import posterior_mean
from pipeline.evaluation.judgement import Judgement, pooled
from pipeline.evaluation.ladder import CEILING, ORACLE, POPULAR, WINDOW, check_judged
from pipeline.evaluation.page import as_page
from pipeline.evaluation.report import as_json
from pipeline.measures import lists
from pipeline.measures.accuracy import UserRankings
from pipeline.measures.curves import LIFT_BINS, calibration_bins, lift_bins
from pipeline.training.fit import fit
from pipeline.training.models import model_of
from pipeline.training.scores import matrices
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of
from ranking.encoder import Matrix
from ranking.scorer import Scorer

END = date(2026, 11, 24)
CUT = datetime(END.year, END.month, END.day, tzinfo=UTC) - WINDOW
SEED = 4


@dataclass
class World:
    folder: Path
    feed: Feed
    scorer: Scorer
    judgement: Judgement


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    simulate(spec_of("tiny"), 3, END, folder)
    with opened(Tables.of_folder(folder), CUT) as feed:
        scorer = fit(model_of("control"), feed, CUT, SEED).scorer
        yield World(folder, feed, scorer, judge(folder, CUT, {"control": scorer}, 0))


def test_the_ladder_goes_from_chance_over_the_ceiling_to_the_oracle(world: World) -> None:
    hits = world.judgement.ladder.hits
    assert list(hits) == [
        *("random", POPULAR, "user-topic x popular", "segment popular", "PureSVD", "control"),
        *(CEILING, ORACLE),
    ]
    captured = world.judgement.ladder.captured(CEILING)
    assert captured is not None
    assert 0.4 < captured < 1.2
    auc = {name: values.mean() for name, values in world.judgement.measures["AUC"].hits.items()}
    assert auc["random"] < auc[POPULAR] < auc["control"] < auc[CEILING] < auc[ORACLE]


def test_within_sessions_the_ladder_has_the_same_order(world: World) -> None:
    within = world.judgement.sessions
    assert within is not None
    assert list(within.hits) == ["random", POPULAR, "control", ORACLE]
    means = {name: hits.mean() for name, hits in within.hits.items()}
    assert means["random"] < means["control"] < means[ORACLE]
    assert set(as_json(world.judgement)["sessions"]) == set(within.hits)


def test_segments_of_users_hold_every_user_once(world: World) -> None:
    users = len(world.judgement.ladder.hits["random"])
    for kind in ("users", "age"):
        parts = [len(part.hits["random"]) for segment, part in world.judgement.segments.items() if segment.kind == kind]
        assert sum(parts) == users
    assert {segment.name for segment in world.judgement.segments if segment.kind == "topic"} <= set(
        world.feed.posts.topics
    )


def test_the_posterior_finds_the_taste_that_many_views_show_and_stays_at_its_mean_without_any() -> None:
    rng = np.random.default_rng(5)
    taste, sd, offset = np.array([0.8, -1.2]), np.array([1.0, 1.0]), np.full(40_000, -2.0)
    inputs = rng.normal(size=(40_000, 2))
    liked = (rng.random(40_000) < 1 / (1 + np.exp(-(offset + inputs @ taste)))).astype(float)
    np.testing.assert_allclose(posterior_mean(inputs, offset, liked, np.zeros(2), sd), taste, atol=0.06)
    np.testing.assert_allclose(posterior_mean(inputs[:0], offset[:0], liked[:0], taste, sd), taste)


def test_what_the_five_best_are_like_by_hand() -> None:
    users = np.repeat([1, 2], 6)
    post = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 6])
    ranking = UserRankings.of(-np.tile(np.arange(6.0), 2), users)
    assert lists.coverage(post, ranking, 10).tolist() == pytest.approx([0.5, 0.5])
    assert lists.topic_share(post % 2, ranking).tolist() == pytest.approx([0.6, 0.6])
    assert lists.novelty(np.full(8, 9.0), post, ranking).tolist() == pytest.approx([3.0, 3.0])


def test_coverage_counts_each_post_once_however_many_see_it() -> None:
    rng = np.random.default_rng(1)
    users, post = np.repeat(np.arange(50), 8), rng.integers(0, 90, 400)
    ranking = UserRankings.of(rng.random(400), users)
    shown = np.unique(post[ranking.order][ranking.place < 5])
    assert lists.coverage(post[ranking.order], ranking, 100).mean() == pytest.approx(len(shown) / 100)


def test_lift_ends_at_one_and_calibration_keeps_every_row() -> None:
    rng = np.random.default_rng(2)
    users, scores = np.repeat(np.arange(40), 25), rng.normal(size=1_000)
    liked = rng.random(1_000) < 1 / (1 + np.exp(-scores))
    lift = lift_bins(scores, users, liked).lift
    assert len(lift) == LIFT_BINS
    assert lift[0] > lift[LIFT_BINS // 2] > lift[-1] == pytest.approx(1.0)
    bins = calibration_bins(scores, liked)
    assert (bins.rows.sum(), bins.liked.sum()) == (1_000, liked.sum())
    np.testing.assert_allclose(bins.predicted / bins.rows, bins.liked / bins.rows, atol=0.17)


def test_days_in_which_nobody_liked_one_post_and_not_another_judge_nothing(world: World) -> None:
    with opened(Tables.of_folder(world.folder), CUT + WINDOW) as whole:
        viewed = viewed_in(whole, CUT, CUT + WINDOW)
    check_judged(viewed)
    for nothing_tells in (np.zeros_like(viewed.liked), np.ones_like(viewed.liked), viewed.user_id % 2 == 0):
        with pytest.raises(LentaError, match="no user liked some posts"):
            check_judged(replace(viewed, liked=nothing_tells))


def test_an_honest_model_rings_no_alarm(world: World) -> None:
    (alarm,) = world.judgement.alarms
    assert not alarm.rings
    assert world.judgement.leaks == []


def test_the_alarm_asks_for_rows_that_the_model_learned_from(world: World) -> None:
    def triples(requests: Requests) -> set[tuple[int, ...]]:
        return set(zip(requests.user_id.tolist(), requests.post_id.tolist(), requests.time.tolist(), strict=True))

    learned, _ = training_requests(world.feed, SEED, 2 * ROWS)
    asked, _ = training_rows(world.feed, world.scorer)
    assert len(triples(asked)) > ROWS / 2
    assert triples(asked) <= triples(learned)


class Remembers(Scorer):
    """Knows the rows that it was trained on by heart."""

    heart: dict[bytes, float]

    def scores(self, matrix: Matrix) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([self.heart.get(row.tobytes(), 0.0) for row in np.ascontiguousarray(matrix)])


def test_a_model_that_remembers_its_rows_rings_the_alarm(world: World) -> None:
    requests, clicked = training_rows(world.feed, world.scorer)
    history = History(world.feed)
    history.ask(requests)
    rows = np.vstack([matrix for _, matrix in matrices(history, world.scorer)])
    Remembers.heart = {row.tobytes(): value for row, value in zip(rows, clicked, strict=True)}
    world.scorer.__class__ = Remembers
    try:
        (alarm,) = judge(world.folder, CUT, {"control": world.scorer}, 0).alarms
    finally:
        world.scorer.__class__ = Scorer
    assert alarm.train.value > 0.95
    assert alarm.rings


def test_a_feature_that_counts_the_row_s_own_like_rings_the_alarm(world: World) -> None:
    """Asked four minutes late, the user's rate of the topic holds the like that followed the view."""
    requests, clicked = training_requests(world.feed, 0, ROWS)
    feature = SCHEMA.index("user_topic_by_post")
    aucs: list[Auc] = []
    for minutes in (0, 4):
        history = History(world.feed)
        late = requests.time + minutes * 60 * MICROSECONDS
        history.ask(Requests(requests.user_id, requests.post_id, late))
        scores = np.concatenate([batch.features()[:, feature] for batch in history.batches()])
        aucs.append(Auc.of(scores.astype(np.float64), clicked))
    honest, leaked = aucs
    test = world.judgement.alarms[0].test
    assert not Alarm("honest", honest, test).rings
    assert Alarm("leaked", leaked, test).rings


def test_a_few_rows_do_not_ring_by_chance() -> None:
    rng = np.random.default_rng(8)
    rings = 0
    for _ in range(200):
        train, test = (Auc.of(rng.normal(size=300), rng.random(300) < 0.12) for _ in range(2))
        rings += Alarm("small", train, test).rings
    assert rings <= 2


def test_two_worlds_pool_by_user(world: World) -> None:
    both = pooled([world.judgement, world.judgement])
    users = len(world.judgement.ladder.hits["control"])
    assert as_json(both)["users"] == 2 * users
    assert both.lift["control"].rows.sum() == 2 * world.judgement.lift["control"].rows.sum()
    assert len(next(iter(both.importance["control"].values()))) == 2
    assert len(both.alarms) == 2


def test_the_page_holds_tables_and_plots_and_needs_nothing_from_elsewhere(world: World) -> None:
    page = as_page(world.judgement, "a <small> world")
    assert "a &lt;small&gt; world" in page
    assert page.count("<svg") == 5
    assert page.count("<table>") == 4
    assert not re.search(r'(src|href)="(?!#)', page.replace("xlink:href", "href"))
    assert not re.search(r"#0\d0\d0\d", page)
    assert page == as_page(world.judgement, "a <small> world")
