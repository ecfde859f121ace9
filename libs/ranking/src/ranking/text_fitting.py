"""Fits `TfidfProjection` by scikit-learn. For training only: no serving module imports it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from ranking.text import TOKEN, TfidfProjection

VOCABULARY = 20_000
COMMON = 0.5
"""A word that more than this share of the posts has says nothing."""


def fit_projection(texts: Sequence[str], dimensions: int, seed: int = 0) -> TfidfProjection:
    """`dimensions` columns always; those that the texts are too few or too short for are zero."""
    vectorizer = _vectorizer(texts)
    if vectorizer is None:
        return TfidfProjection(np.zeros(0, np.str_), np.zeros(0), np.zeros((0, dimensions)))
    weights = vectorizer.transform(texts)
    projection = np.zeros((weights.shape[1], dimensions))
    if weights.shape[1] == 1:  # one word is its own direction
        projection[0, 0] = 1.0
    else:
        rank = min(dimensions, weights.shape[0], weights.shape[1])
        with np.errstate(invalid="ignore", divide="ignore"):  # equal texts have no variance to take a share of
            folding = TruncatedSVD(rank, random_state=seed, n_iter=4).fit(weights)
        projection[:, :rank] = folding.components_.T
    # as float32, which is how it is stored: a model scores after loading exactly as before
    return TfidfProjection(
        np.array(vectorizer.get_feature_names_out(), np.str_),
        np.asarray(vectorizer.idf_, np.float64),
        projection.astype(np.float32).astype(np.float64),
    )


def _vectorizer(texts: Sequence[str]) -> TfidfVectorizer | None:
    """None when no text has a word. Words of one post only are left out unless there are no others."""
    for rare, common in ((2, COMMON), (1, 1.0)):
        vectorizer = TfidfVectorizer(
            sublinear_tf=True, min_df=rare, max_df=common, max_features=VOCABULARY, token_pattern=TOKEN.pattern
        )
        try:
            return vectorizer.fit(texts)
        except ValueError:  # an empty vocabulary, or fewer posts than `rare`
            continue
    return None
