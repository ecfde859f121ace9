"""Text as a short vector: tf-idf folded onto its strongest directions (latent semantic analysis), in pure numpy.

Fitted by scikit-learn while training (`ranking.text_fitting`) and equal to it; serving needs no scikit-learn. Nothing here
is ever posts x vocabulary: a text's few words meet their rows of the projection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ranking.artefact import ArtefactError
from ranking.encoder import Matrix

FILE = "text.npz"
TOKEN = re.compile(r"(?u)\b\w\w+\b")
"""Words of two characters and more, in any script; as scikit-learn's default."""


@dataclass(frozen=True)
class TfidfProjection:
    """words: shape (w,); idf: shape (w,); projection: shape (w, dimensions)."""

    words: npt.NDArray[np.str_]
    idf: npt.NDArray[np.float64]
    projection: npt.NDArray[np.float64]

    @property
    def dimensions(self) -> int:
        return int(self.projection.shape[1])

    @cached_property
    def _place(self) -> dict[str, int]:
        return {str(word): place for place, word in enumerate(self.words)}

    def vectors(self, texts: Sequence[str]) -> Matrix:
        """Shape (len(texts), dimensions); zeros for a text without a known word."""
        out = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            counts = Counter(
                place for word in TOKEN.findall(text.lower()) if (place := self._place.get(word)) is not None
            )
            if counts:
                out[row] = self._vector(counts)
        return out

    def _vector(self, counts: Counter[int]) -> npt.NDArray[np.float64]:
        places = np.fromiter(counts.keys(), np.intp)
        weights = (1.0 + np.log(np.fromiter(counts.values(), np.float64))) * self.idf[places]
        folded: npt.NDArray[np.float64] = (weights / np.linalg.norm(weights)) @ self.projection[places]
        return folded

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, words=self.words, idf=self.idf, projection=self.projection.astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> TfidfProjection:
        """Raises ArtefactError for a file that is not one."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(arrays["words"], arrays["idf"], arrays["projection"].astype(np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
