"""Fits `ranking.text` by scikit-learn. For training only: no serving module imports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from ranking.text import TOKEN, Floats, FoldedWords, TfidfProjection, WordShares

Words = TypeVar("Words", bound=FoldedWords)
VOCABULARY = 20_000
COMMON = 0.5
"""A word in more than this share of the posts is left out: it tells none from another."""
TFIDF: Final[dict[str, Any]] = {"sublinear_tf": True}
SHARES: Final[dict[str, Any]] = {"norm": "l1", "use_idf": False}


def fit_projection(texts: Sequence[str], dimensions: int, seed: int = 0) -> TfidfProjection:
    """`dimensions` columns always; those that the texts are too few or too short for are zero."""
    vectorizer = _vectorizer(texts, TFIDF)
    if vectorizer is None:
        return _without_words(TfidfProjection, dimensions)
    idf = np.asarray(vectorizer.idf_, np.float64)
    return _folded(TfidfProjection, vectorizer, idf, vectorizer.transform(texts), dimensions, seed)


def fit_shares(texts: Sequence[str], dimensions: int, seed: int = 0) -> WordShares:
    """As `fit_projection`. A word that every post has weighs nothing."""
    vectorizer = _vectorizer(texts, SHARES)
    if vectorizer is None:
        return _without_words(WordShares, dimensions)
    shares = vectorizer.transform(texts)
    idf = np.log(shares.shape[0] / shares.getnnz(axis=0).clip(1))
    return _folded(WordShares, vectorizer, idf, shares.multiply(idf).tocsr(), dimensions, seed)


def _vectorizer(texts: Sequence[str], how: dict[str, Any]) -> TfidfVectorizer | None:
    """None when no text has a word. Words of one post only are left out unless there are no others."""
    for rare, common in ((2, COMMON), (1, 1.0)):
        vectorizer = TfidfVectorizer(
            min_df=rare, max_df=common, max_features=VOCABULARY, token_pattern=TOKEN.pattern, **how
        )
        try:
            return vectorizer.fit(texts)
        except ValueError:  # an empty vocabulary, or fewer posts than `rare`
            continue
    return None


def _without_words(kind: type[Words], dimensions: int) -> Words:
    return kind(np.zeros(0, np.str_), np.zeros(0), np.zeros((0, dimensions)))


def _folded(
    kind: type[Words], vectorizer: TfidfVectorizer, idf: Floats, weights: Any, dimensions: int, seed: int
) -> Words:
    """weights: of the texts' words, sparse, shape (texts, words)."""
    projection = np.zeros((weights.shape[1], dimensions))
    if weights.shape[1] == 1:  # one word is its own direction
        projection[0, 0] = 1.0
    else:
        rank = min(dimensions, weights.shape[0], weights.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):  # equal texts have no variance to take a share of
            folding = TruncatedSVD(rank, random_state=seed, n_iter=4).fit(weights)
        projection[:, :rank] = folding.components_.T
    # as float32, which is how it is stored: a model scores after loading exactly as before
    words = np.array(vectorizer.get_feature_names_out(), np.str_)
    return kind(words, idf, projection.astype(np.float32).astype(np.float64))
