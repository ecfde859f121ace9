"""A post's reasons: together they are its score, to the last digit that matters, for every user and post."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoost
from chassis.errors import NotFound
from contracts.features import SCHEMA
from contracts.records import UserRow, pack_row
from ranking.explanations import alike, explain
from ranking.scorer import MODEL, BoundScorer, Scorer
from ranking.vectors import PostVectors

from tests.support.data.toy_model import NOW, LengthEncoder, toy_artefact, toy_catalogue, toy_row

STRANGER = pack_row(b"", b"", b"")


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> BoundScorer:
    folder, catalogue = tmp_path_factory.mktemp("toy"), toy_catalogue(200)
    toy_artefact(folder, catalogue)
    return Scorer.open(folder, LengthEncoder.load).bind(catalogue)


def rows(bound: BoundScorer) -> list[UserRow]:
    return [UserRow.unpack(toy_row(user, bound.catalogue)) for user in range(10)] + [UserRow.unpack(STRANGER)]


def test_bias_reasons_and_rest_are_the_score(bound: BoundScorer) -> None:
    for row in rows(bound):
        ids, scores = bound.rank(row, NOW, 5)
        result = explain(bound, row, NOW, ids.tolist())
        assert [one.post_id for one in result] == ids.tolist()
        for one, score in zip(result, scores, strict=True):
            assert one.score == score
            whole = one.bias + sum(reason.contribution for reason in one.reasons) + one.rest
            assert whole == pytest.approx(score, abs=1e-6)


def test_all_reasons_leave_no_rest_and_name_every_column_with_the_value_that_the_model_saw(bound: BoundScorer) -> None:
    row = rows(bound)[0]
    (one,) = explain(bound, row, NOW, [17], most=100)
    assert one.rest == 0.0
    assert {reason.feature for reason in one.reasons} == set(bound.scorer.manifest.columns)
    place = int(bound.catalogue.index_of(np.array([17]))[0])
    values = bound.candidates.matrix(row, NOW)[place]
    for reason in one.reasons:
        seen = values[bound.scorer.manifest.columns.index(reason.feature)]
        assert reason.value == (None if np.isnan(seen) else pytest.approx(float(seen)))


def test_the_strongest_reason_comes_first_and_a_weak_one_is_left_out(bound: BoundScorer) -> None:
    (one,) = explain(bound, rows(bound)[1], NOW, [3], most=3)
    sizes = [abs(reason.contribution) for reason in one.reasons]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 3
    (all_of_it,) = explain(bound, rows(bound)[1], NOW, [3], most=100)
    assert all(abs(reason.contribution) <= sizes[-1] for reason in all_of_it.reasons[3:])


def test_the_base_counts_as_far_as_it_tells_a_post_from_the_others(bound: BoundScorer, tmp_path: Path) -> None:
    """With trees that add nothing, the base's column is the only reason, its mean over the catalogue the bias."""
    manifest = toy_artefact(tmp_path, bound.catalogue)
    flat = CatBoost({"iterations": 1, "learning_rate": 1e-3, "verbose": False, "allow_writing_files": False})
    matrix = bound.candidates.matrix(rows(bound)[0], NOW)
    flat.fit(matrix, np.resize([1e-9, -1e-9], len(matrix)))
    flat.save_model(str(tmp_path / MODEL))
    plain = Scorer.open(tmp_path, LengthEncoder.load).bind(bound.catalogue)
    (one,) = explain(plain, rows(bound)[0], NOW, [17], most=1)
    column = matrix[:, SCHEMA.index("post_rate")].astype(np.float64)
    place = int(bound.catalogue.index_of(np.array([17]))[0])
    assert manifest.base == {"post_rate": 1.0}
    assert one.reasons[0].feature == "post_rate"
    assert one.reasons[0].contribution == pytest.approx(column[place] - column.mean(), abs=1e-9)
    assert one.bias == pytest.approx(column.mean(), abs=1e-6)


def test_a_user_of_whom_nothing_is_known_gets_reasons_too(bound: BoundScorer) -> None:
    row = UserRow.unpack(STRANGER)
    (one,) = explain(bound, row, NOW, bound.rank(row, NOW, 1)[0].tolist(), most=100)
    missing = {reason.feature for reason in one.reasons if reason.value is None}
    assert {"age", "gender", "exp_group", "days_since_view"} <= missing
    assert any(reason.contribution for reason in one.reasons)


def test_a_post_that_the_catalogue_does_not_hold_is_left_out(bound: BoundScorer) -> None:
    row = rows(bound)[0]
    assert [one.post_id for one in explain(bound, row, NOW, [3, 99_999, 5])] == [3, 5]
    assert explain(bound, row, NOW, [99_999]) == []


def test_the_liked_post_that_is_named_is_nearer_than_nearly_all_posts_are(tmp_path: Path) -> None:
    catalogue = toy_catalogue(200)
    toy_artefact(tmp_path, catalogue)
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    vectors[7] = 3 * vectors[3]  # two posts of one direction, and one of its own
    bound = Scorer.open(tmp_path, LengthEncoder.load).bind(catalogue, PostVectors.of(catalogue.post_id, vectors))
    liked, alike = (int(catalogue.post_id[place]) for place in (3, 7))
    row = UserRow.unpack(pack_row(b"", b"", np.array([liked], "<u4").tobytes()))
    (one,) = explain(bound, row, NOW, [alike])
    assert one.like == liked
    opposite = int(np.argmin(vectors @ vectors[3]))
    (other,) = explain(bound, row, NOW, [int(catalogue.post_id[opposite])])
    assert other.like is None


def test_nobody_has_liked_nothing(bound: BoundScorer) -> None:
    (one,) = explain(bound, UserRow.unpack(STRANGER), NOW, [3])
    assert one.like is None


def test_alike_posts_come_by_likeness_without_the_post_itself_and_what_is_gone(tmp_path: Path) -> None:
    catalogue = toy_catalogue(200)
    toy_artefact(tmp_path, catalogue)
    vectors = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    vectors[7], vectors[9] = 3 * vectors[3], 2 * vectors[3]
    gone = replace(catalogue, gone=catalogue.post_id[[9]])
    bound = Scorer.open(tmp_path, LengthEncoder.load).bind(gone, PostVectors.of(catalogue.post_id, vectors))
    result = alike(bound, int(catalogue.post_id[3]), 4)
    assert result[0].post_id == int(catalogue.post_id[7])
    assert result[0].likeness == pytest.approx(1.0, abs=1e-6)
    assert [one.likeness for one in result] == sorted((one.likeness for one in result), reverse=True)
    assert not {int(catalogue.post_id[3]), int(catalogue.post_id[9])} & {one.post_id for one in result}
    with pytest.raises(NotFound, match="no post 99999"):
        alike(bound, 99_999, 4)
