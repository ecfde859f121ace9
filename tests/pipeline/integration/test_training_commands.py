"""From Postgres to published models, evaluation and batch scores, as the commands do it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pipeline.dataset import Tables, export, opened
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.tables.to_postgres import import_tables
from pipeline.training.train import train
from pyarrow.parquet import read_table, write_table
from ranking.artefact import ModelStore

from tests.support.commands import Commands
from tests.support.data.small_feed import START, lively, write_tables
from tests.support.servers import execute

CUT = START + timedelta(days=16)
UNTIL = f"{CUT:%Y-%m-%dT%H:%M:%S}"


@dataclass
class Place(Commands):
    """A database with all twenty days, a store, and the folder that was loaded."""

    postgres_url: str
    folder: Path
    store: ModelStore
    root: Path


@pytest.fixture
def place(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    folder = write_tables(tmp_path / "dump", lively(np.random.default_rng(7), users=30), 30, 40)
    import_tables(folder, postgres_url)
    models = tmp_path / "models"
    variables = {
        "LENTA_HOME": str(Home(tmp_path / "home").root),
        "LENTA_POSTGRES_URL": postgres_url,
        "LENTA_MODEL_URI": str(models),
        "LENTA_DATA": str(folder),
        "LENTA_UNTIL": UNTIL,
        "COLUMNS": "200",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Place(postgres_url, folder, ModelStore(str(models)), tmp_path)


def test_a_model_is_trained_published_replaced_and_rolled_back(place: Place) -> None:
    assert "Next: lenta publish control" in place.ok("train", "control", "--until", UNTIL)
    assert place.store.current("control") is None
    place.ok("publish", "control")
    (first,) = place.store.versions("control")
    assert place.store.manifest("control", first).train_until == CUT
    place.ok("train", "control")
    second = place.store.versions("control")[-1]
    assert f"control@{second} is in service, replacing {first}" in place.ok("publish", "control")
    assert f"control@{first} is in service" in place.ok("publish", "control", "--rollback")
    assert place.store.current("control") is not None
    assert place.refuses("publish", "control", "--rollback") == "model control has no earlier version to go back to"


def test_published_models_are_judged_on_the_withheld_days(place: Place) -> None:
    for model in ("control", "test"):
        place.ok("train", model, "--until", UNTIL)
        place.ok("publish", model)
    page = place.root / "report.html"
    output = place.ok("evaluate", "--json", "--html", str(page))
    report = json.loads(output[output.index("{\n") :])
    assert report["users"] == 30
    assert list(report["rungs"]) == [
        *("random", "most popular", "user-topic x popular", "segment popular", "PureSVD"),
        *("control", "two-tower alone", "test"),
    ]
    assert "<svg" in page.read_text("utf-8")
    assert "most popular" in place.ok("evaluate")
    assert "had they served" in place.ok("evaluate", "--off-policy")
    served = place.ok("evaluate", "--off-policy", "--json")
    assert list(json.loads(served[served.index("{\n") :])["values"]) == ["most popular", "control", "test"]
    assert "there is no folder" in place.refuses("evaluate", "--html", str(place.root / "nowhere" / "report.html"))
    assert "is a folder" in place.refuses("evaluate", "--html", str(place.root))
    assert "give both, or neither" in place.refuses("evaluate", "--world", "demo")
    assert "leave out --force" in place.refuses("publish", "control", "--rollback", "--force")


def test_models_that_only_know_the_days_that_they_were_trained_on_fail_the_command(place: Place) -> None:
    for model in ("control", "test"):
        place.ok("train", model, "--until", UNTIL)
        place.ok("publish", model)
    rng = np.random.default_rng(7)
    rows = [
        row if row.seconds < 16 * 86_400 else replace(row, post=int(rng.integers(1, 41)))
        for row in lively(rng, users=30)
    ]
    shuffled = write_tables(place.root / "shuffled", rows, 30, 40)
    reason = place.refuses("evaluate", "--data", str(shuffled))
    assert "control looks leaked: AUC 0." in reason
    assert "test looks leaked" in reason


def test_scores_come_for_every_pair_in_order_and_see_nothing_later(place: Place) -> None:
    place.ok("train", "control", "--until", UNTIL)
    place.ok("publish", "control")
    pairs, out = place.root / "pairs.parquet", place.root / "scores.parquet"
    users, posts = [205, 200, 205, 999, 205, 200], [3, 40, 3, 1, 777, 2]
    write_table(pa.table({"post_id": posts, "user_id": users}), pairs)
    command = ("score", "control", "--pairs", str(pairs), "--as-of", UNTIL, "--out", str(out))
    place.ok(*command)
    table = read_table(out)
    assert table.column_names == ["user_id", "post_id", "score"]
    assert (table["user_id"].to_pylist(), table["post_id"].to_pylist()) == (users, posts)
    scores = table["score"].to_numpy()
    assert np.isfinite(scores).all()
    assert scores[0] == scores[2]
    execute(place.postgres_url, f"DELETE FROM feed_data WHERE timestamp >= '{UNTIL}'")
    place.ok(*command)
    np.testing.assert_array_equal(read_table(out)["score"].to_numpy(), scores)


def test_pairs_come_from_csv_too_and_an_empty_file_gives_an_empty_one(place: Place) -> None:
    place.ok("train", "control", "--until", UNTIL)
    place.ok("publish", "control")
    pairs, out = place.root / "pairs.csv", place.root / "scores.parquet"
    for text, rows in (("user_id,post_id\n200,1\n200,2.0\n", 2), ("user_id,post_id\n", 0)):
        pairs.write_text(text)
        place.ok("score", "control", "--pairs", str(pairs), "--as-of", UNTIL, "--out", str(out))
        assert read_table(out).num_rows == rows
    broken = {
        "user,post_id\n1,2\n": "no column user_id; it has user, post_id",
        "user_id,post_id\n1,2\nx,3\n": "user_id of pair 2 is missing or not a whole number",
        "user_id,post_id\n1,2\n1,1.6\n": "post_id of pair 2 is missing or not a whole number",
        "user_id,post_id\n200.4,2\n": "user_id of pair 1 is missing or not a whole number",
        "user_id,post_id\n1,2\n1,\n": "post_id of pair 2 is missing or not a whole number",
    }
    for text, reason in broken.items():
        pairs.write_text(text)
        assert reason in place.refuses("score", "control", "--pairs", str(pairs), "--as-of", UNTIL, "--out", str(out))
    doubles = place.root / "pairs.parquet"
    write_table(pa.table({"user_id": [200.0, 200.0], "post_id": [1.0, 1.6]}), doubles)
    assert "post_id of pair 2 is missing or not" in place.refuses(
        "score", "control", "--pairs", str(doubles), "--as-of", UNTIL, "--out", str(out)
    )


def test_what_is_missing_is_said_in_one_line(place: Place) -> None:
    assert "there is no model best" in place.refuses("train", "best")
    assert "no control has been trained; run `lenta train control`" in place.refuses("publish", "control")
    assert "no earlier version" in place.refuses("publish", "test", "--rollback")
    assert "no control is published" in place.refuses("evaluate")
    pairs = ("--as-of", UNTIL, "--out", str(place.root / "scores.parquet"))
    assert "there is no such file" in place.refuses("score", "test", "--pairs", "nowhere.csv", *pairs)
    write_table(pa.table({"user_id": [200], "post_id": [1]}), place.root / "pairs.parquet")
    pairs = ("--pairs", str(place.root / "pairs.parquet"), "--as-of", UNTIL)
    assert "--out . is a folder" in place.refuses("score", "test", *pairs, "--out", ".")
    assert "--as-of=soon is not a time" in place.refuses(
        "score", "test", "--pairs", "x.csv", "--as-of", "soon", "--out", "x"
    )
    assert "numbers are needed" in place.refuses("evaluate", "--seeds", "eight")
    execute(place.postgres_url, "DELETE FROM feed_data")
    assert "feed_data has no rows" in place.refuses("train", "control")
    elsewhere = "postgresql://nobody:x@127.0.0.1:1/none"
    assert "Postgres could not be read" in place.refuses("train", "control", "--postgres-url", elsewhere)


def test_a_store_that_cannot_be_written_is_refused_before_the_feed_is_read(place: Place) -> None:
    file = place.root / "file"
    file.write_text("mine")
    nowhere = ("--postgres-url", "postgresql://nobody:x@127.0.0.1:1/none", "--model-uri", str(file / "models"))
    for command in ("train", "retrain"):
        assert f"model control cannot be written under {file}/models: Not a directory" in place.refuses(
            command, "control", *nowhere
        )
    assert "no control has been trained" in place.refuses("publish", "control", "--model-uri", str(file / "models"))


def test_a_store_that_fills_up_while_training_is_named(place: Place) -> None:
    models = place.root / "models"

    def take_away(done: int, total: int) -> None:
        if done >= 90 and (models / "control").is_dir():
            (models / "control").rmdir()
            (models / "control").write_text("mine")

    with pytest.raises(LentaError, match=f"model control cannot be written under {models}: "):
        train("control", place.postgres_url, str(models), CUT, take_away)


def test_a_text_encoder_that_cannot_be_used_is_refused_before_the_feed_is_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = place.root / "empty"
    empty.mkdir()
    nowhere = ("--postgres-url", "postgresql://nobody:x@127.0.0.1:1/none")
    for command in (("train", "test"), ("retrain", "test"), ("retrain",)):
        reason = place.refuses(*command, *nowhere, "--text-encoder", str(empty))
        assert reason == f"the text encoder cannot be used: MiniLM needs model.onnx in {empty}; it is not there"
    for name in ("train", "retrain"):
        assert "control makes no use of it" in place.refuses(name, "control", "--text-encoder", str(empty))
    monkeypatch.setenv("LENTA_TEXT_ENCODER", str(empty))
    assert "MiniLM needs model.onnx" in place.refuses("train", "test", *nowhere)
    place.ok("train", "control")


@pytest.mark.parametrize(
    "command",
    [
        ("train", "control"),
        ("evaluate",),
        ("import", "nowhere"),
        ("features", "--out", "features.parquet"),
        ("up",),
        ("fill", "load"),
    ],
)
def test_an_empty_moment_is_refused_and_not_taken_for_none(command: tuple[str, ...], place: Place) -> None:
    assert "--until= is not a time" in place.refuses(*command, "--until", "")


def test_an_empty_variable_counts_as_not_set(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENTA_UNTIL", "")
    assert "LENTA_UNTIL is not set" in place.refuses("evaluate")


class _Dies(Exception):
    pass


def test_a_training_that_dies_leaves_nothing_in_the_store(place: Place) -> None:
    def die_late(done: int, total: int) -> None:
        if done >= 90:
            raise _Dies

    with pytest.raises(_Dies):
        train("control", place.postgres_url, str(place.root / "models"), CUT, die_late)
    assert place.store.versions("control") == []


def test_what_is_exported_is_what_was_loaded_before_the_moment(place: Place) -> None:
    steps: list[tuple[int, int]] = []
    tables = export(place.postgres_url, place.root / "export", CUT, lambda *step: steps.append(step))
    assert max(read_table(place.root / "export" / "feed_data.parquet")["timestamp"].to_pylist()) < CUT.replace(
        tzinfo=None
    )
    with opened(tables, CUT) as exported, opened(Tables.of_folder(place.folder), CUT) as loaded:
        assert exported.fingerprint == loaded.fingerprint
    assert steps[-1][0] == steps[-1][1] > 0
