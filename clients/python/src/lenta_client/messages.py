"""What is said to the gateway and what it answers. Ids are whole numbers, times have a zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args
from uuid import uuid4

from lenta_client.errors import InvalidParameter

OwnValue = str | float | None
Action = Literal["view", "like"]
MAX_ID = 2**31 - 1
MAX_KEY = 64


def checked_id(value: object, name: str) -> int:
    """Raises InvalidParameter that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise InvalidParameter(f"{name}: {value!r} is not a whole number from 0 to {MAX_ID}", field=name)
    return value


def _checked_key(value: object, name: str) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_KEY or "\0" in value:
        raise InvalidParameter(f"{name}: {value!r} is not a text of 1 to {MAX_KEY} characters", field=name)


def _checked_time(value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidParameter(f"timestamp: {value!r} is not a time with a zone", field="timestamp")


def _new_key() -> str:
    return uuid4().hex


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A view or a like. Raises InvalidParameter that names the field.

    key: the event's identity; however often an event is sent, it counts once. request_id: of the answer that showed the
    post, so that a like counts for the right model.
    """

    user_id: int
    post_id: int
    action: Action
    request_id: str | None = None
    key: str = field(default_factory=_new_key)
    timestamp: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        checked_id(self.user_id, "user_id")
        checked_id(self.post_id, "post_id")
        _checked_key(self.key, "key")
        if self.request_id is not None:
            _checked_key(self.request_id, "request_id")
        if self.action not in get_args(Action):
            raise InvalidParameter(f"action: {self.action!r} is not view or like", field="action")
        _checked_time(self.timestamp)

    def as_json(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "key": self.key,
            "user_id": self.user_id,
            "post_id": self.post_id,
            "action": self.action,
            "timestamp": self.timestamp.isoformat(),
        }
        return fields if self.request_id is None else fields | {"request_id": self.request_id}


@dataclass(frozen=True, slots=True)
class Post:
    id: int
    text: str
    topic: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Posts for a user, best first. group: None for a preview, which is no exposure. model: `name@version`, or the
    fallback. degraded: what was missing; empty for the model's own full answer. short: fewer posts than asked for are
    left that the user has not liked."""

    user_id: int
    posts: tuple[Post, ...]
    group: str | None
    request_id: str
    model: str
    degraded: tuple[str, ...]
    cold_start: bool
    short: bool

    def view(self, post_id: int) -> Event:
        """The user saw the post of this answer."""
        return self._event(post_id, "view")

    def like(self, post_id: int) -> Event:
        return self._event(post_id, "like")

    def _event(self, post_id: int, action: Action) -> Event:
        return Event(user_id=self.user_id, post_id=post_id, action=action, request_id=self.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a user. Everything may be missing."""

    age: int | None = None
    gender: int | None = None
    country: str | None = None
    city: str | None = None
    exp_group: int | None = None
    os: str | None = None
    source: str | None = None
    own: Mapping[str, OwnValue] = field(default_factory=dict)
    """Columns that your mapping file declares."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One view or like that the platform knows of. target: of a view, 1 where a like followed it."""

    timestamp: datetime
    user_id: int
    post_id: int
    action: Action
    target: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a history, newest first. next_cursor: where the next one begins; None on the last."""

    rows: tuple[FeedRow, ...]
    next_cursor: str | None
