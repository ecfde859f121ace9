"""From a feed to a model in memory: examples, encoder, trees, first stage, golden requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from catboost import CatBoost
from chassis.progress import OnProgress, share_of, silent
from contracts.catalogue import Catalogue
from contracts.features import SCHEMA, schema_id
from contracts.records import UserRow
from ranking.artefact import Manifest
from ranking.baseline import Baseline
from ranking.candidates import Candidates
from ranking.encoder import Encoder, Matrix
from ranking.examples import Examples
from ranking.factors_fit import fit_factors
from ranking.golden import excerpt, make_golden, save_golden
from ranking.hybrid import HybridEncoder
from ranking.quality import log_lengths
from ranking.quality_fit import fit_quality
from ranking.retrieval import fit_retrieval
from ranking.scorer import MODEL, Scorer
from ranking.taste import Floats
from ranking.vectors import PostVectors
from scipy.special import expit

from pipeline.dataset.feed import Feed, microseconds
from pipeline.dataset.history import History
from pipeline.dataset.residuals import residuals_before
from pipeline.dataset.samples import learn_from, training_requests
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.measures.accuracy import area_under_curve, log_loss
from pipeline.training.baseline import fit_baseline
from pipeline.training.models import Model
from pipeline.training.trees import Rows, train_trees

STOP_SHARE = 0.1
"""The latest views, by which the trees stop growing."""
ENCODER_SHARE = 0.5
"""The earliest views, which the encoder sees first. Rows that it learned from look better to it than new ones do: the
trees learn from the others."""
CHUNK = 100_000
ROWS = 600_000
"""Views to learn from, half of them the encoder's first."""
RETRIEVAL_USERS = 60
RETRIEVAL_POSTS = 1_000
GOLDEN_USERS = 6
NOBODY = 2**31 - 1


@dataclass(frozen=True)
class FittedModel:
    """A trained model, as a ranker would hold it."""

    scorer: Scorer
    trees: CatBoost
    golden_catalogue: Catalogue

    @property
    def manifest(self) -> Manifest:
        return self.scorer.manifest

    def save(self, folder: Path) -> None:
        """All of the artefact but the manifest, which the store writes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.trees.save_model(str(folder / MODEL))
        self.scorer.encoder.save(folder)
        self.scorer.vectors.save(folder)
        save_golden(folder, self.golden_catalogue)


def fit(model: Model, feed: Feed, now: datetime, seed: int = 0, on_progress: OnProgress = silent) -> FittedModel:
    """now: when it is trained, for its version. Raises LentaError for a feed that nothing can be learned from."""
    history = History(feed)
    requests, clicked = training_requests(feed, seed, ROWS)
    examples, features = learn_from(history, requests, clicked)
    feed.rest()
    on_progress(25, 100)
    split = TimeSplit.of(examples)
    before = examples.time[split.trees.start] if split.stops else microseconds(feed.until)
    encoder = _train_encoder(
        model, feed, examples.where(split.encoder), int(before), seed, share_of(on_progress, 25, 45)
    )
    vectors = encode_posts(encoder, examples)
    columns = [*SCHEMA, *history.own.features, *encoder.columns]
    matrices = [matrix_of(features, encoder, vectors, examples, rows) for rows in split.both]
    base = fit_baseline(encoder, columns, matrices[0], clicked[split.trees])
    baseline = Baseline.of(base, columns)
    parts = [
        Rows(matrix, clicked[rows], baseline.log_odds(matrix))
        for matrix, rows in zip(matrices, split.both, strict=True)
    ]
    trees = train_trees(columns, parts[0], parts[1] if split.stops else None, seed, share_of(on_progress, 45, 75))
    metrics = {
        f"{part}_{name}": measure(_probability(trees, rows), rows.clicked)
        for part, rows in zip(("train", "later"), parts, strict=True)
        for name, measure in (("log_loss", log_loss), ("auc", area_under_curve))
    }
    if split.stops:  # the trees know what the encoder's columns are worth on new rows; now it may learn from all
        until = microseconds(feed.until)
        encoder = _train_encoder(model, feed, examples, until, seed, share_of(on_progress, 75, 95))
        vectors = encode_posts(encoder, examples)
    manifest = _manifest(model.name, history, encoder, base, len(clicked), seed, metrics, now)
    fitted = _finish(trees, Scorer(trees, encoder, PostVectors.of(feed.posts.ids, vectors), manifest), feed, seed)
    on_progress(100, 100)
    return fitted


def _train_encoder(
    model: Model, feed: Feed, examples: Examples, before: int, seed: int, on_progress: OnProgress
) -> HybridEncoder:
    """Content by the examples, factors by all views before a moment, in microseconds: no row from then on is known."""
    content = model.train_content(examples, seed, share_of(on_progress, 0, 60))
    posts = examples.posts
    residuals = residuals_before(feed, before, seed)
    on_progress(70, 100)
    known = posts.ids, content.embed(posts.texts), posts.topic, len(posts.topics)
    quality = fit_quality(residuals, *known, log_lengths(posts.texts))
    factors = fit_factors(residuals, *known, seed, share_of(on_progress, 70, 100))
    return HybridEncoder(content, factors, quality)


def _probability(trees: CatBoost, rows: Rows) -> Floats:
    return np.asarray(expit(trees.predict(rows.matrix, prediction_type="RawFormulaVal") + rows.base))


@dataclass(frozen=True)
class TimeSplit:
    """Examples by time: for the encoder, for the trees, and for knowing when to stop."""

    encoder: slice
    trees: slice
    later: slice
    stops: bool

    @property
    def both(self) -> tuple[slice, slice]:
        return self.trees, self.later

    @classmethod
    def of(cls, examples: Examples) -> TimeSplit:
        """Where a part would hold only likes or none, the trees learn from all rows and don't stop early."""
        rows = len(examples)
        later = int(rows * (1 - STOP_SHARE))
        middle = int(rows * ENCODER_SHARE)
        parts = slice(middle, later), slice(later, rows)
        if 0 < middle < later and all(0 < examples.clicked[part].mean() < 1 for part in parts):
            return cls(slice(0, middle), *parts, stops=True)
        everything = slice(0, rows)
        return cls(everything, everything, everything, stops=False)


def encode_posts(encoder: Encoder, examples: Examples) -> Matrix:
    posts = examples.posts
    return encoder.vectors(posts.ids, posts.texts, posts.topic_names)


def matrix_of(features: Matrix, encoder: Encoder, vectors: Matrix, examples: Examples, rows: slice) -> Matrix:
    """Features and the encoder's columns, shape (rows, columns), Fortran order. In chunks: states are wide."""
    width = features.shape[1]
    out = np.empty((rows.stop - rows.start, width + len(encoder.columns)), np.float32, order="F")
    out[:, :width] = features[rows]
    topic = examples.posts.topic
    for low in range(rows.start, rows.stop, CHUNK):
        part = examples.where(slice(low, min(low + CHUNK, rows.stop)))
        place = slice(low - rows.start, low - rows.start + len(part))
        encoder.write(part.state(vectors), vectors[part.post], topic[part.post], out[place, width:])
    return out


def _manifest(
    name: str,
    history: History,
    encoder: Encoder,
    base: dict[str, float],
    rows: int,
    seed: int,
    metrics: dict[str, float],
    now: datetime,
) -> Manifest:
    """Without the first stage and the golden requests, which are computed with it."""
    feed = history.feed
    mark = sha256(f"{name} {feed.fingerprint} {microseconds(now)}".encode()).hexdigest()[:6]
    width = len(SCHEMA) + len(history.own.features) + len(encoder.columns)
    return Manifest(
        name=name,
        version=f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{mark}",
        created_at=now,
        schema_length=len(SCHEMA),
        schema_id=schema_id([*SCHEMA, *history.own.marks]),
        own=history.own,
        encoder_columns=list(encoder.columns),
        base=base,
        topics=history.topics,
        vocabulary=history.vocabulary,
        train_from=feed.first,
        train_until=feed.until,
        train_rows=rows,
        train_seed=seed,
        data_fingerprint=feed.fingerprint,
        metrics=metrics,
        retrieval=[0.0] * (width + 1),
        fill=[0.0] * width,
        golden=[],
    )


def _finish(trees: CatBoost, scorer: Scorer, feed: Feed, seed: int) -> FittedModel:
    """Fits the first stage to the model's own scores, and keeps what it answers to a few users."""
    rng = np.random.default_rng(seed)
    catalogue = catalogue_at(feed, feed.until)
    users = feed.people.ids if len(feed.people.ids) else history_users(feed)
    chosen = rng.choice(users, min(RETRIEVAL_USERS, len(users)), replace=False)
    rows = rows_at(feed, [NOBODY, *(int(user) for user in chosen)], feed.until)
    some = rng.choice(len(catalogue), min(RETRIEVAL_POSTS, len(catalogue)), replace=False)
    now = microseconds(feed.until) // 1_000_000
    matrix = _candidates(scorer, catalogue.only(np.sort(some)), rows, now)
    retrieval, fill = fit_retrieval(matrix, scorer.scores(matrix), np.repeat(np.arange(len(rows)), len(some)))
    manifest = scorer.manifest.model_copy(update={"retrieval": retrieval, "fill": fill})
    scorer = Scorer(trees, scorer.encoder, scorer.vectors, manifest)
    small = excerpt(catalogue)
    golden = make_golden(scorer, small, rows[: GOLDEN_USERS + 1], now)
    done = manifest.model_copy(update={"golden": golden})
    return FittedModel(Scorer(trees, scorer.encoder, scorer.vectors, done), trees, small)


def history_users(feed: Feed) -> npt.NDArray[np.int64]:
    """All users of the feed, for a platform without profiles."""
    users = feed.database.execute("SELECT DISTINCT user_id FROM feed ORDER BY 1").fetchnumpy()
    return np.asarray(users["user_id"], np.int64)


def _candidates(scorer: Scorer, catalogue: Catalogue, rows: list[bytes], now: int) -> Matrix:
    candidates = Candidates(catalogue, scorer.vectors.rows(catalogue.post_id), scorer.manifest, scorer.encoder)
    return np.asfortranarray(np.vstack([candidates.matrix(UserRow.unpack(row), now) for row in rows]))
