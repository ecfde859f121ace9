"""A model replaces the one in service unless it is worse; a retraining can be killed, and resumes when called again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from catboost import CatBoost, Pool
from pipeline.dataset import History, Requests, Tables, opened
from pipeline.dataset.feed import microseconds
from pipeline.tables.to_postgres import import_tables
from pipeline.training.fit import FittedModel, fit
from pipeline.training.models import model_of
from pipeline.training.scores import matrices
from ranking.artefact import ModelStore
from ranking.scorer import MODEL

from tests.support.commands import Commands
from tests.support.data.small_feed import START, lively, write_tables

CUT = START + timedelta(days=14)
USERS, POSTS = 40, 40
LENTA = Path(sys.executable).parent / "lenta"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("dump"), lively(np.random.default_rng(7), USERS), USERS, POSTS)


@pytest.fixture(scope="module")
def good(folder: Path) -> FittedModel:
    """Of the first fourteen days."""
    with opened(Tables.of_folder(folder), CUT) as feed:
        return fit(model_of("control"), feed, datetime(2026, 4, 1, tzinfo=UTC))


@dataclass
class Place(Commands):
    store: ModelStore
    root: Path
    good: FittedModel
    folder: Path
    environment: dict[str, str]

    def put(self, version: str, *, until: datetime = CUT, upside_down: bool = False) -> None:
        """The good model under another version, as if trained until then; or one that ranks the other way round."""
        artefact = self.root / version
        self.good.save(artefact)
        if upside_down:
            self._contrary().save_model(str(artefact / MODEL))
        manifest = self.good.manifest.model_copy(update={"version": version, "train_until": until})
        self.store.put(artefact, manifest)

    def _contrary(self) -> CatBoost:
        users, posts = (grid.ravel() for grid in np.meshgrid(np.arange(200, 200 + USERS), np.arange(1, POSTS + 1)))
        with opened(Tables.of_folder(self.folder), CUT) as feed:
            scorer = self.good.scorer
            history = History.of_model(feed, scorer.manifest)
            history.ask(Requests(users, posts, np.full(len(users), microseconds(CUT))))
            matrix = np.vstack([matrix for _, matrix in matrices(history, scorer)])
        contrary = CatBoost({"iterations": 60, "depth": 6, "learning_rate": 0.3, "allow_writing_files": False})
        contrary.fit(Pool(matrix, -4 * scorer.scores(np.asfortranarray(matrix))), silent=True)
        return contrary

    @property
    def serving(self) -> str:
        pointer = self.store.current("control")
        assert pointer is not None
        return pointer.version


@pytest.fixture
def place(folder: Path, good: FittedModel, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    import_tables(folder, postgres_url)
    variables = {
        "LENTA_HOME": str(tmp_path / "home"),
        "LENTA_POSTGRES_URL": postgres_url,
        "LENTA_MODEL_URI": str(tmp_path / "models"),
        "COLUMNS": "200",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Place(ModelStore(str(tmp_path / "models")), tmp_path, good, folder, {**os.environ, **variables})


def test_a_worse_model_is_refused_with_its_interval_and_force_publishes_it(place: Place) -> None:
    place.put("1")
    assert "Comparing" not in place.ok("publish", "control")
    place.put("2", upside_down=True)
    reason = place.refuses("publish", "control")
    assert "the model in service is better, and stays. control@2 less control@1: HitRate@5 -0." in reason
    assert "40 users from 2026-03-15 00:00 to 2026-03-20 23:" in reason
    assert "`lenta publish control --force` replaces it all the same" in reason
    assert place.serving == "1"
    place.ok("publish", "control", "--force")
    assert place.serving == "2"


def test_a_model_that_is_as_good_or_better_is_published_and_the_interval_is_said(place: Place) -> None:
    place.put("1", upside_down=True)
    place.ok("publish", "control")
    place.put("2")
    assert "control@2 less control@1: HitRate@5 +0." in place.ok("publish", "control")
    place.put("3")
    assert "control@3 less control@2: HitRate@5 +0.000 (+0.000 to +0.000)" in place.ok("publish", "control")
    assert place.serving == "3"
    place.ok("publish", "control", "--rollback")
    assert place.serving == "2"


def test_a_model_that_has_seen_the_days_is_judged_by_its_twin_and_by_itself(place: Place) -> None:
    place.put("1")
    place.ok("publish", "control")
    later = START + timedelta(days=30)
    place.put("2", until=later)
    output = place.ok("publish", "control")
    twin, itself = (line for line in output.splitlines() if "HitRate@5" in line)
    assert "seen these days" not in twin
    assert "control@2, which has seen these days, less control@1" in itself
    place.ok("publish", "control", "1", "--force")
    place.put("3", until=later, upside_down=True)
    assert "control@3, which has seen these days, less control@1" in place.refuses("publish", "control")
    assert place.serving == "1"


def test_without_days_that_the_model_in_service_has_not_seen_nothing_is_compared_and_that_is_said(place: Place) -> None:
    place.put("1", until=START + timedelta(days=30))
    place.ok("publish", "control")
    place.put("2")
    output = place.ok("publish", "control")
    assert "Not compared with what is in service: no user has six views since control@1 was trained" in output
    assert place.serving == "2"


def test_a_model_in_service_that_this_build_cannot_open_is_replaced_and_that_is_said(place: Place) -> None:
    place.put("1")
    place.ok("publish", "control")
    (place.root / "models" / "control" / "1" / MODEL).write_bytes(b"nonsense")
    place.put("2")
    assert "Not compared with what is in service: control@1" in place.ok("publish", "control")


def test_retraining_replaces_what_is_in_service_by_what_all_days_teach(place: Place) -> None:
    place.put("1", until=CUT)
    place.ok("publish", "control")
    output = place.ok("retrain", "control")
    assert place.serving != "1"
    assert f"control@{place.serving} is in service, replacing 1" in output
    manifest = place.store.manifest("control", place.serving)
    assert manifest.train_until > START + timedelta(days=19)
    assert output.count("HitRate@5") == 2
    assert not (place.root / "home" / "retraining" / "control").exists()
    assert "there is no model best" in place.refuses("retrain", "best")


def test_a_retraining_killed_half_way_leaves_the_old_model_serving_and_goes_on_when_called_again(place: Place) -> None:
    place.put("1")
    place.ok("publish", "control")
    twin = place.root / "home" / "retraining" / "control" / "twin" / "manifest.json"
    with subprocess.Popen([LENTA, "retrain", "control"], env=place.environment, stdout=subprocess.DEVNULL) as running:
        _wait_for(twin, running)
        running.send_signal(signal.SIGKILL)
    assert (place.serving, place.store.versions("control")) == ("1", ["1"])
    with subprocess.Popen([LENTA, "retrain", "control"], env=place.environment, stdout=subprocess.PIPE) as running:
        output = running.communicate(timeout=120)[0].decode()
    assert running.returncode == 0
    assert "Resuming the retraining of control begun at" in output
    assert "Training control" in output
    assert "Reading the feed" not in output
    assert "Training control without the days to compare by" not in output
    assert f"control@{place.serving} is in service, replacing 1" in output


def _kill_after_the_export(place: Place) -> None:
    tables = place.root / "home" / "retraining" / "control" / "tables"
    with subprocess.Popen([LENTA, "retrain", "control"], env=place.environment, stdout=subprocess.DEVNULL) as running:
        _wait_for(tables, running)
        running.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("change", ["--postgres-url", "--text-encoder"])
def test_a_killed_retraining_of_another_feed_or_text_encoder_is_not_gone_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    _kill_after_the_export(place)
    begun = place.root / "home" / "retraining" / "control" / "begun"
    assert place.environment["LENTA_POSTGRES_URL"] not in begun.read_text()
    if change == "--postgres-url":
        monkeypatch.setenv("LENTA_POSTGRES_URL", "postgresql://nobody:x@127.0.0.1:1/none")
    else:
        monkeypatch.setenv("LENTA_TEXT_ENCODER", str(place.root))
    output = place.run("retrain", "control").output
    assert "Starting over: the retraining of control begun at" in output
    assert "had another --postgres-url or --text-encoder" in output
    assert "Resuming" not in output


def test_a_retraining_that_its_feed_has_stopped_starts_anew_when_the_feed_is_repaired(place: Place) -> None:
    _run(place, "CREATE TABLE kept AS SELECT timestamp, user_id, post_id FROM feed_data WHERE target = 1")
    _run(place, "UPDATE feed_data SET target = 0 WHERE target = 1")
    assert "no view in feed_data was liked" in place.refuses("retrain", "control")
    _run(
        place,
        "UPDATE feed_data AS f SET target = 1 FROM kept AS k WHERE f.action = 'view' "
        "AND (f.timestamp, f.user_id, f.post_id) = (k.timestamp, k.user_id, k.post_id)",
    )
    output = place.ok("retrain", "control")
    assert "Resuming" not in output
    assert f"control@{place.serving} is in service" in output


def test_a_feed_that_begins_within_the_days_to_compare_by_is_learned_from_and_nothing_compared(place: Place) -> None:
    place.put("1", until=START)
    place.ok("publish", "control")
    _run(place, f"DELETE FROM feed_data WHERE timestamp < '{START + timedelta(days=8):%Y-%m-%d}'")
    reason = "Not compared with what is in service: the days before leave its twin nothing to learn from"
    place.put("2", until=START + timedelta(days=20))
    assert reason in place.ok("publish", "control")
    assert place.serving == "2"
    place.put("3", until=START)
    place.ok("publish", "control", "3", "--force")
    assert reason in place.ok("retrain", "control")
    assert place.serving not in ("2", "3")


def _run(place: Place, statement: str) -> None:
    with psycopg2.connect(place.environment["LENTA_POSTGRES_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def _wait_for(path: Path, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
