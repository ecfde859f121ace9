"""CatBoost over the columns: log loss of a like, trees until a later stretch of time gets no better."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from catboost import CatBoost, Pool
from chassis.progress import OnProgress
from ranking.encoder import Matrix
from ranking.taste import Floats

THREADS = 2
MOMENT = ("days_since_view", "days_since_like")
"""Where in a session a view comes moves likes the most, and is of no use for choosing among posts: left out."""
WORTH_THREADS = 50_000
"""With fewer rows threads wait for each other longer than they work."""


@dataclass(frozen=True)
class TreeParameters:
    """What was chosen on tuning worlds; see docs/models.md."""

    trees: int = 300
    depth: int = 4
    rate: float = 0.03
    leaf_penalty: float = 200.0
    bins: int = 64
    patience: int = 30


@dataclass(frozen=True)
class Rows:
    """matrix: shape (n, columns); clicked: shape (n,); base: log-odds that the trees add to, shape (n,)."""

    matrix: Matrix
    clicked: Floats
    base: Floats

    @property
    def pool(self) -> dict[str, Matrix | Floats]:
        return {"data": self.matrix, "label": self.clicked, "baseline": self.base}


class _ReportProgress:
    """Reports CatBoost's progress."""

    def __init__(self, on_progress: OnProgress, trees: int) -> None:
        self._on_progress, self._trees = on_progress, trees

    def after_iteration(self, info: SimpleNamespace) -> bool:
        self._on_progress(min(info.iteration, self._trees), self._trees)
        return True


def train_trees(
    columns: list[str],
    train: Rows,
    later: Rows | None,
    seed: int,
    on_progress: OnProgress,
    parameters: TreeParameters = TreeParameters(),
) -> CatBoost:
    """later: rows after those of `train`, to stop by; None: grow all trees."""
    model = CatBoost(
        {
            "loss_function": "Logloss",
            "iterations": parameters.trees,
            "depth": parameters.depth,
            "learning_rate": parameters.rate,
            "l2_leaf_reg": parameters.leaf_penalty,
            "border_count": parameters.bins,
            "ignored_features": [columns.index(name) for name in MOMENT],
            "random_seed": seed,
            "thread_count": THREADS if len(train.clicked) >= WORTH_THREADS else 1,
            "allow_writing_files": False,
            "logging_level": "Silent",
            "early_stopping_rounds": parameters.patience if later else None,
            "use_best_model": later is not None,
        }
    )
    pool = Pool(**train.pool, feature_names=columns)
    evaluated = Pool(**later.pool, feature_names=columns) if later else None
    model.fit(pool, eval_set=evaluated, callbacks=[_ReportProgress(on_progress, parameters.trees)])
    on_progress(parameters.trees, parameters.trees)
    return model
