"""Columns that a team declares: from its tables and by PUT, through Redis into the ranker, as training sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.own import NOTHING_DECLARED, OwnColumns, pack
from contracts.records import Profile, UserRow, pack_row
from contracts.wire import OwnValue
from feature_service.warm.build import warm
from pipeline.dataset import Feed, History, Requests, Tables, export, opened
from pipeline.dataset.feed import microseconds
from pipeline.dataset.snapshots import catalogue_at
from pipeline.errors import LentaError
from pipeline.tables.mapping import TableMapping
from pipeline.tables.to_postgres import import_tables
from pipeline.training.fit import FittedModel, fit
from pipeline.training.models import model_of
from pipeline.training.scores import matrices
from ranking.artefact import ArtefactError
from ranking.candidates import Candidates
from ranking.explanations import explain

from tests.support.data.own_columns import OWN, author_of, write_own_tables
from tests.support.data.small_feed import START, Row, write_tables
from tests.support.platforms.feature_platform import SHARDS
from tests.support.platforms.live_platform import Live, live_platform

USERS, POSTS = range(200, 260), range(1, 41)
CUT = START + timedelta(days=14)
NEWCOMER, NEW_POST = 900, 50


@dataclass
class World:
    folder: Path
    rows: list[Row]
    mapping: TableMapping
    tables: Tables
    fitted: FittedModel


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("own")
    rows = write_own_tables(folder)
    mapping = TableMapping.read(folder / "mapping.yaml")
    tables = Tables.of_folder(folder, mapping)
    with opened(tables, CUT) as feed:
        return World(folder, rows, mapping, tables, fit(model_of("control"), feed, CUT))


@pytest.fixture
def live(world: World, postgres_url: str, redis_url: str) -> Iterator[Live]:
    with live_platform(world.folder, postgres_url, redis_url, OWN) as platform:
        yield platform


def assembled(
    world: World, live: Live, users: list[int], moment: datetime
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """What the ranker makes of the users' rows and the catalogue, by user and then post."""
    scorer, catalogue = world.fitted.scorer, live.catalogue()
    candidates = Candidates(catalogue, scorer.vectors.rows(catalogue.post_id), scorer.manifest, scorer.encoder)
    return np.vstack([candidates.matrix(live.row(user), int(moment.timestamp())) for user in users])


def seen_offline(
    world: World, feed: Feed, users: list[int], posts: list[int], moment: datetime
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    history = History.of_model(feed, world.fitted.manifest)
    asked = np.repeat(np.array(users), len(posts)), np.tile(np.array(posts), len(users))
    history.ask(Requests(*asked, np.full(len(asked[0]), microseconds(moment))))
    return np.vstack([matrix for _, matrix in matrices(history, world.fitted.scorer)])


def test_what_a_ranker_assembles_is_what_training_would_have_seen(world: World, live: Live) -> None:
    moment = START + timedelta(days=9, hours=5)
    live.replay(world.rows, moment)
    users = [*USERS, NEWCOMER]
    with opened(world.tables) as feed:
        offline = seen_offline(world, feed, users, live.catalogue().post_id.tolist(), moment)
    online = assembled(world, live, users, moment)
    names = world.fitted.manifest.columns
    for name in ("user.plan", "user.logins", "post.author", "post.minutes", "post_rate", "topic_rate"):
        place = names.index(name)
        np.testing.assert_array_equal(online[:, place], offline[:, place], err_msg=name)
        assert len(np.unique(online[:, place])) > 1, name


def test_a_model_learns_what_a_plan_likes_and_says_so(world: World) -> None:
    """Of a user without history it knows the declared columns alone."""
    with opened(world.tables, CUT) as feed:
        bound = world.fitted.scorer.bind(catalogue_at(feed, CUT))
    ids, now = bound.catalogue.post_id, int(CUT.timestamp())
    plans = {plan: _newcomer({"plan": plan}) for plan in ("pro", "free")}
    gain = bound.score_all(plans["pro"], now) - bound.score_all(plans["free"], now)
    authors = np.array([author_of(int(post)) for post in ids])
    assert gain[authors == "author 0"].min() > gain[authors == "author 1"].max() + 0.1
    told = explain(bound, plans["pro"], now, ids[authors == "author 0"].tolist())
    assert {"post.author", "user.plan"} <= {reason.feature for why in told for reason in why.reasons}


def _newcomer(own: dict[str, OwnValue]) -> UserRow:
    return UserRow.unpack(pack_row(Profile(own=pack(OWN.user, own)).pack(), b"", b""))


def test_an_import_and_puts_leave_the_same_bytes_for_serving_and_training(
    world: World, live: Live, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    by_put = {user: live.row(user).profile for user in USERS}
    catalogue = live.catalogue()
    of_post = dict(zip(catalogue.post_id.tolist(), catalogue.own_values.tolist(), strict=True))
    import_tables(world.folder, postgres_url, mapping=world.mapping)
    warm(redis_url, postgres_url, shards=SHARDS, now=CUT)
    again = live.catalogue()
    assert {user: live.row(user).profile for user in USERS} == by_put
    assert dict(zip(again.post_id.tolist(), again.own_values.tolist(), strict=True)) == of_post
    assert again.own_columns == OWN
    assert len(by_put[201].pack()) == 20 + 4 * len(OWN.user)
    with opened(export(postgres_url, tmp_path / "export", None)) as ours, opened(world.tables) as theirs:
        assert ours.own.columns == theirs.own.columns == OWN
        np.testing.assert_array_equal(ours.own.user, theirs.own.user)
        np.testing.assert_array_equal(ours.own.post, theirs.own.post)


def test_what_is_put_serves_at_once_survives_a_warm_up_and_is_read_back(
    live: Live, postgres_url: str, redis_url: str
) -> None:
    own: dict[str, OwnValue] = {"plan": "free", "logins": 4.5}
    live.http.put(f"/users/{NEWCOMER}", json={"age": 30, "own": own}).raise_for_status()
    content = {"text": "news", "topic": "tech", "own": {"author": "author 7"}}
    live.http.put(f"/posts/{NEW_POST}", json=content).raise_for_status()
    live.http.put("/users/201", json={"age": 31}).raise_for_status()
    assert live.row(NEWCOMER).profile.own == pack(OWN.user, own)
    live.settle(START)
    for _ in range(2):
        catalogue = live.catalogue()
        (place,) = np.flatnonzero(catalogue.post_id == NEW_POST)
        assert catalogue.own_values[place].astype("<u4").tobytes() == pack(OWN.post, {"author": "author 7"})
        assert live.row(NEWCOMER).profile.own == pack(OWN.user, own)
        assert live.row(201).profile.own in (b"", pack(OWN.user, {}))  # a PUT says all there is
        warm(redis_url, postgres_url, shards=SHARDS, now=CUT)
    assert live.http.get(f"/users/{NEWCOMER}").json()["own"] == own
    assert live.http.get("/users/201").json()["own"] is None


def test_a_column_that_is_declared_later_is_missing_before(
    world: World, live: Live, postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The model of before goes on; what it needs keeps its place."""
    later = tmp_path / "later.yaml"
    later.write_text("user_data: {own: {visits: {kind: numeric, column: logins}, plan: categorical}}\n")
    import_tables(world.folder, postgres_url, mapping=TableMapping.read(later))
    warm(redis_url, postgres_url, shards=SHARDS, now=CUT)
    declared = live.catalogue().own_columns
    assert [column.name for column in declared.user] == ["plan", "logins", "visits"]
    assert declared.holds(OWN)
    columns = assembled(world, live, [201, 206], CUT)[:: len(POSTS)]
    plan, logins = (world.fitted.manifest.columns.index(name) for name in ("user.plan", "user.logins"))
    assert not np.isnan(columns[:, plan]).any()
    assert np.isnan(columns[:, logins]).all()


def test_a_value_or_a_table_of_another_kind_is_refused_by_its_column(
    world: World, live: Live, postgres_url: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("user_data: {own: {plan: {kind: numeric, column: age}}}\n")
    with pytest.raises(LentaError, match=r"other\.yaml, key own: user\.plan was declared categorical"):
        import_tables(world.folder, postgres_url, mapping=TableMapping.read(other))
    for own, said in (
        ({"plam": "pro"}, "own.plam: no such column is declared; there are plan, logins"),
        ({"plan": 3}, "own.plan: a text is needed: the column is categorical"),
        ({"logins": "three"}, "own.logins: a number is needed: the column is numeric"),
    ):
        answer = live.http.put("/users/201", json={"own": own})
        assert (answer.status_code, answer.json()["message"]) == (422, said)
        assert answer.json()["field"] == f"own.{next(iter(own))}"
    assert live.http.put("/users/201", json={"own": {"logins": True}}).status_code == 422


def test_a_model_is_refused_by_a_platform_without_its_columns(world: World, postgres_url: str, redis_url: str) -> None:
    needs = "user.plan:categorical, user.logins:numeric, post.author:categorical, post.minutes:numeric"
    with live_platform(write_tables(world.folder / "bare", [], 0, 0), postgres_url, redis_url) as bare:
        catalogue = bare.catalogue()
    with pytest.raises(ArtefactError, match=rf"needs the own columns {needs}; declared are none"):
        world.fitted.scorer.bind(catalogue)
    swapped = OwnColumns(user=OWN.user[::-1], post=OWN.post)
    with pytest.raises(ArtefactError, match="needs the own columns"):
        world.fitted.manifest.check_own(swapped)
    with opened(Tables.of_folder(world.folder)) as feed, pytest.raises(LentaError, match="give their --mapping"):
        History.of_model(feed, world.fitted.manifest)


def test_the_schemas_id_names_the_declared_columns(world: World) -> None:
    manifest = world.fitted.manifest
    manifest.check_schema()
    with pytest.raises(ArtefactError, match="needs feature schema"):
        manifest.model_copy(update={"own": NOTHING_DECLARED}).check_schema()
