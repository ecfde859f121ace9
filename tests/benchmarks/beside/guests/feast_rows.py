"""Feast's repository: a view of 50 features of every user, written to its online store in Redis.

.lenta/beside/feast/bin/python feast_rows.py FOLDER REDIS USERS

REDIS: host:port. Then `feast -c FOLDER serve`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

FIRST_USER, FEATURES = 200, 50
SETTINGS = """\
project: lenta
provider: local
registry: {folder}/registry.db
entity_key_serialization_version: 3
offline_store:
  type: file
online_store:
  type: redis
  connection_string: "{redis}"
"""


def main(folder: Path, redis: str, users: int) -> None:
    (folder / "feature_store.yaml").write_text(SETTINGS.format(folder=folder, redis=redis))
    names = [f"f{number}" for number in range(FEATURES)]
    rows = pd.DataFrame(np.random.default_rng(8).random((users, FEATURES), np.float32), columns=names)
    rows["user_id"], rows["at"] = np.arange(FIRST_USER, FIRST_USER + users), datetime.now(UTC)
    path = folder / "rows.parquet"
    rows.to_parquet(path)
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="user_row",
        entities=[user],
        ttl=timedelta(days=365),
        schema=[Field(name=name, dtype=Float32) for name in names],
        source=FileSource(path=str(path), timestamp_field="at"),
    )
    store = FeatureStore(repo_path=str(folder))
    store.apply([user, view])
    store.write_to_online_store("user_row", rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
