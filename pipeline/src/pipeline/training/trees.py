"""CatBoost over the columns: log loss of a like, trees until a later stretch of time gets no better."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from catboost import CatBoost, Pool
from ranking.encoder import Matrix

from pipeline.dataset.tables import OnProgress

THREADS = 2
WORTH_THREADS = 50_000
"""With fewer rows threads wait for each other longer than they work."""


@dataclass(frozen=True)
class Plan:
    """What was chosen on tuning worlds; see docs/models.md."""

    trees: int = 300
    depth: int = 6
    rate: float = 0.06
    leaf_penalty: float = 30.0
    bins: int = 64
    patience: int = 30


class _Watch:
    """Tells CatBoost's progress."""

    def __init__(self, on_progress: OnProgress, trees: int) -> None:
        self._on_progress, self._trees = on_progress, trees

    def after_iteration(self, info: SimpleNamespace) -> bool:
        self._on_progress(min(info.iteration, self._trees), self._trees)
        return True


def train_trees(
    columns: list[str],
    train: tuple[Matrix, npt.NDArray[np.float64]],
    later: tuple[Matrix, npt.NDArray[np.float64]] | None,
    seed: int,
    on_progress: OnProgress,
    plan: Plan = Plan(),
) -> CatBoost:
    """later: rows after those of `train`, to stop by; None: grow all trees."""
    model = CatBoost(
        {
            "loss_function": "Logloss",
            "iterations": plan.trees,
            "depth": plan.depth,
            "learning_rate": plan.rate,
            "l2_leaf_reg": plan.leaf_penalty,
            "border_count": plan.bins,
            "random_seed": seed,
            "thread_count": THREADS if len(train[1]) >= WORTH_THREADS else 1,
            "allow_writing_files": False,
            "logging_level": "Silent",
            "early_stopping_rounds": plan.patience if later else None,
            "use_best_model": later is not None,
        }
    )
    pool = Pool(train[0], train[1], feature_names=columns)
    evaluated = Pool(later[0], later[1], feature_names=columns) if later else None
    model.fit(pool, eval_set=evaluated, callbacks=[_Watch(on_progress, plan.trees)])
    on_progress(plan.trees, plan.trees)
    return model
