"""Learns ranker-control's view of texts. For training only."""

from __future__ import annotations

from chassis.progress import OnProgress
from ranking.examples import Examples
from ranking.taste import taste_space, taste_variances
from ranking.text_fit import fit_projection

from ranker_control.encoder import TextEncoder

DIMENSIONS = 64
"""Of a text's vector, before likes tell which directions matter."""


def train_encoder(examples: Examples, seed: int, on_progress: OnProgress) -> TextEncoder:
    posts = examples.posts
    projection = fit_projection(posts.texts, DIMENSIONS, seed)
    on_progress(1, 2)
    vectors = projection.vectors(posts.texts)
    space = taste_space(vectors, examples)
    variance = taste_variances(space.coordinates(vectors, posts.topic), examples)
    on_progress(2, 2)
    return TextEncoder(projection, space, variance, posts.topics)
