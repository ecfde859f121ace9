"""Batch scores: pairs of users and posts from a file, and a score for each into another."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from chassis.progress import OnProgress, silent

from pipeline.dataset.feed import Feed, microseconds
from pipeline.dataset.history import CHUNK, History
from pipeline.dataset.output import written
from pipeline.errors import LentaError
from pipeline.tables.formats import quoted
from pipeline.tables.inputs import whole

if TYPE_CHECKING:
    from ranking.scorer import Scorer

COLUMNS = ("user_id", "post_id")


def check_pairs(path: Path) -> str:
    """The DuckDB expression that reads the file. Raises LentaError when it is missing, or lacks a column."""
    readers = {".parquet": "read_parquet({})", ".csv": "read_csv({}, all_varchar = true)"}
    if path.suffix.lower() not in readers:
        raise LentaError(f"--pairs {path}: a .parquet or a .csv file is needed")
    if not path.is_file():
        raise LentaError(f"--pairs {path}: there is no such file")
    reader = readers[path.suffix.lower()].format(quoted(str(path)))
    try:
        with duckdb.connect() as database:
            names = [name for name, *_ in database.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()]
    except duckdb.Error as error:
        raise LentaError(f"--pairs {path}: {str(error).splitlines()[0]}") from error
    if missing := [name for name in COLUMNS if name not in names]:
        raise LentaError(f"--pairs {path}: no column {' and no column '.join(missing)}; it has {', '.join(names)}")
    return reader


def score_pairs(
    feed: Feed, scorer: Scorer, pairs: Path, when: datetime, out: Path, on_progress: OnProgress = silent
) -> int:
    """Writes user_id, post_id, score to `out`, one row a pair, in the pairs' order. Returns how many.

    score: log-odds of a like; finite for every pair. Memory grows with one chunk, not with the file.
    """
    import pyarrow as pa

    from pipeline.training.scores import scored

    total = _load(feed, pairs, when)
    history = History.of_model(feed, scorer.manifest)
    history.prepare()
    on_progress(0, max(total, 1))
    schema = pa.schema([("user_id", pa.int64()), ("post_id", pa.int64()), ("score", pa.float64())])
    done = 0
    with written(out, schema) as writer:
        for batch, scores in scored(history, scorer, CHUNK):
            writer.write_table(pa.table([batch.user_id, batch.post_id, scores], schema=schema))
            done += len(scores)
            on_progress(done, total)
    return done


def _load(feed: Feed, pairs: Path, when: datetime) -> int:
    """The pairs as what `History` is asked. Raises LentaError naming the column and the row of what is no id."""
    reader, database = check_pairs(pairs), feed.database
    try:
        ids = ", ".join(f"{whole(name, 'BIGINT')} AS {name}" for name in COLUMNS)
        database.execute(
            f"CREATE OR REPLACE TEMP TABLE requests AS SELECT row_number() OVER () - 1 AS row, {ids}, "
            f"{microseconds(when)}::BIGINT AS instant FROM {reader}"
        )
    except duckdb.Error as error:
        raise LentaError(f"--pairs {pairs}: {str(error).splitlines()[0]}") from error
    for name in COLUMNS:
        first = database.execute(f"SELECT min(row) FROM requests WHERE {name} IS NULL").fetchone()
        if first and first[0] is not None:
            raise LentaError(f"--pairs {pairs}: {name} of pair {first[0] + 1} is missing or not a whole number")
    total = database.execute("SELECT count(*) FROM requests").fetchone()
    return int(total[0]) if total else 0
