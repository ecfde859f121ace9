"""The parts of a user's row that the gateway itself reads, on its way to the ranker."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from contracts.records import BadRecordError, Profile, split_row

POST_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Row:
    """packed: as it came, and as it goes on. hidden, gone: post ids, uint32."""

    packed: bytes
    profile: bytes
    hidden: bytes
    gone: bytes
    known: bool

    @classmethod
    def of(cls, packed: bytes) -> Self:
        """Raises BadRecordError for bytes that are no row."""
        profile, counts, hidden, gone = split_row(packed)
        if len(hidden) % POST_ID_BYTES:
            raise BadRecordError("a user row whose hidden ids are cut off")
        return cls(packed, profile, hidden, gone, known=bool(profile or counts or hidden))

    def liking(self, posts: Iterable[int]) -> Self:
        """As if these were hidden too; what goes on to the ranker stays as it came."""
        return replace(self, hidden=self.hidden + packed_ids(*posts))

    @property
    def segment(self) -> str | None:
        """The age band, by which popular posts are kept; None without a profile, or with one of another version."""
        try:
            return Profile.unpack(self.profile).segment if self.profile else None
        except (BadRecordError, struct.error):
            return None


def packed_ids(*ids: int) -> bytes:
    return np.array(ids, "<u4").tobytes()


def whole_ids(packed: bytes) -> bytes:
    """As they are. Raises BadRecordError for ids that are cut off."""
    if len(packed) % POST_ID_BYTES:
        raise BadRecordError("post ids that are cut off")
    return packed


def unpacked_ids(packed: bytes) -> list[int]:
    ids: list[int] = np.frombuffer(packed, "<u4").tolist()
    return ids
