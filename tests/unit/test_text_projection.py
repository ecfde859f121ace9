"""Texts become short vectors in numpy exactly as scikit-learn makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranking.artefact import ArtefactError
from ranking.text import TOKEN, TfidfProjection
from ranking.text_fitting import VOCABULARY, fit_projection
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

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


def test_a_text_without_a_known_word_is_zero(fitted: tuple[list[str], TfidfProjection]) -> None:
    assert not fitted[1].vectors(["", "   ", "😀 🎉", "q", "nobody wrote this"]).any()


def test_russian_text_in_any_case_has_the_same_vector(fitted: tuple[list[str], TfidfProjection]) -> None:
    one, other = fitted[1].vectors(["Кошка и мяч", "КОШКА, И МЯЧ!"])
    assert one.any()
    np.testing.assert_array_equal(one, other)


@given(st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_texts_fit_and_give_finite_vectors_of_the_asked_length(some: list[str]) -> None:
    vectors = fit_projection(some, 4).vectors([*some, "anything"])
    assert vectors.shape == (len(some) + 1, 4)
    assert np.isfinite(vectors).all()


def test_the_vocabulary_is_capped() -> None:
    many = [" ".join(f"word{number}" for number in range(low, low + 300)) for low in range(0, 25_000, 150)]
    assert len(fit_projection(many, 2).words) == VOCABULARY


def test_a_saved_projection_gives_the_same_vectors(fitted: tuple[list[str], TfidfProjection], tmp_path: Path) -> None:
    learned, projection = fitted
    projection.save(tmp_path)
    np.testing.assert_array_equal(TfidfProjection.load(tmp_path).vectors(learned), projection.vectors(learned))


def test_a_folder_without_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"text\.npz"):
        TfidfProjection.load(tmp_path)
