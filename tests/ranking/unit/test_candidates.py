"""The candidate matrix: what a ranker keeps between requests is exactly what one derivation of all columns gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from contracts.catalogue import Catalogue
from contracts.features import BY_POST, POST_INPUTS, SCHEMA, Array, Pairs, derive
from contracts.records import UserRow, pack_row
from ranking.artefact import Manifest
from ranking.candidates import Candidates
from ranking.encoder import Matrix

from tests.support.data.toy_model import NOW, LengthEncoder, toy_artefact, toy_catalogue, toy_row

ENCODER = LengthEncoder()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return toy_catalogue(700)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Manifest:
    return toy_artefact(tmp_path_factory.mktemp("toy"), catalogue)


def candidates_of(catalogue: Catalogue, manifest: Manifest) -> Candidates:
    vectors = ENCODER.vectors(catalogue.post_id, ["text"] * len(catalogue), [])
    return Candidates(catalogue, vectors, manifest, ENCODER)


def plainly(catalogue: Catalogue, manifest: Manifest, row: UserRow, now: int) -> Matrix:
    """All schema columns, each field once a post, as training lays them out."""
    posts = len(catalogue)

    def one(value: float | Array | None) -> Array:
        return np.full(posts, np.nan if value is None else float(value))

    def rank(name: str, code: int) -> Array:
        return manifest.vocabulary.ranks(name, np.full(posts, code))

    def by_topic(values: npt.NDArray[np.integer]) -> Array:
        padded = np.append(values, [0] * len(catalogue.topics)).astype(np.float64)
        return np.array([padded[topic] for topic in catalogue.topic])

    def own_topic(name: str) -> float:
        return float(manifest.topics.index(name)) if name in manifest.topics else -1.0

    profile, counts, segment = row.profile, row.counts, row.profile.segment_index

    def of_posts(name: str) -> Array:
        values = np.asarray(getattr(catalogue, name))
        values = values[:, segment] if values.ndim == 2 else values
        if name.startswith(("topic_", "segment_topic_")):
            return by_topic(values)
        return values.astype(np.float64) if values.ndim else one(values)

    pairs = Pairs(
        **{name: of_posts(name) for name in POST_INPUTS},
        age=one(profile.age),
        gender=one(profile.gender),
        exp_group=one(profile.exp_group),
        os=rank("os", profile.os),
        source=rank("source", profile.source),
        country=rank("country", profile.country),
        city=rank("city", profile.city),
        user_views=one(counts.views.sum()),
        user_likes=one(counts.likes.sum()),
        last_view_at=one(counts.last_view_at),
        last_like_at=one(counts.last_like_at),
        user_topic_views=by_topic(counts.views),
        user_topic_likes=by_topic(counts.likes),
        seen=np.array([float(post in counts.recent[:, 1]) for post in catalogue.post_id]),
        topic=np.array([own_topic(str(catalogue.topics[topic])) for topic in catalogue.topic]),
        now=one(now),
        spread=None,
    )
    out = np.empty((posts, manifest.schema_length), np.float32, order="F")
    derive(pairs, out)
    return out


@pytest.mark.parametrize("user_id", range(12))
def test_columns_kept_between_requests_are_exactly_those_derived_afresh(
    catalogue: Catalogue, manifest: Manifest, user_id: int
) -> None:
    row, now = UserRow.unpack(toy_row(user_id, catalogue)), NOW + 86_400 * user_id
    matrix = candidates_of(catalogue, manifest).matrix(row, now)
    np.testing.assert_array_equal(matrix[:, : len(SCHEMA)], plainly(catalogue, manifest, row, now))


def test_a_user_whom_nobody_knows_has_the_columns_derived_afresh_too(catalogue: Catalogue, manifest: Manifest) -> None:
    row = UserRow.unpack(pack_row(b"", b"", b""))
    matrix = candidates_of(catalogue, manifest).matrix(row, NOW)
    np.testing.assert_array_equal(matrix[:, : len(SCHEMA)], plainly(catalogue, manifest, row, NOW))


def test_topics_of_the_catalogue_are_met_by_name(catalogue: Catalogue, manifest: Manifest) -> None:
    """A catalogue with a new topic before those that the model knows, in another order; one of the model's is gone."""
    live = replace(catalogue, topics=np.array(["sport", "new", "covid", "late"], np.str_))
    row = UserRow.unpack(toy_row(3, catalogue))
    matrix = candidates_of(live, manifest).matrix(row, NOW)
    np.testing.assert_array_equal(matrix[:, : len(SCHEMA)], plainly(live, manifest, row, NOW))


@pytest.mark.parametrize("length", [1, 12, len(SCHEMA) - 1])
def test_a_model_of_a_shorter_schema_gets_its_prefix(catalogue: Catalogue, manifest: Manifest, length: int) -> None:
    older = manifest.model_copy(update={"schema_length": length})
    row = UserRow.unpack(toy_row(4, catalogue))
    matrix = candidates_of(catalogue, older).matrix(row, NOW)
    assert matrix.shape == (len(catalogue), length + 1)
    np.testing.assert_array_equal(matrix[:, :length], plainly(catalogue, older, row, NOW))


def test_one_request_leaves_nothing_behind_for_the_next(catalogue: Catalogue, manifest: Manifest) -> None:
    candidates, row = candidates_of(catalogue, manifest), UserRow.unpack(toy_row(5, catalogue))
    first = candidates.matrix(row, NOW)
    first[:] = -1.0
    candidates.matrix(UserRow.unpack(toy_row(6, catalogue)), NOW)
    again = candidates.matrix(row, NOW)
    np.testing.assert_array_equal(again[:, : len(SCHEMA)], plainly(catalogue, manifest, row, NOW))


def test_every_feature_that_is_kept_is_one_of_the_schema() -> None:
    assert set(SCHEMA) > BY_POST
