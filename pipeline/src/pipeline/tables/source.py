"""What the platform is filled with: a simulated world, or three tables in somebody's folder."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipeline.tables.formats import FORMATS, find
from pipeline.tables.mapping import TableMapping

WITHHELD = timedelta(days=15)
"""Of a simulated world: `lenta check` measures quality on them."""


class Source(BaseModel):
    """Equal sources hold the same data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    mapping: Path | None = None
    """The file that says what the tables' names and values mean; None: they are the platform's own."""
    until: datetime | None
    """Rows from this time on are withheld; None: nothing is."""
    world: str | None = None
    seed: int | None = None
    end: date | None = None
    """The world's last day is the day before."""
    files: str | None = None
    """Names, sizes and times of a folder's files and of its mapping, hashed: a changed file is other data."""

    @classmethod
    def of_world(cls, world: str, seed: int, end: date, until: datetime | None, folder: Path) -> Source:
        last = datetime(end.year, end.month, end.day, tzinfo=UTC)
        return cls(folder=folder, until=until or last - WITHHELD, world=world, seed=seed, end=end)

    @classmethod
    def of_folder(cls, folder: Path, until: datetime | None, mapping: Path | None = None) -> Source:
        """Raises LentaError when a table is not there, or there twice, and for a mapping that cannot be read."""
        folder, mapping = folder.absolute(), mapping and mapping.absolute()
        given = TableMapping.read(mapping)
        for table in FORMATS:
            for _, file in given.files(table):
                find(folder, file.file or table.name)
        paths = sorted({path for path in folder.glob("**/*") if path.is_file()} | ({mapping} if mapping else set()))
        stats = [(os.path.relpath(path, folder), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        return cls(folder=folder, mapping=mapping, until=until, files=sha256(repr(stats).encode()).hexdigest()[:16])

    def __str__(self) -> str:
        what = f"the {self.world} world, seed {self.seed}" if self.world else str(self.folder)
        return f"{what} until {self.until:%Y-%m-%d %H:%M}" if self.until else what
