"""The candidate matrix: every post of the catalogue as it stands to one user now, one row a post."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from contracts.catalogue import Catalogue
from contracts.features import BY_SEGMENT, POST_INPUTS, PROFILE, SCHEMA, Array, Pairs, PostOdds, derive, posterior_sd
from contracts.own import unpack, values_of
from contracts.records import SEGMENTS, Counts, Profile, UserRow
from contracts.vocabulary import CATEGORIES

from ranking.artefact import Manifest
from ranking.encoder import Encoder, Matrix, UserState
from ranking.examples import topic_places
from ranking.last_likes import LAST, LastLikes, seconds_since
from ranking.liked_posts import LikedPosts


def post_inputs(catalogue: Catalogue, segment: int) -> dict[str, Array]:
    """The fields of `contracts.features.PostInputs` for users of one segment; those of topics are held once a topic."""
    inputs: dict[str, Array] = {}
    for name in POST_INPUTS:
        values = np.atleast_1d(getattr(catalogue, name))
        inputs[name] = (values if values.ndim == 1 else values[:, segment]).astype(np.float64)
    return inputs


class Candidates:
    """A model's view of one catalogue. `matrix` is the only thing that happens for each request."""

    def __init__(self, catalogue: Catalogue, vectors: Matrix, manifest: Manifest, encoder: Encoder) -> None:
        """vectors: shape (posts, dimensions), in the catalogue's order.

        Raises ArtefactError where the catalogue lacks a column that the model needs.
        """
        manifest.check_own(catalogue.own_columns)
        self.catalogue, self.vectors = catalogue, np.asfortranarray(vectors)
        self.likeness = encoder.likeness(self.vectors)
        """The part of `vectors` by which posts are alike."""
        self._manifest, self._encoder = manifest, encoder
        self._in_catalogue = np.array([_place(catalogue, topic) for topic in manifest.topics], np.intp)
        """Where the model's topics stand in the catalogue, -1 for one that is gone."""
        self._live_topic = catalogue.topic.astype(np.intp)
        """Of each post in the catalogue's topics, and in the model's below, -1 for one that training never saw."""
        self._topic = topic_places(manifest.topics, [*catalogue.topics.tolist(), ""])[self._live_topic]
        self._topic_input = self._topic.astype(np.float64)
        width, own = manifest.schema_length, manifest.own
        self._user_columns = slice(width, width + len(own.user))
        self._own_end = self._user_columns.stop + len(own.post)
        """Where the encoder's columns begin."""
        self._template = np.zeros((len(catalogue), self._own_end + len(encoder.columns)), np.float32, order="F")
        self._template[:, self._user_columns.stop : self._own_end] = values_of(
            "post", own.post, catalogue.own_values, manifest.vocabulary
        )
        self._segment_places = [place for place, name in enumerate(SCHEMA[:width]) if name in BY_SEGMENT]
        self._by_segment: list[Matrix] = []
        for segment in range(len(SEGMENTS)):
            self._post_inputs = post_inputs(catalogue, segment)
            anybody = self._pairs(self._profile(Profile()), Counts().over(len(catalogue.topics)), 0)
            derive(anybody, self._template[:, :width])
            self._by_segment.append(self._template[:, self._segment_places].copy(order="F"))
        self._odds = PostOdds.of(anybody)
        """With what is left in `_post_inputs`, of the last segment: what segments differ in stands in `_by_segment`."""
        self.uncertainty = posterior_sd(anybody.post_views, self._odds.post)
        """Of each post's own log-odds of a like, shape (posts,)."""

    def matrix(self, row: UserRow, now: int) -> Matrix:
        """Shape (posts, schema prefix + own columns + encoder columns), float32, Fortran order, as CatBoost likes it
        best."""
        width, profile, counts = self._manifest.schema_length, self._profile(row.profile), self._counts(row)
        out = self._template.copy(order="F")
        for place, column in zip(self._segment_places, self._by_segment[row.profile.segment_index].T, strict=True):
            out[:, place] = column
        derive(self._pairs(profile, counts, now), out[:, :width], self._odds)
        if own := self._manifest.own.user:
            out[:, self._user_columns] = values_of("user", own, unpack(own, row.profile.own), self._manifest.vocabulary)
        state = self._state(profile, counts, row.hidden, now)
        self._encoder.write(state, self.vectors, self._topic, out[:, self._own_end :])
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

    def _state(self, profile: Array, counts: Counts, hidden: npt.NDArray[np.integer], now: int) -> UserState:
        """The user as the encoder sees one: a single row."""
        ids, first = np.unique(hidden, return_index=True)
        liked = self.catalogue.index_of(ids[np.argsort(first)].astype(np.int64))
        liked = liked[liked >= 0]
        since = seconds_since(np.array([float(counts.last_like_at)]), np.array([float(now)]))
        return UserState(
            profile=profile[None, :],
            topic_views=_by_topic(counts.views, self._in_catalogue),
            topic_likes=_by_topic(counts.likes, self._in_catalogue),
            liked_sum=self.vectors[liked].sum(axis=0, dtype=np.float64)[None, :].astype(np.float32),
            liked=np.array([float(len(liked))]),
            last=LastLikes(self.vectors, liked[::-1][None, :LAST].astype(np.int64), since),
            liked_posts=LikedPosts(
                self.vectors, liked.astype(np.int64), np.zeros(1, np.int64), np.full(1, len(liked), np.int64)
            ),
        )

    def _seen(self, counts: Counts) -> Array:
        seen = np.zeros(len(self.catalogue))
        places = self.catalogue.index_of(counts.recent[:, 1].astype(np.int64))
        seen[places[places >= 0]] = 1.0
        return seen

    def _pairs(self, profile: Array, counts: Counts, now: int) -> Pairs:
        return Pairs(
            **self._post_inputs,
            **dict(zip(PROFILE, profile[:, None], strict=True)),
            user_views=np.array([float(counts.views.sum())]),
            user_likes=np.array([float(counts.likes.sum())]),
            last_view_at=np.array([float(counts.last_view_at)]),
            last_like_at=np.array([float(counts.last_like_at)]),
            user_topic_views=counts.views.astype(np.float64),
            user_topic_likes=counts.likes.astype(np.float64),
            seen=self._seen(counts),
            topic=self._topic_input,
            now=np.array([float(now)]),
            spread=self._live_topic,
        )


def _place(catalogue: Catalogue, topic: str) -> int:
    """Index in the catalogue's topics, -1 for one that is not there."""
    places = np.flatnonzero(catalogue.topics == topic)
    return int(places[0]) if len(places) else -1


def _by_topic(counts: npt.NDArray[np.integer], places: npt.NDArray[np.intp]) -> Array:
    """Counts in the model's order of topics, shape (1, topics)."""
    padded = np.append(counts, 0).astype(np.float64)
    return padded[places][None, :]
