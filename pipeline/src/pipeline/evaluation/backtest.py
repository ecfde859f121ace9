"""Judges models by the ladder: those in service on a folder's last days, or newly trained ones on simulated worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from chassis.progress import OnProgress, silent
from contracts.assignment import GROUPS

from pipeline.dataset.feed import Feed, opened
from pipeline.dataset.samples import Viewed, viewed_in
from pipeline.evaluation.alarm import Alarm, Auc, training_auc
from pipeline.evaluation.baselines import PURE_SVD, SEGMENT_POPULAR, pure_svd_scores, segment_popular_scores
from pipeline.evaluation.judgement import Judgement, curves_of, measures_of
from pipeline.evaluation.ladder import (
    CEILING,
    ORACLE,
    POPULAR,
    WINDOW,
    baseline_scores,
    check_judged,
    network_and_model_scores,
)
from pipeline.evaluation.oracle import has_truth, true_scores, true_session_scores
from pipeline.evaluation.segments import known_at_the_cut, ladder_of, segments
from pipeline.evaluation.sessions import requests_in, session_ladder, session_scores
from pipeline.measures.accuracy import Floats
from pipeline.tables.folder import Tables
from pipeline.tables.mapping import PLAIN, TableMapping

if TYPE_CHECKING:
    from ranking.artefact import ModelStore
    from ranking.scorer import Scorer

    from pipeline.evaluation.ladder import Ladder


def judge_published(
    folder: Path, until: datetime, store: ModelStore, seed: int = 0, mapping: TableMapping = PLAIN
) -> Judgement:
    """The published models on the 15 days from `until` on, of the tables in `folder`.

    Raises LentaError when a model is missing or has seen these days, or nobody can be judged.
    """
    from pipeline.training.store import scorer_of

    with ExitStack() as stack:
        scorers: dict[str, Scorer] = {name: stack.enter_context(scorer_of(store, name)) for name in GROUPS}
        return judge(folder, until, scorers, seed, mapping)


def judge(
    folder: Path, cut: datetime, scorers: Mapping[str, Scorer], seed: int, mapping: TableMapping = PLAIN
) -> Judgement:
    """Baselines, models, and where `folder` is a simulated world its ceiling and oracle. seed: of whatever is drawn."""
    tables = Tables.of_folder(folder, mapping)
    with opened(tables, cut + WINDOW) as whole:
        viewed = viewed_in(whole, cut, cut + WINDOW)
        check_judged(viewed)
        sessions = judge_sessions(folder, whole, cut, scorers, seed)
    with opened(tables, cut) as feed:
        scores = all_scores(folder, feed, viewed, cut, scorers, seed)
        known = known_at_the_cut(feed, viewed)
        parts = {part: ladder_of(viewed, scores, rows) for part, rows in segments(feed, viewed, known, cut)}
        lift, calibration = curves_of(viewed, scores, list(scorers))
        return Judgement(
            measures=measures_of(viewed, scores, feed, known),
            segments={part: part_ladder for part, part_ladder in parts.items() if part_ladder},
            lift=lift,
            calibration=calibration,
            importance={
                name: {column: (share,) for column, share in scorer.importance().items()}
                for name, scorer in scorers.items()
            },
            alarms=tuple(
                Alarm(name, training_auc(feed, scorer), Auc.of(scores[name], viewed.liked))
                for name, scorer in scorers.items()
            ),
            sessions=sessions,
        )


def judge_sessions(folder: Path, whole: Feed, cut: datetime, scorers: Mapping[str, Scorer], seed: int) -> Ladder | None:
    """Within the sessions from `cut` on; None where none is long enough. whole: the feed, these days included."""
    requests = requests_in(whole, cut, cut + WINDOW)
    scores = session_scores(whole, requests, scorers, cut, seed)
    if has_truth(folder):
        scores[ORACLE] = true_session_scores(folder, whole, requests)
    return session_ladder(requests, scores)


def all_scores(
    folder: Path, feed: Feed, viewed: Viewed, cut: datetime, scorers: Mapping[str, Scorer], seed: int
) -> dict[str, Floats]:
    """Of each viewed pair by every rung of the ladder, in the order in which they are printed. feed: until the cut."""
    scores = baseline_scores(feed, viewed, cut, np.random.default_rng(seed))
    scores[SEGMENT_POPULAR] = segment_popular_scores(feed, viewed, scores[POPULAR])
    scores[PURE_SVD] = pure_svd_scores(feed, viewed, seed)
    for name, scorer in scorers.items():
        scores |= network_and_model_scores(feed, viewed, cut, name, scorer)
    if has_truth(folder):
        from pipeline.evaluation.ceiling import ceiling_scores, has_ceiling

        if has_ceiling(folder):
            scores[CEILING] = ceiling_scores(folder, feed, viewed, cut + WINDOW / 2)
        scores[ORACLE] = true_scores(folder, feed, viewed, cut)
    return scores


def judge_fresh(
    world: str, seed: int, end: date, on_progress: OnProgress = silent, names: Sequence[str] = GROUPS
) -> Judgement:
    """Simulates a world that ends at `end`, in a temporary folder, trains without its last 15 days, judges on these.

    Needs no servers. on_progress: of each step by itself.
    """
    from pipeline.training.fit import fit
    from pipeline.training.models import model_of
    from pipeline.world.simulation import simulate
    from pipeline.world.spec import spec_of

    last = datetime(end.year, end.month, end.day, tzinfo=UTC)
    cut = last - WINDOW
    with TemporaryDirectory(prefix="lenta-world-") as name:
        folder = Path(name) / "world"
        simulate(spec_of(world), seed, end, folder, on_progress)
        with opened(Tables.of_folder(folder), cut) as feed:
            fitted = {model: fit(model_of(model), feed, last, on_progress=on_progress) for model in names}
        return judge(folder, cut, {model: model_fit.scorer for model, model_fit in fitted.items()}, seed)
