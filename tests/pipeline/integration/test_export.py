"""Everything that Postgres holds comes out, and back into an empty platform as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from feature_service.database.engine import connect
from feature_service.database.tables import Table
from pipeline.errors import LentaError
from pipeline.tables.export import MANIFEST, STAYS, export_everything, exported
from pipeline.tables.to_postgres import import_tables
from sqlalchemy import text

from tests.support.platforms.feature_platform import FeaturePlatform, event, exposure, feature_platform
from tests.support.servers import migrated_database

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _live(platform: FeaturePlatform) -> None:
    """A row at least in every table."""
    at = datetime(2021, 12, 3, 10, 0, 0, 123456, tzinfo=UTC)
    platform.http.put("/users/990", json={"age": 40, "city": 'He said "no",\nя'}).raise_for_status()
    platform.http.put("/posts/500", json={"text": "", "topic": "movie", "expires": "2090-01-01T00:00:00Z"})
    for user in (990, 991):
        assigned = {"experiment": "models", "user_id": user, "group": "test", "weight_period": 0, "at": str(at)}
        platform.http.post("/assignments", json={"assigned": [assigned]}).raise_for_status()
        shown = exposure(f"x{user}", user, [1, 2, 3], at, scores=[0.1, -1e-9, 3.0], propensities=[1.0, 1.0, 0.05])
        platform.http.post("/exposures", json=shown).raise_for_status()
        shadow = {"key": f"x{user}", "user_id": user, "experiment": "models", "ranker": "control", "took_ms": 1.5}
        platform.http.post("/shadows", json=shadow).raise_for_status()
        platform.send(
            event(f"v{user}", user, 1, "view", at),
            event(f"w{user}", user, 1, "view", at),  # an equal row of another event
            {**event(f"l{user}", user, 1, "like", at), "request_id": f"x{user}"},
            event(f"m{user}", user, 30, "like", at),  # belongs to no exposure
        ).raise_for_status()
    platform.http.delete("/users/991", headers=JSON).raise_for_status()
    platform.settle()
    with platform.engine.begin() as connection:
        run = "INSERT INTO analysis_runs (experiment, at, final, report) VALUES ('models', now(), true, '{\"a\": [1, null]}')"
        connection.execute(text(run))
        connection.execute(text("INSERT INTO rule_sets VALUES ('default', '{}', 1) ON CONFLICT DO NOTHING"))
        history = "INSERT INTO rule_history (name, at, by, reason, what, revision, rules) VALUES"
        connection.execute(text(f"{history} ('default', now(), 'somebody', 'a test', 'created', 1, '{{}}')"))
        connection.execute(text("INSERT INTO sanity_checks VALUES ('2021-12-03', '{}')"))
        connection.execute(text("INSERT INTO own_columns VALUES ('user', 0, 'plan', 'categorical')"))
        connection.execute(text('INSERT INTO user_own VALUES (990, \'{"plan": "paid"}\')'))
        connection.execute(text("INSERT INTO post_own VALUES (500, '{\"length\": 3.5}')"))
        connection.execute(text("INSERT INTO sync_watermarks VALUES ('host:5432/shop', 'feed_data', now())"))


def _everything(postgres_url: str) -> dict[str, list[str]]:
    engine = connect(postgres_url)
    with engine.connect() as connection:
        rows = {
            table.name: sorted(connection.execute(text(f"SELECT t::text FROM {table.name} t")).scalars())
            for table in exported()
        }
    engine.dispose()
    return rows


def test_what_is_exported_comes_back_the_same(platform: FeaturePlatform, postgres_server: str, tmp_path: Path) -> None:
    _live(platform)
    before = _everything(platform.postgres_url)
    assert all(before.values()), {name for name, rows in before.items() if not rows}
    assert set(before) == set(Table.metadata.tables) - STAYS
    manifest = export_everything(platform.postgres_url, tmp_path / "out")
    assert manifest.tables == {name: len(rows) for name, rows in before.items()}
    with migrated_database(postgres_server) as empty:
        import_tables(tmp_path / "out", empty, everything=True)
        assert _everything(empty) == before
        engine = connect(empty)
        with engine.begin() as connection:  # numbers go on where they were
            history = (
                "INSERT INTO experiment_history (name, at, reason, definition, by, what, revision) SELECT name, at,"
            )
            connection.execute(text(f"{history} reason, definition, by, what, 9 FROM experiment_history LIMIT 1"))
            assert connection.execute(text("SELECT nextval('nobodies')")).scalar_one() == -2
        engine.dispose()
        with pytest.raises(LentaError, match="has answered nobody yet"):
            import_tables(tmp_path / "out", empty, everything=True)


def test_an_export_is_one_moment(platform: FeaturePlatform, tmp_path: Path) -> None:
    sent: list[object] = []

    def meanwhile(done: int, total: int) -> None:
        if not sent:
            sent.append(platform.send(event("late", 200, 1, "like")).raise_for_status())
            platform.settle()

    rows = platform.count("feed_data")
    manifest = export_everything(platform.postgres_url, tmp_path / "out", on_progress=meanwhile)
    assert sent
    assert (manifest.tables["feed_data"], manifest.tables["event_ledger"]) == (rows, 0)


def test_csv_holds_the_same_rows_and_its_three_tables_are_an_import(
    platform: FeaturePlatform, postgres_server: str, tmp_path: Path
) -> None:
    _live(platform)
    manifest = export_everything(platform.postgres_url, tmp_path / "out", as_csv=True)
    for name, rows in manifest.tables.items():
        (read,) = duckdb.execute(
            f"SELECT count(*) FROM read_csv('{tmp_path}/out/{name}.csv', all_varchar = true)"
        ).fetchall()
        assert read == (rows,), name
    with migrated_database(postgres_server) as empty:
        report = import_tables(tmp_path / "out", empty)
        assert (report.users, report.posts) == (manifest.tables["user_data"], manifest.tables["post_text_df"])
        with pytest.raises(LentaError, match="Parquet alone"):
            import_tables(tmp_path / "out", empty, everything=True)


def test_an_export_that_is_not_whole_is_refused_and_changes_nothing(
    platform: FeaturePlatform, postgres_server: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    export_everything(platform.postgres_url, folder)
    with pytest.raises(LentaError, match="not empty"):
        export_everything(platform.postgres_url, folder)
    with migrated_database(postgres_server) as empty:
        before = _everything(empty)
        kept = (folder / MANIFEST).read_text()
        for content, said in (
            (kept.replace('"exposures": 0', '"exposures": 7'), r"exposures\.parquet holds 0 rows, of 7"),
            (json.dumps({"lenta": "1"}), "damaged"),
        ):
            (folder / MANIFEST).write_text(content)
            with pytest.raises(LentaError, match=said):
                import_tables(folder, empty, everything=True)
        (folder / MANIFEST).write_text(kept)
        (folder / "assignments.parquet").write_bytes(b"PAR1")
        with pytest.raises(LentaError, match=r"assignments\.parquet cannot be read"):
            import_tables(folder, empty, everything=True)
        (folder / MANIFEST).unlink()
        with pytest.raises(LentaError, match="wrote whole"):
            import_tables(folder, empty, everything=True)
        assert _everything(empty) == before
