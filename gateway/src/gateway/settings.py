"""What the gateway reads from the environment."""

from __future__ import annotations

from typing import Annotated

from chassis.settings import InternalSettings, prefixed
from pydantic import Field

Positive = Annotated[int, Field(ge=1)]


class Settings(InternalSettings):
    model_config = prefixed("GATEWAY_")

    features_url: str
    control_url: str
    test_url: str
    api_keys: Annotated[str, Field(min_length=1, repr=False)]
    """Comma-separated: any of them opens the calls that need a key."""
    admin_keys: Annotated[str, Field(repr=False)] = ""
    """Comma-separated: any of them changes experiments. Without one nobody does."""
    deadline_ms: Positive = 300
    """From arrival to answer."""
    features_ms: Positive = 50
    """At most this much of it for a user's row."""
    exposure_ms: Positive = 80
    """And for recording what is shown, which also brings its texts."""
    ranker_ms: Positive = 120
    max_concurrent: Positive = 100
    """Requests of one kind at once, however quick they are; how many it takes now follows the measured delay."""
    memory_mb: Positive = 48
    """For last slates, hidden ids and texts, from which answers are made when something is down; a sixth of it for
    remembering whose assignment was reported."""
