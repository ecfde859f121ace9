"""`lenta rules` through a real gateway and a real feature-service: changed on top of what is there, refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway.app import create
from gateway.settings import Settings
from pipeline.cli import app
from pipeline.errors import LentaError
from typer.testing import CliRunner

from tests.support.fakes.gateway import served
from tests.support.platforms.feature_platform import feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with feature_platform(postgres_url, redis_url) as features:
        settings = Settings(
            features_url=features.url,
            control_url="http://127.0.0.1:9",
            test_url="http://127.0.0.1:9",
            api_keys="reader",
            admin_keys="admin",
        )
        with served(create(settings)) as url:
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("LENTA_GATEWAY_URL", url)
            monkeypatch.setenv("LENTA_API_KEY", "reader")
            monkeypatch.setenv("LENTA_ADMIN_KEY", "admin")
            yield


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["rules", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output + str(result.exception)
    return str(result.output)


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["rules", *arguments])
    assert isinstance(result.exception, LentaError), result.output
    return str(result.exception)


@pytest.mark.usefixtures("platform")
def test_rules_are_changed_one_by_one_and_all_at_once(tmp_path: Path) -> None:
    assert "no rule" in said("show")
    said("pin", "7", "--slot", "2", "--reason", "the final is today")
    said("block", "--post", "9", "--topic", "covid", "--reason", "a complaint", "--by", "ada")
    shown = said("show")
    assert "ada: a complaint" in shown
    assert "revision 2: blocked_posts: 9; blocked_topics: covid" in shown
    assert json.loads(said("show", "--json")) == {
        "blocked_posts": [9],
        "blocked_topics": ["covid"],
        "pins": {"2": 7},
    }
    said("pin", "7", "--slot", "1", "--reason", "higher up")
    said("block", "--post", "7", "--reason", "it was withdrawn")
    assert "pins" not in json.loads(said("show", "--json"))
    said("unblock", "--post", "7", "--topic", "covid", "--reason", "looked at")
    assert json.loads(said("show", "--json")) == {"blocked_posts": [9]}
    (tmp_path / "rules.toml").write_text('diversity = 0.5\nboosts = [{ topic = "sport", odds = 1.5 }]\n')
    said("set", "varied", "--file", "rules.toml", "--reason", "to compare")
    listed = said("list")
    assert "boosts, diversity" in listed
    assert "blocked_posts" in listed


@pytest.mark.usefixtures("platform")
def test_a_refusal_names_the_rule_and_says_what_to_do(tmp_path: Path) -> None:
    assert "no post 999" in refused("pin", "999", "--reason", "a slip")
    assert "--post or --topic" in refused("block", "--reason", "nothing named")
    assert "--reason" in refused("pin", "7", "--reason", "no")
    said("pin", "7", "--reason", "the final")
    assert "say this already" in refused("pin", "7", "--reason", "the final again")
    assert "no rule set spring" in refused("show", "spring")
    (tmp_path / "rules.json").write_text('{"most_per_topic": 0}')
    assert "rules.json: most_per_topic" in refused("set", "default", "--file", "rules.json", "--reason", "a slip")
    assert "cannot be read" in refused("set", "default", "--file", "gone.json", "--reason", "a slip")
