"""A loaded model, and the model bound to a catalogue. Of what serves, the only module that imports CatBoost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from catboost import CatBoost, CatBoostError, Pool
from contracts.catalogue import Catalogue
from contracts.records import UserRow
from contracts.rules import SlateRules, age_at
from contracts.wire import Rule, Ruled

from ranking.artefact import MANIFEST, ArtefactError, Manifest
from ranking.baseline import Baseline
from ranking.candidates import Candidates
from ranking.encoder import Encoder, Matrix
from ranking.retrieval import KEPT, Retrieval
from ranking.rules import CACHED, CatalogueRules, Choice, Ruling, unlike_first
from ranking.vectors import PostVectors

MODEL = "model.cbm"
BOUND = 2.0
"""Standard deviations of a post's own like rate that exploring adds to its score."""
OWN_KEPT = 100
"""Under rules, of the posts that would be the best without them: enough for the few that stand in the model's own list,
since most of what rules leave is among them too."""
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
        self._known_rules: dict[bytes, CatalogueRules] = {}

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
        matrix = self.candidates.matrix(row, now)
        bonus = self._bonus(explored)
        chosen = np.flatnonzero(self._may_be_shown(row))
        kept = max(kept, limit + explored)
        if len(chosen) > kept:
            coarse = self._coarse(matrix, bonus)[chosen]
            chosen = chosen[np.argpartition(-coarse, kept - 1)[:kept]]
        scores = self.scorer.scores(np.asfortranarray(matrix[chosen]))
        ids = self.catalogue.post_id[chosen]
        order = np.lexsort((ids, -scores))
        best, others = order[:limit], order[limit:]
        if bonus is not None:
            bounds = (scores + bonus[chosen])[others]
            best = np.append(best, others[np.lexsort((ids[others], -bounds))[:explored]])
        return ids[best], scores[best]

    def rank_ruled(
        self, row: UserRow, now: int, limit: int, ruling: Ruling, kept: int = KEPT, explored: int = 0
    ) -> tuple[npt.NDArray[np.int64], Scores, Ruled]:
        """As `rank`, with a pool to fill the slots from instead of the best posts. Scores are the model's own."""
        catalogue, matrix, rules = self.catalogue, self.candidates.matrix(row, now), self._rules(ruling.rules)
        may_be_shown, bonus = self._may_be_shown(row), self._bonus(explored)
        boost = np.zeros(len(catalogue)) if rules.boost is None else rules.boost
        choice = Choice(
            limit=limit,
            rules=ruling.rules,
            topic=catalogue.topic,
            allowed=may_be_shown & rules.allowed(now, ruling.shown),
            fresh=rules.fresh(now),
            limits=rules.limits,
            pins=rules.pins[may_be_shown[rules.pins]],
        )
        own_stage = replace(choice, allowed=may_be_shown, fresh=None, limits=None, pins=choice.pins[:0])
        kept, coarse = max(kept, limit + explored), self._coarse(matrix, bonus)
        chosen = np.flatnonzero(choice.kept(coarse + boost, kept) | own_stage.kept(coarse, OWN_KEPT))
        scores = np.full(len(catalogue), -np.inf)
        scores[chosen] = self.scorer.scores(np.asfortranarray(matrix[chosen]))
        own = _in_order(chosen, catalogue.post_id, scores)[:limit]
        ranked = _in_order(chosen[choice.allowed[chosen]], catalogue.post_id, scores + boost)
        ranked = unlike_first(ranked, (scores + boost)[ranked], self.candidates.likeness, ruling.rules, limit)
        pool = choice.pool(ranked)
        best = pool
        if bonus is not None:
            others = ranked[~np.isin(ranked, pool)]
            best = np.append(pool, _in_order(others, catalogue.post_id, scores + bonus)[:explored])
        ruled = Ruled(
            pool=len(pool),
            topics=catalogue.topics[catalogue.topic[best]].tolist(),
            first_view_at=catalogue.first_view_at[best].tolist(),
            own=catalogue.post_id[own].tolist(),
            kept_out=self._kept_out(own[~np.isin(own, pool)], ranked, choice, ruling, now),
        )
        return catalogue.post_id[best], scores[best], ruled

    def _kept_out(
        self, own: npt.NDArray[np.intp], ranked: npt.NDArray[np.intp], choice: Choice, ruling: Ruling, now: int
    ) -> dict[int, Rule]:
        """The rule that keeps each of these posts of the model's own list out of the pool."""
        catalogue, rules, shown = self.catalogue, ruling.rules, set(ruling.shown.tolist())
        why: dict[int, Rule] = {}
        for place in own.tolist():
            post, topic = int(catalogue.post_id[place]), str(catalogue.topics[catalogue.topic[place]])
            age = age_at(now, int(catalogue.first_view_at[place]))
            if forbidden := rules.forbids(post, topic, age, shown):
                why[post] = forbidden
            elif rules.boost_of(post, topic) < 0:
                why[post] = "boosted"
            elif not choice.is_within_limit(place, ranked):
                why[post] = "most_per_topic"
            elif rules.diversity:
                why[post] = "diversity"
        return why

    def _rules(self, rules: SlateRules) -> CatalogueRules:
        """Kept for the requests to come: rules change rarely."""
        if (known := self._known_rules.get(rules.packed)) is not None:
            return known
        if len(self._known_rules) >= CACHED:
            self._known_rules.clear()
        made = self._known_rules[rules.packed] = CatalogueRules(rules, self.catalogue)
        return made

    def _may_be_shown(self, row: UserRow) -> npt.NDArray[np.bool_]:
        allowed = self.catalogue.shown.copy()
        hidden = self.catalogue.index_of(np.append(row.hidden, row.gone).astype(np.int64))
        allowed[hidden[hidden >= 0]] = False
        return allowed

    def _bonus(self, explored: int) -> Scores | None:
        return BOUND * self.candidates.uncertainty if explored else None

    def _coarse(self, matrix: Matrix, bonus: Scores | None) -> npt.NDArray[np.floating]:
        """The first stage's scores, shape (posts,)."""
        score = self.scorer.retrieval.score(matrix)
        return score if bonus is None else score + bonus


def _in_order(places: npt.NDArray[np.intp], post_id: npt.NDArray[np.int64], scores: Scores) -> npt.NDArray[np.intp]:
    """Best first; ties go to the lower id. scores: of all posts."""
    return places[np.lexsort((post_id[places], -scores[places]))]
