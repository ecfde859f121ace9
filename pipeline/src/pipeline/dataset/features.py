"""Features of training requests, as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from chassis.progress import OnProgress, silent
from contracts.features import SCHEMA

from pipeline.dataset.history import History, Requests
from pipeline.dataset.output import written

REQUEST = (
    ("user_id", pa.int64()),
    ("post_id", pa.int64()),
    ("timestamp", pa.timestamp("us")),
    ("clicked", pa.bool_()),
)


def write_features(
    history: History,
    requests: Requests,
    clicked: npt.NDArray[np.float64],
    out: Path,
    on_progress: OnProgress = silent,
) -> None:
    """Parquet with the columns of REQUEST and the features, one row a request, in their order; all of it or nothing.

    Raises LentaError when it cannot be written.
    """
    names = [*SCHEMA, *history.own.features]
    file = pa.schema([*REQUEST, *((name, pa.float32()) for name in names)])
    history.ask(requests)
    done = 0
    with written(out, file) as writer:
        for batch in history.batches():
            high = done + len(batch.time)
            given = (batch.user_id, batch.post_id, batch.time, clicked[done:high] > 0)
            writer.write_table(pa.table([*given, *batch.features().T], schema=file))
            done = high
            on_progress(done, len(clicked))
