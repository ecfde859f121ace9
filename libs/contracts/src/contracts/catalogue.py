"""The catalogue snapshot: every post that exists, with its counts as of the last hourly tick, as one npz.

Posts stand in the order in which they came; a post keeps its index for as long as its generation lives.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from contracts.own import NOTHING_DECLARED, OwnColumns, Packed, nothing
from contracts.records import BadRecordError

Totals = npt.NDArray[np.int64]
_LATER = {"gone", "own", "own_columns"}
"""What a snapshot of an older build does not have."""
_OF_POSTS = ("post_id", "topic", "first_view_at", "segment_views", "segment_likes")

TOPICS_MAX = 8_000
"""Topics that there may be: a user's counts hold two numbers a topic, and a row gives 65,535 bytes to its counts."""
TICK_SECONDS = 3_600
"""Post and segment features change on the hour, offline and live alike."""


def tick_of(time: datetime | float) -> int:
    """The last hourly tick at or before `time`, in seconds since the epoch."""
    seconds = time.timestamp() if isinstance(time, datetime) else time
    return int(seconds // TICK_SECONDS) * TICK_SECONDS


def next_tick_after(time: float) -> int:
    """The first tick at which what happened at `time` is counted, in seconds since the epoch: where its hour ends."""
    return tick_of(time) + TICK_SECONDS


@dataclass(frozen=True)
class Catalogue:
    """Arrays of shape (posts,), but `topics` (topics,) and the counts before the last hourly tick (posts, segments)."""

    version: int
    """Grows with every snapshot."""
    counted_until: int
    """Where the hour of the last counted event ends, in seconds since the epoch; 0 before any.

    A post's exposure is measured up to here, so that it does not fade while no events come.
    """
    topics: npt.NDArray[np.str_]
    post_id: npt.NDArray[np.int64]
    topic: npt.NDArray[np.int16]
    """Index into `topics`."""
    first_view_at: npt.NDArray[np.int64]
    """Seconds since the epoch, 0 for a post that nobody has seen."""
    segment_views: npt.NDArray[np.uint32]
    """By the viewer's segment, in the order of `contracts.records.SEGMENTS`."""
    segment_likes: npt.NDArray[np.uint32]
    gone: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Ids of posts that nobody is shown; their counts stay part of those of their topics."""
    own_columns: OwnColumns = NOTHING_DECLARED
    """What the platform's team declared."""
    own: Packed = field(default_factory=lambda: np.zeros((0, 0), np.uint32))
    """The posts' values of it (`contracts.own`), shape (posts, columns); empty where there are none."""

    def __len__(self) -> int:
        return len(self.post_id)

    def pack(self) -> bytes:
        buffer = io.BytesIO()
        columns: dict[str, Any] = {name.name: getattr(self, name.name) for name in fields(self)}
        np.savez(buffer, **{**columns, "own_columns": np.array(self.own_columns.model_dump_json())})
        return buffer.getvalue()

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Raises BadRecordError for bytes that are no catalogue."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                names = [name.name for name in fields(cls) if name.name in arrays or name.name not in _LATER]
                columns: dict[str, Any] = {name: arrays[name] for name in names}
                if "own_columns" in columns:
                    columns["own_columns"] = OwnColumns.model_validate_json(str(columns["own_columns"]))
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise BadRecordError(f"not a catalogue: {error}") from error
        return cls(**{**columns, "version": int(columns["version"]), "counted_until": int(columns["counted_until"])})

    def only(self, places: npt.NDArray[np.intp] | slice) -> Self:
        """The same catalogue with the posts at these places alone."""
        of_posts: dict[str, Any] = {name: getattr(self, name)[places] for name in _OF_POSTS}
        if len(self.own):
            of_posts["own"] = self.own[places]
        return replace(self, **of_posts)

    @cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        return np.argsort(self.post_id, kind="stable")

    def index_of(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
        """The index of each id, -1 for a post that is not in the catalogue. ids: shape (n,)."""
        if not len(self):
            return np.full(len(ids), -1, np.intp)
        ordered = self.post_id[self._order]
        place = np.minimum(np.searchsorted(ordered, ids), len(self) - 1)
        return np.where(ordered[place] == ids, self._order[place], -1)

    @property
    def own_values(self) -> Packed:
        """Shape (posts, columns), whether there are any or not."""
        return self.own if len(self.own) else nothing(self.own_columns.post, len(self))

    @cached_property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Whether a post may be shown, shape (posts,)."""
        shown = np.ones(len(self), bool)
        places = self.index_of(self.gone)
        shown[places[places >= 0]] = False
        return shown

    @cached_property
    def total_views(self) -> int:
        return int(self.post_views.sum())

    @cached_property
    def total_likes(self) -> int:
        return int(self.post_likes.sum())

    @cached_property
    def post_views(self) -> Totals:
        """Of each post by everybody, shape (posts,)."""
        return np.asarray(self.segment_views.sum(axis=1, dtype=np.int64))

    @cached_property
    def post_likes(self) -> Totals:
        return np.asarray(self.segment_likes.sum(axis=1, dtype=np.int64))

    @cached_property
    def segment_topic_views(self) -> Totals:
        """Shape (topics, segments)."""
        return self._by_topic(self.segment_views)

    @cached_property
    def segment_topic_likes(self) -> Totals:
        return self._by_topic(self.segment_likes)

    @cached_property
    def topic_views(self) -> Totals:
        """Shape (topics,)."""
        return np.asarray(self.segment_topic_views.sum(axis=1))

    @cached_property
    def topic_likes(self) -> Totals:
        return np.asarray(self.segment_topic_likes.sum(axis=1))

    @cached_property
    def topic_posts(self) -> Totals:
        """How many posts of each topic anybody has seen."""
        return np.bincount(self.topic, self.first_view_at > 0, len(self.topics)).astype(np.int64)

    @cached_property
    def topic_first_views(self) -> Totals:
        """The sum of their times of first view."""
        return np.bincount(self.topic, self.first_view_at, len(self.topics)).astype(np.int64)

    def _by_topic(self, counts: npt.NDArray[np.uint32]) -> Totals:
        sums = np.zeros((len(self.topics), counts.shape[1]), np.int64)
        np.add.at(sums, self.topic, counts)
        return sums
