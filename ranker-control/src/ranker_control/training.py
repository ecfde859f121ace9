"""Learns ranker-control's view of texts. For training only."""

from __future__ import annotations

from collections.abc import Callable

from ranking.examples import Examples
from ranking.taste import isotropic_taste
from ranking.text_fitting import fit_projection

from ranker_control.encoder import TextEncoder

DIMENSIONS = 48
TASTE_VARIANCE = 0.01
"""Of a user's taste along one direction of the text: what shrinks a user with few likes."""
LEARNS_FROM_LIKES = False
"""Only texts and which of them are liked at all: nothing that could give a training row away to itself."""


def train_encoder(examples: Examples, seed: int, on_progress: Callable[[int, int], None]) -> TextEncoder:
    projection = fit_projection(examples.posts.texts, DIMENSIONS, seed)
    on_progress(1, 2)
    taste = isotropic_taste(projection.vectors(examples.posts.texts), examples, TASTE_VARIANCE)
    on_progress(2, 2)
    return TextEncoder(projection, taste, examples.posts.topics)
