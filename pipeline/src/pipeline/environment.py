"""What commands need to know about the running platform, kept by `lenta up` so that nobody has to type it.

A variable of the environment wins over the file. Names: LENTA_POSTGRES_URL, LENTA_REDIS_URL, LENTA_MODEL_URI,
LENTA_GATEWAY_URL, LENTA_CONSOLE_URL, LENTA_API_KEY, LENTA_ADMIN_KEY, LENTA_INTERNAL_KEY (between the services),
LENTA_DATA (the folder that was loaded), LENTA_MAPPING (its mapping file, if it has one) and LENTA_UNTIL (rows from this
time on were withheld; absent when all were loaded).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from pipeline.errors import LentaError
from pipeline.home import Home, write_private
from pipeline.tables.source import Source


def setting(name: str, home: Home | None = None) -> str | None:
    """None when neither the environment nor the running platform says."""
    return os.environ.get(name) or read(home or Home.find()).get(name)


def require(name: str, home: Home | None = None) -> str:
    """Raises LentaError naming the variable and what to do."""
    value = setting(name, home)
    if value is None:
        raise LentaError(f"{name} is not set and no platform was brought up here; run `make up` or set {name}")
    return value


def read(home: Home) -> dict[str, str]:
    """Empty before the first `lenta up`. Raises LentaError when the file is broken."""
    try:
        values = json.loads(home.environment.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LentaError(f"{home.environment} is broken ({error}); `make clean` starts afresh") from error
    return {str(name): str(value) for name, value in values.items()}


def of_data(source: Source) -> dict[str, str]:
    """What was loaded, and from when on rows were withheld."""
    values = {"LENTA_DATA": str(source.folder)}
    if source.mapping is not None:
        values["LENTA_MAPPING"] = str(source.mapping)
    if source.until is not None:
        values["LENTA_UNTIL"] = source.until.isoformat()
    return values


def write(home: Home, values: Mapping[str, str]) -> None:
    """The file holds the keys: mode 600."""
    write_private(home.environment, json.dumps(dict(values), indent=1))
