"""A loaded model, and the model bound to a catalogue. Of what serves, the only module that imports CatBoost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from catboost import CatBoost, CatBoostError, Pool
from contracts.catalogue import Catalogue
from contracts.records import UserRow

from ranking.artefact import MANIFEST, ArtefactError, Manifest
from ranking.baseline import Baseline
from ranking.candidates import Candidates
from ranking.encoder import Encoder, Matrix
from ranking.retrieval import KEPT, Retrieval
from ranking.vectors import PostVectors

MODEL = "model.cbm"
BOUND = 2.0
"""Standard deviations of a post's own like rate that exploring adds to its score."""
LoadEncoder = Callable[[Path], Encoder]
Scores = npt.NDArray[np.float64]


class Scorer:
    """A model in memory. Scoring is CPU work: never on the event loop."""

    def __init__(self, model: CatBoost, encoder: Encoder, vectors: PostVectors, manifest: Manifest) -> None:
        self._model, self.encoder, self.vectors, self.manifest = model, encoder, vectors, manifest
        self.baseline = Baseline.of(manifest.base, manifest.columns)
        self.retrieval = Retrieval.of(manifest.retrieval, manifest.fill)

    @classmethod
    def open(cls, folder: Path, load_encoder: LoadEncoder) -> Scorer:
        """Raises ArtefactError for a folder that this build cannot serve."""
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
            manifest.check_schema()
            encoder = load_encoder(folder)
            model = CatBoost().load_model(str(folder / MODEL))
        except (OSError, ValueError, KeyError, CatBoostError) as error:
            raise ArtefactError(f"the model in {folder.name} cannot be loaded: {error}") from error
        if list(encoder.columns) != manifest.encoder_columns:
            raise ArtefactError(
                f"the encoder gives {list(encoder.columns)}, the model needs {manifest.encoder_columns}"
            )
        return cls(model, encoder, PostVectors.load(folder), manifest)

    def scores(self, matrix: Matrix) -> Scores:
        """Raw log-odds, shape (n,): the base, and what the trees add to it. matrix: shape (n, columns)."""
        if not len(matrix):
            return np.zeros(0)
        raw = self._model.predict(matrix.view(), prediction_type="RawFormulaVal", thread_count=1)
        return np.asarray(raw, np.float64) + self.baseline.log_odds(matrix)

    def contributions(self, matrix: Matrix) -> Scores:
        """What the trees add to the base, by column (SHAP values), and last their mean: shape (n, columns + 1)."""
        pool = Pool(np.ascontiguousarray(matrix))
        parts = self._model.get_feature_importance(data=pool, type="ShapValues", thread_count=1)
        return np.asarray(parts, np.float64)

    def importance(self) -> dict[str, float]:
        """Each column's share, in per cent, of what the trees add to the base (CatBoost's PredictionValuesChange)."""
        shares = (float(share) for share in self._model.get_feature_importance())
        return dict(zip(self.manifest.columns, shares, strict=True))

    def bind(self, catalogue: Catalogue, vectors: PostVectors | None = None) -> BoundScorer:
        """vectors: where more posts are known than the model's own."""
        rows = (vectors or self.vectors).rows(catalogue.post_id)
        return BoundScorer(self, Candidates(catalogue, rows, self.manifest, self.encoder))


class BoundScorer:
    """Ranks one catalogue. Immutable: a new catalogue or model is a new one."""

    def __init__(self, scorer: Scorer, candidates: Candidates) -> None:
        self.scorer, self.candidates = scorer, candidates

    @property
    def catalogue(self) -> Catalogue:
        return self.candidates.catalogue

    def score_all(self, row: UserRow, now: int) -> Scores:
        """The model's own score of every post, shape (posts,)."""
        return self.scorer.scores(self.candidates.matrix(row, now))

    def rank(
        self, row: UserRow, now: int, limit: int, kept: int = KEPT, explored: int = 0
    ) -> tuple[npt.NDArray[np.int64], Scores]:
        """The best `limit` posts that are there and that the user has not liked, best first, and their scores.

        Ties go to the lower id.

        explored: how many more follow, those with the highest upper confidence bounds among the others.
        """
        catalogue, matrix = self.catalogue, self.candidates.matrix(row, now)
        bonus = BOUND * self.candidates.uncertainty if explored else None
        allowed = catalogue.shown.copy()
        hidden = catalogue.index_of(np.append(row.hidden, row.gone).astype(np.int64))
        allowed[hidden[hidden >= 0]] = False
        chosen = np.flatnonzero(allowed)
        kept = max(kept, limit + explored)
        if len(chosen) > kept:
            score = self.scorer.retrieval.score(matrix)
            coarse = (score if bonus is None else score + bonus)[chosen]
            chosen = chosen[np.argpartition(-coarse, kept - 1)[:kept]]
        scores = self.scorer.scores(np.asfortranarray(matrix[chosen]))
        ids = catalogue.post_id[chosen]
        order = np.lexsort((ids, -scores))
        best, others = order[:limit], order[limit:]
        if bonus is not None:
            bounds = (scores + bonus[chosen])[others]
            best = np.append(best, others[np.lexsort((ids[others], -bounds))[:explored]])
        return ids[best], scores[best]
