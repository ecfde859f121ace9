"""Hit rates by hand, and intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from pipeline.dataset.samples import Viewed
from pipeline.errors import LentaError
from pipeline.evaluation.judgement import HIT_RATE, Judgement
from pipeline.evaluation.ladder import POPULAR, Ladder, ladder
from pipeline.evaluation.report import as_json, as_table
from pipeline.measures.accuracy import (
    area_under_curve,
    auc_by_user,
    auc_error,
    bootstrap,
    hit_rate,
    log_loss,
    ndcg,
    paired_bootstrap,
)


@pytest.mark.parametrize(
    ("scores", "liked", "k", "hit"),
    [
        ([3.0, 2.0, 1.0], [True, False, False], 1, 1.0),
        ([3.0, 2.0, 1.0], [False, True, False], 1, 0.0),
        ([3.0, 2.0, 1.0], [False, True, False], 2, 1.0),
        ([1.0, 2.0, 3.0], [True, False, False], 2, 0.0),
        ([1.0, 1.0, 1.0], [False, False, True], 2, 0.0),
        ([1.0, 2.0], [False, False], 5, 0.0),
    ],
)
def test_a_user_is_hit_when_one_of_the_first_k_was_liked(
    scores: list[float], liked: list[bool], k: int, hit: float
) -> None:
    users = np.zeros(len(scores), np.int64)
    assert hit_rate(np.array(scores), users, np.array(liked), k).tolist() == [hit]


def test_users_are_judged_apart_in_whatever_order_their_rows_come() -> None:
    users = np.array([9, 3, 9, 3, 5])
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.5])
    liked = np.array([True, True, False, False, False])
    assert hit_rate(scores, users, liked, k=1).tolist() == [1.0, 0.0, 0.0]


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    assert area_under_curve(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])) == 3.5 / 4


def test_auc_of_one_class_says_nothing() -> None:
    assert area_under_curve(np.array([1.0, 2.0]), np.ones(2)) == 0.5


def test_ndcg_gives_the_whole_for_likes_on_top_and_less_below() -> None:
    users, scores = np.array([1, 1, 1, 2, 2, 3]), np.array([3.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    liked = np.array([True, True, False, True, False, False])
    assert ndcg(scores, users, liked, k=2) == pytest.approx([1.0, 1 / np.log2(3), 0.0])


def test_auc_by_user_is_the_auc_of_each_user_who_has_both_kinds() -> None:
    rng = np.random.default_rng(3)
    users, scores = rng.integers(0, 20, 400), rng.integers(0, 9, 400).astype(np.float64)
    liked = (rng.random(400) < 0.2) & (users != 7)
    own = [
        area_under_curve(scores[users == user], liked[users == user].astype(float)) for user in range(20) if user != 7
    ]
    np.testing.assert_allclose(auc_by_user(scores, users, liked), own)


def test_the_error_of_an_auc_is_what_repeated_samples_show() -> None:
    rng = np.random.default_rng(6)
    liked = np.arange(600) < 100
    areas = [area_under_curve(rng.normal(size=600) + 0.5 * liked, liked.astype(float)) for _ in range(300)]
    assert auc_error(float(np.mean(areas)), 100, 500) == pytest.approx(np.std(areas), rel=0.15)


def test_log_loss_of_an_even_guess_is_log_two() -> None:
    assert log_loss(np.full(4, 0.5), np.array([0.0, 1.0, 1.0, 0.0])) == pytest.approx(np.log(2))


def test_the_paired_interval_is_narrower_than_the_unpaired_one() -> None:
    rng = np.random.default_rng(4)
    base = (rng.random(400) < 0.5).astype(np.float64)
    better = np.maximum(base, rng.random(400) < 0.1)
    gain, alone = paired_bootstrap(better, base, rng), bootstrap(better, rng)
    assert 0 < gain.low <= gain.value <= gain.high
    assert gain.high - gain.low < alone.high - alone.low


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    estimates = [bootstrap((rng.random(200) < 0.5).astype(np.float64), rng, draws=300) for _ in range(200)]
    covered = np.mean([estimate.low <= 0.5 <= estimate.high for estimate in estimates])
    assert 0.90 <= covered <= 0.99


def small_ladder() -> Ladder:
    hits = {POPULAR: [0.0, 1.0, 0.0, 0.0], "control": [1.0, 1.0, 0.0, 0.0], "oracle": [1.0, 1.0, 1.0, 0.0]}
    return Ladder({name: np.array(values) for name, values in hits.items()})


def test_captured_lift_is_the_share_of_the_way_from_popular_to_the_oracle() -> None:
    assert small_ladder().captured("control") == 0.5


def test_captured_lift_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(2)
    popular, oracle = (rng.random(500) < 0.5).astype(float), (rng.random(500) < 0.7).astype(float)
    rungs = Ladder({POPULAR: popular, "oracle": oracle, "half": (popular + oracle) / 2}).estimates(rng)
    half = rungs["half"].captured
    assert half is not None
    assert (half.low, half.value, half.high) == pytest.approx((0.5, 0.5, 0.5))
    assert rungs["oracle"].gain.low > 0


def test_pooled_worlds_count_every_user() -> None:
    both = small_ladder() + small_ladder()
    assert len(both.hits["control"]) == 8
    assert both.captured("control") == 0.5


def test_a_report_holds_every_rung_and_the_paired_differences() -> None:
    report = as_json(Judgement({HIT_RATE: small_ladder()}, {}, {}, {}, {}, ()))
    assert list(report["rungs"]) == [POPULAR, "control", "oracle"]
    assert [(gain["of"], gain["value"]) for gain in report["differences"]] == [("control", 0.25)]
    assert as_table(small_ladder(), "here").row_count == 3


def test_nobody_to_judge_by_is_said() -> None:
    nobody = np.zeros(0, np.int64)
    with pytest.raises(LentaError, match="six views"):
        ladder(Viewed(nobody, nobody, np.zeros(0, np.bool_)), {})
