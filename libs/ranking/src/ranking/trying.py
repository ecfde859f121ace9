"""A user as they would be after more likes: for previews, which write nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from contracts.catalogue import Catalogue
from contracts.records import UserRow, latest


def after_likes(row: UserRow, catalogue: Catalogue, posts: Sequence[int], now: int) -> UserRow:
    """As ingest would have written it had the user just seen these posts and liked them, one after the other.

    Posts that the catalogue does not know, or that the user liked before, change nothing. now: seconds since the epoch.
    """
    before = set(row.hidden.tolist())
    new = np.array([post for post in dict.fromkeys(posts) if post not in before], np.int64)
    places = catalogue.index_of(new)
    new, places = new[places >= 0], places[places >= 0]
    if not len(new):
        return row
    counts = row.counts.over(len(catalogue.topics))
    more = np.bincount(catalogue.topic[places], minlength=len(counts.views)).astype(counts.views.dtype)
    seen = np.column_stack([np.full(len(new), now), new]).astype(np.uint32)
    return replace(
        row,
        counts=replace(
            counts,
            last_view_at=now,
            last_like_at=now,
            views=counts.views + more,
            likes=counts.likes + more,
            recent=latest(np.vstack([counts.recent, seen])),
        ),
        hidden=np.append(row.hidden, new.astype(np.uint32)),
        known=True,
    )
