"""What is learned from, what is known of a user, and what is judged; needs numpy and scipy only.

Models learn from rows before the cut, as a model trained last night does. A user is known until a cut of their own, as
the platform knows them when they ask: the first half of what they viewed after the cut is known of them, the second
half is judged. Nobody is scored by anything that happened at or after their own cut, and no model learns from anything
after the common one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pipeline.measures.accuracy import Floats, ndcg
from scipy.sparse import csr_matrix

Index = npt.NDArray[np.int64]
LEAST_VIEWS = 6
"""A user of whom fewer posts would be judged is not judged: as in `pipeline.dataset.sampling`."""
SHRINKAGE = 20.0
"""Views of the mean like rate that each post's own is shrunk by."""


@dataclass(frozen=True)
class Views:
    """One row a view, in order of time, microseconds; users and posts by their place. Shape (n,) each."""

    user: Index
    post: Index
    time: Index
    liked: npt.NDArray[np.bool_]

    def where(self, rows: npt.NDArray[np.bool_] | slice) -> Views:
        return Views(self.user[rows], self.post[rows], self.time[rows], self.liked[rows])

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Judged:
    """Distinct posts of each judged user, by user, then post. cut: the user's own. Shape (n,) each."""

    user: Index
    post: Index
    liked: npt.NDArray[np.bool_]
    cut: Index


@dataclass(frozen=True)
class Split:
    """known: of judged users, until the cut of their own; what lies before the common cut is in `train` as well."""

    train: Views
    known: Views
    judged: Judged
    users: int
    posts: int

    @classmethod
    def of(cls, views: Views, users: int, posts: int, cut: int, end: int | None = None) -> Split:
        """Judges rows from `cut` on, and before `end`."""
        views = views.where(views.time < end) if end is not None else views
        after = views.time >= cut
        later = views.where(after)
        order = np.argsort(later.user, kind="stable")
        later = Views(later.user[order], later.post[order], later.time[order], later.liked[order])
        who, start, counts = np.unique(later.user, return_index=True, return_counts=True)
        own = np.full(users, np.iinfo(np.int64).max)
        own[who] = later.time[start + counts // 2]
        chosen = later.where(later.time >= own[later.user])
        pairs, place = np.unique(chosen.user * posts + chosen.post, return_inverse=True)
        liked = np.bincount(place, chosen.liked) > 0
        user, post = pairs // posts, pairs % posts
        enough = np.bincount(user, minlength=users)[user] >= LEAST_VIEWS
        judged = Judged(user[enough], post[enough], liked[enough], own[user[enough]])
        is_judged = np.zeros(users, bool)
        is_judged[judged.user] = True
        known = views.where(is_judged[views.user] & (views.time < own[views.user]))
        return cls(views.where(~after), known, judged, users, posts)

    def matrix(self, views: Views, missed: float = 0.0) -> csr_matrix:
        """Users x posts: 1 where a post was liked, `-missed` where it was only viewed."""
        pairs, place = np.unique(views.user * self.posts + views.post, return_inverse=True)
        values = np.where(np.bincount(place, views.liked, len(pairs)) > 0, 1.0, -missed)
        kept = values != 0
        user, post = (pairs // self.posts)[kept], (pairs % self.posts)[kept]
        return csr_matrix((values[kept], (user, post)), shape=(self.users, self.posts))

    def rates(self) -> Floats:
        """Of likes before the cut, by post, shrunk towards all posts'."""
        views = np.bincount(self.train.post, minlength=self.posts)
        likes = np.bincount(self.train.post, self.train.liked, self.posts)
        return np.asarray((likes + SHRINKAGE * self.train.liked.mean()) / (views + SHRINKAGE))


@dataclass(frozen=True)
class Side:
    """What a post's text and topic, and a user's profile, say in words: places of 1 in a 0-1 matrix."""

    post: Index
    post_word: Index
    user: Index
    user_word: Index


@dataclass(frozen=True)
class Public:
    """A set, as peers get it. valid_cut: within training time; peers are tuned on what lies between the two cuts."""

    views: Views
    side: Side
    users: int
    posts: int
    valid_cut: int
    cut: int

    @property
    def valid(self) -> Split:
        return Split.of(self.views, self.users, self.posts, self.valid_cut, self.cut)

    @property
    def test(self) -> Split:
        return Split.of(self.views, self.users, self.posts, self.cut)

    def save(self, path: Path) -> None:
        arrays = {
            f"{part}_{field.name}": getattr(getattr(self, part), field.name)
            for part, kind in (("views", Views), ("side", Side))
            for field in fields(kind)
        }
        np.savez(path, **arrays, numbers=np.array([self.users, self.posts, self.valid_cut, self.cut]))

    @classmethod
    def load(cls, path: Path) -> Public:
        with np.load(path) as result:
            views = Views(*(result[f"views_{field.name}"] for field in fields(Views)))
            side = Side(*(result[f"side_{field.name}"] for field in fields(Side)))
            return cls(views, side, *(int(number) for number in result["numbers"]))


def at(split: Split, of_users: csr_matrix, of_posts: Any) -> Floats:
    """of_users @ of_posts at the judged rows. Shapes (users, k), (k, posts); of_posts: an array or a sparse matrix."""
    users, place = np.unique(split.judged.user, return_inverse=True)
    dense = of_users[users] @ of_posts
    dense = dense.toarray() if hasattr(dense, "toarray") else np.asarray(dense)
    return np.asarray(dense[place, split.judged.post], np.float64)


Score = Callable[..., Floats]


@dataclass(frozen=True)
class Peer:
    """score(split, side, **one of tries): of each judged row, after learning from the split's `train`."""

    name: str
    score: Score
    tries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Tuned:
    scores: Floats
    chosen: Mapping[str, Any]
    valid_ndcg: float


def tuned(peer: Peer, public: Public) -> Tuned:
    return tuned_on(peer, public.valid, public.test, public.side)


def tuned_on(peer: Peer, valid: Split, test: Split, side: Side) -> Tuned:
    """The test rows' scores by the settings that are best on the validation rows, fitted anew on all before the cut."""
    reached = [
        float(ndcg(peer.score(valid, side, **each), valid.judged.user, valid.judged.liked).mean())
        for each in peer.tries
    ]
    best = int(np.argmax(reached))
    return Tuned(peer.score(test, side, **peer.tries[best]), peer.tries[best], reached[best])
