"""The file of a command's --out: refused before the work, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from pipeline.errors import LentaError


def check_out(out: Path) -> None:
    """Raises LentaError for what cannot be the name of a new file."""
    try:
        is_folder, has_folder = out.is_dir(), out.absolute().parent.is_dir()
    except OSError as error:
        raise LentaError(f"--out {out} cannot be written: {error}") from error
    if is_folder:
        raise LentaError(f"--out {out} is a folder; name a file in it, as {out / 'out.parquet'}")
    if not has_folder:
        raise LentaError(f"--out {out}: there is no folder {out.parent}")


@contextmanager
def written(out: Path, schema: pa.Schema) -> Iterator[ParquetWriter]:
    """Takes the place of `out` when all is written. Raises LentaError when it cannot be."""
    beside = out.with_name(out.name + ".part")
    try:
        try:
            with ParquetWriter(beside, schema) as writer:
                yield writer
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise LentaError(f"--out {out} cannot be written: {error}") from error
