"""Serving stays within what the models were trained on, however far simulated traffic moves the platform's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from contracts.features import AGE_LIMIT_DAYS, RECENCY_LIMIT_DAYS, SCHEMA
from pipeline.dataset import Feed, History, Requests, Tables, opened
from pipeline.dataset.feed import fetch, microseconds
from pipeline.tables.source import WITHHELD
from pipeline.world.simulation import simulate
from pipeline.world.spec import WorldSpec

END = date(2026, 11, 24)
UNTIL = datetime(END.year, END.month, END.day, tzinfo=UTC) - WITHHELD
CLOCKS = {
    "days_since_view": RECENCY_LIMIT_DAYS,
    "days_since_like": RECENCY_LIMIT_DAYS,
    "post_age_days": AGE_LIMIT_DAYS,
}
"""The features that grow with the time of serving, and what they grow to."""

Matrix = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate(WorldSpec("small", 300, 150), 8, END, folder)
    return folder


def features(
    feed: Feed, users: npt.NDArray[np.int64], posts: npt.NDArray[np.int64], at: npt.NDArray[np.int64]
) -> Matrix:
    history = History(feed)
    history.ask(Requests(users, posts, at))
    return np.vstack([batch.features() for batch in history.batches()])


def trained_on(feed: Feed) -> Matrix:
    views = fetch(feed.database, "SELECT user_id, post_id, instant FROM feed WHERE NOT is_like")
    return features(feed, *(views[name].astype(np.int64) for name in ("user_id", "post_id", "instant")))


def served_at(feed: Feed, moment: datetime) -> Matrix:
    """Every user with every post, as if nothing had happened since the loaded feed ended: as far from it as can be."""
    users, posts = (ids.ravel() for ids in np.meshgrid(feed.people.ids[::5], feed.posts.ids))
    return features(feed, users, posts, np.full(len(users), microseconds(moment)))


def test_recency_and_age_end_where_training_saw_them_end(folder: Path) -> None:
    with opened(Tables.of_folder(folder), UNTIL) as feed:
        trained = trained_on(feed)
        for days in (0, 15, 29, 60, 365):
            served = served_at(feed, UNTIL + timedelta(days=days, hours=13))
            for name, limit in CLOCKS.items():
                seen, now = trained[:, SCHEMA.index(name)], served[:, SCHEMA.index(name)]
                assert np.nanmax(seen) == limit, f"training saw {name} up to {np.nanmax(seen)}"
                assert np.nanmin(seen) <= np.nanmin(now)
                assert np.nanmax(now) <= limit
                assert np.isnan(seen).any() or not np.isnan(now).any(), (
                    f"{name} is missing where training never missed it"
                )


def test_the_other_features_do_not_go_by_the_clock(folder: Path) -> None:
    with opened(Tables.of_folder(folder), UNTIL) as feed:
        first, later = (served_at(feed, UNTIL + timedelta(days=days)) for days in (1, 30))
    for place, name in enumerate(SCHEMA):
        if name not in CLOCKS:
            np.testing.assert_array_equal(first[:, place], later[:, place], err_msg=name)
