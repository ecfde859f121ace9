"""What somebody wrote into a file or an option, and what is wrong with it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import LentaError


def read_document(path: Path, option: str) -> Any:
    """TOML (by its suffix) or JSON. Raises LentaError that names the option and the file."""
    try:
        text = path.read_text("utf-8")
        return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise LentaError(f"{option} {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LentaError(f"{option} {path}: {error}") from error


def first_fault(error: ValidationError) -> str:
    """With its field."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message: str = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
