"""All that Postgres holds, as one folder, so that nobody is locked in; and back into an empty platform.

The log's offsets alone stay behind: they belong to the log of that platform.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import adbc_driver_postgresql.dbapi
import pyarrow as pa
from chassis.progress import OnProgress, silent
from feature_service.database.tables import Table
from pyarrow import csv, parquet
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import JSON

from pipeline.errors import LentaError
from pipeline.tables.formats import FORMATS

MANIFEST = "export.json"
STAYS = {"shard_offsets"}
OF_IMPORT = {table.name for table in FORMATS}
NEVER_USED = ("exposures", "assignments", "event_ledger")
"""Empty in a platform that has answered nobody."""
BATCH_ROWS = 50_000
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_ESTIMATE = (
    "SELECT greatest(sum(reltuples), 0)::bigint FROM pg_class "
    "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
)


class Manifest(BaseModel):
    """Written last: an export that broke off has none. tables: rows of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lenta: str
    at: datetime
    format: str
    tables: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises LentaError for a folder that is no whole export."""
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise LentaError(f"{folder} has no {MANIFEST}: it is no folder that `lenta export` wrote whole") from error
        except ValidationError as error:
            raise LentaError(f"{folder / MANIFEST} is damaged: {error.errors()[0]['msg']}; export again") from error


def exported() -> list[SqlTable]:
    """A table after those that it refers to."""
    return [table for table in Table.metadata.sorted_tables if table.name not in STAYS]


def export_everything(
    postgres_url: str, folder: Path, *, as_csv: bool = False, on_progress: OnProgress = silent
) -> Manifest:
    """Each table as a file, all as of one moment, batch by batch: memory does not grow with them.

    Raises LentaError for a folder that holds something, and when Postgres cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise LentaError(f"{folder} is not empty: an export goes into a folder of its own")
    rows: dict[str, int] = {}
    try:
        with adbc_driver_postgresql.dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(_ESTIMATE)
            progress = _Progress(on_progress, int(cursor.fetchone()[0] or 0))
            for table in exported():
                cursor.execute(_query(table, as_csv=as_csv))
                rows[table.name] = _write(cursor.fetch_record_batch(), folder, table.name, as_csv, progress)
    except adbc_driver_postgresql.dbapi.Error as error:
        raise LentaError(f"Postgres could not be read: {str(error).splitlines()[0]}; see `lenta status`") from error
    kind = "csv" if as_csv else "parquet"
    manifest = Manifest(lenta=version("lenta-pipeline"), at=datetime.now(UTC), format=kind, tables=rows)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1))
    return manifest


def check_export(folder: Path) -> Manifest:
    """Raises LentaError for an export that is not whole, or not Parquet."""
    manifest = Manifest.read(folder)
    if manifest.format != "parquet":
        raise LentaError(f"{folder} was exported as {manifest.format}: everything is read back from Parquet alone")
    for table in exported():
        path = folder / f"{table.name}.parquet"
        try:
            rows = parquet.read_metadata(path).num_rows
        except (OSError, pa.ArrowException) as error:
            raise LentaError(f"{path} cannot be read ({error}); export again") from error
        if rows != manifest.tables.get(table.name):
            raise LentaError(f"{path} holds {rows:,} rows, of {manifest.tables.get(table.name, 0):,}; export again")
    return manifest


def restore_others(cursor: adbc_driver_postgresql.dbapi.Cursor, folder: Path) -> None:
    """What is beside the three tables of an import, in its transaction. Raises LentaError for a platform in use."""
    for name in NEVER_USED:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")
        if cursor.fetchone()[0]:
            raise LentaError(f"{name} holds rows: everything goes into a platform that has answered nobody yet")
    others = [table for table in exported() if table.name not in OF_IMPORT]
    cursor.execute(f"TRUNCATE {', '.join(table.name for table in others)}")
    for table in others:
        _restore(cursor, table, folder / f"{table.name}.parquet")
    cursor.execute(
        "SELECT setval('nobodies', least(-1, (SELECT min(user_id) FROM assignments), "
        "(SELECT min(user_id) FROM exposure_days)))"
    )


def _restore(cursor: adbc_driver_postgresql.dbapi.Cursor, table: SqlTable, path: Path) -> None:
    """By a table of plain columns beside it, out of which Postgres casts: JSON comes as text."""
    staging = f"restored_{table.name}"
    file = parquet.ParquetFile(path)
    reader = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(BATCH_ROWS))
    cursor.adbc_ingest(staging, reader, mode="create", temporary=True)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(f'"{column.name}"::{column.type.compile(_DIALECT)}' for column in table.columns)
    cursor.execute(f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {staging}")
    cursor.execute(f"DROP TABLE {staging}")
    if "id" in table.columns and table.name not in OF_IMPORT:
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))"
        )


def _query(table: SqlTable, *, as_csv: bool) -> str:
    as_text = (JSON, ARRAY) if as_csv else (JSON,)
    columns = (
        f'"{column.name}"' + (f'::text AS "{column.name}"' if isinstance(column.type, as_text) else "")
        for column in table.columns
    )
    return f"SELECT {', '.join(columns)} FROM {table.name}"


class _Progress:
    """Over all tables."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    def more(self, rows: int) -> None:
        self._done += rows
        self._on_progress(self._done, max(self._total, self._done))


def _write(reader: pa.RecordBatchReader, folder: Path, name: str, as_csv: bool, progress: _Progress) -> int:
    rows = 0
    with (
        csv.CSVWriter(folder / f"{name}.csv", reader.schema)
        if as_csv
        else parquet.ParquetWriter(folder / f"{name}.parquet", reader.schema)
    ) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
            progress.more(batch.num_rows)
    return rows
