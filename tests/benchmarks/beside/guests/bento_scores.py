"""BentoML's service: one CatBoost, rows in and scores out. MODEL names the file."""

from __future__ import annotations

import os

import bentoml
import numpy as np
from catboost import CatBoost


@bentoml.service(workers=1)
class Scores:
    def __init__(self) -> None:
        self.model = CatBoost().load_model(os.environ["MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(rows))
