"""What a model's trees start from: log-odds of a like as a weighted sum of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.artefact import ArtefactError
from ranking.encoder import Column, Matrix


@dataclass(frozen=True)
class Baseline:
    """places: of the columns in a matrix, shape (n,); weights: shape (n,)."""

    places: list[int]
    weights: npt.NDArray[np.float64]

    @classmethod
    def of(cls, weights: Mapping[str, float], columns: Sequence[str]) -> Baseline:
        """Raises ArtefactError for a column that the matrix does not have."""
        if missing := set(weights) - set(columns):
            raise ArtefactError(f"the model starts from {', '.join(sorted(missing))}, which it has no column for")
        return cls([columns.index(name) for name in weights], np.array(list(weights.values()), np.float64))

    def log_odds(self, matrix: Matrix) -> Column:
        """Shape (n,)."""
        return np.asarray(matrix[:, self.places].astype(np.float64) @ self.weights)
