"""On a feed that is odd in any way a model is trained, and ranks no worse than the most popular posts, beyond noise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.assignment import GROUPS
from pipeline.dataset.feed import opened
from pipeline.dataset.samples import Viewed, viewed_in
from pipeline.evaluation.ladder import POPULAR, baseline_scores, model_scores
from pipeline.measures.accuracy import Floats, auc_by_user, ndcg
from pipeline.tables.folder import Tables
from pipeline.training.fit import fit
from pipeline.training.models import model_of

from tests.support.data.odd_feeds import CUT, FEEDS, WITHHELD

ERRORS = 3.0
"""Standard errors below most popular that may be chance, of some fifty comparisons."""


@pytest.mark.parametrize("name", FEEDS)
def test_no_model_is_worse_than_most_popular(name: str, tmp_path: Path) -> None:
    """User by user, of all of a user's list and of its first five."""
    viewed, scores = _judged(FEEDS[name].write(tmp_path))
    assert all(np.isfinite(values).all() for values in scores.values())
    for measure in (auc_by_user, ndcg):
        by_user = {rung: measure(values, viewed.user_id, viewed.liked) for rung, values in scores.items()}
        for model in GROUPS:
            less = by_user[model] - by_user[POPULAR]
            error = float(less.std() / np.sqrt(len(less)))
            assert less.mean() >= -ERRORS * error, f"{model} by {measure.__name__}: {less.mean():.3f} ± {error:.3f}"


def _judged(folder: Path) -> tuple[Viewed, dict[str, Floats]]:
    """Scores of both models and most popular for what is viewed in the days that are withheld."""
    tables = Tables.of_folder(folder)
    with opened(tables) as whole:
        viewed = viewed_in(whole, CUT, CUT + timedelta(days=WITHHELD))
    with opened(tables, CUT) as feed:
        scores = baseline_scores(feed, viewed, CUT, np.random.default_rng(0))
        for model in GROUPS:
            scores[model] = model_scores(feed, viewed, CUT, fit(model_of(model), feed, CUT).scorer)
    return viewed, scores
