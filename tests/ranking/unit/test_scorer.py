"""Ranking one user: liked posts stay hidden, the first stage loses nothing, an artefact is checked before it serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contracts.catalogue import Catalogue
from contracts.features import schema_id
from contracts.records import UserRow, pack_row
from fsspec.implementations.local import LocalFileSystem
from ranking.artefact import ArtefactError, Manifest, ModelStore
from ranking.golden import replay
from ranking.retrieval import Retrieval, fit_retrieval
from ranking.scorer import BOUND, BoundScorer, Scorer

from tests.support.data.toy_model import NOW, LengthEncoder, publish_toy, toy_artefact, toy_catalogue, toy_row


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return toy_catalogue(900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    toy_artefact(folder, catalogue)
    return folder


@pytest.fixture(scope="module")
def bound(folder: Path, catalogue: Catalogue) -> BoundScorer:
    return Scorer.open(folder, LengthEncoder.load).bind(catalogue)


@pytest.mark.parametrize("user_id", range(20))
def test_hidden_posts_never_come_back_and_no_post_comes_twice(bound: BoundScorer, user_id: int) -> None:
    row = UserRow.unpack(toy_row(user_id, bound.catalogue, likes=700))
    ids, scores = bound.rank(row, NOW, 50)
    assert len(set(ids.tolist())) == 50
    assert not set(ids.tolist()) & set(row.hidden.tolist())
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("user_id", range(10))
def test_two_stages_rank_as_one_where_all_posts_pass_the_first(bound: BoundScorer, user_id: int) -> None:
    row = UserRow.unpack(toy_row(user_id, bound.catalogue))
    ids, scores = bound.rank(row, NOW, 5, kept=900)
    full = bound.score_all(row, NOW)
    allowed = ~np.isin(bound.catalogue.post_id, row.hidden)
    order = np.lexsort((bound.catalogue.post_id[allowed], -full[allowed]))[:5]
    assert ids.tolist() == bound.catalogue.post_id[allowed][order].tolist()
    assert scores == pytest.approx(full[allowed][order])


@pytest.mark.parametrize("kept", [100, 900])
def test_behind_the_best_posts_stand_those_that_may_be_better_than_they_look(bound: BoundScorer, kept: int) -> None:
    row = UserRow.unpack(toy_row(3, bound.catalogue, likes=40))
    best, _ = bound.rank(row, NOW, 5, kept)
    ids, scores = bound.rank(row, NOW, 5, kept, explored=20)
    assert ids[:5].tolist() == best.tolist()
    assert len(set(ids.tolist())) == 25
    assert not set(ids.tolist()) & set(row.hidden.tolist())
    bounds = scores + BOUND * bound.candidates.uncertainty[bound.catalogue.index_of(ids)]
    assert (np.diff(bounds[5:]) <= 0).all()
    others = ~np.isin(bound.catalogue.post_id, [*row.hidden.tolist(), *ids.tolist()])
    highest = (bound.score_all(row, NOW) + BOUND * bound.candidates.uncertainty)[others].max()
    assert kept < 900 or highest <= bounds[-1]


def test_of_two_posts_that_look_alike_the_one_with_fewer_views_is_explored_first(folder: Path) -> None:
    catalogue = toy_catalogue(300)
    views = catalogue.segment_views.copy()
    views[::2], views[1::2] = 5, 4_000
    likes = (views * 0.2).astype(np.uint32)
    bound = Scorer.open(folder, LengthEncoder.load).bind(replace(catalogue, segment_views=views, segment_likes=likes))
    uncertainty = bound.candidates.uncertainty
    assert uncertainty[::2].min() > 2 * uncertainty[1::2].max()


def test_fewer_posts_than_asked_for_are_all_given(bound: BoundScorer) -> None:
    hidden = np.sort(bound.catalogue.post_id)[3:].astype("<u4").tobytes()
    ids, _ = bound.rank(UserRow.unpack(pack_row(b"", b"", hidden)), NOW, 5)
    assert sorted(ids.tolist()) == [1, 2, 3]


def test_a_user_whom_nobody_knows_is_ranked(bound: BoundScorer) -> None:
    ids, scores = bound.rank(UserRow.unpack(pack_row(b"", b"", b"")), NOW, 5)
    assert len(ids) == 5
    assert np.isfinite(scores).all()


def test_an_empty_catalogue_gives_nothing(folder: Path) -> None:
    ids, _ = (
        Scorer.open(folder, LengthEncoder.load)
        .bind(toy_catalogue(0))
        .rank(UserRow.unpack(pack_row(b"", b"", b"")), NOW, 5)
    )
    assert len(ids) == 0


def test_a_topic_that_the_model_never_saw_is_ranked_as_unknown(
    bound: BoundScorer, folder: Path, catalogue: Catalogue
) -> None:
    renamed = replace(catalogue, topics=np.array(["covid", "new", "sport"]))
    other = Scorer.open(folder, LengthEncoder.load).bind(renamed)
    matrix = other.candidates.matrix(UserRow.unpack(toy_row(1, catalogue)), NOW)
    assert set(np.unique(matrix[:, 11]).tolist()) == {-1.0, 0.0, 2.0}


def test_the_artefact_answers_its_golden_requests(folder: Path) -> None:
    replay(Scorer.open(folder, LengthEncoder.load), folder)


def test_a_golden_request_that_differs_is_named(folder: Path) -> None:
    scorer = Scorer.open(folder, LengthEncoder.load)
    golden = scorer.manifest.golden[1]
    wrong = golden.model_copy(update={"scores": [score + 1e-3 for score in golden.scores]})
    scorer.manifest = scorer.manifest.model_copy(update={"golden": [scorer.manifest.golden[0], wrong]})
    with pytest.raises(ArtefactError, match="golden request 1 differs"):
        replay(scorer, folder)


def test_a_model_of_another_schema_is_refused_by_both_ids(tmp_path: Path, catalogue: Catalogue) -> None:
    toy_artefact(tmp_path, catalogue)
    said = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**said, "schema_id": "feedfacefeedface"}))
    with pytest.raises(ArtefactError, match=rf"feedfacefeedface.*{schema_id()}"):
        Scorer.open(tmp_path, LengthEncoder.load)


@pytest.mark.parametrize("missing", ["model.cbm", "manifest.json", "posts.npz", "encoder.txt"])
def test_an_incomplete_artefact_is_refused(tmp_path: Path, catalogue: Catalogue, missing: str) -> None:
    toy_artefact(tmp_path, catalogue)
    (tmp_path / missing).unlink()
    with pytest.raises(ArtefactError):
        Scorer.open(tmp_path, LengthEncoder.load)


def test_publishing_and_rolling_back_move_the_pointer_only(tmp_path: Path, catalogue: Catalogue) -> None:
    store = ModelStore(str(tmp_path / "models"))
    for version in ("1", "2", "3"):
        publish_toy(tmp_path / "models", tmp_path, catalogue, name="toy", version=version)
    assert store.versions("toy") == ["1", "2", "3"]
    assert store.roll_back("toy").version == "2"
    current = store.current("toy")
    assert current is not None
    assert (current.version, current.previous) == ("2", ["1"])
    assert isinstance(store.manifest("toy", "3"), Manifest)
    store.roll_back("toy")
    with pytest.raises(ArtefactError, match="no earlier version"):
        store.roll_back("toy")
    with pytest.raises(ArtefactError, match="no model toy@9"):
        store.publish("toy", "9")


def test_an_upload_that_dies_half_way_leaves_no_version(
    tmp_path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = toy_artefact(tmp_path / "toy", catalogue)
    store = ModelStore(str(tmp_path / "models"))
    files = sum(path.name != "manifest.json" for path in (tmp_path / "toy").iterdir())
    put_file = LocalFileSystem.put_file
    for whole in range(files):
        uploaded = iter(range(whole))

        def put_some(self: LocalFileSystem, *args: str, left: Iterator[int] = uploaded) -> None:
            if next(left, None) is None:
                raise ConnectionError
            put_file(self, *args)

        monkeypatch.setattr(LocalFileSystem, "put_file", put_some)
        with pytest.raises(ArtefactError, match=r"model toy cannot be written under .*models: ConnectionError"):
            store.put(tmp_path / "toy", manifest)
        assert store.versions("toy") == []
        with pytest.raises(ArtefactError, match="no model toy@1"):
            store.publish("toy", "1")
    monkeypatch.undo()
    store.put(tmp_path / "toy", manifest)
    assert store.versions("toy") == ["1"]


def test_the_first_stage_finds_what_a_linear_model_does() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(400, 5)).astype(np.float32)
    scores = matrix @ np.array([1.0, -2.0, 0.0, 0.5, 3.0]) + 4
    matrix[::7, 2] = np.nan
    weights, fill = fit_retrieval(matrix, scores, np.repeat([7, 9], 200))
    assert weights == pytest.approx([1.0, -2.0, 0.0, 0.5, 3.0, 4.0], abs=0.02)
    assert Retrieval.of(weights, fill).score(matrix) == pytest.approx(scores, abs=0.1)


def test_what_differs_only_between_users_has_no_part_in_the_first_stage() -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(4), 100)
    of_user, of_post = rng.normal(size=4)[user], rng.normal(size=400)
    matrix = np.stack([of_user, of_post], axis=1).astype(np.float32)
    weights, _ = fit_retrieval(matrix, 9.0 * of_user + 2.0 * of_post, user)
    assert weights[:2] == pytest.approx([0.0, 2.0], abs=0.01)


def test_the_first_stage_is_nearest_to_the_model_where_its_best_posts_are() -> None:
    """The score bends: flat below, steep above. A line through all of it would miss the steep end."""
    x = np.linspace(-1.0, 1.0, 501)
    matrix = x[:, None].astype(np.float32)
    scores = np.where(x > 0.6, 10.0 * (x - 0.6), 0.0)
    slope = fit_retrieval(matrix, scores, np.zeros(501, np.intp))[0][0]
    assert slope > np.polyfit(x, scores, 1)[0] * 1.5


def test_a_column_that_is_missing_everywhere_is_left_out() -> None:
    matrix = np.stack([np.arange(9.0), np.full(9, np.nan)], axis=1).astype(np.float32)
    weights, fill = fit_retrieval(matrix, np.arange(9.0) * 2, np.zeros(9, np.intp))
    assert weights[1] == 0.0
    assert fill[1] == 0.0
