"""The same counts by DuckDB and by Spark, and the file that `lenta features` writes of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts.features import SCHEMA
from pandas.testing import assert_frame_equal
from pipeline.cli import app
from pipeline.dataset import Batch, Feed, History, Requests, Tables, opened
from pipeline.dataset.engine import Engine
from pipeline.dataset.feed import MICROSECONDS, microseconds
from pipeline.dataset.spark import Spark, local_spark
from pipeline.errors import LentaError
from pipeline.tables.to_postgres import import_tables
from typer.testing import CliRunner

from tests.support.data.small_feed import START, Row, lively, write_tables

USERS, POSTS, STEPS = 6, 8, 60

# pyspark starts its JVM by a fork, which JAX, once imported by another test, warns of; the child becomes Java at once.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """Six hours in steps of six minutes, so that much happens at once, on the hour, and again; a user without profile,
    one who only asks, and rows of a post that does not exist."""
    rng = np.random.default_rng(5)
    rows = [
        Row(float(rng.integers(STEPS)) * 360, int(user), int(post), str(action), int(rng.integers(2)))
        for user, post, action in zip(
            rng.integers(200, 200 + USERS + 1, 400),
            rng.integers(1, POSTS + 2, 400),
            rng.choice(["view", "view", "like"], 400),
            strict=True,
        )
    ]
    with opened(Tables.of_folder(write_tables(tmp_path_factory.mktemp("feed"), rows, USERS, POSTS))) as feed:
        yield feed


@pytest.fixture(scope="module")
def spark(feed: Feed) -> Iterator[Spark]:
    with local_spark(feed.database, cores=1, memory="512m", partitions=2) as engine:
        yield engine


def answers(feed: Feed, requests: Requests, engine: Engine | None = None, chunk: int = 100_000) -> list[Batch]:
    history = History(feed, engine=engine)
    history.ask(requests)
    return list(history.batches(chunk))


def some_requests(count: int) -> Requests:
    """Some of them twice, some of users and posts that nobody knows, some before and after everything."""
    rng = np.random.default_rng(6)
    steps = rng.integers(-5, STEPS + 15, count)
    return Requests(
        rng.integers(200, 200 + USERS + 2, count),
        rng.integers(1, POSTS + 3, count),
        microseconds(START) + steps * 360 * MICROSECONDS,
    )


@pytest.mark.spark
def test_spark_counts_exactly_what_duckdb_counts(feed: Feed, spark: Spark) -> None:
    requests = some_requests(300)
    (here,), (there,) = answers(feed, requests), answers(feed, requests, spark)
    for field in fields(Batch):
        if field.name != "pairs":
            np.testing.assert_array_equal(getattr(there, field.name), getattr(here, field.name), field.name)
    for field in fields(here.pairs):
        np.testing.assert_array_equal(getattr(there.pairs, field.name), getattr(here.pairs, field.name), field.name)
    assert here.pairs.user_views.max() > 20
    assert here.liked.max() > 3


@pytest.mark.spark
def test_spark_answers_a_second_time_in_order_whatever_the_chunk(feed: Feed, spark: Spark) -> None:
    requests = some_requests(25)
    (here,), there = answers(feed, requests), answers(feed, requests, spark, chunk=10)
    assert [len(part.time) for part in there] == [10, 10, 5]
    np.testing.assert_array_equal(np.concatenate([part.time for part in there]), requests.time)
    np.testing.assert_array_equal(np.vstack([part.features() for part in there]), here.features())


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("dump"), lively(np.random.default_rng(7), users=12, days=6), 12, 40)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["features", *arguments], env={"COLUMNS": "200"})
    if result.exception:
        raise result.exception
    return result.output


@pytest.mark.spark
def test_the_command_writes_the_same_file_by_either_engine(dump: Path, tmp_path: Path) -> None:
    written: dict[str, pd.DataFrame] = {}
    for engine in ("duckdb", "spark"):
        out = tmp_path / f"{engine}.parquet"
        output = run("--engine", engine, "--data", str(dump), "--until", "2026-03-05", "--out", str(out))
        assert "Next: read it" in output
        written[engine] = pd.read_parquet(out)
    answer = written["duckdb"]
    assert_frame_equal(written["spark"], answer, check_exact=True)
    assert list(answer) == ["user_id", "post_id", "timestamp", "clicked", *SCHEMA]
    assert len(answer) > 500
    assert answer["timestamp"].max() < pd.Timestamp("2026-03-05")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["duckdb.parquet", "spark.parquet"]


def test_a_sample_of_the_platforms_own_feed_is_written(
    dump: Path, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_tables(dump, postgres_url)
    monkeypatch.setenv("LENTA_POSTGRES_URL", postgres_url)
    run("--rows", "400", "--out", str(tmp_path / "own.parquet"))
    run("--rows", "400", "--out", str(tmp_path / "dump.parquet"), "--data", str(dump))
    own = pd.read_parquet(tmp_path / "own.parquet")
    assert 300 < len(own) < 500
    assert_frame_equal(own, pd.read_parquet(tmp_path / "dump.parquet"), check_exact=True)


def test_what_spark_lacks_is_said_with_what_to_install(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("--engine", "spark", "--data", str(dump), "--out", str(tmp_path / "out.parquet"))
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        patch.delenv("JAVA_HOME", raising=False)
        with pytest.raises(LentaError, match=r"needs Java 17 or later .* apt-get install default-jre-headless"):
            run(*command)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(LentaError, match=r"run `pip install lenta-pipeline\[spark\]`"):
        run(*command)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(dump: Path, tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="there is no folder"):
        run("--data", str(dump), "--out", str(tmp_path / "nowhere" / "out.parquet"))
    for name in ("x" * 300, "x" * 253):
        with pytest.raises(LentaError, match="cannot be written"):
            run("--data", str(dump), "--out", str(tmp_path / name))


def test_a_folder_in_place_of_a_file_is_refused_before_the_work(tmp_path: Path) -> None:
    for out in (".", "..", "/", str(tmp_path)):
        with pytest.raises(LentaError, match=f"--out {out} is a folder; name a file in it"):
            run("--data", "nowhere", "--out", out)
