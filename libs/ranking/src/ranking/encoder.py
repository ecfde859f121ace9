"""What is particular to a model: how it sees posts, and the columns it adds behind the schema's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ranking.last_likes import LastLikes
from ranking.liked_posts import LikedPosts

Matrix = npt.NDArray[np.float32]
Column = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UserState:
    """Users as of a moment, m of them: one while serving, one a row while training.

    Derived from what a user row holds, so that a new user and a new model need no new state: the taste in
    a model's own space is the sum over the vectors of the posts that the user liked.
    """

    profile: Column
    """Shape (m, 7): age, gender, exp_group, os, source, country, city as in `contracts.features.Pairs`."""
    topic_views: Column
    """Shape (m, topics)."""
    topic_likes: Column
    liked_sum: Matrix
    """Shape (m, dimensions): sum of the vectors of the distinct posts liked."""
    liked: Column
    """Shape (m,): how many distinct posts that sum holds."""
    last: LastLikes
    """What the user liked last, in the same space."""
    liked_posts: LikedPosts = field(default_factory=LikedPosts.none)
    """All that the user liked, in the same space."""


class Encoder(Protocol):
    """A model's view of texts. Pure numpy while serving; what it learned lies in its arrays."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the model's own columns, in order, behind those of the schema."""
        ...

    @property
    def base(self) -> tuple[str, ...]:
        """Columns, of the schema's or its own, whose sum is log-odds of a like already: the trees start from them."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a post's vector."""
        ...

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        """Posts' vectors, shape (n, dimensions). A post that training never saw gets one from its text and topic."""
        ...

    def likeness(self, vectors: Matrix) -> Matrix:
        """That part of posts' vectors in which alike posts lie near each other, shape (n, any)."""
        ...

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        """Fills `out`, shape (n, len(columns)), for m = 1 user and n posts, or m = n pairs, row by row.

        vectors: shape (n, dimensions); topic: index in the catalogue's topics, -1 if unknown, shape (n,).
        """
        ...

    def save(self, folder: Path) -> None: ...


def dots(users: Matrix, posts: Matrix) -> Matrix:
    """users . posts, for one user and n posts or row by row; shape (n,)."""
    product: Matrix = posts @ users[0] if len(users) == 1 else np.einsum("nd,nd->n", users, posts)
    return product
