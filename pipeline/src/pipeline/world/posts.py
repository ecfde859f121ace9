"""Posts: topic, sub-themes, the vector that users' tastes act on, and a text that reveals part of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.world.appeal import Traits
from pipeline.world.spec import DAYS, FIRST_POST, WorldSpec
from pipeline.world.tastes import COHORTS
from pipeline.world.vocabulary import COMMON, OPENINGS, SENTENCES, TOPICS

Floats = npt.NDArray[np.float64]
MIXING = 0.35
"""Concentration of a post's mixture of sub-themes: most posts have one or two."""
OLD_DAYS = 60.0
TOPIC_SHARE = 0.20
WORDS = (30, 110)
COMMUNITY_SPREAD = 0.4
"""Of a post's vector about its community's, in those of the communities about each other."""
_SLOT = re.compile(r"\{(\w)\}")


@dataclass(frozen=True)
class Posts(Traits):
    """Shape (posts,) each."""

    post_id: npt.NDArray[np.int64]
    text: list[str]
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
    quality = rng.normal(0, spec.quality_sd, spec.posts)
    shown = rng.random(spec.posts) >= spec.never_shown_share
    grouping, trending, cohorts, creating, copying = rng.spawn(5)
    text = [_text(int(kind), weights, spec, rng) for kind, weights in zip(topic, mixture, strict=True)]
    vector = _vectors(topic, mixture, spec, rng)
    born = rng.random(spec.posts) < spec.born_share
    birth = np.where(born, rng.uniform(0, DAYS, spec.posts), -rng.uniform(0, OLD_DAYS, spec.posts))
    trends = trending.random(spec.posts) < spec.trend_share
    trend = np.where(trends, np.abs(trending.normal(0, spec.trend_sd, spec.posts)), 0.0)
    creator = _creators(spec, creating)
    posts = Posts(
        post_id=np.arange(FIRST_POST, FIRST_POST + spec.posts),
        topic=topic,
        text=[_signed(line, place) for line, place in zip(text, creator, strict=True)] if spec.creators else text,
        vector=_communities(spec, grouping) if spec.communities else vector,
        quality=quality,
        birth=birth,
        weight=exposure * shown * np.exp(spec.exposure_by_quality * quality / spec.quality_sd),
        trend=trend,
        trend_day=trending.uniform(np.maximum(birth, 0), DAYS),
        creator=creator,
        original=np.arange(spec.posts),
        by_cohort=cohorts.normal(0, spec.cohort_quality_sd, (COHORTS if spec.cohort_quality_sd else 0, spec.posts)),
    )
    return _with_reposts(posts, spec, copying) if spec.repost_share else posts


def _communities(spec: WorldSpec, rng: np.random.Generator) -> Floats:
    """Vectors as `_vectors` scales them, close to those of the post's community."""
    centres = rng.normal(size=(spec.communities, spec.dimensions))
    size = rng.dirichlet(np.full(spec.communities, 2.0))
    vector = centres[rng.choice(spec.communities, spec.posts, p=size)]
    vector = vector + COMMUNITY_SPREAD * rng.normal(size=vector.shape)
    vector = vector - vector.mean(axis=0)
    return np.asarray(vector / (np.sqrt((vector**2).mean()) * np.sqrt(spec.dimensions)))


def _creators(spec: WorldSpec, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Who made each post, by index; some make many."""
    if not spec.creators:
        return np.zeros(spec.posts, np.int64)
    share = rng.dirichlet(np.full(spec.creators, 1.0))
    return rng.choice(spec.creators, spec.posts, p=share).astype(np.int64)


def _signed(text: str, creator: int) -> str:
    return f"{text} @{COMMON[creator % len(COMMON)]}_{creator // len(COMMON)}"


def _with_reposts(posts: Posts, spec: WorldSpec, rng: np.random.Generator) -> Posts:
    """Some posts repeat an earlier one: its text, topic, vector and quality."""
    by_birth = np.argsort(posts.birth, kind="stable")
    original = posts.original.copy()
    for place in np.flatnonzero(rng.random(len(posts)) < spec.repost_share):
        if place:
            original[by_birth[place]] = original[by_birth[int(rng.integers(place))]]
    return replace(
        posts,
        original=original,
        text=[posts.text[post] for post in original],
        topic=posts.topic[original],
        vector=posts.vector[original],
        quality=posts.quality[original],
    )


def _vectors(topic: npt.NDArray[np.int64], mixture: Floats, spec: WorldSpec, rng: np.random.Generator) -> Floats:
    """Mean 0 and variance 1 / dimensions each, so that taste . vector has the taste's spread.

    TOPIC_SHARE of the variance lies between the means of topics: that is how much a topic's rate says about a sub-theme
    taste.
    """
    directions = rng.normal(size=(len(TOPICS), mixture.shape[1], spec.dimensions))
    vector = np.einsum("pt,ptd->pd", mixture, directions[topic])
    mean = np.zeros_like(vector)
    for kind in range(len(TOPICS)):
        own = topic == kind
        mean[own] = vector[own].mean(axis=0) if own.any() else 0.0
    parts = (TOPIC_SHARE, mean - vector.mean(axis=0)), (1 - TOPIC_SHARE, vector - mean)
    scaled = [part * np.sqrt(share / max(float((part**2).mean()), 1e-9)) for share, part in parts]
    return np.asarray(sum(scaled) / np.sqrt(spec.dimensions))


def _text(topic: int, mixture: Floats, spec: WorldSpec, rng: np.random.Generator) -> str:
    """As many sentences as it takes."""
    kind = list(TOPICS.values())[topic]
    words = _Words(kind.words, list(kind.themes.values()), np.cumsum(mixture), spec)
    length = int(rng.integers(*WORDS))
    sentences: list[str] = []
    count = 0
    while count < length:
        parts = _SLOT.split(SENTENCES[rng.integers(len(SENTENCES))])
        parts[1::2] = [words.draw(slot, rng) for slot in parts[1::2]]
        sentences.append("".join(parts))
        count += sentences[-1].count(" ") + 1
    return " ".join(sentences)


class _Words:
    """Fills the places of a sentence. Some places take a common word instead, so that the shares are the spec's."""

    def __init__(self, topic: list[str], themes: list[list[str]], mixture: Floats, spec: WorldSpec) -> None:
        """mixture: cumulated."""
        self._topic, self._themes, self._mixture = topic, themes, mixture
        self._kept = {"s": spec.theme_word_share / _share("s"), "t": spec.topic_word_share / _share("t")}

    def draw(self, slot: str, rng: np.random.Generator) -> str:
        if slot == "o":
            return OPENINGS[rng.integers(len(OPENINGS))]
        words = COMMON
        if rng.random() < self._kept[slot.lower()]:
            words = self._topic if slot in "tT" else self._themes[self._theme(rng)]
        word = words[rng.integers(len(words))]
        return word.capitalize() if slot.isupper() else word

    def _theme(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._mixture, rng.random())), len(self._themes) - 1)


@cache
def _share(slot: str) -> float:
    """The share of the sentences' words that stand at places of this kind."""
    opening = np.mean([text.count(" ") for text in OPENINGS])
    places = sum(sentence.lower().count(f"{{{slot}}}") for sentence in SENTENCES)
    words = sum(sentence.count(" ") + 1 + opening * sentence.count("{o}") for sentence in SENTENCES)
    return float(places / words)
