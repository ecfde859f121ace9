"""Texts become short vectors in numpy exactly as scikit-learn makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking.artefact import ArtefactError
from ranking.text import TOKEN, TfidfProjection, WordShares
from ranking.text_fit import VOCABULARY, fit_projection, fit_shares
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

WORDS = [
    "кошка",
    "мяч",
    "матч",
    "гол",
    "актёр",
    "сцена",
    "phone",
    "chip",
    "screen",
    "goal",
    "2021",
    "привет",
    "😀",
    "a",
    "the",
    "and",
    "or",
    "rain",
    "sun",
]


def texts(rng: np.random.Generator, posts: int = 80) -> list[str]:
    return [" ".join(rng.choice(WORDS, rng.integers(3, 25))) for _ in range(posts)]


@pytest.fixture(scope="module")
def fitted() -> tuple[list[str], TfidfProjection]:
    learned = texts(np.random.default_rng(1))
    return learned, fit_projection(learned, 6)


def test_it_equals_scikit_learn_on_texts_old_and_new(fitted: tuple[list[str], TfidfProjection]) -> None:
    learned, projection = fitted
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=0.5, token_pattern=TOKEN.pattern)
    folding = TruncatedSVD(6, random_state=0, n_iter=4).fit(vectorizer.fit_transform(learned))
    asked = learned + texts(np.random.default_rng(2)) + ["", "😀😀", "ПРИВЕТ Кошка! кошка?", "unheard of"]
    expected = folding.transform(vectorizer.transform(asked))
    np.testing.assert_allclose(projection.vectors(asked), expected, atol=1e-5)


def test_shares_of_words_equal_scikit_learns_counts_by_length_times_idf() -> None:
    learned = texts(np.random.default_rng(1))
    counts = CountVectorizer(min_df=2, max_df=0.5, token_pattern=TOKEN.pattern).fit_transform(learned).toarray()
    weights = counts / counts.sum(axis=1, keepdims=True) * np.log(len(learned) / (counts > 0).sum(axis=0))
    expected = TruncatedSVD(6, random_state=0, n_iter=4).fit_transform(weights)
    np.testing.assert_allclose(fit_shares(learned, 6).vectors(learned), expected, atol=1e-5)


def test_what_two_texts_say_together_lies_between_them_by_their_lengths() -> None:
    shares = fit_shares(texts(np.random.default_rng(1)), 6)
    short, long, both = shares.vectors(["кошка мяч", "goal goal chip 2021", "кошка мяч goal goal chip 2021"])
    np.testing.assert_allclose(both, (2 * short + 4 * long) / 6, atol=1e-6)


def test_a_text_without_a_known_word_is_zero(fitted: tuple[list[str], TfidfProjection]) -> None:
    assert not fitted[1].vectors(["", "   ", "😀 🎉", "q", "nobody wrote this"]).any()


def test_russian_text_in_any_case_has_the_same_vector(fitted: tuple[list[str], TfidfProjection]) -> None:
    one, other = fitted[1].vectors(["Кошка и мяч", "КОШКА, И МЯЧ!"])
    assert one.any()
    np.testing.assert_array_equal(one, other)


@given(st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_texts_fit_and_give_finite_vectors_of_the_asked_length(some: list[str]) -> None:
    for fit in (fit_projection, fit_shares):
        vectors = fit(some, 4).vectors([*some, "anything"])
        assert vectors.shape == (len(some) + 1, 4)
        assert np.isfinite(vectors).all()


def test_the_vocabulary_is_capped() -> None:
    many = [" ".join(f"word{number}" for number in range(low, low + 300)) for low in range(0, 25_000, 150)]
    assert len(fit_projection(many, 2).words) == VOCABULARY


def test_a_saved_projection_gives_the_same_vectors(fitted: tuple[list[str], TfidfProjection], tmp_path: Path) -> None:
    learned, projection = fitted
    projection.save(tmp_path)
    np.testing.assert_array_equal(TfidfProjection.load(tmp_path).vectors(learned), projection.vectors(learned))
    shares = fit_shares(learned, 6)
    shares.save(tmp_path)
    np.testing.assert_array_equal(WordShares.load(tmp_path).vectors(learned), shares.vectors(learned))


def test_a_folder_without_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"text\.npz"):
        TfidfProjection.load(tmp_path)
    with pytest.raises(ArtefactError, match=r"shares\.npz"):
        WordShares.load(tmp_path)
