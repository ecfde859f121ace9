"""A user's row as bytes: how Redis stores it, how it travels, how a ranker reads it.

Three records with one writer each: profile (fixed struct), counts and last views (uint32 array), hidden post ids
(uint32 array in order of liking, duplicates allowed, since only `APPEND` writes it). `pack_row` joins them, and the
posts that went lately; nothing between Redis and the ranker decodes them. Little-endian throughout. Each record starts
with the version of its layout; fields are only ever appended.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from contracts.wire import UserProfile

VERSION = 1
UNKNOWN_BYTE = 255
AGE_BANDS = (18, 22, 27, 35, 45)
"""Upper ends (exclusive) of the age bands; the last band is open."""
SEGMENTS = (*(str(band) for band in range(len(AGE_BANDS) + 1)), "unknown")
"""Of users: their age band, or unknown."""

RECENT_VIEWS = 24
"""How many of a user's views are kept by post: with them profile and counts take at most 300 bytes at seven topics."""

_PROFILE = struct.Struct("<BBBBIIII")
_ROW = struct.Struct("<HHI")
_OWN_SIZE = 4
_COUNTS_HEADER = 4

IntArray = npt.NDArray[np.integer]


def segments_of(ages: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Index in SEGMENTS of each age, NaN for one that is missing."""
    return np.where(np.isnan(ages), len(SEGMENTS) - 1, np.searchsorted(AGE_BANDS, ages, side="right")).astype(np.int64)


class BadRecordError(ValueError):
    """Bytes that are not a record of a version that we know."""


def code(text: str | None) -> int:
    """A stable 31-bit code for a category value; 0 for a missing one."""
    return 0 if text is None else (zlib.crc32(text.encode()) & 0x7FFF_FFFF) or 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A user's profile in numbers. `None` where the user left it out; codes are 0 then."""

    age: int | None = None
    gender: int | None = None
    exp_group: int | None = None
    os: int = 0
    source: int = 0
    country: int = 0
    city: int = 0
    own: bytes = b""
    """Of the columns that a team declared: `contracts.own.pack`."""

    @classmethod
    def of(cls, user: UserProfile, own: bytes = b"") -> Self:
        return cls(
            age=user.age,
            gender=user.gender,
            exp_group=user.exp_group,
            os=code(user.os),
            source=code(user.source),
            country=code(user.country),
            city=code(user.city),
            own=own,
        )

    def pack(self) -> bytes:
        small = (UNKNOWN_BYTE if value is None else value for value in (self.age, self.gender, self.exp_group))
        return _PROFILE.pack(VERSION, *small, self.os, self.source, self.country, self.city) + self.own

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        if not data:
            return cls()
        _check_version(data[0], "profile")
        _, *small, os, source, country, city = _PROFILE.unpack_from(data)
        age, gender, exp_group = (None if value == UNKNOWN_BYTE else value for value in small)
        if (len(data) - _PROFILE.size) % _OWN_SIZE:
            raise BadRecordError("a profile record that is cut off")
        return cls(age, gender, exp_group, os, source, country, city, data[_PROFILE.size :])

    @property
    def segment(self) -> str:
        """One of SEGMENTS."""
        return SEGMENTS[self.segment_index]

    @property
    def segment_index(self) -> int:
        return len(SEGMENTS) - 1 if self.age is None else bisect_right(AGE_BANDS, self.age)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a user did so far: views and likes by topic (index in the catalogue's topics), when last, the last views.

    views, likes: uint32, shape (topics,); topics that came later than the record are not in it.
    recent: time and post of each of the last views, uint32, shape (at most RECENT_VIEWS, 2), as `latest` orders them.
    Times are seconds since the epoch, 0 for never.
    """

    last_view_at: int = 0
    last_like_at: int = 0
    views: IntArray = field(default_factory=lambda: np.zeros(0, np.uint32))
    likes: IntArray = field(default_factory=lambda: np.zeros(0, np.uint32))
    recent: IntArray = field(default_factory=lambda: np.zeros((0, 2), np.uint32))

    def pack(self) -> bytes:
        header = np.array([VERSION, len(self.views), self.last_view_at, self.last_like_at], "<u4")
        return b"".join(part.astype("<u4").tobytes() for part in (header, self.views, self.likes, self.recent))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        if not data:
            return cls()
        values = np.frombuffer(data, "<u4")
        version, topics, last_view_at, last_like_at = (int(value) for value in values[:_COUNTS_HEADER])
        _check_version(version, "counts")
        end = _COUNTS_HEADER + 2 * topics
        views, likes = values[_COUNTS_HEADER:end].reshape(2, topics)
        return cls(last_view_at, last_like_at, views, likes, values[end:].reshape(-1, 2))

    def over(self, topics: int) -> Self:
        """The same counts with room for `topics` topics (a catalogue's topics only ever grow)."""
        if topics <= len(self.views):
            return self
        room = (0, topics - len(self.views))
        return replace(self, views=np.pad(self.views, room), likes=np.pad(self.likes, room))


def latest(views: IntArray) -> IntArray:
    """The last RECENT_VIEWS, by time and post, in whatever order they came. views: time and post, shape (n, 2)."""
    return views[np.lexsort((views[:, 1], views[:, 0]))][-RECENT_VIEWS:]


@dataclass(frozen=True, slots=True)
class UserRow:
    """Everything a ranker knows of a user. hidden: liked post ids, oldest first, may repeat.

    gone: posts that nobody is shown any more, though a catalogue may not know it yet.
    """

    profile: Profile
    counts: Counts
    hidden: IntArray
    known: bool
    """False for a user of whom the platform has neither profile nor events."""
    gone: IntArray = field(default_factory=lambda: np.zeros(0, np.uint32))

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Raises BadRecordError for bytes that are no row."""
        try:
            profile, counts, hidden, gone = split_row(data)
            return cls(
                Profile.unpack(profile),
                Counts.unpack(counts),
                np.frombuffer(hidden, "<u4"),
                known=bool(profile or counts or hidden),
                gone=np.frombuffer(gone, "<u4"),
            )
        except (struct.error, ValueError) as error:
            raise BadRecordError(f"not a user row: {error}") from error


def pack_row(profile: bytes, counts: bytes, hidden: bytes, gone: bytes = b"") -> bytes:
    """Without posts that are gone, a row is what it was before there were any."""
    return _ROW.pack(len(profile), len(counts), len(hidden)) + profile + counts + hidden + gone


def split_row(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The parts of a row, undecoded. Raises BadRecordError."""
    if len(data) < _ROW.size:
        raise BadRecordError("a user row that is cut off")
    profile, counts, hidden = _ROW.unpack_from(data)
    ends = [_ROW.size, _ROW.size + profile, _ROW.size + profile + counts, _ROW.size + profile + counts + hidden]
    if len(data) < ends[-1] or (len(data) - ends[-1]) % 4:
        raise BadRecordError("a user row of the wrong length")
    return data[ends[0] : ends[1]], data[ends[1] : ends[2]], data[ends[2] : ends[3]], data[ends[3] :]


def _check_version(version: int, what: str) -> None:
    if version != VERSION:
        raise BadRecordError(f"a {what} record of version {version}; this build reads version {VERSION}")
