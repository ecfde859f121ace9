"""One small frozen settings class a service, read once from the environment in the composition root."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

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
    log_file: Path | None = None
    """Instead of stdout: replaced at 20 MB, with three older ones beside it."""
    metrics_address: Annotated[str, Field(pattern=r"^$|^[^:]+:\d{1,5}$")] = ""
    """`host:port` where `/metrics` and health are answered, instead of the service's own port for the former."""

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
            faults += [_said(prefix, fault) for fault in error.errors()]
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


class PublicSettings(ServiceSettings):
    """Of a service that people and programs outside the platform call."""

    hosts: str = "*"
    """Names under which it is called, comma-separated, without ports; `*.example.org` is any below it, `*` any at all.
    A page elsewhere that has its own name point here calls it by another, and is refused."""
    listen: str = ""
    """The address on which it is published, where that is not the one it listens on itself. On loopback it takes the
    keys that everybody knows, and whoever reaches it may read."""
    reading_needs_key: bool | None = None
    """What is only read, too, for callers with a key alone. By default so elsewhere than on loopback."""

    @property
    def is_closed(self) -> bool:
        return not is_loopback(self.listen) if self.reading_needs_key is None else self.reading_needs_key


class InternalSettings(ServiceSettings):
    """Of a service that other services of the platform call, or that calls them."""

    internal_key: Annotated[str, Field(repr=False)] = ""
    """Shared by the platform's services: what they send each other, and what one that only they call asks for. Several,
    comma-separated, while it changes: each is taken, the first is sent. Without one a service lets in its own machine
    alone."""


def is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ip_address(address).is_loopback
    except ValueError:
        return False


def _said(prefix: str, fault: Mapping[str, Any]) -> str:
    """With the variable's name, unless the message, of several variables together, names them itself."""
    message = fault["msg"].removeprefix("Value error, ")
    return f"{prefix}{str(fault['loc'][0]).upper()}: {message}" if fault["loc"] else message


def prefixed(prefix: str) -> SettingsConfigDict:
    return SettingsConfigDict(frozen=True, env_prefix=prefix, extra="forbid")
