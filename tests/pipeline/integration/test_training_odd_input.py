"""Odd platforms, from files through Postgres and Redis to a model's five posts: served, or refused with the cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
from contracts.assignment import GROUPS
from contracts.catalogue import Catalogue
from contracts.records import UserRow
from feature_service.serving.app import create
from feature_service.settings import Settings
from feature_service.warm.build import warm
from pipeline.errors import LentaError
from pipeline.tables.to_postgres import import_tables
from pipeline.training.store import publish, scorer_of
from pipeline.training.train import train
from pyarrow.parquet import read_table, write_table
from ranking.artefact import ModelStore

from tests.support.data.small_feed import START, Row, lively, write_tables
from tests.support.fakes.gateway import served

NOW = START + timedelta(days=21)
USERS, POSTS, NOBODY, SHARDS = 12, 30, 987_654, 2
COLUMNS = ("age", "gender", "country", "city", "exp_group", "os", "source")
TEXTS = (None, "", "Кошка спит на окне, а за окном идёт снег", "😀🎉 👍🏽", "﷽ \u200b \t", "word " * 20_000)
"""Of posts 1 to 6."""
Change = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class Platform:
    """The tables in Postgres and Redis, and a store."""

    postgres_url: str
    redis_url: str
    root: Path

    def load(self, rows: list[Row], users: int = USERS, posts: int = POSTS, **changes: Change) -> None:
        """changes: by the name of a table."""
        folder = write_tables(self.root / "dump", rows, users, posts)
        for name, change in changes.items():
            path = folder / f"{name}.parquet"
            write_table(change(read_table(path)), path)
        import_tables(folder, self.postgres_url)

    def train(self, name: str) -> None:
        train(name, self.postgres_url, str(self.root / "models"), now=NOW)

    def answers(self, users: list[int]) -> dict[str, dict[int, list[int]]]:
        """Both models' five posts for each user and an unknown one, from rows and catalogue as the service gives them.

        Checks of each answer: finite scores, posts that exist, none twice, none that the user has liked.
        """
        warm(self.redis_url, self.postgres_url, shards=SHARDS, now=NOW)
        store, result = ModelStore(str(self.root / "models")), {}
        settings = Settings(postgres_url=self.postgres_url, redis_url=self.redis_url, shards=SHARDS)
        with served(create(settings)) as url, httpx.Client(base_url=url, timeout=10) as http:
            catalogue = Catalogue.unpack(http.get("/catalogue").raise_for_status().content)
            wanted = [*users, NOBODY]
            rows = {user: UserRow.unpack(http.get(f"/users/{user}/row").raise_for_status().content) for user in wanted}
        for name in GROUPS:
            self.train(name)
            publish(store, name, None)
            with scorer_of(store, name) as scorer:
                bound = scorer.bind(catalogue)
                result[name] = {user: bound.rank(row, int(NOW.timestamp()), 5) for user, row in rows.items()}
        for by_user in result.values():
            for user, (posts, scores) in by_user.items():
                assert np.isfinite(scores).all()
                assert set(posts.tolist()) <= set(catalogue.post_id.tolist())
                assert len(set(posts.tolist())) == len(posts)
                assert not set(posts.tolist()) & set(rows[user].hidden.tolist())
        return {
            name: {user: posts.tolist() for user, (posts, _) in by_user.items()} for name, by_user in result.items()
        }


@pytest.fixture
def platform(postgres_url: str, redis_url: str, tmp_path: Path) -> Platform:
    return Platform(postgres_url, redis_url, tmp_path)


def rows_of(users: int = USERS, seed: int = 7, **more: int) -> list[Row]:
    return lively(np.random.default_rng(seed), users, **({"posts": POSTS} | more))


def test_one_topic_alone_is_served(platform: Platform) -> None:
    platform.load(rows_of(), post_text_df=lambda posts: _set(posts, "topic", ["movie"] * len(posts)))
    for by_user in platform.answers([200, 201]).values():
        assert all(len(posts) == 5 for posts in by_user.values())


def test_a_single_user_is_served(platform: Platform) -> None:
    platform.load(rows_of(users=1), users=1)
    for by_user in platform.answers([200]).values():
        assert all(len(posts) == 5 for posts in by_user.values())


def test_a_user_with_50_000_events_is_served_beside_those_with_few(platform: Platform) -> None:
    many = rows_of(users=1, posts=2_500, views=50_000)[:50_000]
    few = [replace(row, user=row.user + 1) for row in rows_of(users=4, posts=2_500, views=20)]
    platform.load([*many, *few], users=5, posts=2_500)
    for by_user in platform.answers([200, 202]).values():
        assert all(len(posts) == 5 for posts in by_user.values())


def test_posts_without_text_or_in_any_script_are_served_to_users_who_lack_any_column_of_their_profile(
    platform: Platform,
) -> None:
    """User 200 + n lacks column n, the last one all. User 200 has liked all other posts: only odd ones are left."""
    fan, odd = 200, len(TEXTS)

    def blank(users: pa.Table) -> pa.Table:
        for place, name in enumerate(COLUMNS):
            values = users[name].to_pylist()
            values[place] = values[-1] = None
            users = _set(users, name, values)
        return users

    platform.load(
        [
            *(row for row in rows_of() if row.user != fan),
            *(Row(1e6 + n, fan, n, "like", None) for n in range(odd, POSTS + 1)),
        ],
        user_data=blank,
        post_text_df=lambda posts: _set(posts, "text", [*TEXTS, *posts["text"].to_pylist()[odd:]]),
    )
    for by_user in platform.answers([*range(fan, fan + len(COLUMNS)), fan + USERS - 1]).values():
        assert set(by_user[fan]) == set(range(1, odd))
        assert all(len(posts) == 5 for posts in by_user.values())


def test_posts_and_profiles_that_hold_nothing_at_all_are_served(platform: Platform) -> None:
    def blank(users: pa.Table) -> pa.Table:
        for name in COLUMNS:
            users = _set(users, name, [None] * len(users))
        return users

    platform.load(rows_of(), user_data=blank, post_text_df=lambda posts: _set(posts, "text", [None] * len(posts)))
    for by_user in platform.answers([200]).values():
        assert all(len(posts) == 5 for posts in by_user.values())


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        pytest.param([], "feed_data has no rows", id="an empty feed"),
        pytest.param(
            [replace(row, target=0) for row in rows_of() if row.action == "view"],
            r"no view in feed_data was liked \(target is never 1\)",
            id="no likes at all",
        ),
        pytest.param(
            [row for row in rows_of() if row.action == "like"], "likes but no views", id="likes without a view"
        ),
        pytest.param(
            [replace(row, target=1) for row in rows_of() if row.action == "view"],
            r"every view in feed_data was liked",
            id="all liked",
        ),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_with_the_cause(
    platform: Platform, name: str, rows: list[Row], reason: str
) -> None:
    platform.load(rows)
    with pytest.raises(LentaError, match=reason):
        platform.train(name)
    assert ModelStore(str(platform.root / "models")).versions(name) == []


def _set(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values, table.schema.field(name).type))
