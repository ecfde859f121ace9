"""The tables that a notebook is about."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.home import Home

VARIABLE = "LENTA_DATA"
SEED = 8


def tables_folder(end: date | None = None) -> Path:
    """The folder that LENTA_DATA names; else a demo world, kept in LENTA_HOME and simulated once.

    end: its last day, today if not given.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given)
    from pipeline.world.simulation import simulate
    from pipeline.world.spec import spec_of

    folder = Home.find().root / "exploring"
    if not (folder / "feed_data.parquet").exists():
        beside = folder.with_name(f"{folder.name}.part")
        simulate(spec_of("demo"), SEED, end or datetime.now(UTC).date(), beside)
        beside.rename(folder)
    return folder
