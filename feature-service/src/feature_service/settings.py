"""What the service, ingest, warm and the migrations read from the environment."""

from __future__ import annotations

from chassis.settings import ServiceSettings, prefixed


class Settings(ServiceSettings):
    model_config = prefixed("FEATURES_")

    redis_url: str
    postgres_url: str
    shards: int = 4
    """Of the event log, by user. May not change while the log holds entries."""
    ingest_host: str = "0.0.0.0"
    """As a container needs it; `make up` says 127.0.0.1."""
    ingest_port: int = 8011
