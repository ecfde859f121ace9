"""Text as a short vector: weighted words projected onto their strongest directions (latent semantic analysis).

Fitted by scikit-learn while training (`ranking.text_fit`) and equal to it; serving needs numpy alone. Nothing here
is ever posts x vocabulary: a text's few words meet their rows of the projection.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from ranking.artefact import ArtefactError
from ranking.encoder import Matrix

Floats = npt.NDArray[np.float64]
TOKEN = re.compile(r"(?u)\b\w\w+\b")
"""Words of two characters and more, in any script; as scikit-learn's default."""


@dataclass(frozen=True)
class FoldedWords(ABC):
    """words: shape (w,); idf: shape (w,); projection: shape (w, dimensions)."""

    words: npt.NDArray[np.str_]
    idf: npt.NDArray[np.float64]
    projection: npt.NDArray[np.float64]
    file: ClassVar[str]
    """Of the artefact; one a kind, so that none is read as the other."""

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
                places = np.fromiter(counts.keys(), np.intp)
                weights = self.weights(np.fromiter(counts.values(), np.float64), self.idf[places])
                out[row] = weights @ self.projection[places]
        return out

    @staticmethod
    @abstractmethod
    def weights(counts: Floats, idf: Floats) -> Floats:
        """Weights of a text's known words, by how often each occurs in it; shapes (words,)."""

    def save(self, folder: Path) -> None:
        np.savez(folder / self.file, words=self.words, idf=self.idf, projection=self.projection.astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises ArtefactError for a file that is not one."""
        try:
            with np.load(folder / cls.file, allow_pickle=False) as arrays:
                return cls(arrays["words"], arrays["idf"], arrays["projection"].astype(np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{cls.file} of the model cannot be read: {error}") from error


class TfidfProjection(FoldedWords):
    """tf-idf as scikit-learn has it: a logarithm of the count, a smoothed idf that is never 0, length 1."""

    file = "text.npz"

    @staticmethod
    def weights(counts: Floats, idf: Floats) -> Floats:
        weights = (1.0 + np.log(counts)) * idf
        return np.asarray(weights / np.linalg.norm(weights))


class WordShares(FoldedWords):
    """tf-idf as first published (Salton & Buckley 1988): a word's share of the text, times log(posts / posts with it).

    A text's vector is then linear in how much of it each theme takes up; scaling to length 1 would make it depend on
    how many different words the text has.
    """

    file = "shares.npz"

    @staticmethod
    def weights(counts: Floats, idf: Floats) -> Floats:
        return np.asarray(counts / counts.sum() * idf)
