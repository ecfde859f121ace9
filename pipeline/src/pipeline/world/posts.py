"""Posts: topic, sub-themes, the vector that users' tastes meet, and a text that shows a part of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.world.spec import DAYS, FIRST_POST, WorldSpec
from pipeline.world.vocabulary import OPENINGS, SENTENCES, TOPICS

Floats = npt.NDArray[np.float64]
MIXING = 0.35
"""Concentration of a post's mixture of sub-themes: most posts have one or two."""
OLD_DAYS = 60.0
WORDS = (30, 110)


@dataclass(frozen=True)
class Posts:
    """Shape (posts,) each, but vector (posts, dimensions). birth: days from the world's start, negative for earlier."""

    post_id: npt.NDArray[np.int64]
    topic: npt.NDArray[np.int64]
    text: list[str]
    vector: Floats
    quality: Floats
    birth: Floats
    weight: Floats
    """How often it is shown, among the posts that exist."""

    def __len__(self) -> int:
        return len(self.post_id)

    @property
    def topic_names(self) -> list[str]:
        names = list(TOPICS)
        return [names[topic] for topic in self.topic]


def make_posts(spec: WorldSpec, rng: np.random.Generator) -> Posts:
    share = np.array([topic.share for topic in TOPICS.values()], float)
    topic = rng.choice(len(TOPICS), spec.posts, p=share / share.sum())
    themes = len(next(iter(TOPICS.values())).themes)
    mixture = rng.dirichlet(np.full(themes, MIXING), spec.posts)
    exposure = np.array([kind.exposure for kind in TOPICS.values()])[topic]
    shown = rng.random(spec.posts) >= spec.never_shown_share
    return Posts(
        post_id=np.arange(FIRST_POST, FIRST_POST + spec.posts),
        topic=topic,
        text=[_text(int(kind), weights, spec, rng) for kind, weights in zip(topic, mixture, strict=True)],
        vector=_vectors(topic, mixture, spec, rng),
        quality=rng.normal(0, spec.quality_sd, spec.posts),
        birth=np.where(
            rng.random(spec.posts) < spec.born_share,
            rng.uniform(0, DAYS, spec.posts),
            -rng.uniform(0, OLD_DAYS, spec.posts),
        ),
        weight=exposure * shown,
    )


def _vectors(topic: npt.NDArray[np.int64], mixture: Floats, spec: WorldSpec, rng: np.random.Generator) -> Floats:
    """Within a topic mean 0 and variance 1 / dimensions each, so that taste . vector has the taste's spread."""
    directions = rng.normal(size=(len(TOPICS), mixture.shape[1], spec.dimensions))
    vector = np.einsum("pt,ptd->pd", mixture, directions[topic])
    for kind in range(len(TOPICS)):
        own = topic == kind
        if own.sum() > 1:
            vector[own] -= vector[own].mean(axis=0)
            vector[own] /= max(float(np.sqrt((vector[own] ** 2).mean())), 1e-9)
    return np.asarray(vector / np.sqrt(spec.dimensions))


def _text(topic: int, mixture: Floats, spec: WorldSpec, rng: np.random.Generator) -> str:
    """Sentences until it is long enough. Of the theme's places some hold words of other themes, to keep its share."""
    kind = list(TOPICS.values())[topic]
    themes = list(kind.themes.values())
    length = int(rng.integers(*WORDS))
    sentences: list[str] = []
    words = 0
    while words < length:
        sentence = SENTENCES[rng.integers(len(SENTENCES))]
        while (at := sentence.find("{")) >= 0:
            sentence = sentence[:at] + _word(sentence[at + 1], kind.words, themes, mixture, rng) + sentence[at + 3 :]
        sentences.append(sentence)
        words += sentence.count(" ") + 1
    return " ".join(sentences)


def _word(slot: str, topic_words: list[str], themes: list[list[str]], mixture: Floats, rng: np.random.Generator) -> str:
    if slot == "o":
        return OPENINGS[rng.integers(len(OPENINGS))]
    words = topic_words
    if slot in "sS":
        words = themes[min(int(np.searchsorted(np.cumsum(mixture), rng.random())), len(themes) - 1)]
    word = words[rng.integers(len(words))]
    return word.capitalize() if slot.isupper() else word
