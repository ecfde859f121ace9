"""What the console reads from its environment."""

from __future__ import annotations

from typing import Annotated, Self

from chassis.keys import listed
from chassis.settings import PublicSettings, prefixed
from contracts.wire import UserId
from pydantic import AfterValidator, BeforeValidator, Field, FilePath, model_validator
from pydantic_settings import NoDecode

Seconds = Annotated[float, Field(gt=0, le=30)]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _first(value: str) -> str:
    return value.partition(",")[0].strip()


def _address(value: str) -> str:
    """Raises ValueError that says how one is written."""
    name, _, url = value.partition("=")
    if not name or not url.startswith(("http://", "https://")):
        raise ValueError("a service is written name=http://host:port")
    return value


ServiceAddress = Annotated[str, AfterValidator(_address)]


class ConsoleSettings(PublicSettings):
    model_config = prefixed("CONSOLE_")

    gateway_url: str
    api_key: Annotated[str, Field(repr=False), AfterValidator(_first)] = ""
    """Opens the gateway's reading of experiments; without it their pages say so. The first, where several are given."""
    services: Annotated[tuple[ServiceAddress, ...], NoDecode, BeforeValidator(_split)] = ()
    """What the system page watches: `name=http://host:port`, comma-separated. A host with several addresses, or a name
    given twice, is a service with several replicas."""
    secure_cookies: bool = False
    """Where browsers reach it over TLS: the editor's cookie then travels over nothing else, and browsers are told to
    ask over TLS alone for a year."""
    reading_keys: Annotated[str, Field(repr=False)] = ""
    """Comma-separated, or `sha256:` and a hash: browsers ask for one of them, as a password to any name, before they
    show a page."""
    reading_keys_file: FilePath | None = None
    """More of them, by commas or lines. Read anew within a second of a change, without a restart."""
    poll_seconds: Annotated[float, Field(ge=1, le=300)] = 15.0
    """Between two readings of the services' metrics."""
    example_users: Annotated[tuple[UserId, ...], NoDecode, BeforeValidator(_split)] = (200, 201, 202, 203, 204, 205)
    """Ids that the demo page offers to try; comma-separated in the environment."""
    read_timeout_seconds: Seconds = 2.0
    """For a profile, a history or a post."""
    preview_timeout_seconds: Seconds = 1.0
    """For one model's posts."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8090
    """Host and port are read by `python -m console`; a server that is told its own address ignores them."""

    @property
    def has_keys(self) -> bool:
        return bool(listed(self.reading_keys)) or self.reading_keys_file is not None

    @model_validator(mode="after")
    def _need_a_key_beyond_loopback(self) -> Self:
        if self.is_closed and not self.has_keys:
            raise ValueError(
                "CONSOLE_READING_KEYS: names no key, and others than this machine reach the console; set one, or "
                "CONSOLE_LISTEN=127.0.0.1, or CONSOLE_READING_NEEDS_KEY=false behind a proxy that knows who comes"
            )
        return self
