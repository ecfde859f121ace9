"""The first stage: a linear score over the same columns, fitted to the model's own scores.

One matrix product keeps the best few hundred posts, which CatBoost then ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix

KEPT = 500
RIDGE = 1e-3


@dataclass(frozen=True)
class Retrieval:
    """weights: shape (columns,); fill: what stands in for a missing value, shape (columns,)."""

    weights: npt.NDArray[np.float32]
    intercept: float
    fill: npt.NDArray[np.float32]

    @classmethod
    def of(cls, retrieval: list[float], fill: list[float]) -> Retrieval:
        """From a manifest."""
        return cls(np.array(retrieval[:-1], np.float32), retrieval[-1], np.array(fill, np.float32))

    def score(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Shape (posts,)."""
        filled = np.where(np.isnan(matrix), self.fill, matrix)
        return np.asarray(filled @ self.weights + np.float32(self.intercept), np.float32)


def fit_retrieval(matrix: Matrix, scores: npt.NDArray[np.float64]) -> tuple[list[float], list[float]]:
    """Ridge least squares of the model's scores on standardised columns.

    matrix: shape (n, columns); scores: shape (n,). Returns a manifest's `retrieval` (weights, intercept) and `fill`.
    """
    values = matrix.astype(np.float64)
    present = ~np.isnan(values)
    fill = np.where(present.any(axis=0), np.nanmean(np.where(present.any(axis=0), values, 0.0), axis=0), 0.0)
    values = np.where(present, values, fill)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    unit = (values - mean) / scale
    gram = unit.T @ unit + RIDGE * len(unit) * np.eye(unit.shape[1])
    weights = np.linalg.solve(gram, unit.T @ (scores - scores.mean())) / scale
    weights = np.where(spread > 1e-9, weights, 0.0)
    intercept = float(scores.mean() - mean @ weights)
    return [*map(float, weights), intercept], [*map(float, fill)]
