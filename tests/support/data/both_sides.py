"""The schema's columns by both ways, without servers: as a ranker assembles them, and as training counts them.

`python -m tests.support.data.both_sides <folder>` compares them on a small feed and prints what the schema then is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from contracts.features import SCHEMA, schema_id
from contracts.records import UserRow
from pipeline.dataset import Feed, History, Requests, Tables, opened
from pipeline.dataset.feed import microseconds
from pipeline.dataset.snapshots import catalogue_at, rows_at
from ranking.artefact import Manifest
from ranking.candidates import Candidates
from ranking.encoder import Matrix, UserState

from tests.support.data.small_feed import START, lively, write_tables


@dataclass(frozen=True)
class NoEncoder:
    """Adds no columns."""

    columns: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    dimensions: int = 1

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        return np.zeros((len(ids), 1), np.float32)

    def likeness(self, vectors: Matrix) -> Matrix:
        return vectors

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        assert out.shape[1] == 0

    def save(self, folder: Path) -> None:
        """There is nothing to keep."""

    @classmethod
    def load(cls, folder: Path) -> NoEncoder:
        return cls()


USERS, POSTS, DAYS = 20, 15, 6
MOMENTS = [START + timedelta(days=days, seconds=1_234) for days in (1, 3, 5, 9)]


def manifest_of(feed: Feed) -> Manifest:
    """Of a model that knows what the feed has, without scores."""
    return Manifest(
        name="none",
        version="1",
        created_at=START,
        schema_length=len(SCHEMA),
        schema_id=schema_id(),
        encoder_columns=[],
        base={},
        topics=feed.posts.topics,
        vocabulary=feed.vocabulary,
        train_from=feed.first,
        train_until=feed.until,
        train_rows=0,
        data_fingerprint=feed.fingerprint,
        metrics={},
        retrieval=[],
        fill=[],
        golden=[],
    )


def live_columns(feed: Feed, users: list[int]) -> Matrix:
    """Shape (moments x users x posts, schema)."""
    encoder, parts = NoEncoder(), list[Matrix]()
    manifest = manifest_of(feed)
    for moment in MOMENTS:
        catalogue = catalogue_at(feed, moment)
        vectors = encoder.vectors(catalogue.post_id, feed.posts.texts, feed.posts.topic_names)
        candidates = Candidates(catalogue, vectors, manifest, encoder)
        rows = [UserRow.unpack(row) for row in rows_at(feed, users, moment)]
        parts += [candidates.matrix(row, int(moment.timestamp()))[:, : len(SCHEMA)] for row in rows]
    return np.vstack(parts)


def offline_columns(feed: Feed, users: list[int]) -> Matrix:
    """As `live_columns`."""
    history, posts = History(feed), feed.posts.ids
    times = np.repeat([microseconds(moment) for moment in MOMENTS], len(users) * len(posts))
    who = np.tile(np.repeat(np.array(users, np.int64), len(posts)), len(MOMENTS))
    history.ask(Requests(who, np.tile(posts, len(MOMENTS) * len(users)), times))
    return np.vstack([batch.features() for batch in history.batches()])


def main(folder: Path) -> None:
    tables = write_tables(folder, lively(np.random.default_rng(4), USERS, POSTS, 40, DAYS), USERS, POSTS)
    with opened(Tables.of_folder(tables)) as feed:
        users = [*range(200, 200 + USERS), 9_999]
        live, offline = live_columns(feed, users), offline_columns(feed, users)
    for place, name in enumerate(SCHEMA):
        np.testing.assert_array_equal(live[:, place], offline[:, place], err_msg=name)
    values = {name: len(np.unique(live[:, place])) for place, name in enumerate(SCHEMA)}
    print(json.dumps({"values": values, "before": schema_id(SCHEMA[:-1]), "now": schema_id()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
