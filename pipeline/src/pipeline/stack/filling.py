"""Fills an empty platform: world, import, both models, Redis. Every step that has been done is kept and not done again.

Heavy libraries are imported inside the step that needs them, so that a second `lenta up` costs none of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from contracts.assignment import GROUPS
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import LentaError
from pipeline.stack.home import Home, write_private
from pipeline.stack.source import Source


class Filled(BaseModel):
    """How far the filling has come; kept beside what it filled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source
    simulated: bool = False
    imported: bool = False
    models: dict[str, str] = {}
    """Versions trained on this source, by model."""
    warmed: bool = False

    @classmethod
    def read(cls, home: Home) -> Filled | None:
        """Raises LentaError when the file is broken."""
        path = home.run / "filled.json"
        try:
            return cls.model_validate_json(path.read_text())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise LentaError(f"{path} is broken; `make clean` starts afresh: {error}") from error

    def write(self, home: Home) -> Filled:
        write_private(home.run / "filled.json", self.model_dump_json(indent=1))
        return self


class Step(Protocol):
    def __call__(self, title: str) -> AbstractContextManager[Callable[[int, int], None]]: ...
