"""What the service, ingest, warm and the migrations read from the environment."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from chassis.keys import KNOWN
from chassis.settings import InternalSettings, is_loopback, prefixed
from contracts.catalogue import TOPICS_MAX
from pydantic import Field, model_validator


class Settings(InternalSettings):
    model_config = prefixed("FEATURES_")

    redis_url: str
    postgres_url: str
    shards: int = 4
    """Of the event log, by user. May not change while the log holds entries."""
    max_topics: Annotated[int, Field(ge=1, le=TOPICS_MAX)] = 1_000
    """A post of one topic more is refused: each user's counts hold two numbers a topic."""
    ingest_host: str = "0.0.0.0"
    """As a container needs it; `make up` says 127.0.0.1."""
    ingest_port: int = 8011
    listen: str = ""
    """Where the platform is published. On loopback its stores may have passwords that everybody knows."""
    webhook_url: Annotated[str, Field(pattern=r"^$|^https?://")] = ""
    """Is called when a verdict, a guardrail's state or the traffic of an experiment changes."""
    webhook_secret: Annotated[str, Field(repr=False)] = ""
    """Signs those calls."""

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Self:
        if self.webhook_url and len(self.webhook_secret) < 16:
            raise ValueError("FEATURES_WEBHOOK_SECRET: a webhook's calls are signed: at least 16 characters")
        return self

    @model_validator(mode="after")
    def _refuse_known_passwords(self) -> Self:
        """Raises ValueError that names the variable."""
        for field in ("redis_url", "postgres_url"):
            store = urlsplit(getattr(self, field))
            known = store.password in KNOWN
            if known and not is_loopback(store.hostname or "") and not is_loopback(self.listen):
                raise ValueError(
                    f"FEATURES_{field.upper()} holds the password {store.password!r}, which everybody knows; set "
                    "another, or FEATURES_LISTEN=127.0.0.1 where nobody but this machine reaches the platform"
                )
        return self
