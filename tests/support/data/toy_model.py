"""A real model that trains in a moment: three trees over the schema and one text-free encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from catboost import CatBoost
from contracts.catalogue import Catalogue
from contracts.features import SCHEMA, schema_id
from contracts.records import SEGMENTS, Counts, Profile, UserRow, latest, pack_row
from contracts.vocabulary import Vocabulary
from ranking.artefact import Manifest, ModelStore
from ranking.candidates import Candidates
from ranking.encoder import Matrix, UserState
from ranking.golden import excerpt, make_golden, save_golden
from ranking.retrieval import fit_retrieval
from ranking.scorer import MODEL, Scorer
from ranking.vectors import PostVectors

TOPICS = ["covid", "movie", "sport"]
NOW = int(datetime(2021, 12, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class LengthEncoder:
    """A post's vector is the length of its text and its id; the one column is the likeness to what was liked."""

    columns: tuple[str, ...] = ("likeness",)
    base: tuple[str, ...] = ("post_rate",)
    dimensions: int = 2

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        lengths = np.array([len(text) for text in texts], np.float32).reshape(-1, 1)
        return np.hstack([lengths, np.asarray(ids, np.float32).reshape(-1, 1)]).astype(np.float32)

    def likeness(self, vectors: Matrix) -> Matrix:
        return vectors

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        mean = user.liked_sum / np.maximum(user.liked, 1.0)[:, None]
        out[:, 0] = -np.abs(vectors - mean).sum(axis=1)

    def save(self, folder: Path) -> None:
        (folder / "encoder.txt").write_text("length")

    @classmethod
    def load(cls, folder: Path) -> LengthEncoder:
        assert (folder / "encoder.txt").read_text() == "length"
        return cls()


def toy_catalogue(posts: int, seed: int = 0, version: int = 1) -> Catalogue:
    rng = np.random.default_rng(seed)
    by_segment = rng.integers(0, 70, (posts, len(SEGMENTS))) * rng.integers(0, 2, (posts, 1))
    views = by_segment.sum(axis=1)
    return Catalogue(
        version=version,
        counted_until=NOW,
        topics=np.array(TOPICS, np.str_),
        post_id=rng.permutation(np.arange(1, posts + 1)),
        topic=rng.integers(0, len(TOPICS), posts).astype(np.int16),
        first_view_at=np.where(views > 0, NOW - rng.integers(0, 60 * 86_400, posts), 0),
        segment_views=by_segment.astype(np.uint32),
        segment_likes=rng.binomial(by_segment, 0.12).astype(np.uint32),
    )


def toy_row(user_id: int, catalogue: Catalogue, likes: int = 10) -> bytes:
    rng = np.random.default_rng(user_id)
    views = rng.integers(0, 80, len(TOPICS)).astype(np.uint32)
    viewed = rng.choice(catalogue.post_id, 20)
    recent = latest(np.column_stack([NOW - 500 - 30 * np.arange(20), viewed]))
    counts = Counts(NOW - 500, NOW - 900, views, rng.binomial(views, 0.1).astype(np.uint32), recent)
    profile = Profile(int(rng.integers(14, 70)), int(rng.integers(2)), int(rng.integers(5)), os=3, city=4)
    hidden = rng.choice(catalogue.post_id, min(likes, len(catalogue)), replace=False).astype("<u4")
    return pack_row(profile.pack(), counts.pack(), hidden.tobytes())


def toy_artefact(
    folder: Path, catalogue: Catalogue, *, name: str = "toy", version: str = "1", seed: int = 0
) -> Manifest:
    """A whole artefact in `folder`, the manifest too."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LengthEncoder()
    texts = ["x" * (int(post) % 7) for post in catalogue.post_id]
    vectors = PostVectors.of(catalogue.post_id, encoder.vectors(catalogue.post_id, texts, []))
    width = len(SCHEMA) + 1
    manifest = Manifest(
        name=name,
        version=version,
        created_at=datetime(2021, 12, 1, tzinfo=UTC),
        schema_length=len(SCHEMA),
        schema_id=schema_id(),
        encoder_columns=["likeness"],
        base={"post_rate": 1.0},
        topics=TOPICS,
        vocabulary=Vocabulary(os=[3], source=[], country=[], city=[4]),
        train_from=datetime(2021, 10, 1, tzinfo=UTC),
        train_until=datetime(2021, 12, 1, tzinfo=UTC),
        train_rows=1,
        data_fingerprint="toy",
        metrics={},
        retrieval=[0.0] * (width + 1),
        fill=[0.0] * width,
        golden=[],
    )
    rows = [toy_row(user, catalogue) for user in range(4)]
    candidates = Candidates(catalogue, vectors.rows(catalogue.post_id), manifest, encoder)
    matrix = np.vstack([candidates.matrix(UserRow.unpack(row), NOW) for row in rows])
    target = matrix[:, SCHEMA.index("user_topic_by_post")] + 0.001 * np.random.default_rng(seed).normal(
        size=len(matrix)
    )
    model = CatBoost({"iterations": 3, "depth": 3, "verbose": False, "thread_count": 1, "allow_writing_files": False})
    model.fit(matrix, target)
    model.save_model(str(folder / MODEL))
    encoder.save(folder)
    vectors.save(folder)
    scorer = Scorer(model, encoder, vectors, manifest)
    retrieval, fill = fit_retrieval(matrix, scorer.scores(matrix), np.repeat(np.arange(len(rows)), len(catalogue)))
    scorer = Scorer(model, encoder, vectors, manifest.model_copy(update={"retrieval": retrieval, "fill": fill}))
    small = excerpt(catalogue)
    save_golden(folder, small)
    done = scorer.manifest.model_copy(update={"golden": make_golden(scorer, small, rows[:2], NOW)})
    (folder / "manifest.json").write_text(done.model_dump_json())
    return done


def publish_toy(uri: Path, work: Path, catalogue: Catalogue, *, name: str, version: str, seed: int = 0) -> Manifest:
    manifest = toy_artefact(work / f"{name}-{version}", catalogue, name=name, version=version, seed=seed)
    store = ModelStore(str(uri))
    store.put(work / f"{name}-{version}", manifest)
    store.publish(name, version)
    return manifest
