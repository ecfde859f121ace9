"""Ask Lenta for posts, and send it what users viewed and liked: `Lenta` waits, `AsyncLenta` is awaited."""

from lenta_client.asynchronous import AsyncLenta
from lenta_client.errors import (
    Forbidden,
    InvalidParameter,
    LentaError,
    NotFound,
    OutboxFull,
    Refused,
    ServerError,
    Unauthorized,
    Unavailable,
)
from lenta_client.messages import Answer, Event, FeedRow, Page, Post, Profile
from lenta_client.options import Options
from lenta_client.sync import Lenta

__all__ = [
    "Answer",
    "AsyncLenta",
    "Event",
    "FeedRow",
    "Forbidden",
    "InvalidParameter",
    "Lenta",
    "LentaError",
    "NotFound",
    "Options",
    "OutboxFull",
    "Page",
    "Post",
    "Profile",
    "Refused",
    "ServerError",
    "Unauthorized",
    "Unavailable",
]
