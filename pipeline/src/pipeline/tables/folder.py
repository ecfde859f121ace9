"""The platform's three tables as files: exported from Postgres, or somebody's folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.progress import OnProgress, silent
from contracts.own import NOTHING_DECLARED, OwnColumns
from feature_service.database.own import DECLARED, declaration_of

from pipeline.errors import LentaError
from pipeline.tables.files import TableFiles
from pipeline.tables.files import opened as opened_files
from pipeline.tables.formats import FORMATS, quoted
from pipeline.tables.mapping import PLAIN, TableMapping

if TYPE_CHECKING:
    from pyarrow import RecordBatchReader


OWN_COLUMNS = "own_columns.json"


@dataclass(frozen=True)
class Tables:
    """One DuckDB expression per table, with the columns of `pipeline.tables.formats`; no id, no row appears twice."""

    users: str
    posts: str
    feed: str
    own: OwnColumns = NOTHING_DECLARED
    """What users and posts have in `own`, JSON by name; without any there may be no such column."""

    @classmethod
    def of_folder(cls, folder: Path, mapping: TableMapping = PLAIN) -> Tables:
        """Somebody's, read as `lenta import` reads it. Raises LentaError naming the file, line and column at fault."""
        with opened_files() as database:
            files = [TableFiles(database, table, folder, mapping) for table in FORMATS]
            for file in files:
                file.check()
        users, posts, feed = (f"({file.rows()})" for file in files)
        return cls(users, posts, feed, mapping.own)

    @classmethod
    def of_export(cls, folder: Path) -> Tables:
        """What `export` wrote: as clean as Postgres, so it is neither checked nor cast."""
        declared = folder / OWN_COLUMNS
        own = OwnColumns.model_validate_json(declared.read_text()) if declared.exists() else NOTHING_DECLARED
        users, posts, feed = (f"read_parquet({quoted(f'{folder / table.name}.parquet')})" for table in FORMATS)
        return cls(users, posts, feed, own)


def naive_literal(moment: datetime) -> str:
    """As an SQL literal in UTC without zone, which is how the tables hold time."""
    return quoted(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))


def export(postgres_url: str, folder: Path, until: datetime | None, on_progress: OnProgress = silent) -> Tables:
    """The three tables as Parquet, from one snapshot, in batches: memory does not grow with the feed.

    No feed row at or after `until` leaves Postgres. Raises LentaError when Postgres cannot be read.
    """
    from adbc_driver_manager import Error
    from adbc_driver_postgresql import dbapi

    bound = f"WHERE timestamp < {naive_literal(until)}" if until else ""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT greatest(sum(reltuples), 0)::bigint FROM pg_class WHERE relname LIKE 'feed_data_2%'")
            expected = int(cursor.fetchone()[0] or 0)
            cursor.execute(DECLARED)
            own = declaration_of(cursor.fetchall())
            (folder / OWN_COLUMNS).write_text(own.model_dump_json())
            for name, query in _queries(own, bound).items():
                cursor.execute(query)
                done = _write(cursor.fetch_record_batch(), folder / f"{name}.parquet", expected, on_progress)
            on_progress(done, done)
    except Error as error:
        reason = str(error).strip().splitlines()[0]
        raise LentaError(f"Postgres could not be read: {reason}. Is it up (`lenta status`), and migrated?") from error
    return Tables.of_export(folder)


def _queries(own: OwnColumns, bound: str) -> dict[str, str]:
    value = ", own::text AS own" if own else ""
    of_users, of_posts = (
        ("LEFT JOIN user_own USING (user_id)", "LEFT JOIN post_own ON post_id = id") if own else ("", "")
    )
    return {
        "user_data": f"SELECT user_id, age, gender, country, city, exp_group, os, source{value} FROM user_data {of_users}",
        "post_text_df": f"SELECT id, text, topic{value} FROM post_text_df {of_posts}",
        "feed_data": f"SELECT timestamp, user_id, post_id, action, target FROM feed_data {bound}",
    }


def _write(reader: RecordBatchReader, path: Path, expected: int, on_progress: OnProgress) -> int:
    from pyarrow.parquet import ParquetWriter

    done = 0
    with ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            done += batch.num_rows
            on_progress(min(done, expected), expected)
    return done
