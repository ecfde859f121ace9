"""What the console is told by its environment."""

from __future__ import annotations

from typing import Annotated

from chassis.settings import ServiceSettings, prefixed
from contracts.wire import UserId
from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

Seconds = Annotated[float, Field(gt=0, le=30)]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class ConsoleSettings(ServiceSettings):
    model_config = prefixed("CONSOLE_")

    gateway_url: str
    example_users: Annotated[tuple[UserId, ...], NoDecode, BeforeValidator(_split)] = (200, 201, 202, 203, 204, 205)
    """Ids that the demo page offers to try; comma-separated in the environment."""
    read_timeout_seconds: Seconds = 2.0
    """For a profile, a history or a post."""
    preview_timeout_seconds: Seconds = 1.0
    """For one model's posts."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8090
    """Host and port are read by `python -m console`; a server that is told its own address ignores them."""
