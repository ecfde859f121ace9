"""The candidate matrix: every post of the catalogue as one user would meet it now, one row a post."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from contracts.catalogue import Catalogue
from contracts.features import BY_SEGMENT, SCHEMA, Array, Pairs, PostOdds, derive
from contracts.records import SEGMENTS, Counts, Profile, UserRow
from contracts.vocabulary import CATEGORIES

from ranking.artefact import Manifest
from ranking.encoder import Encoder, Matrix, UserState


@dataclass(frozen=True)
class PostInputs:
    """The posts' half of `Pairs` for one segment of users. Fields of topics are held once a topic."""

    live_topic: npt.NDArray[np.intp]
    """Index in the catalogue's topics, shape (posts,)."""
    topic: npt.NDArray[np.int64]
    """Index in the model's topics, -1 for one that it never saw."""
    topic_views: Array
    topic_likes: Array
    topic_posts: Array
    topic_first_views: Array
    total_views: Array
    total_likes: Array
    post_views: Array
    post_likes: Array
    first_view_at: Array
    segment_topic_views: Array
    segment_topic_likes: Array
    segment_post_views: Array
    segment_post_likes: Array

    @classmethod
    def of(cls, catalogue: Catalogue, model_topics: list[str], segment: int) -> PostInputs:
        known = {topic: place for place, topic in enumerate(model_topics)}
        to_model = np.array([known.get(str(topic), -1) for topic in catalogue.topics] or [-1], np.int64)
        live = catalogue.topic.astype(np.intp)
        return cls(
            live_topic=live,
            topic=to_model[live],
            topic_views=catalogue.topic_views.astype(np.float64),
            topic_likes=catalogue.topic_likes.astype(np.float64),
            topic_posts=catalogue.topic_posts.astype(np.float64),
            topic_first_views=catalogue.topic_first_views.astype(np.float64),
            total_views=np.array([float(catalogue.views.sum())]),
            total_likes=np.array([float(catalogue.likes.sum())]),
            post_views=catalogue.views.astype(np.float64),
            post_likes=catalogue.likes.astype(np.float64),
            first_view_at=catalogue.first_view_at.astype(np.float64),
            segment_topic_views=catalogue.segment_topic_views[:, segment].astype(np.float64),
            segment_topic_likes=catalogue.segment_topic_likes[:, segment].astype(np.float64),
            segment_post_views=catalogue.segment_views[:, segment].astype(np.float64),
            segment_post_likes=catalogue.segment_likes[:, segment].astype(np.float64),
        )


class Candidates:
    """A model's view of one catalogue. `matrix` is the only thing that happens for each request."""

    def __init__(self, catalogue: Catalogue, vectors: Matrix, manifest: Manifest, encoder: Encoder) -> None:
        """vectors: shape (posts, dimensions), in the catalogue's order."""
        self.catalogue, self.vectors = catalogue, np.asfortranarray(vectors)
        self._manifest, self._encoder = manifest, encoder
        self._own_topics = np.array(
            [_place(catalogue, topic) for topic in manifest.topics], np.intp
        )  # where the model's topics stand in the catalogue, -1 for one that is gone
        width = manifest.schema_length
        self._template = np.zeros((len(catalogue), width + len(encoder.columns)), np.float32, order="F")
        self._segment_places = [place for place, name in enumerate(SCHEMA[:width]) if name in BY_SEGMENT]
        self._by_segment: list[Matrix] = []
        for segment in range(len(SEGMENTS)):
            self._posts = PostInputs.of(catalogue, manifest.topics, segment)
            anybody = self._pairs(self._profile(Profile()), Counts().over(len(catalogue.topics)), 0)
            derive(anybody, self._template[:, :width])
            self._by_segment.append(self._template[:, self._segment_places].copy(order="F"))
        self._odds = PostOdds.of(anybody)  # of the last segment, whose own odds nobody asks for any more

    def matrix(self, row: UserRow, now: int) -> Matrix:
        """Shape (posts, schema prefix + encoder columns), float32, Fortran order, as CatBoost likes it best."""
        width, profile, counts = self._manifest.schema_length, self._profile(row.profile), self._counts(row)
        out = self._template.copy(order="F")
        for place, column in zip(self._segment_places, self._by_segment[row.profile.segment_index].T, strict=True):
            out[:, place] = column
        derive(self._pairs(profile, counts, now), out[:, :width], self._odds)
        state = self._state(profile, counts, row.hidden)
        self._encoder.write(state, self.vectors, self._posts.topic, out[:, width:])
        return out

    def _counts(self, row: UserRow) -> Counts:
        """With room for topics that came after the row was written."""
        return row.counts.over(len(self.catalogue.topics))

    def _profile(self, profile: Profile) -> Array:
        """As `UserState.profile`, shape (7,)."""
        vocabulary = self._manifest.vocabulary
        plain = [
            np.nan if value is None else float(value) for value in (profile.age, profile.gender, profile.exp_group)
        ]
        ranks = [vocabulary.ranks(name, np.array([getattr(profile, name)]))[0] for name in CATEGORIES]
        return np.array(plain + ranks)

    def _state(self, profile: Array, counts: Counts, hidden: npt.NDArray[np.integer]) -> UserState:
        """The user as the encoder sees him: one row."""
        liked = self.catalogue.index_of(np.unique(hidden).astype(np.int64))
        liked = liked[liked >= 0]
        return UserState(
            profile=profile[None, :],
            topic_views=_by_topic(counts.views, self._own_topics),
            topic_likes=_by_topic(counts.likes, self._own_topics),
            liked_sum=self.vectors[liked].sum(axis=0, dtype=np.float64)[None, :].astype(np.float32),
            liked=np.array([float(len(liked))]),
        )

    def _seen(self, counts: Counts) -> Array:
        seen = np.zeros(len(self.catalogue))
        places = self.catalogue.index_of(counts.recent[:, 1].astype(np.int64))
        seen[places[places >= 0]] = 1.0
        return seen

    def _pairs(self, profile: Array, counts: Counts, now: int) -> Pairs:
        posts = self._posts
        age, gender, exp_group, os, source, country, city = profile[:, None]
        return Pairs(
            age=age,
            gender=gender,
            exp_group=exp_group,
            os=os,
            source=source,
            country=country,
            city=city,
            user_views=np.array([float(counts.views.sum())]),
            user_likes=np.array([float(counts.likes.sum())]),
            last_view_at=np.array([float(counts.last_view_at)]),
            last_like_at=np.array([float(counts.last_like_at)]),
            user_topic_views=counts.views.astype(np.float64),
            user_topic_likes=counts.likes.astype(np.float64),
            seen=self._seen(counts),
            topic=posts.topic.astype(np.float64),
            topic_views=posts.topic_views,
            topic_likes=posts.topic_likes,
            topic_posts=posts.topic_posts,
            topic_first_views=posts.topic_first_views,
            total_views=posts.total_views,
            total_likes=posts.total_likes,
            post_views=posts.post_views,
            post_likes=posts.post_likes,
            first_view_at=posts.first_view_at,
            segment_topic_views=posts.segment_topic_views,
            segment_topic_likes=posts.segment_topic_likes,
            segment_post_views=posts.segment_post_views,
            segment_post_likes=posts.segment_post_likes,
            counted_until=np.array([float(self.catalogue.counted_until)]),
            now=np.array([float(now)]),
            spread=posts.live_topic,
        )


def _place(catalogue: Catalogue, topic: str) -> int:
    found = np.flatnonzero(catalogue.topics == topic)
    return int(found[0]) if len(found) else -1


def _by_topic(counts: npt.NDArray[np.integer], places: npt.NDArray[np.intp]) -> Array:
    """Counts in the model's order of topics, shape (1, topics)."""
    padded = np.append(counts, 0).astype(np.float64)
    return padded[places][None, :]
