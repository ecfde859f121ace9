"""Posts as vectors of their text: how they lie, what sub-themes they form, and whether likes follow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from ranking.encoder import Matrix
from ranking.examples import Examples, Index
from ranking.taste import Floats, Space, standard_space, taste_space, taste_variances
from ranking.text_fit import fit_shares
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.manifold import TSNE

from pipeline.dataset.feed import Feed
from pipeline.dataset.history import History
from pipeline.dataset.samples import learn_from, training_requests

DIMENSIONS = 64
"""As ranker-test's texts."""
THEMES = 6
"""How many sub-themes are sought in each topic."""
LEAST_POSTS = 12
"""A topic with fewer has no sub-themes."""
NAMING_WORDS = 2
PERPLEXITY = 30.0
ROWS = 300_000
"""Views that tastes are learned from and judged by."""
TENTHS = 10


@dataclass(frozen=True)
class Themes:
    """of_post: index in `names`, -1 for a post of too small a topic, shape (posts,).

    topic: of each theme, shape (themes,).
    """

    of_post: Index
    topic: Index
    names: list[str]


def text_vectors(feed: Feed, dimensions: int = DIMENSIONS, seed: int = 0) -> Matrix:
    """Shares of words, folded onto their strongest directions, shape (posts, dimensions): as ranker-test sees texts."""
    return fit_shares(feed.posts.texts, dimensions, seed).vectors(feed.posts.texts)


def within_topics(vectors: Matrix, topic: Index) -> Matrix:
    """Vectors less the mean of their topic, of length 1; what has no length stays 0."""
    centred = vectors.copy()
    for place in np.unique(topic):
        centred[topic == place] -= vectors[topic == place].mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))


def flat_map(vectors: Matrix, seed: int = 0) -> Floats:
    """Two dimensions in which neighbours stay neighbours (t-SNE; van der Maaten & Hinton 2008), shape (posts, 2)."""
    perplexity = min(PERPLEXITY, max((len(vectors) - 1) / 3, 1.0))
    mapped = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    return np.asarray(mapped, np.float64)


def themes_of(feed: Feed, vectors: Matrix, seed: int = 0) -> Themes:
    """Clusters within each topic (k-means), each named by the words that set it apart from the rest of its topic."""
    posts = feed.posts
    centred = within_topics(vectors, posts.topic)
    of_post = np.full(len(posts.ids), -1, np.int64)
    topics: list[int] = []
    names: list[str] = []
    for topic in range(len(posts.topics)):
        own = np.flatnonzero(posts.topic == topic)
        if len(own) < LEAST_POSTS:
            continue
        clusters = min(THEMES, len(np.unique(centred[own], axis=0)))
        cluster = KMeans(clusters, n_init=4, random_state=seed).fit_predict(centred[own])
        of_post[own] = len(names) + cluster
        names += _names([posts.texts[at] for at in own], cluster)
        topics += [topic] * clusters
    return Themes(of_post, np.array(topics, np.int64), names)


def _names(texts: list[str], cluster: npt.NDArray[np.integer]) -> list[str]:
    clusters = int(cluster.max()) + 1
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    try:
        weights = vectorizer.fit_transform(texts)
    except ValueError:  # texts without a word
        return [f"cluster {place + 1}" for place in range(clusters)]
    words, mean = vectorizer.get_feature_names_out(), np.asarray(weights.mean(axis=0)).ravel()
    own = (np.asarray(weights[cluster == place].mean(axis=0)).ravel() for place in range(clusters))
    return [", ".join(str(words[at]) for at in np.argsort(mean - weight)[:NAMING_WORDS]) for weight in own]


def neighbours(feed: Feed, vectors: Matrix, post_ids: list[int], count: int = 3, length: int = 80) -> pd.DataFrame:
    """The nearest posts by cosine to each of `post_ids`, and the beginnings of their texts."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    posts, rows = feed.posts, []
    for post in post_ids:
        place = int(np.searchsorted(posts.ids, post))
        cosine = unit @ unit[place]
        for other in np.argsort(-cosine)[: count + 1]:
            topic, text = posts.topic_names[other], posts.texts[other][:length]
            rows.append((post, int(posts.ids[other]), round(float(cosine[other]), 2), topic, text))
    return pd.DataFrame(rows, columns=["of post", "post", "cosine", "topic", "text"])


def examples_of(feed: Feed, seed: int = 0) -> Examples:
    """Views with what was known about the user just before each.

    Raises LentaError for a feed that nothing can be learned from.
    """
    examples, _ = learn_from(History(feed), *training_requests(feed, seed, ROWS))
    return examples


def direction_variances(vectors: Matrix, examples: Examples) -> pd.DataFrame:
    """Of each direction of the text, strongest first.

    text: its share of the texts' variance within topics; taste: how much users' tastes differ along it, as the variance
    in log-odds of a like.
    """
    space = standard_space(vectors, examples)
    spread = np.asarray((vectors - space.means[examples.posts.topic]).var(axis=0), np.float64)
    tastes = taste_variances(space.coordinates(vectors, examples.posts.topic), examples)
    variances = pd.DataFrame({"text": spread / max(float(spread.sum()), 1e-12), "taste": tastes})
    return variances.sort_values("text", ascending=False, ignore_index=True)


def directions_of_taste(vectors: Matrix, examples: Examples) -> tuple[Space, Matrix]:
    """The directions along which users differ beyond chance, and the posts' coordinates there, shape (posts, kept)."""
    space = taste_space(vectors, examples)
    return space, space.coordinates(vectors, examples.posts.topic)


def likes_by_similarity(vectors: Matrix, examples: Examples) -> pd.DataFrame:
    """Views in tenths by how near the post is to what the user liked before it, within its topic.

    views, likes, and the like rate that the users' own rates would give (expected). Of views by users with at least ten
    likes before.
    """
    topic, known = examples.posts.topic, examples.liked >= TENTHS
    unit = within_topics(vectors, topic)
    sums = examples.all_liked.sums(unit, examples.liked_from[known], examples.liked[known])
    near = np.einsum("nd,nd->n", sums, unit[examples.post[known]]) / np.linalg.norm(sums, axis=1).clip(1e-9)
    clicked, rate = examples.clicked[known], _user_rates(examples)[known]
    place = np.argsort(np.argsort(near, kind="stable"), kind="stable") * TENTHS // max(len(near), 1)
    count = np.maximum(np.bincount(place, minlength=TENTHS), 1)
    return pd.DataFrame(
        {
            "similarity": np.bincount(place, near, TENTHS) / count,
            "views": np.bincount(place, minlength=TENTHS),
            "likes": np.bincount(place, clicked, TENTHS),
            "expected": np.bincount(place, rate, TENTHS) / count,
        }
    )


def _user_rates(examples: Examples) -> Floats:
    """For each row the mean like rate of its user over all rows."""
    users, place = np.unique(examples.user, return_inverse=True)
    rate = np.bincount(place, examples.clicked, len(users)) / np.bincount(place, minlength=len(users))
    return np.asarray(rate[place])
