"""What the gateway reads from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self

from chassis.keys import KNOWN, Keys, listed
from chassis.settings import InternalSettings, PublicSettings, is_loopback, prefixed
from contracts.assignment import GROUPS, Group
from contracts.experiments import SHIPPED
from pydantic import Field, FilePath, field_validator, model_validator

from gateway.scopes import CALLER, EVERYTHING
from gateway.tokens import Tokens

Positive = Annotated[int, Field(ge=1)]
RANKER = re.compile(r"[a-z][a-z0-9_]{0,31}")
TAKEN = {*GROUPS, SHIPPED}
ORIGIN = re.compile(r"\*|https?://[^/?#\s]+")


class Settings(InternalSettings, PublicSettings):
    model_config = prefixed("GATEWAY_")

    features_url: str
    control_url: str
    test_url: str
    more_rankers: str = ""
    """Comma-separated, such as challenger=http://ranker-challenger:8002: rankers beside control and test, by the name
    that a plan calls them."""
    api_keys: Annotated[str, Field(repr=False)] = ""
    """Comma-separated: any of them opens the calls that need a key, or, as `events+read=KEY`, some of them. As
    `sha256:` and a hash, the key itself stands nowhere."""
    api_keys_file: FilePath | None = None
    """More of them, by commas or lines. Read anew within a second of a change, without a restart."""
    admin_keys: Annotated[str, Field(repr=False)] = ""
    """Comma-separated: any of them changes experiments. Without one nobody does."""
    admin_keys_file: FilePath | None = None
    """More of them, as with `api_keys_file`."""
    token_secrets: Annotated[str, Field(repr=False)] = ""
    """Comma-separated, each of 32 bytes and more: with any of them a backend may have signed a user's token."""
    token_secrets_file: FilePath | None = None
    """More of them, as with `api_keys_file`."""
    calls_per_second: Annotated[int, Field(ge=0)] = 0
    """Of one key, or of one address without a key; 0 for no limit."""
    cors_origins: str = ""
    """Comma-separated, such as https://app.example: whose pages may call from a browser. `*`: everybody's. By default
    nobody's."""
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

    @property
    def rankers(self) -> dict[Group, str]:
        """Where each listens, by name."""
        more = (pair.split("=", 1) for pair in listed(self.more_rankers))
        return {"control": self.control_url, "test": self.test_url} | {name.strip(): url.strip() for name, url in more}

    @property
    def origins(self) -> list[str]:
        return listed(self.cors_origins)

    @field_validator("more_rankers")
    @classmethod
    def _refuse_what_is_no_ranker(cls, value: str) -> str:
        for pair in listed(value):
            name, _, url = (part.strip() for part in pair.partition("="))
            if not RANKER.fullmatch(name) or name in TAKEN or not url.startswith(("http://", "https://")):
                raise ValueError(
                    f"{pair!r} is no ranker beside {', '.join(GROUPS)}: write challenger=http://ranker-challenger:8002; "
                    "several by commas"
                )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _refuse_what_is_no_origin(cls, value: str) -> str:
        for origin in listed(value):
            if not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: write https://app.example, without a path; several by commas"
                )
        return value

    @model_validator(mode="after")
    def _need_a_key(self) -> Self:
        if not listed(self.api_keys) and self.api_keys_file is None:
            raise ValueError("GATEWAY_API_KEYS: names no key, and there is no GATEWAY_API_KEYS_FILE")
        return self

    @model_validator(mode="after")
    def _refuse_what_opens_nothing(self) -> Self:
        """Raises ValueError that names the variable."""
        openings: dict[str, Callable[[], object]] = {
            "API_KEYS": lambda: Keys(self.api_keys, self.api_keys_file, scopes=CALLER),
            "ADMIN_KEYS": lambda: Keys(self.admin_keys, self.admin_keys_file, scopes=EVERYTHING),
            "TOKEN_SECRETS": lambda: Tokens(self.token_secrets, self.token_secrets_file),
        }
        for variable, opening in openings.items():
            try:
                opening()
            except ValueError as error:
                raise ValueError(f"GATEWAY_{variable} or its file: {error}") from error
        return self

    @model_validator(mode="after")
    def _refuse_known_keys(self) -> Self:
        """Raises ValueError that names the variable."""
        if is_loopback(self.listen):
            return self
        for field in ("api_keys", "api_keys_file", "admin_keys", "admin_keys_file", "internal_key"):
            if known := KNOWN.intersection(listed(_text(getattr(self, field)))):
                raise ValueError(
                    f"GATEWAY_{field.upper()} holds {known.pop()!r}, a key that everybody knows; set another, "
                    "or GATEWAY_LISTEN=127.0.0.1 where nobody but this machine reaches the gateway"
                )
        return self


def _text(given: str | Path | None) -> str:
    return given.read_text() if isinstance(given, Path) else given or ""
