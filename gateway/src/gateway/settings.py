"""What the gateway reads from the environment."""

from __future__ import annotations

from chassis.settings import ServiceSettings, prefixed


class Settings(ServiceSettings):
    model_config = prefixed("GATEWAY_")

    features_url: str
    control_url: str
    test_url: str
    api_keys: str
    """Comma-separated: any of them opens what needs a key."""
    deadline_ms: int = 300
    """From arrival to answer."""
    features_ms: int = 50
    """At most this much of it for a user's row."""
    ranker_ms: int = 120
    max_concurrent: int = 100
    """Requests at once; more are shed with 503."""
    remembered_users: int = 20_000
    """Users whose last slate and hidden ids are kept for when something is down."""
    remembered_texts: int = 20_000
    log_level: str = "INFO"
