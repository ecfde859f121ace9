"""One small frozen settings class a service, read once from the environment in the composition root."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

CANNOT_START = 2
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class SettingsError(RuntimeError):
    """The environment does not say what the service needs. The message names every variable at fault."""


class ServiceSettings(BaseSettings):
    """Subclass with `model_config = prefixed("GATEWAY_")`. A field without default is required."""

    model_config = SettingsConfigDict(frozen=True)

    log_level: LogLevel = "INFO"

    @classmethod
    def read(cls) -> Self:
        """From the environment. Raises SettingsError for a missing, malformed or unknown variable."""
        prefix = cls.model_config.get("env_prefix", "")
        known = {f"{prefix}{name}".upper() for name in cls.model_fields}
        faults = [
            f"{name}: no such setting" for name in sorted(os.environ) if name.startswith(prefix) and name not in known
        ]
        try:
            settings = cls()
        except ValidationError as error:
            faults += [f"{prefix}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
            raise SettingsError("; ".join(faults)) from error
        if faults:
            raise SettingsError(f"{'; '.join(faults)}. Known: {', '.join(sorted(known))}")
        return settings

    @classmethod
    def read_or_exit(cls) -> Self:
        """`read` for a composition root: a process that cannot start says why in one line, and ends with status 2."""
        try:
            return cls.read()
        except SettingsError as error:
            print(f"cannot start: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            raise SystemExit(CANNOT_START) from error


class InternalSettings(ServiceSettings):
    """Of a service that other services of the platform call, or that calls them."""

    internal_key: Annotated[str, Field(repr=False)] = ""
    """Shared by the platform's services: what they send each other, and what one that only they call asks for. Several,
    comma-separated, while it changes: each is taken, the first is sent. Without one a service lets in its own machine
    alone."""


def prefixed(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(frozen=True, env_prefix=prefix, extra="forbid")
