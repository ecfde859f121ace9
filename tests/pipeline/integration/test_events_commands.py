"""`lenta events`: dead letters listed, shown and replayed, on a real log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline.cli import app
from pipeline.errors import LentaError
from typer.testing import CliRunner, Result

from tests.support.platforms.feature_platform import FeaturePlatform, event, feature_platform


@pytest.fixture
def platform(
    postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FeaturePlatform]:
    monkeypatch.setenv("LENTA_HOME", str(tmp_path))
    monkeypatch.setenv("LENTA_REDIS_URL", redis_url)
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def lenta(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["events", *arguments], env={"COLUMNS": "160"})


def said(*arguments: str) -> str:
    result = lenta(*arguments)
    assert result.exit_code == 0, result.output + str(result.exception)
    return str(result.output)


def refused(*arguments: str) -> str:
    result = lenta(*arguments)
    assert isinstance(result.exception, LentaError), result.output
    return str(result.exception)


def dead_letters() -> list[dict[str, str]]:
    outcome: list[dict[str, str]] = json.loads(said("dead", "--json"))
    return outcome


def test_a_letter_is_listed_shown_and_replayed_once_its_cause_is_gone(platform: FeaturePlatform) -> None:
    platform.send(event("v", 200, 7777, "view"), event("l", 200, 7777, "like"))
    platform.settle()
    view, like = dead_letters()
    listed = said("dead")
    assert view["id"] in listed
    assert "2 in all: unknown_post 2" in listed
    shown = said("show", like["id"])
    assert '"action": "like"' in shown
    assert "unknown_post" in shown
    platform.http.put("/posts/7777", json={"text": "late", "topic": "movie"}).raise_for_status()
    platform.settle()
    assert "1 put back into the log" in said("replay", view["id"])
    assert "1 put back into the log" in said("replay", "--all")
    platform.settle()
    assert "No dead letters" in said("dead")
    assert platform.count("event_ledger", "fate = 'counted'") == 2


def test_a_cause_that_stays_brings_the_letter_back(platform: FeaturePlatform) -> None:
    platform.send(event("v", 200, 7777, "view"))
    platform.settle()
    said("replay", "--all")
    platform.settle()
    assert [letter["reason"] for letter in dead_letters()] == ["unknown_post"]


def test_what_is_not_there_is_refused_in_one_line(platform: FeaturePlatform) -> None:
    assert "there is no dead letter 1:1-1; see `lenta events dead`" in refused("show", "1:1-1")
    assert "0 replayed; there is no dead letter 1:1-1" in refused("replay", "1:1-1")
    assert "by --all" in refused("replay")
    assert "by --all" in refused("replay", "1:1-1", "--all")
    assert "Redis does not answer" in refused("dead", "--redis", "redis://127.0.0.1:9/0")
